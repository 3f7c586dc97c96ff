/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console's port; see drivers/serial.h. COM1 is opened at once unless the command line says
 * otherwise, so that a failure before the tables are read is told somewhere. A port in memory needs
 * the kernel's map; the log keeps what is said until then.
 *
 * Nothing that is said about the interrupt is trusted: the port is polled if none arrives, and when
 * the wire is given up (drivers/wire.c). A card's port waits until its driver has found it
 * (drivers/serial_pci.c); COM1 speaks until then.
 */
#include "drivers/serial.h"

#include "boot/bootinfo.h"
#include "drivers/acpi.h"
#include "drivers/pci.h"
#include "drivers/uart.h"
#include "drivers/wire.h"
#include "include/bits.h"
#include "include/errno.h"
#include "kernel/log.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mm/kmap.h"

#define BAUD_DEFAULT	115200
#define IRQ_OF_CARD	16

static const struct {
	uint16_t io;
	uint8_t irq;
} com[] = {
	{ 0x3f8, 4 }, { 0x2f8, 3 }, { 0x3e8, 4 }, { 0x2e8, 3 },
};

static struct serial_config config;
static struct serial_config wanted;	/* a card that has not been found yet */
static const char *chosen_by;
static bool by_option, polled;
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
	if ((s[0] | 0x20) == 'p' && (s[1] | 0x20) == 'c' && (s[2] | 0x20) == 'i') {
		out->card_number = s[3] > '0' && s[3] <= '9' ? (uint8_t)(s[3] - '0') : 1;
		*text = s + 3 + (s[3] > '0' && s[3] <= '9');
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
	/* A card knows its own, unless another is named. */
	irq = out->card_number ? IRQ_OF_CARD : usual_irq(out->io);
	if (!next_number(&text, 15, &irq) || !next_number(&text, BAUD_DEFAULT, &baud) || *text ||
	    baud < 50)
		return -EINVAL;
	out->irq = irq == IRQ_OF_CARD ? 0 : (uint8_t)irq;
	out->polled = out->card_number && !irq;
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

	if (!c->io && !c->memory.v)
		return false;
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
	wanted.card_number = 0;
	chosen_by = "by default";
	(void)!serial_parse("com1", &config);
	if (boot_option("serial", text, sizeof(text))) {
		by_option = !serial_parse(text, &config);
		if (by_option && !config.card_number)
			chosen_by = "by the command line";
		else
			(void)!serial_parse("com1", &config);
		if (by_option)
			(void)!serial_parse(text, &wanted);
	}
	if (!config.none)
		(void)open_port(&config);
}

static bool same_line(const struct serial_config *a, const struct serial_config *b)
{
	return a->io && a->io == b->io && (!b->baud || a->baud == b->baud);
}

/* From the port that is open to another; back if there is no chip. */
static int move_to(const struct serial_config *to, const char *by)
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
		log_warn("serial: the port at %#lx, chosen %s, does not answer",
			 to->io ?: to->memory.v, by);
		return -ENODEV;
	}
	chosen_by = by;
	return 0;
}

void serial_init(void)
{
	struct serial_config firmware;

	if (!by_option && from_firmware(&firmware))
		(void)move_to(&firmware, "by the firmware");
	if (!config.none && !uart_present())
		log_warn("serial: there is no port at %#x", config.io);
	log_info("serial: console on %s", serial_name());
}

/* ---- cards ---- */

bool serial_wants_card(unsigned number)
{
	return wanted.card_number && wanted.card_number == number;
}

int serial_use_card(struct pci_device *card, uint16_t io, hpa_t memory)
{
	struct serial_config to = wanted;
	int err;

	to.card = card;
	to.io = io;
	to.memory = memory;
	to.width = 8;
	err = move_to(&to, "by the command line");
	if (err)
		return err;
	wanted.card_number = 0;
	log_info("serial: console on %s", serial_name());
	return 0;
}

/* ---- the interrupt ---- */

static bool interrupt(void *unused)
{
	(void)unused;
	return uart_irq();
}

static void wire_lost(void *unused)
{
	(void)unused;
	polled = true;
	uart_poll_start();
}

static int open_wire(struct wire_user *u)
{
	if (config.irq)
		return wire_open_isa(u, config.irq);
	if (config.card && !config.polled)
		return pci_wire_open(config.card, u);
	if (!config.gsi_known)
		return -ENODEV;
	/* The table does not say how the wire works: below 16 as ISA does, above as PCI. */
	if (config.gsi < 16)
		return wire_open_isa(u, config.gsi);
	return wire_open(u, config.gsi, true, true);
}

/* The wire is open before the chip may use it: a masked one drops edges. */
void serial_irq_init(void)
{
	static struct wire_user user = { .name = "uart", .fn = interrupt, .lost = wire_lost };

	if (wanted.card_number)
		log_warn("serial: there is no PCI card with a port %u that can be used",
			 wanted.card_number);
	if (!uart_present())
		return;
	if (open_wire(&user)) {
		polled = true;
		uart_poll_start();
		log_info("uart: no interrupt is known for it, polling");
		return;
	}
	if (!uart_irq_start()) {
		wire_close(&user);
		polled = true;
		log_warn("uart: no interrupt arrives from it, polling");
	}
}

/* ---- for people ---- */

static const char *describe_port(char *buf, size_t size)
{
	const struct pci_device *card = config.card;

	if (card) {
		format(buf, size, "PCI %02x:%02x.%u (%#lx)", card->bus, card->device,
		       card->function, config.io ?: config.memory.v);
		return buf;
	}
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
	else if (!polled && config.card)
		format(how, sizeof(how), "INT%c", '@' + config.card->irq_pin);
	else if (!polled && config.gsi_known)
		format(how, sizeof(how), "interrupt %u", config.gsi);
	if (config.baud)
		format(baud, sizeof(baud), ", %u baud", config.baud);
	format(name, sizeof(name), "%s, %s%s, %s", describe_port(where, sizeof(where)), how, baud,
	       chosen_by);
	return name;
}
