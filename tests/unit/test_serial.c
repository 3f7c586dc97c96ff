/* SPDX-License-Identifier: BSD-2-Clause */
/* links: drivers/serial.c boot/bootinfo.c lib/format.c tests/host/log.c */
/*
 * drivers/serial: the option's words, right and wrong ones; who decides on the port; where its
 * interrupt goes, and what is done when none comes or too many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "boot/bootinfo.h"
#include "drivers/acpi.h"
#include "drivers/pci.h"
#include "drivers/serial.h"
#include "drivers/uart.h"
#include "drivers/wire.h"
#include "include/errno.h"
#include "kernel/log.h"
#include "mm/kmap.h"

extern unsigned host_log_count[4];
extern char host_log_last[256];

/* ---- what serial.c stands on ---- */

static struct {
	struct uart_port opened;
	unsigned opens, replays, polls;
	uint16_t absent;			/* there is no chip at this port */
	bool present, no_interrupt, asked;
	struct wire_user *user;			/* of the wire that is open */
	unsigned isa, card_wires;
	uint32_t gsi;
	bool low, level;
	int route_error;
} fake;

struct acpi_info acpi_info;
static struct pci_device card = { .bus = 3, .device = 4, .function = 1, .irq_pin = 2 };
static uint8_t window[64];

bool uart_open(const struct uart_port *p)
{
	fake.opened = *p;
	fake.opens++;
	fake.present = p->memory || p->io != fake.absent;
	return fake.present;
}

bool uart_present(void) { return fake.present; }
void uart_text(const char *text, size_t n) { (void)text; (void)n; }
bool uart_irq(void) { return fake.asked; }
void uart_poll_start(void) { fake.polls++; }

bool uart_irq_start(void)
{
	assert_non_null(fake.user);
	fake.polls += fake.no_interrupt;
	return !fake.no_interrupt;
}

void log_replay(void (*write)(const char *text, size_t length))
{
	assert_ptr_equal(write, uart_text);
	fake.replays++;
}

int wire_open_isa(struct wire_user *u, unsigned irq)
{
	assert_string_equal(u->name, "uart");
	fake.isa = irq;
	if (!fake.route_error)
		fake.user = u;
	return fake.route_error;
}

int wire_open(struct wire_user *u, uint32_t gsi, bool low, bool level)
{
	fake.gsi = gsi;
	fake.low = low;
	fake.level = level;
	return wire_open_isa(u, 0);
}

int pci_wire_open(struct pci_device *d, struct wire_user *u)
{
	assert_ptr_equal(d, &card);
	fake.card_wires++;
	return wire_open_isa(u, 0);
}

void wire_close(struct wire_user *u)
{
	assert_ptr_equal(u, fake.user);
	fake.user = NULL;
}

void *kmap_io(hpa_t a, uint64_t size, enum paging_cache c)
{
	assert_int_equal(a.v, 0xfedc9000);
	assert_in_range(size, 8, 32);
	assert_int_equal(c, CACHE_UC);
	return window;
}

void kmap_io_unmap(void *va, uint64_t size) { (void)va; (void)size; }

/* ---- tests ---- */

static int setup(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	memset(&acpi_info, 0, sizeof(acpi_info));
	memset(&bootinfo, 0, sizeof(bootinfo));
	memset(host_log_count, 0, 4 * sizeof(unsigned));
	fake.asked = true;
	return 0;
}

static void words(void **state)
{
	static const struct {
		const char *text;
		uint16_t io;
		uint8_t irq;
		uint32_t baud;
	} good[] = {
		{ "com1", 0x3f8, 4, 115200 }, { "COM2", 0x2f8, 3, 115200 },
		{ "com4", 0x2e8, 3, 115200 },
		{ "0x2f8", 0x2f8, 3, 115200 }, { "0x2f8,3,57600", 0x2f8, 3, 57600 },
		{ "0x3f8,5", 0x3f8, 5, 115200 }, { "760,10", 760, 10, 115200 },
		{ "0xe000", 0xe000, 0, 115200 }, { "com1,0", 0x3f8, 0, 115200 },
		{ "com2,,9600", 0x2f8, 3, 9600 }, { "pci", 0, 0, 115200 }, { "pci9,11", 0, 11, 115200 },
		{ "pci2,0,300", 0, 0, 300 }, { "com2,7,", 0x2f8, 7, 115200 },
	};
	static const char *const bad[] = {
		"", "com", "com0", "com5", "com11", "com1x", "tty", "0x", "0x2f8,16", "0x2f8,3,0",
		"0x2f8,3,230400", "0x2f8,3,9600,1", "0x2f8 ", "0x10000", "0xfff9", "0", "0x2g8",
		",3", "pci0", "pci10", "pcix", "pci,16", "4294967296", "0x2f8,x", "no",
	};
	struct serial_config c;

	(void)state;
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(serial_parse(good[i].text, &c), 0);
		assert_int_equal(c.io, good[i].io);
		assert_int_equal(c.irq, good[i].irq);
		assert_int_equal(c.baud, good[i].baud);
		assert_false(c.none);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (serial_parse(bad[i], &c) != -EINVAL)
			fail_msg("'%s' is taken", bad[i]);
	assert_int_equal(serial_parse("none", &c), 0);
	assert_true(c.none);
}

static void firmware(uint8_t space, uint64_t address, uint8_t width, uint32_t baud)
{
	acpi_info.serial = (struct acpi_serial){
		.port = { .space = space, .address = address, .width = width }, .baud = baud,
	};
}

static void start(const char *cmdline)
{
	strcpy(bootinfo.cmdline, cmdline);
	serial_early();
	serial_init();
}

static void by_default(void **state)
{
	(void)state;
	start("");
	assert_int_equal(fake.opens, 1);
	assert_int_equal(fake.opened.io, 0x3f8);
	serial_irq_init();
	assert_int_equal(fake.isa, 4);
	assert_non_null(fake.user);
	assert_string_equal(serial_name(), "COM1 (0x3f8), IRQ 4, 115200 baud, by default");
}

/* The command line wins over the firmware, and a bad one is said. */
static void by_option(void **state)
{
	(void)state;
	firmware(ACPI_SPACE_IO, 0x3f8, 8, 9600);
	start("serial=0x2f8,5,57600");
	assert_int_equal(fake.opens, 1);
	assert_int_equal(fake.opened.io, 0x2f8);
	assert_int_equal(fake.opened.baud, 57600);
	assert_int_equal(fake.replays, 0);
	assert_string_equal(serial_name(), "COM2 (0x2f8), IRQ 5, 57600 baud, by the command line");
	setup(state);
	start("serial=none");
	assert_int_equal(fake.opens, 0);
	assert_int_equal(host_log_count[LOG_WARN], 0);
	serial_irq_init();
	assert_null(fake.user);
	assert_string_equal(serial_name(), "no serial port");
	setup(state);
	start("serial=com9");
	assert_int_equal(fake.opened.io, 0x3f8);
	assert_int_equal(host_log_count[LOG_WARN], 0);	/* boot/cmdline.c has named it */
}

static void by_the_firmware(void **state)
{
	(void)state;
	firmware(ACPI_SPACE_IO, 0x2f8, 8, 57600);
	start("");
	assert_int_equal(fake.opened.io, 0x2f8);
	assert_int_equal(fake.opened.baud, 57600);
	assert_int_equal(fake.opened.clock_hz, UART_CLOCK_HZ);
	assert_int_equal(fake.replays, 1);
	assert_string_equal(serial_name(), "COM2 (0x2f8), IRQ 3, 57600 baud, by the firmware");
	/* The same line: nothing is opened or said again. */
	setup(state);
	firmware(ACPI_SPACE_IO, 0x3f8, 8, 0);
	start("");
	assert_int_equal(fake.opens, 1);
	assert_int_equal(fake.replays, 0);
	assert_string_equal(serial_name(), "COM1 (0x3f8), IRQ 4, 115200 baud, by the firmware");
	/* The same port at another rate. */
	setup(state);
	firmware(ACPI_SPACE_IO, 0x3f8, 8, 9600);
	start("");
	assert_int_equal(fake.opens, 2);
	assert_int_equal(fake.replays, 1);
	/* Nobody answers there: back to COM1. */
	setup(state);
	firmware(ACPI_SPACE_IO, 0x2f8, 8, 0);
	fake.absent = 0x2f8;
	start("");
	assert_int_equal(fake.opened.io, 0x3f8);
	assert_int_equal(host_log_count[LOG_WARN], 1);
	assert_non_null(strstr(serial_name(), "by default"));
	/* Spaces that are no place for a UART. */
	setup(state);
	firmware(ACPI_SPACE_PCI, 0x2f8, 8, 0);
	start("");
	assert_int_equal(fake.opens, 1);
	setup(state);
	firmware(ACPI_SPACE_IO, 0x12f8f8, 8, 0);
	start("");
	assert_int_equal(fake.opens, 1);
}

/* Its divisor is the firmware's as long as nobody tells its clock. */
static void in_memory(void **state)
{
	(void)state;
	firmware(ACPI_SPACE_MEMORY, 0xfedc9000, 32, 115200);
	acpi_info.serial.gsi_known = true;
	acpi_info.serial.gsi = 20;
	start("");
	assert_ptr_equal(fake.opened.memory, window);
	assert_int_equal(fake.opened.stride, 4);
	assert_int_equal(fake.opened.baud, 0);
	assert_int_equal(fake.replays, 1);
	serial_irq_init();
	assert_int_equal(fake.gsi, 20);
	assert_true(fake.low && fake.level);
	assert_non_null(fake.user);
	assert_string_equal(serial_name(),
			    "memory at 0xfedc9000, 32 bits, interrupt 20, by the firmware");
	setup(state);
	firmware(ACPI_SPACE_MEMORY, 0xfedc9000, 32, 115200);
	acpi_info.serial.clock_hz = 48000000;
	acpi_info.serial.gsi_known = true;
	acpi_info.serial.gsi = 4;
	start("");
	assert_int_equal(fake.opened.baud, 115200);
	assert_int_equal(fake.opened.clock_hz, 48000000);
	serial_irq_init();
	assert_int_equal(fake.isa, 4);
}

static void no_interrupt(void **state)
{
	(void)state;
	fake.no_interrupt = true;
	start("serial=0x3f8,5");
	serial_irq_init();
	assert_int_equal(fake.isa, 5);
	assert_null(fake.user);
	assert_int_equal(fake.polls, 1);
	assert_int_equal(host_log_count[LOG_WARN], 1);
	assert_string_equal(serial_name(),
			    "COM1 (0x3f8), polled, 115200 baud, by the command line");
	/* None is named, or its wire does not exist. */
	setup(state);
	start("serial=0xe000");
	serial_irq_init();
	assert_int_equal(fake.polls, 1);
	setup(state);
	fake.route_error = -ENODEV;
	start("");
	serial_irq_init();
	assert_int_equal(fake.polls, 1);
}

/* The wire is given up: what it brought, the chip had not asked for. */
static void wire_lost(void **state)
{
	(void)state;
	start("");
	serial_irq_init();
	assert_true(fake.user->fn(NULL));
	fake.asked = false;
	assert_false(fake.user->fn(NULL));
	assert_int_equal(fake.polls, 0);
	fake.user->lost(NULL);
	assert_int_equal(fake.polls, 1);
	assert_non_null(strstr(serial_name(), "polled"));
}

/* COM1 speaks until the card is found, and stays if it is not. */
static void on_a_card(void **state)
{
	(void)state;
	firmware(ACPI_SPACE_IO, 0x2f8, 8, 0);
	start("serial=pci2,,9600");
	assert_int_equal(fake.opened.io, 0x3f8);
	assert_string_equal(serial_name(), "COM1 (0x3f8), IRQ 4, 115200 baud, by default");
	assert_false(serial_wants_card(1));
	assert_true(serial_wants_card(2));
	assert_int_equal(serial_use_card(&card, 0xc000, HPA(0)), 0);
	assert_false(serial_wants_card(2));
	assert_int_equal(fake.opened.io, 0xc000);
	assert_int_equal(fake.opened.baud, 9600);
	assert_int_equal(fake.replays, 1);
	serial_irq_init();
	assert_int_equal(fake.card_wires, 1);
	assert_int_equal(fake.polls + host_log_count[LOG_WARN], 0);
	assert_string_equal(serial_name(),
			    "PCI 03:04.1 (0xc000), INTB, 9600 baud, by the command line");
	assert_string_equal(serial_port_name(), "PCI 03:04.1");
	/* In memory, a byte for each register, without its interrupt. */
	setup(state);
	start("serial=PCI,0");
	assert_int_equal(serial_use_card(&card, 0, HPA(0xfedc9000)), 0);
	assert_ptr_equal(fake.opened.memory, window);
	assert_int_equal(fake.opened.stride, 1);
	serial_irq_init();
	assert_int_equal(fake.card_wires, 0);
	assert_int_equal(fake.polls, 1);
	/* No chip behind it: back, and it is said that there is none. */
	setup(state);
	start("serial=pci");
	fake.absent = 0xc000;
	assert_int_equal(serial_use_card(&card, 0xc000, HPA(0)), -ENODEV);
	assert_int_equal(fake.opened.io, 0x3f8);
	serial_irq_init();
	assert_int_equal(fake.isa, 4);
	assert_int_equal(host_log_count[LOG_WARN], 2);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(words), TEST(by_default), TEST(by_option), TEST(by_the_firmware),
		TEST(in_memory), TEST(no_interrupt), TEST(wire_lost), TEST(on_a_card),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
