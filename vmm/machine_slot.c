/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where PCI devices sit, before a machine is made of them: which of a configuration's rows can be
 * had together, and where one is put that names no slot. Pure.
 */
#include "include/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "vdev/vlpc.h"
#include "vdev/vsmbus.h"
#include "vmm/machine.h"
#include "vmm/machine_class.h"

/*
 * Devices of bus 0 for those who take any: a PC has its screen at MACHINE_SLOT_SCREEN, a network
 * card at 2, root ports from 1c on and its south bridge at 1f.
 */
#define FREE_FIRST	3
#define FREE_LAST	0x1b

static bool same_slot(const struct machine_slot *a, const struct machine_slot *b)
{
	return a->bus == b->bus && a->device == b->device && a->function == b->function;
}

static bool is_pluggable(const char *name)
{
	const struct device_class *class = machine_class_find(name);

	return class && class->function;
}

/* Row `i` of `row`, whose others before it are right. Behind a port there is one slot. */
static const char *slot_error(const struct machine_row *row, unsigned i)
{
	const struct machine_slot *s = &row[i].slot;
	unsigned bridges = 0;

	if (s->device > 31 || s->function > 7)
		return "a device's number is at most 1f, a function's at most 7";
	if (!s->bus && !s->device && !s->function)
		return "the host bridge is there";
	if (!s->bus && s->device == VLPC_SLOT && !s->function)
		return "the LPC bridge is there";
	if (!s->bus && s->device == VLPC_SLOT && s->function == VSMBUS_FUNCTION)
		return "the SMBus controller is there";
	for (unsigned j = 0; j < i; j++) {
		if (same_slot(&row[j].slot, s))
			return "another device is there";
		bridges += machine_class_find(row[j].class)->is_bridge;
	}
	if (s->bus > bridges)
		return "bus N is behind the Nth root port, which must stand before it";
	if (s->bus && s->device)
		return "behind a root port there is device 0 alone";
	if (s->bus && machine_class_find(row[i].class)->is_bridge)
		return "a root port must be on bus 0";
	return NULL;
}

/* "there is no device 'x': a, b are known". */
static void tell_known(const char *name, char *why, size_t size)
{
	size_t n = (size_t)format(why, size, "there is no device '%s':", name);
	const struct device_class *class;
	bool any = false;

	for (unsigned i = 0; (class = machine_class_get(i)) && n < size; i++) {
		if (!class->function)
			continue;
		n += (size_t)format(why + n, size - n, "%s %s", any ? "," : "", class->name);
		any = true;
	}
	if (n < size)
		format(why + n, size - n, " are known");
}

int machine_slot_check(const struct machine_row *row, unsigned n, char *why, size_t why_size)
{
	for (unsigned i = 0; i < n; i++) {
		const struct machine_slot *s = &row[i].slot;
		const char *text;

		if (!is_pluggable(row[i].class)) {
			tell_known(row[i].class, why, why_size);
			return -EINVAL;
		}
		text = i < MACHINE_SLOT_MAX ? slot_error(row, i) : "there are too many devices";
		if (!text)
			continue;
		format(why, why_size, "%s at %x:%x.%x: %s", row[i].class, s->bus, s->device,
		       s->function, text);
		return -EINVAL;
	}
	return 0;
}

static bool is_free(const struct machine_row *row, unsigned n, unsigned device)
{
	for (unsigned i = 0; i < n; i++)
		if (!row[i].slot.bus && row[i].slot.device == device)
			return false;
	return true;
}

int machine_slot_free(const struct machine_row *row, unsigned n, unsigned wish,
		      struct machine_slot *out)
{
	unsigned device = wish;

	if (!wish || !is_free(row, n, wish))
		for (device = FREE_FIRST; device <= FREE_LAST && !is_free(row, n, device);)
			device++;
	*out = (struct machine_slot){ .device = (uint8_t)device };
	return device <= FREE_LAST ? 0 : -ENOSPC;
}
