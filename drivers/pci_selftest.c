/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The PCI self-test; see drivers/pci_selftest.h. Intel's gigabit chips of the e1000 family raise
 * any of their interrupts when they are told to, which proves the way of each without a network: by
 * the wire, by MSI and by MSI-X to one CPU after the other.
 * Source: Intel 82574 GbE Controller Family Datasheet, "Programming Interface".
 */
#include "drivers/pci_selftest.h"

#include "cpu/irq.h"
#include "cpu/percpu.h"
#include "cpu/tsc.h"
#include "drivers/pci.h"
#include "drivers/wire.h"
#include "include/bits.h"
#include "include/errno.h"
#include "kernel/log.h"
#include "kernel/thread.h"
#include "mm/kmap.h"

#define REG_ICR		0x00c0	/* causes; writing ones clears them */
#define REG_ICS		0x00c8	/* sets causes */
#define REG_IMS		0x00d0
#define REG_IMC		0x00d8
#define REG_EIAC	0x00dc	/* causes that their message clears */
#define REG_IVAR	0x00e4
#define REGISTERS	0x1000

#define CAUSE_LINK	BIT(2)
#define ROUNDS		20
#define PATIENCE_NS	10000000000ul
#define QUIET_NS	1000000

/* Each message's cause, and what of IVAR says that it is. */
static const struct { uint32_t cause, ivar; } routes[] = {
	{ BIT(20), 0x00008 }, { BIT(22), 0x00900 }, { BIT(24), 0xa0000 },
};

static volatile uint8_t *registers;
static unsigned came[ARRAY_COUNT(routes)], strays;	/* by message; on another CPU */
static unsigned targets[ARRAY_COUNT(routes)];
static uint32_t cause;					/* that is being raised */
static bool failed;

static uint32_t reg_read(unsigned reg)
{
	return *(volatile uint32_t *)(registers + reg);
}

static void reg_write(unsigned reg, uint32_t v)
{
	*(volatile uint32_t *)(registers + reg) = v;
}

static bool on_wire(void *unused)
{
	uint32_t causes = reg_read(REG_ICR);

	(void)unused;
	reg_write(REG_ICR, causes);
	came[0] += (causes & CAUSE_LINK) != 0;
	return causes & CAUSE_LINK;
}

static void on_message(void *arg)
{
	unsigned i = (unsigned)(uintptr_t)arg;

	reg_write(REG_ICR, cause);
	strays += cpu_index() != targets[i];
	came[i]++;
}

static bool arrives(unsigned i, unsigned count)
{
	for (uint64_t end = clock_ns() + PATIENCE_NS; READ_ONCE(came[i]) < count;) {
		if (clock_ns() > end)
			return false;
		thread_sleep_ns(10000);
	}
	return true;
}

static void raise(void)
{
	reg_write(REG_ICR, ~0u);
	reg_write(REG_IMS, cause);
	reg_write(REG_ICS, cause);
}

/* Nothing comes any more, nor what the chip holds back as it would be too soon. */
static void be_quiet(void)
{
	reg_write(REG_IMC, ~0u);
	reg_write(REG_ICR, ~0u);
	thread_sleep_ns(QUIET_NS);
}

/* ROUNDS interrupts, each when the one before has come. */
static void raise_many(unsigned i, const char *how)
{
	unsigned n = 0;

	came[i] = 0;
	for (; n < ROUNDS; n++) {
		raise();
		if (!arrives(i, n + 1))
			break;
	}
	be_quiet();
	failed |= n != ROUNDS;
	log_info("selftest: %u of %u interrupts by %s on CPU %u", n, ROUNDS, how, targets[i]);
}

static int test_wire(struct pci_device *d)
{
	struct wire_user user = { .name = "selftest", .fn = on_wire };
	int err = pci_wire_open(d, &user);

	if (err)
		return err;
	targets[0] = cpu_index();
	cause = CAUSE_LINK;
	raise_many(0, "wire");
	wire_close(&user);
	return 0;
}

/* While it is masked it does not come, and then it does. */
static void test_mask(struct pci_device *d, unsigned i)
{
	unsigned early;

	if (pci_message_mask(d, i, true))
		return;
	came[i] = 0;
	raise();
	thread_sleep_ns(QUIET_NS);
	early = READ_ONCE(came[i]);
	if (early || pci_message_mask(d, i, false) || !arrives(i, 1)) {
		failed = true;
		log_error("selftest: %u interrupts came masked, %u later", early, came[i]);
	}
	be_quiet();
}

static void test_message(struct pci_device *d, unsigned i, unsigned cpu, const char *how)
{
	struct irq irq = { .name = "selftest", .fn = on_message, .arg = (void *)(uintptr_t)i };

	targets[i] = cpu;
	if (pci_message_set(d, i, &irq, cpu)) {
		failed = true;
		return;
	}
	raise_many(i, how);
	test_mask(d, i);
	pci_message_clear(d, i, &irq);
}

static void test_msi(struct pci_device *d)
{
	if (pci_messages_open(d, PCI_MSI) < 0)
		return;
	cause = CAUSE_LINK;
	for (unsigned cpu = 0; cpu < cpu_count; cpu++)
		test_message(d, 0, cpu, "MSI");
	pci_messages_close(d);
}

static void test_msix(struct pci_device *d)
{
	uint32_t ivar = 0, all = 0;

	if (pci_messages_open(d, PCI_MSIX) < (int)ARRAY_COUNT(routes))
		return;
	for (unsigned i = 0; i < ARRAY_COUNT(routes); i++) {
		ivar |= routes[i].ivar;
		all |= routes[i].cause;
	}
	reg_write(REG_IVAR, ivar);
	reg_write(REG_EIAC, all);
	for (unsigned i = 0; i < ARRAY_COUNT(routes); i++) {
		cause = routes[i].cause;
		test_message(d, i, i % cpu_count, "MSI-X");
	}
	pci_messages_close(d);
}

static int probe(struct pci_device *d)
{
	struct pci_bar bar;
	int err = pci_reset(d);

	if (err && err != -ENOSYS)
		return err;
	err = pci_bar_get(d, 0, &bar);
	if (err)
		return err;
	registers = pci_bar_map(&bar, 0, REGISTERS);
	if (!registers)
		return -ENOMEM;
	pci_command(d, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0);
	reg_write(REG_IMC, ~0u);
	if (test_wire(d))
		log_info("selftest: no wire is known for it");
	test_msi(d);
	test_msix(d);
	return 0;
}

static void remove(struct pci_device *d)
{
	reg_write(REG_IMC, ~0u);
	pci_command(d, 0, PCI_COMMAND_MASTER);
	kmap_io_unmap((void *)registers, REGISTERS);
}

bool pci_selftest(void)
{
	static const struct pci_match match[] = {
		{ 0x8086, 0x100e, 0, 0 },		/* 82540EM: the wire alone */
		{ 0x8086, 0x10d3, 0, 0 },		/* 82574L */
	};
	static const struct pci_driver driver = {
		.name = "selftest", .match = match, .match_count = ARRAY_COUNT(match),
		.probe = probe, .remove = remove,
	};

	pci_bind((const struct pci_driver *const []){ &driver }, 1);
	pci_unbind();
	if (strays)
		log_error("selftest: %u interrupts came to another CPU", strays);
	return !failed && !strays;
}
