/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vdev/virtio/virtio*.c vdev/vframe.c vdev/vinbox.c vdev/vpci*.c
 * lib/record.c tests/host/vdev_host.c */
/*
 * Virtio over PCI as a driver meets it: capabilities, the common registers in every width,
 * doorbells and interrupts by MSI-X and by the pin, the window in configuration space, resets,
 * saved state.
 */
#include "vdev_test.h"
#include "virtio_driver.h"
#include "vdev/virtio/virtio_pci.h"
#include "vdev/vpci.h"
#include "vdev/vpci_regs.h"

#define SLOT		3u
#define CONFIG		(SLOT << 15)
#define REGS		VIRTIO_PCI_REGISTERS
#define BUFFER		0xc000u

static struct vdev *bus, *dev;
static struct vdev_host *h;
static struct virtio *v;
static struct driver d;

static uint64_t config(unsigned at, unsigned size)
{
	return vdev_host_read(bus, VPCI_ECAM, CONFIG | at, size);
}

static void config_set(unsigned at, unsigned size, uint64_t value)
{
	vdev_host_write(bus, VPCI_ECAM, CONFIG | at, size, value);
}

static uint64_t reg(unsigned at, unsigned size)
{
	return vdev_host_read(dev, REGS, at, size);
}

static void reg_set(unsigned at, unsigned size, uint64_t value)
{
	vdev_host_write(dev, REGS, at, size, value);
}

static void attach(struct vdev **to)
{
	assert_int_equal(virtio_pci_blk_create(3, to), 0);
	vdev_host_attach(*to);
	assert_int_equal(vpci_attach(bus, 0, SLOT, 0, virtio_pci_function(*to)), 0);
}

static int setup(void **state)
{
	(void)state;
	assert_int_equal(vpci_create(NULL, &bus), 0);
	vdev_host_attach(bus);
	attach(&dev);
	h = dev->host;
	v = container_of(dev, struct virtio, dev);
	config_set(PCI_COMMAND, 2, COMMAND_MEMORY | COMMAND_MASTER);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vdev_host_detach(dev->host);
	vdev_host_detach(bus->host);
	return 0;
}

/* To DRIVER_OK by registers alone, with queue 0. */
static void bring_up(uint64_t features)
{
	reg_set(0x14, 1, 0);
	reg_set(0x14, 1, 1);
	reg_set(0x14, 1, 3);
	for (unsigned i = 0; i < 2; i++) {
		reg_set(0x08, 4, i);
		reg_set(0x0c, 4, (uint32_t)(features >> 32 * i));
	}
	reg_set(0x14, 1, 11);
	assert_int_equal(reg(0x14, 1), 11);
	d = (struct driver){ .v = v, .memory = h->memory, .size = 16, .avail_wrap = true,
			     .used_wrap = true };
	memset(d.memory + DRIVER_DESC, 0, DRIVER_STRIDE);
	reg_set(0x16, 2, 0);
	reg_set(0x18, 2, 16);
	reg_set(0x20, 4, DRIVER_DESC);
	reg_set(0x24, 4, 0);
	reg_set(0x2c, 4, 0);
	reg_set(0x28, 4, (uint32_t)driver_ring(&d));
	reg_set(0x30, 8, device_ring(&d));
	reg_set(0x1c, 2, 1);
	assert_int_equal(reg(0x1c, 2), 1);
	reg_set(0x14, 1, 15);
}

/* A flush to its end; false: nothing came back. */
static bool flush(void)
{
	struct driver_part p[2] = { { BUFFER, 16, false }, { BUFFER + 16, 1, true } };
	uint32_t written;
	uint16_t id;

	memset(h->memory + BUFFER, 0, 17);
	h->memory[BUFFER] = 4;
	driver_add(&d, p, 2, false);
	reg_set(VIRTIO_PCI_NOTIFY, 2, 0);
	return driver_take(&d, &id, &written);
}

/* The part of that type; 0: there is none. */
static unsigned find(unsigned type)
{
	unsigned at = (unsigned)config(PCI_CAPABILITIES, 1);

	for (unsigned n = 0; at && n < 48; n++, at = (unsigned)config(at + 1, 1))
		if (config(at, 1) == 9 && config(at + 3, 1) == type)
			return at;
	return 0;
}

static void capabilities(void **state)
{
	static const struct { unsigned type, bar, offset, size, length; } part[] = {
		{ 1, 4, 0, 0x3c, 16 }, { 2, 4, 0x3000, 12, 20 }, { 3, 4, 0x1000, 1, 16 },
		{ 4, 4, 0x2000, 64, 16 }, { 5, 0, 0, 0, 20 },
	};

	(void)state;
	assert_int_equal(config(PCI_VENDOR, 4), 0x10011af4);
	assert_int_equal(config(PCI_REVISION, 4), 0x01000000);
	assert_int_equal(config(PCI_SUBDEVICE, 2), 2);
	assert_int_equal(config(PCI_INTERRUPT_PIN, 1), 1);
	for (unsigned i = 0; i < ARRAY_COUNT(part); i++) {
		unsigned at = find(part[i].type);

		assert_true(at);
		assert_int_equal(config(at + 2, 1), part[i].length);
		assert_int_equal(config(at + 4, 1), part[i].bar);
		assert_int_equal(config(at + 8, 4), part[i].offset);
		assert_int_equal(config(at + 12, 4), part[i].size);
	}
	assert_int_equal(config(find(2) + 16, 4), VIRTIO_PCI_MULTIPLIER);
}

static void registers(void **state)
{
	(void)state;
	assert_int_equal(reg(0x12, 2), 3);
	assert_int_equal(reg(0x10, 2), VIRTIO_NO_VECTOR);
	assert_int_equal(reg(0x14, 2), 0);
	reg_set(0x10, 2, 3);
	assert_int_equal(reg(0x10, 2), 3);
	reg_set(0x10, 2, 4);				/* there are four: 0 to 3 */
	assert_int_equal(reg(0x10, 2), VIRTIO_NO_VECTOR);
	reg_set(0x16, 2, 2);
	assert_int_equal(reg(0x18, 2), 256);
	assert_int_equal(reg(0x1e, 2), 2);
	reg_set(0x1a, 2, 1);
	assert_int_equal(reg(0x1a, 2), 1);
	reg_set(0x24, 4, 0x12345678);
	reg_set(0x20, 4, 0x9abcdef0);
	assert_int_equal(reg(0x20, 8), 0x123456789abcdef0);
	reg_set(0x22, 4, 0);				/* across its middle: not a register */
	reg_set(0x20, 2, 0);
	reg_set(0x18, 4, 0);
	reg_set(0x19, 1, 0);
	assert_int_equal(reg(0x20, 8), 0x123456789abcdef0);
	assert_int_equal(reg(0x18, 2), 256);
	assert_int_equal(reg(0x16, 4), 256u << 16 | 2);
	/* Every selector against every register. */
	for (unsigned select = 0; select < 0x10000; select += select < 20 ? 1 : 977) {
		reg_set(0x16, 2, select);
		if (select < 3)
			continue;
		assert_int_equal(reg(0x18, 2), 0);
		assert_int_equal(reg(0x1a, 2), VIRTIO_NO_VECTOR);
		for (unsigned at = 0x18; at < 0x3c; at += 2)
			reg_set(at, 2, 1);
		for (unsigned at = 0x1c; at < 0x3c; at += 2)
			assert_int_equal(reg(at, 2), 0);
	}
	reg_set(0x16, 2, 0xffff);
	assert_int_equal(reg(0x16, 2), 0xffff);
	assert_int_equal(reg(0x3c, 4), 0);
	assert_int_equal(reg(0xff8, 8), 0);
	assert_int_equal(reg(VIRTIO_PCI_DEVICE, 8), VDEV_HOST_DISK / 512);
	assert_int_equal(reg(VIRTIO_PCI_NOTIFY, 4), 0);
}

/* What was enabled is frozen, also for a driver that is up. */
static void frozen(void **state)
{
	(void)state;
	bring_up(BIT(VIRTIO_VERSION_1));
	assert_true(flush());
	for (unsigned i = 0; i < 3; i++) {
		reg_set(0x18, 2, i == 0 ? 0 : i == 1 ? 3 : 65535);
		assert_int_equal(reg(0x18, 2), 16);
		reg_set(0x20, 8, 0);
		reg_set(0x28, 8, ~0ul);
		reg_set(0x30, 4, 1);
		assert_true(flush());
	}
	reg_set(0x1c, 2, 0);
	assert_int_equal(reg(0x1c, 2), 1);
	reg_set(0x0c, 4, 0);
	assert_true(flush());
	reg_set(0x14, 1, 0);
	assert_int_equal(reg(0x14, 1), 0);
	assert_int_equal(reg(0x1c, 2), 0);
	assert_false(flush());
}

/* By the pin: the status says why, reading it lowers the pin. */
static void pin(void **state)
{
	(void)state;
	bring_up(BIT(VIRTIO_VERSION_1));
	assert_false(h->line[0]);
	assert_true(flush());
	assert_true(h->line[0]);
	assert_true(config(PCI_STATUS, 2) & STATUS_INTX);
	assert_int_equal(reg(VIRTIO_PCI_ISR, 1), 1);
	assert_false(h->line[0]);
	assert_int_equal(reg(VIRTIO_PCI_ISR, 1), 0);
	config_set(PCI_COMMAND, 2, COMMAND_MEMORY | COMMAND_MASTER | COMMAND_INTX_OFF);
	assert_true(flush());
	assert_false(h->line[0]);
	config_set(PCI_COMMAND, 2, COMMAND_MEMORY | COMMAND_MASTER);
	assert_true(h->line[0]);
	/* A bent ring: the driver is told that the device wants a reset. */
	put16(&d, driver_ring(&d) + 2, (uint16_t)(d.avail + 100));
	reg_set(VIRTIO_PCI_NOTIFY, 4, 0);
	assert_int_equal(reg(0x14, 1), 15 | VIRTIO_NEEDS_RESET);
	assert_int_equal(reg(VIRTIO_PCI_ISR, 1), 3);
	bring_up(BIT(VIRTIO_VERSION_1));
	assert_true(flush());
	reg_set(0x14, 1, 0);				/* a reset lowers the pin */
	assert_false(h->line[0]);
	assert_int_equal(reg(VIRTIO_PCI_ISR, 1), 0);
}

static unsigned msix(void)
{
	unsigned at = (unsigned)config(PCI_CAPABILITIES, 1);

	while (config(at, 1) != CAP_MSIX)
		at = (unsigned)config(at + 1, 1);
	return at;
}

static void message_set(unsigned n, uint64_t address, uint32_t data, uint32_t control)
{
	vdev_host_write(dev, VIRTIO_PCI_MESSAGES, 16 * n, 8, address);
	vdev_host_write(dev, VIRTIO_PCI_MESSAGES, 16 * n + 8, 4, data);
	vdev_host_write(dev, VIRTIO_PCI_MESSAGES, 16 * n + 12, 4, control);
}

static void messages(void **state)
{
	(void)state;
	assert_int_equal(config(msix() + MSIX_CONTROL, 2), 3);
	assert_int_equal(config(msix() + MSIX_TABLE, 4), 1);
	for (unsigned i = 0; i < 4; i++)
		message_set(i, 0xfee00000, 0x40 + i, 0);
	config_set(msix() + MSIX_CONTROL, 2, MSIX_ENABLE);
	bring_up(BIT(VIRTIO_VERSION_1));
	assert_true(flush());				/* without a vector: nothing, no pin */
	assert_int_equal(h->message_count, 0);
	assert_false(h->line[0]);
	reg_set(0x16, 2, 0);
	reg_set(0x1a, 2, 2);
	reg_set(0x10, 2, 1);
	assert_true(flush());
	assert_int_equal(h->message_count, 1);
	assert_int_equal(h->message[0].data, 0x42);
	assert_int_equal(reg(VIRTIO_PCI_ISR, 1), 0);
	message_set(2, 0xfee00000, 0x52, 1);
	assert_true(flush());
	assert_int_equal(h->message_count, 1);
	assert_int_equal(vdev_host_read(dev, VIRTIO_PCI_MESSAGES, 2048, 8), 4);
	message_set(2, 0xfee00000, 0x52, 0);
	assert_int_equal(h->message_count, 2);
	assert_int_equal(h->message[1].data, 0x52);
	put16(&d, driver_ring(&d) + 2, (uint16_t)(d.avail + 100));
	reg_set(VIRTIO_PCI_NOTIFY, 4, 0);
	assert_int_equal(h->message_count, 3);
	assert_int_equal(h->message[2].data, 0x41);
	assert_int_equal(reg(VIRTIO_PCI_ISR, 1), 2);
}

/* Without bus master no memory is touched; with it again, what waits is seen. */
static void master(void **state)
{
	uint32_t written;
	uint16_t id;

	(void)state;
	bring_up(BIT(VIRTIO_VERSION_1));
	config_set(PCI_COMMAND, 2, COMMAND_MEMORY);
	assert_false(flush());
	config_set(PCI_COMMAND, 2, COMMAND_MEMORY | COMMAND_MASTER);
	assert_true(driver_take(&d, &id, &written));
}

/* Doorbells of queues that there are not, and of those that are not enabled. */
static void doorbells(void **state)
{
	(void)state;
	bring_up(BIT(VIRTIO_VERSION_1) | BIT(VIRTIO_NOTIFICATION_DATA));
	for (unsigned at = VIRTIO_PCI_NOTIFY + 4; at < VIRTIO_PCI_SIZE; at += 4)
		reg_set(at, 4, ~0u);
	assert_int_equal(reg(0x14, 1), 15);
	assert_true(flush());
}

static void window_set(unsigned bar, uint32_t offset, uint32_t size)
{
	config_set(find(5) + 4, 1, bar);
	config_set(find(5) + 8, 4, offset);
	config_set(find(5) + 12, 4, size);
}

static void window(void **state)
{
	unsigned data = find(5) + 16;

	(void)state;
	window_set(4, 0x12, 2);
	assert_int_equal(config(data, 4), 3);
	window_set(4, VIRTIO_PCI_DEVICE, 4);
	assert_int_equal(config(data, 4), VDEV_HOST_DISK / 512);
	window_set(4, 0x14, 1);
	config_set(data, 1, 1);
	assert_int_equal(reg(0x14, 1), 1);
	assert_int_equal(config(data, 1), 1);
	window_set(4, 0x08, 4);
	config_set(data, 4, 77);
	assert_int_equal(reg(0x08, 4), 77);
	/* What leads nowhere reads what was left there, and writes nothing. */
	window_set(0, 0x08, 4);
	config_set(data, 4, 78);
	window_set(4, 0x08, 3);
	config_set(data, 4, 78);
	window_set(4, 0x09, 4);
	config_set(data, 4, 78);
	window_set(4, VIRTIO_PCI_SIZE, 4);
	config_set(data, 4, 78);
	window_set(4, 0xfffffffc, 4);
	config_set(data, 4, 78);
	window_set(4, 0, 0);
	config_set(data, 4, 78);
	assert_int_equal(config(data, 4), 78);
	assert_int_equal(reg(0x08, 4), 77);
	/* A whole request by it. */
	bring_up(BIT(VIRTIO_VERSION_1));
	window_set(4, VIRTIO_PCI_NOTIFY, 2);
	h->memory[BUFFER + 16] = 0xee;
	{
		struct driver_part p[2] = { { BUFFER, 16, false }, { BUFFER + 16, 1, true } };
		uint32_t written;
		uint16_t id;

		h->memory[BUFFER] = 4;
		driver_add(&d, p, 2, false);
		config_set(data, 2, 0);
		assert_true(driver_take(&d, &id, &written));
	}
	assert_int_equal(h->memory[BUFFER + 16], 0);
}

static uint64_t port(unsigned at, unsigned size)
{
	return vdev_host_read(dev, VIRTIO_PCI_PORTS, at, size);
}

static void port_set(unsigned at, unsigned size, uint64_t value)
{
	vdev_host_write(dev, VIRTIO_PCI_PORTS, at, size, value);
}

#define OLD_SIZE	256u
#define OLD_PAGE	0x1000u

/* The older interface: its queue is one piece of memory, and in use before DRIVER_OK. */
static bool old_flush(unsigned n)
{
	uint64_t avail = OLD_PAGE + 16 * OLD_SIZE;
	uint64_t used = ALIGN_UP(avail + 6 + 2 * OLD_SIZE, 4096ul);
	struct driver_part p[2] = { { BUFFER, 16, false }, { BUFFER + 16, 1, true } };

	memset(h->memory + BUFFER, 0, 16);
	h->memory[BUFFER] = 4;
	h->memory[BUFFER + 16] = 0xee;
	driver_entry(&d, OLD_PAGE, &p[0], 1, 1);
	driver_entry(&d, OLD_PAGE + 16, &p[1], 2, 0);
	put16(&d, avail + 4 + 2 * n, 0);
	put16(&d, avail + 2, (uint16_t)(n + 1));
	port_set(16, 2, 0);
	return get16(&d, used + 2) == n + 1 && !h->memory[BUFFER + 16];
}

static void older(void **state)
{
	(void)state;
	d = (struct driver){ .v = v, .memory = h->memory };
	memset(h->memory + OLD_PAGE, 0, 0x3000);
	port_set(18, 1, 1);
	port_set(18, 1, 3);
	assert_int_equal(port(18, 1), 3);
	assert_true(port(0, 4) & BIT(VIRTIO_EVENT_IDX));
	port_set(4, 4, ~0u);				/* what is not offered is not accepted */
	assert_int_equal(port(4, 4), port(0, 4));
	port_set(4, 4, 1u << 9);
	port_set(14, 2, 7);
	assert_int_equal(port(12, 2), 0);
	port_set(8, 4, 1);
	assert_int_equal(port(8, 4), 0);
	port_set(14, 2, 0);
	assert_int_equal(port(12, 2), OLD_SIZE);
	port_set(8, 4, OLD_PAGE / 4096);
	assert_int_equal(port(8, 4), 1);
	assert_true(old_flush(0));
	assert_true(h->line[0]);
	assert_int_equal(port(19, 1), 1);
	assert_false(h->line[0]);
	port_set(18, 1, 0xff & ~0x40);
	assert_int_equal(port(18, 1), 0x87);		/* FEATURES_OK is not known there */
	assert_true(old_flush(1));
	/* Its own configuration is behind the vectors when there are some. */
	assert_int_equal(port(20, 8), VDEV_HOST_DISK / 512);
	config_set(msix() + MSIX_CONTROL, 2, MSIX_ENABLE);
	message_set(1, 0xfee00000, 0x41, 0);
	assert_int_equal(port(20, 2), VIRTIO_NO_VECTOR);
	assert_int_equal(port(24, 8), VDEV_HOST_DISK / 512);
	port_set(22, 2, 1);
	assert_true(old_flush(2));
	assert_int_equal(h->message_count, 1);
	port_set(22, 2, 9);
	assert_int_equal(port(22, 2), VIRTIO_NO_VECTOR);
	/* A queue is stopped and placed again; a reset makes room for a modern driver. */
	port_set(8, 4, 0);
	assert_int_equal(port(8, 4), 0);
	assert_false(old_flush(3));
	memset(h->memory + OLD_PAGE, 0, 0x3000);
	port_set(8, 4, OLD_PAGE / 4096);
	assert_true(old_flush(0));
	port_set(18, 1, 0);
	assert_int_equal(port(8, 4), 0);
	assert_false(old_flush(1));
	bring_up(BIT(VIRTIO_VERSION_1));
	assert_true(flush());
	port_set(8, 4, 0);				/* which the ports do not disturb */
	port_set(4, 4, 0);
	port_set(18, 1, 1);
	assert_true(flush());
}

/* By status the table of messages stays, by the function's reset nothing does. */
static void resets(void **state)
{
	unsigned express = (unsigned)config(PCI_CAPABILITIES, 1);

	(void)state;
	message_set(1, 0xfee00000, 0x41, 0);
	config_set(msix() + MSIX_CONTROL, 2, MSIX_ENABLE);
	bring_up(BIT(VIRTIO_VERSION_1));
	reg_set(0x14, 1, 0);
	assert_int_equal(vdev_host_read(dev, VIRTIO_PCI_MESSAGES, 24, 4), 0x41);
	assert_int_equal(config(msix() + MSIX_CONTROL, 2), MSIX_ENABLE | 3);
	bring_up(BIT(VIRTIO_VERSION_1));
	while (config(express, 1) != CAP_EXPRESS)
		express = (unsigned)config(express + 1, 1);
	config_set(express + 8, 2, 0x8000);
	assert_int_equal(reg(0x14, 1), 0);
	assert_int_equal(config(PCI_COMMAND, 2), 0);
	assert_int_equal(config(msix() + MSIX_CONTROL, 2), 3);
}

static void saved(void **state)
{
	struct vdev *root, *fresh;

	(void)state;
	message_set(2, 0xfee00000, 0x42, 0);
	bring_up(BIT(VIRTIO_VERSION_1) | BIT(VIRTIO_EVENT_IDX));
	assert_true(flush());
	assert_true(h->line[0]);
	assert_int_equal(vpci_create(NULL, &root), 0);
	vdev_host_attach(root);
	assert_int_equal(virtio_pci_blk_create(3, &fresh), 0);
	vdev_host_attach(fresh);
	assert_int_equal(vpci_attach(root, 0, SLOT, 0, virtio_pci_function(fresh)), 0);
	check_save_load(dev, fresh);
	/* And one whose driver uses the older interface. */
	port_set(18, 1, 0);
	port_set(18, 1, 3);
	port_set(14, 2, 0);
	port_set(8, 4, 1);
	assert_true(v->legacy);
	check_save_load(dev, fresh);
	vdev_host_detach(fresh->host);
	vdev_host_detach(root->host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(capabilities, setup, teardown),
		cmocka_unit_test_setup_teardown(registers, setup, teardown),
		cmocka_unit_test_setup_teardown(frozen, setup, teardown),
		cmocka_unit_test_setup_teardown(pin, setup, teardown),
		cmocka_unit_test_setup_teardown(messages, setup, teardown),
		cmocka_unit_test_setup_teardown(master, setup, teardown),
		cmocka_unit_test_setup_teardown(doorbells, setup, teardown),
		cmocka_unit_test_setup_teardown(window, setup, teardown),
		cmocka_unit_test_setup_teardown(older, setup, teardown),
		cmocka_unit_test_setup_teardown(resets, setup, teardown),
		cmocka_unit_test_setup_teardown(saved, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
