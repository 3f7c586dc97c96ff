/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starting the other CPUs; see kernel/smp.h. One trampoline page below 1 MiB and one struct
 * ap_start serve them all, since they start in turn; boot/trampoline.asm reads both. Each time
 * there is one place to be had: who comes out of the trampoline takes it, by exchange, and a CPU
 * that comes when it is gone, long after it was called and given up, stops. So no two share a
 * stack.
 */
#include "kernel/smp.h"

#include <stdarg.h>

#include "boot/bootinfo.h"
#include "cpu/cpu.h"
#include "cpu/features.h"
#include "cpu/gdt.h"
#include "cpu/lapic.h"
#include "cpu/percpu.h"
#include "cpu/tsc.h"
#include "include/bits.h"
#include "kernel/log.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mm/kmap.h"
#include "mm/page.h"

#define ICR_INIT	0x4500	/* level, assert */
#define ICR_STARTUP	0x4600
#define XAPIC_BROADCAST	0xff	/* an id has eight bits there */
#define INIT_WAIT_NS	200000
#define SIPI_WAIT_NS	10000000	/* then once more */
#define START_WAIT_NS	1000000000

struct trampoline_fields {
	uint32_t cr3, unlock, target;
	uint16_t selector, gdt_limit;
	uint32_t gdt_base;
} packed;

struct ap_start {
	uint64_t cr3;
	void *stack;
	char *block;
	uint32_t place;		/* 1: to be taken, with what is above */
	void (*main)(void);
	enum { AP_DEAD, AP_ALIVE, AP_READY, AP_REFUSED } state;
};

extern const char trampoline_start[], trampoline_end[], trampoline_fields[];
extern char boot_pml4[];

struct ap_start smp_ap_start;
static hpa_t trampoline;
static bool stuck;	/* a CPU took its place and was not heard of again */

noreturn void smp_ap_main(void);

/* The last usable page below 640 KiB: page_alloc never gives these out. */
static bool find_low_page(void)
{
	for (unsigned i = 0; i < bootinfo.region_count; i++) {
		const struct boot_region *r = &bootinfo.region[i];
		uint64_t end = MIN(r->start.v + r->size, 0xa0000ul);

		if (r->type == BOOT_MEM_USABLE && end > r->start.v && end >= 2 * PAGE_SIZE)
			trampoline = HPA(end - PAGE_SIZE);
	}
	return trampoline.v;
}

static int prepare_trampoline(void)
{
	char *page;
	struct trampoline_fields *f;

	if (trampoline.v)
		return 0;
	if (!find_low_page())
		return -ENOSPC;
	page = kmap_direct(trampoline);
	f = (void *)(page + (trampoline_fields - trampoline_start));
	memcpy(page, trampoline_start, (size_t)(trampoline_end - trampoline_start));
	f->cr3 = (uint32_t)kmap_direct_hpa(boot_pml4).v;
	f->target += (uint32_t)trampoline.v;
	f->gdt_base += (uint32_t)trampoline.v;
	f->unlock = features.unlocked;
	return 0;
}

static char *make_block(unsigned cpu, int node)
{
	size_t size = (size_t)(percpu_end - percpu_start);
	struct page *p = page_alloc(page_order_for(size), 0, node, &page_charge_kernel);
	char *block = p ? page_virt(p) : NULL;

	if (!block)
		return NULL;
	memcpy(block, percpu_start, size);
	percpu_distance[cpu] = (uintptr_t)block - (uintptr_t)percpu_start;
	*(uintptr_t *)block = percpu_distance[cpu];
	per_cpu(percpu_index, cpu) = cpu;
	per_cpu(page_home, cpu) = node;
	return block;
}

static void wait_ns(uint64_t ns)
{
	for (uint64_t end = clock_ns() + ns; clock_ns() < end;)
		cpu_pause();
}

static bool wait_state(unsigned state, uint64_t ns)
{
	for (uint64_t end = clock_ns() + ns; clock_ns() < end; cpu_pause())
		if (__atomic_load_n(&smp_ap_start.state, __ATOMIC_ACQUIRE) >= state)
			return true;
	return false;
}

static bool wake(uint32_t apic_id)
{
	uint32_t startup = ICR_STARTUP | (uint32_t)(trampoline.v >> PAGE_SHIFT);

	lapic_send(apic_id, ICR_INIT);
	wait_ns(INIT_WAIT_NS);
	lapic_send(apic_id, startup);
	if (wait_state(AP_ALIVE, SIPI_WAIT_NS))
		return true;
	lapic_send(apic_id, startup);
	return wait_state(AP_ALIVE, START_WAIT_NS);
}

/*
 * The CPU was silent for too long. Without its place it goes back to where it waits for a SIPI, and
 * finds none should it come all the same. With it, it may hold locks and may go on at any time: it
 * is left alone, and nobody else is started beside it.
 */
static int give_up(uint32_t apic_id)
{
	if (__atomic_exchange_n(&smp_ap_start.place, 0, __ATOMIC_ACQ_REL))
		lapic_send(apic_id, ICR_INIT);
	else
		stuck = true;
	return -ETIMEDOUT;
}

int smp_start_cpu(uint32_t apic_id, int node, void (*main)(void))
{
	unsigned cpu = cpu_count;
	uint64_t flags;
	bool answers;
	int err;

	if (apic_id == lapic_id())
		return 0;
	if (stuck)
		return -EBUSY;
	if (cpu == CPU_MAX)
		return -ENOSPC;
	if (apic_id >= XAPIC_BROADCAST && !lapic_is_x2apic())
		return -ERANGE;
	err = prepare_trampoline();
	if (err)
		return err;
	smp_ap_start = (struct ap_start){
		.cr3 = kmap_cr3,
		.stack = kmap_stack_alloc(SMP_STACK_PAGES),
		.block = make_block(cpu, node),
		.main = main,
	};
	/* What a CPU that did not start was given stays lost. */
	if (!smp_ap_start.stack || !smp_ap_start.block)
		return -ENOMEM;
	__atomic_store_n(&smp_ap_start.place, 1, __ATOMIC_RELEASE);
	if (!wake(apic_id))
		return give_up(apic_id);
	flags = cpu_irq_save();
	answers = tsc_skew_measure(cpu);
	cpu_irq_restore(flags);
	if (!answers || !wait_state(AP_READY, START_WAIT_NS))
		return give_up(apic_id);
	if (smp_ap_start.state == AP_REFUSED)
		return -ENODEV;
	__atomic_store_n(&cpu_count, cpu + 1, __ATOMIC_RELEASE);
	return 0;
}

int smp_trap_stacks_init(void)
{
	for (enum gdt_ist i = GDT_IST_NMI; i < GDT_IST_COUNT; i++) {
		void *top = kmap_stack_alloc(SMP_TRAP_STACK_PAGES);

		if (!top)
			return -ENOMEM;
		gdt_set_stack(i, top);
	}
	return 0;
}

/* On the new CPU, from boot/trampoline.asm. */
void smp_ap_main(void)
{
	kmap_cpu_init();
	gdt_cpu_init();
	__atomic_store_n(&smp_ap_start.state, AP_ALIVE, __ATOMIC_RELEASE);
	if (tsc_skew_answer())
		smp_ap_start.main();
	cpu_stop();
}

void smp_ap_ready(void)
{
	unsigned me = cpu_index();

	__atomic_store_n(&smp_ap_start.state, AP_READY, __ATOMIC_RELEASE);
	while (__atomic_load_n(&cpu_count, __ATOMIC_ACQUIRE) <= me)
		cpu_pause();
}

void smp_ap_refuse(const char *fmt, ...)
{
	char why[80];
	va_list ap;

	va_start(ap, fmt);
	format_v(why, sizeof(why), fmt, ap);
	va_end(ap);
	log_error("smp: CPU %u is left out: %s", cpu_index(), why);
	__atomic_store_n(&smp_ap_start.state, AP_REFUSED, __ATOMIC_RELEASE);
	cpu_stop();
}
