/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A table of contents: what is brought up, in order, and nothing else. The only file that wires
 * layers together.
 */
#include "kernel/main.h"

#include "boot/bootinfo.h"
#include "boot/cmdline.h"
#include "cpu/cpu.h"
#include "cpu/errata.h"
#include "cpu/features.h"
#include "cpu/fpu.h"
#include "cpu/ipi.h"
#include "cpu/irq.h"
#include "cpu/lapic.h"
#include "cpu/mitigation.h"
#include "cpu/place.h"
#include "cpu/percpu.h"
#include "cpu/tsc.h"
#include "drivers/acpi.h"
#include "drivers/hpet.h"
#include "drivers/ioapic.h"
#include "drivers/pci.h"
#include "drivers/pci_selftest.h"
#include "drivers/pm_timer.h"
#include "drivers/power.h"
#include "drivers/rtc.h"
#include "drivers/screen.h"
#include "drivers/serial.h"
#include "drivers/serial_pci.h"
#include "drivers/terminal.h"
#include "drivers/uart.h"
#include "include/bits.h"
#include "include/errno.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/random.h"
#include "kernel/selftest.h"
#include "kernel/smp.h"
#include "kernel/thread.h"
#include "kernel/timer.h"
#include "kernel/trap.h"
#include "kernel/work.h"
#include "lib/format.h"
#include "mgmt/mgmt.h"
#include "mm/heap.h"
#include "mm/kmap.h"
#include "mm/page.h"
#include "shell/shell.h"
#include "svm/svm_ops.h"
#include "vmm/cpuid.h"
#include "vmm/vmm.h"
#include "vmx/vmx_ops.h"

#define MEMORY_MIN	(32 * MIB)
#define WATCH_NS	250000000ul

static void say_what_booted(void)
{
	log_info("keel: loaded by %s at %#lx, %lu KiB, %u modules",
		 bootinfo.loader ?: "an unnamed loader", bootinfo.image_start.v,
		 bootinfo.image_size / KIB, bootinfo.module_count);
	log_info("cpu: %s, family %#x model %#x stepping %u",
		 features.brand[0] ? features.brand : features.vendor_name, features.family,
		 features.model, features.stepping);
}

/* drop_irqs=N: one interrupt of N gets lost, for tests of what holds against that. */
static void take_drop_irqs(void)
{
	uint64_t one_of = boot_option_number("drop_irqs", 0);

	if (one_of < 2 || one_of > 1000000)
		return;
	errata_set(ERRATUM_INTERRUPT_MAY_GET_LOST);
	irq_drop((unsigned)one_of);
	log_warn("irq: one interrupt of %lu is made to get lost", one_of);
}

/* The tick needs no answer: one that gets lost is followed by the next. */
static void watch_timers(void)
{
	timer_watch();
	if (hpet_tick_start(WATCH_NS, timer_watch_tick))
		log_warn("timer: no HPET interrupt to find what gets lost");
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

static void init_lapic(void)
{
	hpa_t window = lapic_init(acpi_wants_x2apic());
	void *mapped = window.v ? kmap_io(window, PAGE_SIZE, CACHE_UC) : NULL;

	if (window.v && !mapped)
		panic("lapic: no address space for its registers");
	lapic_set_window(mapped);
	if (lapic_cpu_init())
		panic("lapic: the boot CPU changed its mode");
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

static const struct vmm_ops *const backends[] = { &svm_ops, &vmx_ops };

/* Every CPU that starts from here on goes the same way. */
static void start_vmm(void)
{
	int err;

	vmm_init(backends, ARRAY_COUNT(backends));
	panic_set_stop(vmm_cpu_disable);
	err = vmm_cpu_enable();
	if (err)
		fatal_boot("%s cannot be switched on (%s): look into the firmware's settings",
			   vmm_ops->name, format_errno(err));
}

static void start_cpus(void)
{
	uint64_t limit = boot_option_number("cpus", CPU_MAX) ?: CPU_MAX;

	for (unsigned i = 0; i < acpi_info.cpu_count && cpu_count < limit; i++) {
		const struct acpi_cpu *c = &acpi_info.cpu[i];
		int err = smp_start_cpu(c->apic_id, c->node, kernel_main_ap);

		if (err)
			log_error("smp: CPU with APIC id %u does not start: %s", c->apic_id,
				  format_errno(err));
	}
	place_link();
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
		selftest_run(what, pci_selftest);
		power_off();
	}
}

static void start_management(void)
{
	static const struct mgmt_platform platform = {
		.power_off = power_off, .power_reboot = power_reboot, .cpu_virtual = vmm_cpu_on,
		.console = terminal_name, .cmdline_error = cmdline_error, .device = pci_describe,
	};
	static const struct shell_port port = {
		.read = terminal_read, .write = terminal_write, .space = terminal_space,
		.set_receive = terminal_set_receive, .can_wake = cpu_irq_enabled,
	};

	mgmt_init(&platform, &bootinfo);
	log_info("keel: ready, console %s", terminal_where());
	shell_start(&port);
	mgmt_autostart();
}

static const struct pci_driver *const pci_drivers[] = { &serial_pci };

/* On a stack with a guard page. */
static noreturn void main_late(void)
{
	pci_init();
	pci_bind(pci_drivers, ARRAY_COUNT(pci_drivers));
	serial_irq_init();
	screen_start();
	terminal_init();
	start_vmm();
	fpu_cpu_init();
	fpu_errata_find();
	cpuid_init();
	errata_log();
	start_cpus();
	work_start();
	take_drop_irqs();
	if (errata_has(ERRATUM_INTERRUPT_MAY_GET_LOST))
		watch_timers();
	provoke();
	start_management();
	for (;;) {
		thread_prepare();
		thread_wait(THREAD_FOREVER);
	}
}

static void early_text(const char *text, size_t length)
{
	uart_text(text, length);
	screen_update();
}

void kernel_main(void)
{
	log_set_early(early_text);
	errata_init();
	errata_cpu_init();
	errata_take_options();
	mitigation_init();
	mitigation_take_options();
	fpu_init();
	mitigation_cpu_init();
	say_what_booted();
	cmdline_check();
	power_init();
	if (acpi_init(bootinfo.rsdp, sizeof(bootinfo.rsdp)) == -EAGAIN)
		log_info("acpi: tables above 4 GiB");
	init_memory();
	screen_init();
	serial_init();
	ioapic_init();
	init_lapic();
	init_time();
	random_init();
	rtc_init();
	ipi_init();
	timer_cpu_init();
	place_cpu_init();
	sched_init();
	cpu_irq_enable();
	stack_leave(main_stack, main_late);
}

/* Threads, vCPUs too, go everywhere: a CPU that lacks what the boot CPU has would be their end. */
void kernel_main_ap(void)
{
	enum feature missing = features_missing_here();
	int err;

	/* The stacks of NMI and #MC first, then the gates that use them. */
	if (smp_trap_stacks_init())
		smp_ap_refuse("no memory for stacks");
	trap_cpu_init();
	if (missing != FEATURE_COUNT)
		smp_ap_refuse("it lacks %s, which the boot CPU has", features_name(missing));
	errata_cpu_init();
	fpu_cpu_init();
	mitigation_cpu_init();
	if (lapic_cpu_init())
		smp_ap_refuse("its APIC is in x2APIC mode, the boot CPU's is not");
	timer_cpu_init();
	place_cpu_init();
	err = vmm_cpu_enable();
	if (err)
		smp_ap_refuse("%s cannot be switched on (%s)", vmm_ops->name, format_errno(err));
	smp_ap_ready();
	sched_start_ap();
}
