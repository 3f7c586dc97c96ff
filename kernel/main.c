/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A table of contents: what is brought up, in order, and nothing else. The only file that wires
 * layers together.
 */
#include "kernel/main.h"

#include "boot/bootinfo.h"
#include "cpu/cpu.h"
#include "cpu/errata.h"
#include "cpu/features.h"
#include "cpu/fpu.h"
#include "cpu/ipi.h"
#include "cpu/lapic.h"
#include "cpu/percpu.h"
#include "cpu/smp.h"
#include "cpu/tsc.h"
#include "drivers/acpi.h"
#include "drivers/hpet.h"
#include "drivers/ioapic.h"
#include "drivers/pci.h"
#include "drivers/pm_timer.h"
#include "drivers/power.h"
#include "drivers/rtc.h"
#include "drivers/uart.h"
#include "include/bits.h"
#include "include/errno.h"
#include "kernel/irq.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "kernel/selftest.h"
#include "kernel/timer.h"
#include "kernel/trap.h"
#include "kernel/work.h"
#include "mm/heap.h"
#include "mm/kmap.h"
#include "mm/page.h"
#include "mgmt/mgmt.h"
#include "shell/shell.h"
#include "svm/svm_ops.h"
#include "vmm/vmm.h"
#include "vmx/vmx_ops.h"

#define MEMORY_MIN	(32 * MIB)

static void say_what_booted(void)
{
	log_info("keel: loaded by %s at %#lx, %lu KiB, %u modules",
		 bootinfo.loader ?: "an unnamed loader", bootinfo.image_start.v,
		 bootinfo.image_size / KIB, bootinfo.module_count);
	log_info("cpu: %s, family %#x model %#x stepping %u",
		 features.brand[0] ? features.brand : features.vendor_name, features.family,
		 features.model, features.stepping);
	for (enum erratum e = 0; e < ERRATUM_COUNT; e++)
		if (errata_has(e))
			log_debug("errata: %s: %s", errata_name(e), errata_text(e));
}

static void check_memory(void)
{
	uint64_t usable = 0;

	if (bootinfo.regions_dropped)
		log_warn("boot: the memory map is too long: %u of its regions are not used",
			 bootinfo.regions_dropped);
	if (!boot_image_listed())
		fatal_boot("the memory map is too long to find Keel's own place in it");
	for (unsigned i = 0; i < bootinfo.region_count; i++)
		if (bootinfo.region[i].type == BOOT_MEM_USABLE)
			usable += bootinfo.region[i].size;
	if (usable < MEMORY_MIN)
		fatal_boot("%lu MiB of memory are free and %lu are needed: add memory, or load fewer modules",
			   usable / MIB, MEMORY_MIN / MIB);
}

static void *main_stack;

static void init_memory(void)
{
	check_memory();
	page_init();
	kmap_init();
	heap_init();
	if (acpi_init_late(bootinfo.rsdp, sizeof(bootinfo.rsdp)))
		log_warn("acpi: no tables: one CPU, no power-off");
	acpi_power_init();
	for (unsigned i = 0; i < acpi_info.memory_count; i++) {
		const struct acpi_memory *m = &acpi_info.memory[i];

		if (page_add_node(m->start, m->size, m->node))
			log_warn("page: memory at %#lx stays on node 0", m->start.v);
	}
	main_stack = kmap_stack_alloc(SMP_STACK_PAGES);
	if (!main_stack || smp_trap_stacks_init())
		fatal_boot("there is no memory for stacks: add memory");
}

static void init_time(void)
{
	if (!hpet_init(acpi_info.hpet))
		tsc_add_reference(&(struct tsc_reference){
			"HPET", hpet_hz(), hpet_mask(), hpet_read,
		});
	if (!pm_timer_init(acpi_info.pm_timer_port, acpi_info.pm_timer_bits))
		tsc_add_reference(&(struct tsc_reference){
			"PM timer", PM_TIMER_HZ, pm_timer_mask(), pm_timer_read,
		});
	tsc_init();
	lapic_timer_calibrate();
}

static void init_uart(void)
{
	int vector = irq_alloc("uart", uart_irq, NULL);

	if (!uart_present() || vector < 0 ||
	    ioapic_route_isa(UART_IRQ, (unsigned)vector, lapic_id()))
		return;
	uart_irq_start();
	ioapic_mask_isa(UART_IRQ, false);
}

static const struct vmm_ops *const backends[] = { &svm_ops, &vmx_ops };

/* Every CPU that starts from here on goes the same way. */
static void start_vmm(void)
{
	vmm_init(backends, ARRAY_COUNT(backends));
	panic_set_stop(vmm_cpu_disable);
	vmm_cpu_enable();
}

static void start_cpus(void)
{
	uint64_t limit = boot_option_number("cpus", CPU_MAX);

	for (unsigned i = 0; i < acpi_info.cpu_count && cpu_count < limit; i++) {
		const struct acpi_cpu *c = &acpi_info.cpu[i];
		int err = c->enabled ? smp_start_cpu(c->apic_id, c->node, kernel_main_ap) : 0;

		if (err)
			log_error("smp: CPU with APIC id %u does not start: error %d", c->apic_id,
				  err);
	}
	log_info("smp: %u CPUs", cpu_count);
	trap_log_leftovers();
}

/* What a test of the last resorts asks for: panic=test and its like on the command line. */
static void provoke(void)
{
	char what[16];

	if (boot_option("provoke", what, sizeof(what)))
		panic_provoke(what);
	if (boot_option("selftest", what, sizeof(what))) {
		selftest_run();
		power_off();
	}
}

static void start_management(void)
{
	static const struct mgmt_platform platform = {
		.power_off = power_off, .power_reboot = power_reboot, .cpu_virtual = vmm_cpu_on,
	};
	static const struct shell_port port = {
		.read = uart_read, .write = uart_write, .space = uart_space,
		.set_receive = uart_set_receive, .can_wake = cpu_irq_enabled,
	};

	mgmt_init(&platform, &bootinfo);
	log_info("keel: ready");
	shell_start(&port);
	mgmt_autostart();
}

/* On a stack with a guard page. */
static noreturn void main_late(void)
{
	init_uart();
	pci_init();
	start_vmm();
	start_cpus();
	work_start();
	if (errata_has(ERRATUM_INTERRUPT_MAY_GET_LOST))
		timer_watch();
	provoke();
	start_management();
	for (;;) {
		thread_prepare();
		thread_wait(THREAD_FOREVER);
	}
}

void kernel_main(void)
{
	log_set_early(uart_text);
	errata_init();
	fpu_init();
	fpu_cpu_init();
	say_what_booted();
	power_init();
	if (acpi_init(bootinfo.rsdp, sizeof(bootinfo.rsdp)) == -EAGAIN)
		log_info("acpi: tables above 4 GiB");
	init_memory();
	ioapic_init();
	lapic_init();
	lapic_cpu_init();
	init_time();
	rtc_init();
	ipi_init();
	timer_cpu_init();
	sched_init();
	cpu_irq_enable();
	stack_leave(main_stack, main_late);
}

void kernel_main_ap(void)
{
	trap_cpu_init();
	if (smp_trap_stacks_init())
		panic("smp: no memory for stacks");
	fpu_cpu_init();
	lapic_cpu_init();
	timer_cpu_init();
	vmm_cpu_enable();
	if (features_missing_here() != FEATURE_COUNT)
		log_warn("smp: CPU %u lacks %s", cpu_index(),
			 features_name(features_missing_here()));
	smp_ap_ready();
	sched_start_ap();
}
