/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end; see kernel/panic.h. The first CPU that panics stops the others by NMI, then reports with
 * nothing but its own stack and the print hook: no lock is taken, so a panic inside the log or the
 * serial driver is still told. A second panic on the reporting CPU ends the report; a third one,
 * from that end, halts it.
 */
#include "kernel/panic.h"

#include <stdarg.h>

#include "boot/bootinfo.h"
#include "cpu/cpu.h"
#include "cpu/ipi.h"
#include "cpu/lapic.h"
#include "cpu/percpu.h"
#include "cpu/spinlock.h"
#include "cpu/tsc.h"
#include "kernel/symbols.h"
#include "kernel/thread.h"
#include "kernel/trace.h"
#include "kernel/trap.h"
#include "lib/format.h"
#include "lib/string.h"

#define NOBODY		(-1)
#define BACKTRACE_MAX	24
#define TRACE_LINES	24
#define ICR_NMI		0x400
#define STOP_PER_SECOND	100	/* how long the others may take to stop: 10 ms */

static int reporter = NOBODY;		/* or who stops the machine without a panic */
static unsigned nested;			/* panics of the reporter while it reports */
static void (*print_hook)(const char *text);
static void (*reboot_hook)(void);
static void (*stop_hook)(void);
static unsigned stopped;		/* CPUs that have run the hook */

void panic_set_print(void (*print)(const char *text))
{
	print_hook = print;
}

void panic_set_reboot(void (*reboot)(void))
{
	reboot_hook = reboot;
}

void panic_set_stop(void (*stop)(void))
{
	stop_hook = stop;
}

bool panic_started(void)
{
	return READ_ONCE(reporter) != NOBODY;
}

static void say_line(const char *line)
{
	if (!print_hook)
		return;
	print_hook(line);
	print_hook("\n");
}

static void printf_like(1, 2) say(const char *fmt, ...)
{
	char line[200];
	va_list ap;

	va_start(ap, fmt);
	format_v(line, sizeof(line), fmt, ap);
	va_end(ap);
	say_line(line);
}

static void say_address(const char *head, uint64_t address)
{
	char name[64];
	uint64_t offset;

	if (symbols_find(address, name, sizeof(name), &offset))
		say("%s%016lx %s+0x%lx", head, address, name, offset);
	else
		say("%s%016lx", head, address);
}

static void say_registers(const struct trap_frame *f)
{
	say_address("rip ", f->rip);
	say("cs %04lx  rflags %08lx  ss %04lx  vector %lu  error %lx", f->cs, f->rflags, f->ss,
	    f->vector, f->error);
	say("rax %016lx  rbx %016lx  rcx %016lx", f->rax, f->rbx, f->rcx);
	say("rdx %016lx  rsi %016lx  rdi %016lx", f->rdx, f->rsi, f->rdi);
	say("rbp %016lx  rsp %016lx  r8  %016lx", f->rbp, f->rsp, f->r8);
	say("r9  %016lx  r10 %016lx  r11 %016lx", f->r9, f->r10, f->r11);
	say("r12 %016lx  r13 %016lx  r14 %016lx", f->r12, f->r13, f->r14);
	say("r15 %016lx", f->r15);
}

static void say_control(void)
{
	say("cr0 %08lx  cr2 %016lx  cr3 %016lx  cr4 %08lx", cpu_read_cr0(), cpu_read_cr2(),
	    cpu_read_cr3(), cpu_read_cr4());
}

static void say_backtrace(uint64_t rbp)
{
	uint64_t address[BACKTRACE_MAX];
	unsigned n = symbols_backtrace(rbp, address, BACKTRACE_MAX);

	say("backtrace:");
	for (unsigned i = 0; i < n; i++)
		say_address("  ", address[i]);
}

static void say_locks(void)
{
	for (unsigned i = 0; i < spin_held_count(); i++)
		say("holds lock %s (level %u)", spin_held_get(i)->name, spin_held_get(i)->level);
}

static void before_stop(void)
{
	if (stop_hook)
		stop_hook();
	__atomic_fetch_add(&stopped, 1, __ATOMIC_RELEASE);
}

static noreturn void stop_here(void)
{
	before_stop();
	cpu_stop();
}

/* One that does not answer is not waited for longer: it may be what the panic is about. */
static void stop_others(void)
{
	uint64_t start = tsc_read();

	if (cpu_count < 2)
		return;
	ipi_send_nmi_others();
	while (__atomic_load_n(&stopped, __ATOMIC_ACQUIRE) < cpu_count - 1 &&
	       tsc_read() - start < tsc_hz / STOP_PER_SECOND)
		cpu_pause();
}

static noreturn void end(void)
{
	char how[16];

	if (boot_option("panic", how, sizeof(how)) && !strcmp(how, "reboot") && reboot_hook) {
		say("rebooting");
		before_stop();
		reboot_hook();
	}
	say("halted");
	cpu_stop();
}

/* The first caller wins; the others stop here, whatever they were about to say. */
static void become_reporter(void)
{
	int nobody = NOBODY;
	int me = (int)cpu_index();

	cpu_irq_disable();
	if (__atomic_compare_exchange_n(&reporter, &nobody, me, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return;
	if (nobody != me)
		stop_here();
	if (nested++)
		cpu_stop();
	say("panic within panic");
	end();
}

static noreturn void report(const struct trap_frame *f, uint64_t rbp, const char *text)
{
	stop_others();
	say("\nPANIC: %s", text);
	trap_say_machine_checks(say_line);
	say("cpu %u of %u", cpu_index(), cpu_count);
	if (thread_current())
		say("thread %s", thread_name(thread_current()));
	if (f)
		say_registers(f);
	say_control();
	say_backtrace(rbp);
	say_locks();
	say("trace, newest last:");
	trace_dump(TRACE_LINES, say_line);
	end();
}

void panic(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	become_reporter();
	va_start(ap, fmt);
	format_v(text, sizeof(text), fmt, ap);
	va_end(ap);
	report(NULL, (uint64_t)__builtin_frame_address(0), text);
}

void panic_at(const struct trap_frame *f, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	become_reporter();
	va_start(ap, fmt);
	format_v(text, sizeof(text), fmt, ap);
	va_end(ap);
	report(f, f ? f->rbp : (uint64_t)__builtin_frame_address(0), text);
}

void panic_nmi(const struct trap_frame *f)
{
	int who = READ_ONCE(reporter);

	(void)f;
	if (who != NOBODY && who != (int)cpu_index())
		stop_here();
}

void panic_stop_cpus(void)
{
	become_reporter();
	stop_others();
	before_stop();
}

void fatal_boot(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	become_reporter();
	stop_others();
	va_start(ap, fmt);
	format_v(text, sizeof(text), fmt, ap);
	va_end(ap);
	say("keel: cannot start: %s", text);
	end();
}

/* ---- on purpose ---- */

/* Ends only for the compiler. */
static noinline uint64_t dig(uint64_t depth)
{
	volatile char hole[512];

	hole[depth % sizeof(hole)] = (char)depth;
	return depth == ~0ul ? 0 : hole[0] + dig(depth + 1) + hole[1];
}

static void write_to_null(void)
{
	volatile int *null;

	__asm__ volatile("xorl %k0, %k0" : "=r"(null));
	*null = 1;
}

void panic_provoke(const char *what)
{
	if (!strcmp(what, "panic"))
		panic("provoked");
	else if (!strcmp(what, "ud"))
		__asm__ volatile("ud2");
	else if (!strcmp(what, "null"))
		write_to_null();
	else if (!strcmp(what, "stack"))
		dig(1);
	else if (!strcmp(what, "nmi"))
		lapic_send(lapic_id(), ICR_NMI);
}
