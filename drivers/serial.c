/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console's port; see drivers/serial.h. COM1 is opened at once unless the command line says
 * otherwise, so that a failure before the tables are read is told somewhere. A port in memory needs
 * the kernel's map; the log keeps what is said until then.
 *
 * Nothing that is said about the interrupt is trusted: the port is polled if none arrives, and the
 * wire is masked if it brings interrupts without end that the chip has not asked for.
 */
#include "drivers/serial.h"

#include "boot/bootinfo.h"
#include "cpu/irq.h"
#include "cpu/lapic.h"
#include "drivers/acpi.h"
#include "drivers/ioapic.h"
#include "drivers/uart.h"
#include "include/bits.h"
#include "include/errno.h"
#include "kernel/log.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mm/kmap.h"

#define BAUD_DEFAULT	115200
#define UNASKED_MAX	10000		/* interrupts in a row that the chip has not asked for */

static const struct {
	uint16_t io;
	uint8_t irq;
} com[] = {
	{ 0x3f8, 4 }, { 0x2f8, 3 }, { 0x3e8, 4 }, { 0x2e8, 3 },
};

static struct serial_config config;
static const char *chosen_by;
static bool by_option, polled;
static unsigned unasked;
static char name[96];

/* ---- the option ---- */

/* A number up to `max` that ends at a comma or at the end; *text moves behind it. */
static bool number(const char **text, uint32_t max, uint32_t *out)
{
	const char *s = *text;
	uint32_t base = 10, v = 0;
	unsigned digits = 0;

	if (s[0] == '0' && (s[1] | 0x20) == 'x') {
		base = 16;
		s += 2;
	}
	for (; *s && *s != ','; s++, digits++) {
		uint32_t d = (uint32_t)(*s - '0');

		if (d > 9)
			d = (uint32_t)((*s | 0x20) - 'a') + 10;
		if (d >= base || digits == 8)
			return false;
		v = v * base + d;
	}
	*text = s;
	*out = v;
	return digits && v <= max;
}

/* ",NUMBER", "," or nothing, which leave *out as it is. */
static bool next_number(const char **text, uint32_t max, uint32_t *out)
{
	if (!**text)
		return true;
	if (*(*text)++ != ',')
		return false;
	return !**text || **text == ',' || number(text, max, out);
}

static bool port_of(const char **text, struct serial_config *out)
{
	const char *s = *text;
	uint32_t io;

	if ((s[0] | 0x20) == 'c' && (s[1] | 0x20) == 'o' && (s[2] | 0x20) == 'm') {
		unsigned i = (unsigned)(s[3] - '1');

		if (i >= ARRAY_COUNT(com))
			return false;
		out->io = com[i].io;
		*text = s + 4;
		return true;
	}
	if (!number(text, 0xfff8, &io) || !io)
		return false;
	out->io = (uint16_t)io;
	return true;
}

/* The ISA line that goes with a port by custom, 0 if none does. */
static uint8_t usual_irq(uint16_t io)
{
	for (unsigned i = 0; i < ARRAY_COUNT(com); i++)
		if (com[i].io == io)
			return com[i].irq;
	return 0;
}

int serial_parse(const char *text, struct serial_config *out)
{
	uint32_t irq, baud = BAUD_DEFAULT;

	memset(out, 0, sizeof(*out));
	out->clock_hz = UART_CLOCK_HZ;
	if (!strcmp(text, "none")) {
		out->none = true;
		return 0;
	}
	if (!port_of(&text, out))
		return -EINVAL;
	irq = usual_irq(out->io);
	if (!next_number(&text, 15, &irq) || !next_number(&text, BAUD_DEFAULT, &baud) || *text ||
	    baud < 50)
		return -EINVAL;
	out->irq = (uint8_t)irq;
	out->baud = baud;
	return 0;
}

/* ---- the firmware's ---- */

/*
 * The divisor of a port in memory stays as the firmware set it unless the clock is told: such chips
 * have clocks of their own.
 */
static bool from_firmware(struct serial_config *out)
{
	const struct acpi_serial *s = &acpi_info.serial;

	*out = (struct serial_config){
		.width = s->port.width, .irq = s->irq_known ? s->irq : 0,
		.gsi_known = s->gsi_known, .gsi = s->gsi, .baud = s->baud,
		.clock_hz = s->clock_hz,
	};
	if (!s->port.address)
		return false;
	if (s->port.space == ACPI_SPACE_MEMORY) {
		out->memory = HPA(s->port.address);
		if (!out->clock_hz)
			out->baud = 0;
		return true;
	}
	if (s->port.space != ACPI_SPACE_IO || s->port.address > 0xfff8)
		return false;
	out->io = (uint16_t)s->port.address;
	if (!out->clock_hz)
		out->clock_hz = UART_CLOCK_HZ;
	if (!out->irq && !out->gsi_known)
		out->irq = usual_irq(out->io);
	return true;
}

/* ---- opening ---- */

static bool open_port(const struct serial_config *c)
{
	struct uart_port p = { .io = c->io, .baud = c->baud, .clock_hz = c->clock_hz };

	if (!c->io) {
		p.stride = c->width / 8;
		p.memory = kmap_io(c->memory, 8u * p.stride, CACHE_UC);
		if (!p.memory)
			return false;
	}
	if (uart_open(&p))
		return true;
	if (p.memory)
		kmap_io_unmap((void *)p.memory, 8u * p.stride);
	return false;
}

void serial_early(void)
{
	char text[32];

	by_option = polled = false;
	unasked = 0;
	chosen_by = "by default";
	(void)!serial_parse("com1", &config);
	if (boot_option("serial", text, sizeof(text))) {
		by_option = !serial_parse(text, &config);
		if (by_option)
			chosen_by = "by the command line";
		else
			(void)!serial_parse("com1", &config);
	}
	if (!config.none)
		(void)open_port(&config);
}

static bool same_line(const struct serial_config *a, const struct serial_config *b)
{
	return a->io && a->io == b->io && (!b->baud || a->baud == b->baud);
}

/* From the port that is open to the firmware's; back if there is no chip. */
static void move_to(const struct serial_config *to)
{
	struct serial_config from = config;
	bool same = same_line(&from, to);

	config = *to;
	if (same) {
		config.baud = from.baud;
	} else if (open_port(to)) {
		log_replay(uart_text);
	} else {
		config = from;
		if (!open_port(&from))
			config.none = true;
		log_warn("serial: the firmware's console at %#lx does not answer",
			 to->io ?: to->memory.v);
		return;
	}
	chosen_by = "by the firmware";
}

void serial_init(void)
{
	struct serial_config firmware;

	if (!by_option && from_firmware(&firmware))
		move_to(&firmware);
	if (!config.none && !uart_present())
		log_warn("serial: there is no port at %#x", config.io);
	log_info("serial: console on %s", serial_name());
}

/* ---- the interrupt ---- */

static int route(unsigned vector)
{
	if (config.irq)
		return ioapic_route_isa(config.irq, vector, lapic_id());
	if (!config.gsi_known)
		return -ENODEV;
	/* The table does not say how the wire works: below 16 as ISA does, above as PCI. */
	if (config.gsi < 16)
		return ioapic_route_isa(config.gsi, vector, lapic_id());
	return ioapic_route(config.gsi, vector, lapic_id(), true, true);
}

static void mask(bool masked)
{
	if (config.irq || config.gsi < 16)
		ioapic_mask_isa(config.irq ?: config.gsi, masked);
	else
		ioapic_mask(config.gsi, masked);
}

static void interrupt(void *arg)
{
	(void)arg;
	if (uart_irq()) {
		unasked = 0;
	} else if (++unasked == UNASKED_MAX) {
		mask(true);
		polled = true;
		uart_poll_start();
		log_warn("uart: its wire brings interrupts that it has not asked for, polling");
	}
}

/* The wire is open before the chip may use it: a masked one drops edges. */
void serial_irq_init(void)
{
	int vector;

	if (!uart_present())
		return;
	vector = irq_alloc("uart", interrupt, NULL);
	if (vector < 0 || route((unsigned)vector)) {
		polled = true;
		uart_poll_start();
		log_info("uart: no interrupt is known for it, polling");
		return;
	}
	mask(false);
	if (!uart_irq_start()) {
		mask(true);
		polled = true;
		log_warn("uart: no interrupt arrives from it, polling");
	}
}

/* ---- for people ---- */

static const char *describe_port(char *buf, size_t size)
{
	for (unsigned i = 0; i < ARRAY_COUNT(com); i++)
		if (config.io && com[i].io == config.io) {
			format(buf, size, "COM%u (%#x)", i + 1, config.io);
			return buf;
		}
	if (config.io)
		format(buf, size, "I/O port %#x", config.io);
	else
		format(buf, size, "memory at %#lx, %u bits", config.memory.v, config.width);
	return buf;
}

const char *serial_port_name(void)
{
	static char where[40];
	char *end;

	describe_port(where, sizeof(where));
	end = strchr(where, '(');
	if (end)
		end[-1] = 0;
	return where;
}

const char *serial_name(void)
{
	char where[40], how[24] = "polled", baud[24] = "";

	if (config.none || !uart_present()) {
		format(name, sizeof(name), "no serial port");
		return name;
	}
	if (!polled && config.irq)
		format(how, sizeof(how), "IRQ %u", config.irq);
	else if (!polled && config.gsi_known)
		format(how, sizeof(how), "interrupt %u", config.gsi);
	if (config.baud)
		format(baud, sizeof(baud), ", %u baud", config.baud);
	format(name, sizeof(name), "%s, %s%s, %s", describe_port(where, sizeof(where)), how, baud,
	       chosen_by);
	return name;
}
