/* SPDX-License-Identifier: BSD-2-Clause */
/* links: drivers/pci_function.c drivers/pci_irq.c drivers/pci_driver.c drivers/pci_node.c
 * boot/bootinfo.c lib/format.c tests/host/fake_pci.c tests/host/percpu.c tests/host/log.c */
/*
 * What stands on a PCI function's registers: capabilities, BARs, reset; messages and wires;
 * drivers, and what is told of it. Functions that lie are believed no further than they can harm
 * nobody, and one that no driver takes is not written to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "boot/bootinfo.h"
#include "drivers/acpi.h"
#include "drivers/wire.h"
#include "include/errno.h"
#include "kernel/nodedev.h"
#include "tests/host/fake_pci.h"

extern unsigned host_log_count[4];

#define WARNINGS	host_log_count[1]

static struct { uint32_t gsi; bool low, level; } opened;

struct acpi_override acpi_isa_irq(unsigned irq)
{
	if (irq == 11)
		return (struct acpi_override){ .irq = 11, .gsi = 11, .level = true };
	return (struct acpi_override){ .irq = (uint8_t)irq, .gsi = irq };
}

int wire_open(struct wire_user *u, uint32_t gsi, bool low, bool level)
{
	(void)u;
	opened.gsi = gsi;
	opened.low = low;
	opened.level = level;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	fake_pci_reset();
	memset(&bootinfo, 0, sizeof(bootinfo));
	memset(host_log_count, 0, 4 * sizeof(unsigned));
	return 0;
}

static struct fake_pci *network(void)
{
	return fake_pci_add(0x10d38086, 0x020000, 0);
}

/* A capability at `at` that leads to `next`. */
static void capability(struct fake_pci *f, unsigned at, uint8_t id, uint8_t next)
{
	fake_pci_put(f, PCI_STATUS, 2, 0x10);
	if (!f->space[0x34])
		f->space[0x34] = (uint8_t)at;
	f->space[at] = id;
	f->space[at + 1] = next;
}

static void bar(struct fake_pci *f, unsigned i, uint32_t value, uint32_t writable)
{
	fake_pci_put(f, 0x10 + 4 * i, 4, value);
	f->bar_writable[i] = writable;
}

/* ---- capabilities ---- */

static void capabilities(void **state)
{
	struct fake_pci *f = network();

	(void)state;
	assert_int_equal(pci_capability(&f->device, PCI_CAP_MSI, 10), 0);
	capability(f, 0x50, 0x01, 0xa2);		/* low bits are reserved */
	capability(f, 0xa0, PCI_CAP_MSI, 0);
	assert_int_equal(pci_capability(&f->device, PCI_CAP_MSI, 10), 0xa0);
	assert_int_equal(pci_capability(&f->device, PCI_CAP_MSIX, 12), 0);
	f->space[PCI_STATUS] = 0;
	assert_int_equal(pci_capability(&f->device, PCI_CAP_MSI, 10), 0);
	f->space[PCI_STATUS] = 0x10;
	f->device.header_type = 2;			/* CardBus has it elsewhere */
	assert_int_equal(pci_capability(&f->device, PCI_CAP_MSI, 10), 0);
	f->device.header_type = 0x80;
	assert_int_equal(pci_capability(&f->device, PCI_CAP_MSI, 10), 0xa0);
}

static void capabilities_that_lie(void **state)
{
	struct fake_pci *f = network();

	(void)state;
	capability(f, 0x40, 0x01, 0x44);
	capability(f, 0x44, 0x02, 0x40);		/* round and round */
	assert_int_equal(pci_capability(&f->device, PCI_CAP_MSI, 10), 0);
	capability(f, 0x44, 0x02, 0x44);
	assert_int_equal(pci_capability(&f->device, PCI_CAP_MSI, 10), 0);
	capability(f, 0x44, 0x02, 0x10);		/* into the header */
	f->space[0x10] = PCI_CAP_MSI;
	assert_int_equal(pci_capability(&f->device, PCI_CAP_MSI, 10), 0);
	capability(f, 0x44, 0x02, 0xf8);		/* over the end */
	capability(f, 0xf8, PCI_CAP_MSI, 0x60);
	assert_int_equal(pci_capability(&f->device, PCI_CAP_MSI, 8), 0xf8);
	assert_int_equal(pci_capability(&f->device, PCI_CAP_MSI, 10), 0);
	capability(f, 0x60, PCI_CAP_MSI, 0);		/* and a whole one behind it */
	assert_int_equal(pci_capability(&f->device, PCI_CAP_MSI, 10), 0x60);
	f->gone = true;
	assert_int_equal(pci_capability(&f->device, PCI_CAP_MSI, 10), 0);
	assert_int_equal(f->writes, 0);
}

/* ---- BARs ---- */

static void bars(void **state)
{
	struct fake_pci *f = network();
	struct pci_bar b;

	(void)state;
	fake_pci_put(f, PCI_COMMAND, 2, 7);
	bar(f, 0, 0xfebc0000, 0xfffe0000);		/* 128 KiB */
	bar(f, 1, 0x0000c041, 0xffe0);			/* 32 ports, no upper half */
	bar(f, 2, 0x0000000c, 0xfff00000);		/* 1 MiB of 64 bits, prefetchable */
	bar(f, 3, 0x00000012, 0xffffffff);
	assert_int_equal(pci_bar_get(&f->device, 0, &b), 0);
	assert_int_equal(b.address.v, 0xfebc0000);
	assert_int_equal(b.size, 0x20000);
	assert_false(b.io || b.wide);
	assert_ptr_equal(pci_bar_map(&b, 0x1ff00, 0x100), fake_pci_window);
	assert_int_equal(fake_pci_window_at, 0xfebdff00);
	assert_null(pci_bar_map(&b, 0x1ff01, 0x100));
	assert_null(pci_bar_map(&b, 0x20001, 0));
	assert_null(pci_bar_map(&b, 1, ~0ul));
	assert_int_equal(pci_bar_get(&f->device, 1, &b), 0);
	assert_true(b.io);
	assert_int_equal(b.address.v, 0xc040);
	assert_int_equal(b.size, 32);
	assert_null(pci_bar_map(&b, 0, 8));
	assert_int_equal(pci_bar_get(&f->device, 2, &b), 0);
	assert_true(b.wide);
	assert_int_equal(b.address.v, 0x1200000000);
	assert_int_equal(b.size, 0x100000);
	assert_int_equal(pci_bar_get(&f->device, 3, &b), -ENOENT);	/* its upper half */
	assert_int_equal(pci_bar_get(&f->device, 4, &b), -ENOENT);	/* none */
	assert_int_equal(pci_bar_get(&f->device, 6, &b), -ENOENT);
	/* All is as it was, and was off in between. */
	assert_int_equal(fake_pci_get(f, 0x10, 4), 0xfebc0000);
	assert_int_equal(fake_pci_get(f, 0x14, 4), 0x0000c041);
	assert_int_equal(fake_pci_get(f, 0x18, 4), 0x0000000c);
	assert_int_equal(fake_pci_get(f, 0x1c, 4), 0x12);
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), 7);
	assert_false(f->decoding_while_sized);
}

static void bars_that_lie(void **state)
{
	struct fake_pci *f = network();
	struct pci_bar b;

	(void)state;
	bar(f, 0, 0xfebc1000, 0xfffff000);		/* not aligned */
	f->bar_lie = 0xfffe0000;
	assert_int_equal(pci_bar_get(&f->device, 0, &b), -EINVAL);
	f->bar_lie = 0xf;				/* no size */
	assert_int_equal(pci_bar_get(&f->device, 0, &b), -ENOENT);
	f->bar_lie = 0;
	bar(f, 0, 0xfebc0000, 0);			/* none can be set: all is size */
	assert_int_equal(pci_bar_get(&f->device, 0, &b), 0);
	assert_int_equal(b.size, 0x40000);
	bar(f, 0, 0xffff0000, 0);
	assert_int_equal(pci_bar_get(&f->device, 0, &b), 0);
	bar(f, 5, 0xfebc0004, 0xffff0000);		/* 64 bits, and no register is left */
	assert_int_equal(pci_bar_get(&f->device, 5, &b), -ENOENT);
	bar(f, 1, 0x00000004, 0xffff0000);		/* beyond what the CPU reaches */
	bar(f, 2, 0x00000100, 0xffffffff);
	assert_int_equal(pci_bar_get(&f->device, 1, &b), -EINVAL);
	bar(f, 2, 0xffffffff, 0xffffffff);
	assert_int_equal(pci_bar_get(&f->device, 1, &b), -EINVAL);
	bar(f, 3, 0x0001fff1, 0xfffffff0);		/* ports above 64 Ki */
	assert_int_equal(pci_bar_get(&f->device, 3, &b), -EINVAL);
	/* Over memory of any kind; beside it is fine. */
	bar(f, 0, 0x7ffe0000, 0xffff0000);
	bootinfo.region_count = 1;
	bootinfo.region[0] = (struct boot_region){ HPA(0x100000), 0x7fee0000, BOOT_MEM_USABLE };
	assert_int_equal(pci_bar_get(&f->device, 0, &b), 0);
	bootinfo.region[0].size++;
	assert_int_equal(pci_bar_get(&f->device, 0, &b), -EINVAL);
	bootinfo.region[0].type = BOOT_MEM_KEEL;
	assert_int_equal(pci_bar_get(&f->device, 0, &b), -EINVAL);
	bootinfo.region[0].type = BOOT_MEM_RESERVED;
	assert_int_equal(pci_bar_get(&f->device, 0, &b), 0);
	/* A bridge has two. */
	f->device.header_type = 1;
	assert_int_equal(pci_bar_get(&f->device, 0, &b), 0);
	assert_int_equal(pci_bar_get(&f->device, 2, &b), -ENOENT);
	f->device.header_type = 0x7f;
	assert_int_equal(pci_bar_get(&f->device, 0, &b), -ENOENT);
}

/* ---- reset ---- */

static struct fake_pci *resettable(void)
{
	struct fake_pci *f = network();

	capability(f, 0x60, PCI_CAP_EXPRESS, 0);
	fake_pci_put(f, 0x64, 4, 1u << 28);
	fake_pci_put(f, 0x68, 2, 0x2810);
	f->reset_control = 0x68;
	f->reset_bit = 0x8000;
	fake_pci_put(f, PCI_COMMAND, 2, 7);
	bar(f, 0, 0xfebc0000, 0xfffe0000);
	f->space[PCI_IRQ_LINE] = 11;
	return f;
}

static void resets(void **state)
{
	struct fake_pci *f = resettable();

	(void)state;
	assert_true(pci_can_reset(&f->device));
	assert_int_equal(pci_reset(&f->device), 0);
	assert_int_equal(f->resets, 1);
	assert_int_equal(fake_pci_get(f, 0x10, 4), 0xfebc0000);
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), 3);		/* no longer a master */
	assert_int_equal(f->space[PCI_IRQ_LINE], 11);
	assert_int_equal(fake_pci_get(f, 0x68, 2), 0x2810);
	assert_true(fake_pci_slept_ns >= 100000000);
	/* It has requests under way, for ever. */
	f->space[0x6a] = 0x20;
	assert_int_equal(pci_reset(&f->device), -EBUSY);
	assert_int_equal(f->resets, 1);
	/* It says that it cannot. */
	fake_pci_put(f, 0x64, 4, 0);
	assert_false(pci_can_reset(&f->device));
	assert_int_equal(pci_reset(&f->device), -ENOSYS);
	/* Old ones by another capability. */
	capability(f, 0x60, 0x01, 0x80);
	capability(f, 0x80, PCI_CAP_ADVANCED, 0);
	f->space[0x83] = 3;
	f->reset_control = 0x84;
	f->reset_bit = 1;
	assert_int_equal(pci_reset(&f->device), 0);
	assert_int_equal(f->resets, 2);
	f->device.header_type = 1;			/* what is behind a bridge is not ours */
	assert_int_equal(pci_reset(&f->device), -ENOSYS);
}

static void does_not_come_back(void **state)
{
	struct fake_pci *f = resettable();

	(void)state;
	fake_pci_put(f, 0, 4, 0xffff0001);		/* "not yet", for ever */
	assert_int_equal(pci_reset(&f->device), -EIO);
	assert_in_range(fake_pci_slept_ns, 900000000, 2000000000);
}

/* ---- interrupts ---- */

static void wires(void **state)
{
	struct fake_pci *f = network();
	struct wire_user u = { .name = "x" };

	(void)state;
	f->space[PCI_IRQ_LINE] = 11;
	assert_int_equal(pci_wire_open(&f->device, &u), -ENODEV);	/* no pin */
	f->device.irq_pin = 1;
	fake_pci_put(f, PCI_COMMAND, 2, PCI_COMMAND_NO_INTX | 1);
	assert_int_equal(pci_wire_open(&f->device, &u), 0);
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), 1);
	assert_int_equal(opened.gsi, 11);
	assert_true(!opened.low && opened.level);	/* as the MADT says */
	f->space[PCI_IRQ_LINE] = 10;
	assert_int_equal(pci_wire_open(&f->device, &u), 0);
	assert_true(opened.low && opened.level);	/* as PCI says */
	f->space[PCI_IRQ_LINE] = 23;
	assert_int_equal(pci_wire_open(&f->device, &u), 0);
	assert_int_equal(opened.gsi, 23);
	f->space[PCI_IRQ_LINE] = 0xff;
	assert_int_equal(pci_wire_open(&f->device, &u), -ENODEV);
	f->space[PCI_IRQ_LINE] = 0;
	assert_int_equal(pci_wire_open(&f->device, &u), -ENODEV);
	f->device.irq_pin = 5;
	assert_int_equal(pci_wire_open(&f->device, &u), -ENODEV);
}

static void msi(struct fake_pci *f, uint16_t control, unsigned data, unsigned mask)
{
	struct irq irq = { .name = "x" };
	struct pci_device *d = &f->device;

	capability(f, 0x50, PCI_CAP_MSI, 0);
	memset(f->space + 0x52, 0xff, 0x20);
	fake_pci_put(f, 0x52, 2, control);
	assert_int_equal(pci_messages_open(d, PCI_MSI), 1);
	assert_int_equal(fake_pci_get(f, 0x52, 2), control & ~0x71);
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), PCI_COMMAND_NO_INTX);
	assert_int_equal(pci_message_set(d, 1, &irq, 0), -EINVAL);
	assert_int_equal(pci_message_set(d, 0, &irq, 3), 0);
	assert_ptr_equal(fake_pci_irq, &irq);
	assert_int_equal(irq.cpu, 3);
	assert_int_equal(fake_pci_get(f, 0x54, 4), 0xfee30000);
	if (data == 0x5c)
		assert_int_equal(fake_pci_get(f, 0x58, 4), 0);
	assert_int_equal(fake_pci_get(f, data, 2), 0x77);
	assert_int_equal(fake_pci_get(f, 0x52, 2), (control & ~0x70) | 1);
	assert_int_equal(pci_message_mask(d, 0, true), mask ? 0 : -ENOSYS);
	if (mask)
		assert_int_equal(fake_pci_get(f, mask, 4), 1);
	assert_int_equal(pci_message_mask(d, 0, false), mask ? 0 : -ENOSYS);
	if (mask)
		assert_int_equal(fake_pci_get(f, mask, 4), 0);
	pci_message_clear(d, 0, &irq);
	assert_null(fake_pci_irq);
	assert_int_equal(fake_pci_get(f, 0x52, 2) & 1, 0);
	pci_messages_close(d);
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), 0);
	pci_messages_close(d);
}

static void by_msi(void **state)
{
	struct fake_pci *f = network();

	(void)state;
	assert_int_equal(pci_messages_open(&f->device, PCI_MSI), -ENOSYS);
	msi(f, 0x0024, 0x58, 0);		/* as if four were enabled */
	msi(f, 0x0080, 0x5c, 0);
	msi(f, 0x0100, 0x58, 0x5c);
	msi(f, 0x0181, 0x5c, 0x60);
	/* Its mask would lie beyond the space. */
	f->space[0x34] = 0;
	capability(f, 0xf0, PCI_CAP_MSI, 0);
	fake_pci_put(f, 0xf2, 2, 0x0180);
	assert_int_equal(pci_messages_open(&f->device, PCI_MSI), -ENOSYS);
	fake_pci_put(f, 0xf2, 2, 0x0080);
	assert_int_equal(pci_messages_open(&f->device, PCI_MSI), 1);
}

static uint32_t *entry(unsigned i)
{
	return (uint32_t *)(fake_pci_window + 16 * i);
}

static struct fake_pci *with_msix(uint32_t table, unsigned count)
{
	struct fake_pci *f = network();

	capability(f, 0xa0, PCI_CAP_MSIX, 0);
	fake_pci_put(f, 0xa2, 2, count - 1);
	fake_pci_put(f, 0xa4, 4, table);
	bar(f, 1, 0xfebc0000, 0xffffc000);		/* 16 KiB */
	return f;
}

static void by_msix(void **state)
{
	struct fake_pci *f = with_msix(0x2001, 5);
	struct pci_device *d = &f->device;
	struct irq a = { .name = "a" }, b = { .name = "b" };

	(void)state;
	assert_int_equal(pci_messages_open(d, PCI_MSIX), 5);
	assert_int_equal(fake_pci_window_at, 0xfebc2000);
	assert_int_equal(fake_pci_get(f, 0xa2, 2), 0x8004);
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), PCI_COMMAND_NO_INTX | PCI_COMMAND_MEMORY);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(entry(i)[3], 1);
	memset(entry(2), 0xff, 12);
	entry(2)[3] |= 0x100;				/* reserved: kept */
	assert_int_equal(pci_message_set(d, 2, &a, 1), 0);
	assert_int_equal(pci_message_set(d, 4, &b, 2), 0);
	assert_int_equal(entry(2)[0], 0xfee10000);
	assert_int_equal(entry(2)[1], 0);
	assert_int_equal(entry(2)[2], 0x77);
	assert_int_equal(entry(2)[3], 0x100);
	assert_int_equal(entry(4)[0], 0xfee20000);
	assert_int_equal(entry(3)[3], 1);
	assert_int_equal(pci_message_mask(d, 2, true), 0);
	assert_int_equal(entry(2)[3], 0x101);
	assert_int_equal(pci_message_mask(d, 5, true), -EINVAL);
	assert_int_equal(pci_message_set(d, 5, &a, 1), -EINVAL);
	pci_message_clear(d, 2, &a);
	pci_message_clear(d, 4, &b);
	assert_int_equal(entry(4)[3], 1);
	assert_int_equal(fake_pci_mapped, 1);
	pci_messages_close(d);
	assert_int_equal(fake_pci_mapped, 0);
	assert_int_equal(fake_pci_get(f, 0xa2, 2), 4);
}

static void no_message(void **state)
{
	static const struct { uint32_t table; unsigned count; } lies[] = {
		{ 0x2001, 513 }, { 0x4001, 1 }, { 0x3ff9, 1 }, { 0xfffffff9, 1 }, { 0x2000, 1 },
		{ 0x2006, 1 }, { 0x2007, 2048 },
	};
	struct irq irq = { .name = "x" };
	struct fake_pci *f;

	(void)state;
	for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		fake_pci_reset();
		f = with_msix(lies[i].table, lies[i].count);
		assert_int_equal(pci_messages_open(&f->device, PCI_MSIX), -EINVAL);
		assert_int_equal(fake_pci_mapped, 0);
		assert_int_equal(f->device.messages, PCI_NO_MESSAGES);
	}
	fake_pci_reset();
	f = with_msix(0x2001, 512);			/* to the last byte */
	assert_int_equal(pci_messages_open(&f->device, PCI_MSIX), 512);
	/* A CPU that a message cannot name: it is said, and nothing is left behind. */
	fake_pci_apic_id[1] = 256;
	assert_int_equal(pci_message_set(&f->device, 0, &irq, 1), -ERANGE);
	assert_int_equal(WARNINGS, 1);
	assert_null(fake_pci_irq);
	fake_pci_apic_id[1] = 255;
	assert_int_equal(pci_message_set(&f->device, 0, &irq, 1), 0);
	assert_int_equal(entry(0)[0], 0xfeeff000);
	fake_pci_alloc_error = -ENOSPC;
	assert_int_equal(pci_message_set(&f->device, 1, &irq, 1), -ENOSPC);
	assert_int_equal(entry(1)[3], 1);
}

/* ---- drivers ---- */

static char story[100];
static int verdict;

static int probe(struct pci_device *d)
{
	snprintf(story + strlen(story), 20, "%s+%u ", d->driver->name, d->device);
	if (!strcmp(d->driver->name, "a")) {
		pci_command(d, PCI_COMMAND_MASTER, 0);
		return verdict;
	}
	pci_command(d, PCI_COMMAND_MEMORY, 0);
	return 0;
}

static void take_back(struct pci_device *d)
{
	snprintf(story + strlen(story), 20, "%s-%u ", d->driver->name, d->device);
}

static const struct pci_match match_a[] = {
	{ 0x8086, 0x10d3, 0, 0 }, { PCI_ANY, PCI_ANY, 0x070000, 0xffff00 },
};
static const struct pci_match match_b[] = { { 0x8086, PCI_ANY, 0, 0 } };
static const struct pci_driver driver_a = {
	.name = "a", .match = match_a, .match_count = 2, .probe = probe, .remove = take_back,
};
static const struct pci_driver driver_b = {
	.name = "b", .match = match_b, .match_count = 1, .probe = probe, .remove = take_back,
};
static const struct pci_driver driver_c = {
	.name = "c", .match = match_b, .match_count = 1, .probe = probe,
};

static void drivers(void **state)
{
	static const struct pci_driver *const all[] = { &driver_a, &driver_b };
	struct fake_pci *serial, *foreign, *f;

	(void)state;
	f = network();
	foreign = fake_pci_add(0x10d31af4, 0x020000, 0);
	serial = fake_pci_add(0x00021b36, 0x070002, 0);
	fake_pci_add(0x29228086, 0x010601, 0);
	fake_pci_put(f, PCI_COMMAND, 2, 0x103);
	story[0] = 0;
	verdict = 0;
	pci_bind(all, 2);
	assert_string_equal(story, "a+0 a+2 b+3 ");
	assert_int_equal(foreign->writes, 0);
	assert_null(foreign->device.driver);
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), 0x107);
	pci_bind(all, 2);				/* those that are taken stay so */
	assert_string_equal(story, "a+0 a+2 b+3 ");
	pci_unbind();
	assert_string_equal(story, "a+0 a+2 b+3 b-3 a-2 a-0 ");
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), 0x103);
	assert_null(f->device.driver);
	pci_unbind();
	/* The first leaves it alone: the next one is asked, with all as it was. */
	story[0] = 0;
	verdict = -ENODEV;
	pci_bind(all, 2);
	assert_string_equal(story, "a+0 b+0 a+2 b+3 ");
	assert_int_equal(WARNINGS, 0);
	assert_int_equal(fake_pci_get(f, PCI_COMMAND, 2), 0x103);
	assert_int_equal(fake_pci_get(serial, PCI_COMMAND, 2), 0);
	assert_null(serial->device.driver);
	pci_unbind();
	/* It fails with messages open. */
	story[0] = 0;
	verdict = -EIO;
	pci_bind(all, 1);
	assert_int_equal(WARNINGS, 2);
	/* Without a remove() it is used to the end. */
	verdict = 0;
	pci_bind(all, 1);
	pci_bind((const struct pci_driver *const []){ &driver_c }, 1);
	story[0] = 0;
	pci_unbind();
	assert_string_equal(story, "a-2 a-0 ");
	assert_string_equal(fake_pci[3].device.driver->name, "c");
}

/* ---- for people ---- */

static void facts(void **state)
{
	struct fake_pci *f = with_msix(0x2001, 5), *bridge, *behind;
	struct nodedev n;

	(void)state;
	f->device.bus = 0;
	f->device.device = 0x1f;
	f->device.function = 2;
	f->device.irq_pin = 2;
	f->space[PCI_IRQ_LINE] = 10;
	bar(f, 2, 0xc041, 0xffe0);
	capability(f, 0xa0, PCI_CAP_MSIX, 0x50);
	capability(f, 0x50, PCI_CAP_MSI, 0);
	fake_pci_put(f, 0x52, 2, 2 << 1);
	bridge = fake_pci_add(0x00011b36, 0x060400, 1);
	bridge->space[0x19] = 7;
	behind = fake_pci_add(0x00041b36, 0xff0000, 0);
	behind->device.segment = 0;
	behind->device.bus = 7;
	assert_true(pci_describe(0, &n));
	assert_string_equal(n.name, "pci_0000_00_1f_2");
	assert_string_equal(n.parent, "computer");
	assert_string_equal(n.class_name, "Ethernet controller");
	assert_int_equal(n.bar[1].address, 0xfebc0000);
	assert_int_equal(n.bar[2].address, 0xc040);
	assert_true(n.bar[2].io && !n.bar[1].io && !n.bar[0].address);
	assert_int_equal(n.msi, 4);
	assert_int_equal(n.msix, 5);
	assert_int_equal(n.irq_line, 10);
	assert_null(n.driver);
	assert_null(n.interrupts);
	assert_true(pci_describe(2, &n));
	assert_string_equal(n.name, "pci_0000_07_02_0");
	assert_string_equal(n.parent, "pci_0000_00_01_0");
	assert_string_equal(n.class_name, "device");
	assert_false(pci_describe(3, &n));
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(fake_pci[i].writes, 0);
	assert_int_equal(pci_messages_open(&f->device, PCI_MSIX), 5);
	assert_true(pci_describe(0, &n));
	assert_string_equal(n.interrupts, "MSI-X");
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(capabilities), TEST(capabilities_that_lie), TEST(bars), TEST(bars_that_lie),
		TEST(resets), TEST(does_not_come_back), TEST(wires), TEST(by_msi), TEST(by_msix),
		TEST(no_message), TEST(drivers), TEST(facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
