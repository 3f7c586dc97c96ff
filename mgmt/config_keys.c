/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keys of keel.conf: a row knows the key's name, its field, and how its value is read and
 * written. See mgmt/config_parser.h.
 */
#include "mgmt/config_parser.h"

#include "include/addr.h"
#include "include/bits.h"
#include "include/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mm/heap.h"

#define MEMORY_MIN	(2 * MIB)

bool config_digit(char c, unsigned base, unsigned *out)
{
	*out = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
	       : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
	       : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
				      : 16;
	return *out < base;
}

bool config_read_number(struct piece v, uint64_t *out)
{
	unsigned d;

	*out = 0;
	if (!v.n)
		return false;
	for (size_t i = 0; i < v.n; i++)
		if (!config_digit(v.s[i], 10, &d) || __builtin_mul_overflow(*out, 10ul, out) ||
		    __builtin_add_overflow(*out, d, out))
			return false;
	return true;
}

/* --- values */

static void *field_of(struct parser *p, const struct key *k)
{
	return (char *)(p->section == SECTION_HOST ? (void *)&p->out->host : p->vm) + k->field;
}

static const void *value_of(const struct key *k, const void *from)
{
	return (const char *)from + k->field;
}

void config_put_line(const struct writer *w, const struct key *k, const char *a,
		     const char *b)
{
	const char *const parts[] = { k->name, " = ", a, *b ? " " : "", b, "\n" };

	for (unsigned i = 0; i < ARRAY_COUNT(parts); i++)
		w->emit(w->arg, parts[i]);
}

bool config_name_is_right(struct piece v)
{
	if (!v.n || v.n >= CONFIG_NAME_MAX || v.s[0] == '-')
		return false;
	for (size_t i = 0; i < v.n; i++) {
		char c = v.s[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '.' || c == '_' || c == '-'))
			return false;
	}
	return true;
}

void config_copy_piece(char *dst, struct piece v)
{
	memcpy(dst, v.s, v.n);
	dst[v.n] = 0;
}

static bool read_hostname(struct parser *p, const struct key *k, struct piece v)
{
	if (!config_name_is_right(v)) {
		config_fail(
			p, p->line,
			"%s '%s' is not right: 1 to %d letters, digits, '.', '_', '-' are allowed",
			k->name, config_quote(v).s, CONFIG_NAME_MAX - 1);
		return false;
	}
	config_copy_piece(field_of(p, k), v);
	return true;
}

static bool read_text_into(struct parser *p, const char *name, struct piece v, char *out,
			   size_t size)
{
	if (v.n >= size) {
		config_fail(p, p->line, "%s has %zu characters, at most %zu are allowed", name, v.n,
			  size - 1);
		return false;
	}
	for (size_t i = 0; i < v.n; i++) {
		if ((uint8_t)v.s[i] < ' ' || v.s[i] == 0x7f) {
			config_fail(p, p->line, "%s contains the control character 0x%02x", name,
				  (uint8_t)v.s[i]);
			return false;
		}
	}
	config_copy_piece(out, v);
	return true;
}

static bool read_text(struct parser *p, const struct key *k, struct piece v)
{
	return read_text_into(p, k->name, v, field_of(p, k), k->size);
}

static void write_text(const struct writer *w, const struct key *k, const void *from)
{
	const char *text = value_of(k, from);

	if (*text)
		config_put_line(w, k, text, "");
}

bool config_read_module(struct parser *p, const struct key *k, struct piece v, char *out)
{
	const struct config_limits *l = p->limits;

	if (!v.n) {
		config_fail(p, p->line, "%s names no module", k->name);
		return false;
	}
	if (!read_text_into(p, k->name, v, out, CONFIG_MODULE_MAX))
		return false;
	if (l->module && !l->module(l->arg, out)) {
		config_fail(p, p->line,
			  "%s: there is no module '%s': give it to GRUB (tools/mkiso NAME=FILE)",
			  k->name, config_quote(v).s);
		return false;
	}
	return true;
}

static bool read_module(struct parser *p, const struct key *k, struct piece v)
{
	if (k->field == offsetof(struct config_vm, kernel))
		p->vm->kernel_line = p->line;
	else if (k->field == offsetof(struct config_vm, firmware))
		p->vm->firmware_line = p->line;
	else if (k->field == offsetof(struct config_vm, initrd))
		p->vm->initrd_line = p->line;
	return config_read_module(p, k, v, field_of(p, k));
}

/* "NAME ARGUMENTS": one more module of the list. */
static bool read_more_module(struct parser *p, const struct key *k, struct piece v)
{
	struct config_module **end = field_of(p, k), *m = heap_alloc(sizeof(*m));
	size_t n = 0;

	while (*end)
		end = &(*end)->next;
	while (n < v.n && !config_is_space(v.s[n]))
		n++;
	if (!m)
		config_fail(p, p->line, "%s: no memory for it", k->name);
	if (!m || !config_read_module(p, k, (struct piece){ v.s, n }, m->name))
		goto fail;
	v = config_trim((struct piece){ v.s + n, v.n - n });
	if (!read_text_into(p, k->name, v, m->arguments, sizeof(m->arguments)))
		goto fail;
	*end = m;
	return true;
fail:
	heap_free(m);
	return false;
}

static bool read_option_rom(struct parser *p, const struct key *k, struct piece v)
{
	for (size_t i = 0; i < v.n; i++) {
		if (!config_is_space(v.s[i]))
			continue;
		config_fail(p, p->line, "%s = %s is not right: it names one module", k->name,
			    config_quote(v).s);
		return false;
	}
	return read_more_module(p, k, v);
}

static void write_more_module(const struct writer *w, const struct key *k, const void *from)
{
	const struct config_module *const *list = value_of(k, from);

	for (const struct config_module *m = *list; m; m = m->next)
		config_put_line(w, k, m->name, m->arguments);
}

struct piece config_cut(struct piece *rest, char end)
{
	struct piece first = { rest->s, 0 };

	while (first.n < rest->n && rest->s[first.n] != end)
		first.n++;
	*rest = first.n == rest->n ? (struct piece){ rest->s + rest->n, 0 }
				   : (struct piece){ rest->s + first.n + 1, rest->n - first.n - 1 };
	return first;
}

static bool read_vcpus(struct parser *p, const struct key *k, struct piece v)
{
	uint64_t n;

	if (!config_read_number(v, &n) || n < 1 || n > p->limits->vcpus_max) {
		config_fail(p, p->line, "%s = %s is not right: 1 to %u are allowed", k->name,
			  config_quote(v).s, p->limits->vcpus_max);
		return false;
	}
	*(unsigned *)field_of(p, k) = (unsigned)n;
	return true;
}

static void write_vcpus(const struct writer *w, const struct key *k, const void *from)
{
	char text[16];

	format(text, sizeof(text), "%u", *(const unsigned *)value_of(k, from));
	config_put_line(w, k, text, "");
}

static bool read_topology(struct parser *p, const struct key *k, struct piece v)
{
	bool right = cpu_topology_parse(field_of(p, k), v.s, v.n);

	if (!right)
		config_fail(p, p->line, "%s = %s is not right: it looks like 2 sockets, 4 cores, "
			  "2 threads", k->name, config_quote(v).s);
	return right;
}

/* Not the one that follows from the count of vCPUs, which may change then. */
static void write_topology(const struct writer *w, const struct key *k, const void *from)
{
	const struct cpu_topology *t = value_of(k, from);
	char text[CPU_TOPOLOGY_TEXT];

	if (t->sockets == 1 && t->threads == 1)
		return;
	cpu_topology_format(t, text);
	config_put_line(w, k, text, "");
}

static bool read_cpu(struct parser *p, const struct key *k, struct piece v)
{
	const struct config_limits *l = p->limits;
	struct cpu_model *m = field_of(p, k);
	char why[160];
	int err = cpu_model_parse(m, v.s, v.n, why, sizeof(why));

	if (!err && l->cpu)
		err = l->cpu(l->arg, m, why, sizeof(why));
	if (err)
		config_fail(p, p->line, "%s: %s", k->name, why);
	return !err;
}

static void write_cpu(const struct writer *w, const struct key *k, const void *from)
{
	const struct cpu_model *m = value_of(k, from);
	const struct cpu_feature *f;
	bool any = false;

	for (unsigned i = 0; (f = cpu_model_feature(i)); i++) {
		if (!cpu_model_is_on(m, i) && (!cpu_model_is_off(m, i) || cpu_model_follows(m, i)))
			continue;
		if (!any) {
			w->emit(w->arg, k->name);
			w->emit(w->arg, " = host");
		}
		w->emit(w->arg, cpu_model_is_on(m, i) ? ", +" : ", -");
		w->emit(w->arg, f->name);
		any = true;
	}
	if (any)
		w->emit(w->arg, "\n");
}

/* A number with K, M, G (KiB, KB and so on are too many ways to say the same). */
static bool read_size(struct piece v, uint64_t *out)
{
	static const char suffixes[] = "KMG";
	const char *suffix = v.n ? strchr(suffixes, v.s[v.n - 1] & ~0x20) : NULL;
	unsigned shift = suffix && *suffix ? (unsigned)(suffix - suffixes + 1) * 10 : 0;
	bool right = config_read_number(config_trim((struct piece){ v.s, v.n - (shift ? 1 : 0) }),
					out) && *out <= ~0ul >> shift;

	*out <<= shift;
	return right;
}

bool config_size_parse(const char *text, uint64_t *out)
{
	return read_size((struct piece){ text, strlen(text) }, out);
}

static bool read_memory(struct parser *p, const struct key *k, struct piece v)
{
	uint64_t n;

	if (!read_size(v, &n)) {
		config_fail(p, p->line,
			  "%s = %s is not right: a number with K, M or G is wanted, as in 192M",
			  k->name, config_quote(v).s);
		return false;
	}
	if (n < MEMORY_MIN || n > p->limits->memory_max) {
		config_fail(p, p->line, "%s = %s is not possible: %luM to %luM are allowed", k->name,
			  config_quote(v).s, MEMORY_MIN / MIB, p->limits->memory_max / MIB);
		return false;
	}
	if (!IS_ALIGNED(n, PAGE_SIZE)) {
		config_fail(p, p->line, "%s = %s is not a multiple of 4K", k->name, config_quote(v).s);
		return false;
	}
	*(uint64_t *)field_of(p, k) = n;
	return true;
}

static void write_memory(const struct writer *w, const struct key *k, const void *from)
{
	uint64_t n = *(const uint64_t *)value_of(k, from);
	bool whole = IS_ALIGNED(n, MIB);
	char text[24];

	format(text, sizeof(text), "%lu%c", n / (whole ? MIB : KIB), whole ? 'M' : 'K');
	config_put_line(w, k, text, "");
}

static bool read_bool(struct parser *p, const struct key *k, struct piece v)
{
	if (!config_equals(v, "yes") && !config_equals(v, "no")) {
		config_fail(p, p->line, "%s = %s is not right: yes or no is allowed", k->name,
			  config_quote(v).s);
		return false;
	}
	*(bool *)field_of(p, k) = config_equals(v, "yes");
	return true;
}

static void write_bool(const struct writer *w, const struct key *k, const void *from)
{
	if (*(const bool *)value_of(k, from))
		config_put_line(w, k, "yes", "");
}

static const char *const action_names[] = { "destroy", "restart", "preserve" };

const char *config_action_name(enum config_action a)
{
	return (unsigned)a < ARRAY_COUNT(action_names) ? action_names[a] : "?";
}

static bool read_action(struct parser *p, const struct key *k, struct piece v)
{
	for (unsigned i = 0; i < ARRAY_COUNT(action_names); i++) {
		if (config_equals(v, action_names[i])) {
			*(enum config_action *)field_of(p, k) = (enum config_action)i;
			return true;
		}
	}
	config_fail(p, p->line, "%s = %s is not right: destroy, restart or preserve is allowed",
		  k->name, config_quote(v).s);
	return false;
}

static void write_action(const struct writer *w, const struct key *k, const void *from)
{
	enum config_action a = *(const enum config_action *)value_of(k, from);

	if (a != (k->field == offsetof(struct config_vm, on_reboot) ? CONFIG_RESTART
								    : CONFIG_DESTROY))
		config_put_line(w, k, action_names[a], "");
}

/* 32 hexadecimal digits, hyphens where they usually are or nowhere. */
bool config_uuid_of(struct piece v, uint8_t out[16])
{
	unsigned digits = 0, d;
	bool hyphens = v.n == 36;

	if (!hyphens && v.n != 32)
		return false;
	for (size_t i = 0; i < v.n; i++) {
		if (hyphens && (i == 8 || i == 13 || i == 18 || i == 23)) {
			if (v.s[i] != '-')
				return false;
			continue;
		}
		if (!config_digit(v.s[i], 16, &d))
			return false;
		out[digits / 2] = (uint8_t)(out[digits / 2] << 4 | d);
		digits++;
	}
	return true;
}

static bool read_uuid(struct parser *p, const struct key *k, struct piece v)
{
	bool right = config_uuid_of(v, field_of(p, k));

	if (!right)
		config_fail(p, p->line,
			  "%s = %s is not right: 32 hexadecimal digits are wanted, as in "
			  "6b1c1f2e-0d6a-4c1e-9f57-0a52d6c3e811",
			  k->name, config_quote(v).s);
	p->uuid_line = p->line;
	return right;
}

bool config_uuid_parse(const char *text, uint8_t uuid[16])
{
	return config_uuid_of((struct piece){ text, strlen(text) }, uuid);
}

static void write_uuid(const struct writer *w, const struct key *k, const void *from)
{
	const uint8_t *uuid = value_of(k, from);
	char text[33];

	for (unsigned i = 0; i < 16; i++)
		format(text + 2 * i, 3, "%02x", uuid[i]);
	config_put_line(w, k, text, "");
}

/* --- keys */

#define VM_FIELD(f)	offsetof(struct config_vm, f), sizeof(((struct config_vm *)0)->f)

const struct key config_vm_keys[] = {
	{ "autostart", read_bool, write_bool, VM_FIELD(autostart), false },
	{ "boot", config_read_boot, config_write_boot, VM_FIELD(boot), false },
	{ "boot_menu", config_read_boot_menu, config_write_boot_menu, VM_FIELD(boot_menu), false },
	{ "cdrom", config_read_cdrom, config_write_cdrom, VM_FIELD(cdrom), true },
	{ "channel", config_read_channel, config_write_channel, VM_FIELD(channel), true },
	{ "cmdline", read_text, write_text, VM_FIELD(cmdline), false },
	{ "console", config_read_console, config_write_console, VM_FIELD(channel), false },
	{ "cpu", read_cpu, write_cpu, VM_FIELD(cpu), false },
	{ "cpu_shares", config_read_tune, config_write_tune, VM_FIELD(cputune.shares), false },
	{ "cpuset", config_read_cpuset, config_write_cpuset, VM_FIELD(cpuset), false },
	{ "debug_exit", read_bool, write_bool, VM_FIELD(debug_exit), false },
	{ "device", config_read_device, config_write_device, VM_FIELD(device), true },
	{ "disk", config_read_disk, config_write_disk, VM_FIELD(disk), true },
	{ "firmware", read_module, write_text, VM_FIELD(firmware), false },
	{ "global_period", config_read_tune, config_write_tune, VM_FIELD(cputune.global_period),
	  false },
	{ "global_quota", config_read_tune, config_write_tune, VM_FIELD(cputune.global_quota), false },
	{ "initrd", read_module, write_text, VM_FIELD(initrd), false },
	{ "kernel", read_module, write_text, VM_FIELD(kernel), false },
	{ "manufacturer", read_text, write_text, VM_FIELD(manufacturer), false },
	{ "memory", read_memory, write_memory, VM_FIELD(memory), false },
	{ "module", read_more_module, write_more_module, VM_FIELD(module), true },
	{ "nic", config_read_nic, config_write_nic, VM_FIELD(nic), true },
	{ "nvram", read_module, write_text, VM_FIELD(nvram), false },
	{ "on_crash", read_action, write_action, VM_FIELD(on_crash), false },
	{ "on_poweroff", read_action, write_action, VM_FIELD(on_poweroff), false },
	{ "on_reboot", read_action, write_action, VM_FIELD(on_reboot), false },
	{ "option_rom", read_option_rom, write_more_module, VM_FIELD(option_rom), true },
	{ "product", read_text, write_text, VM_FIELD(product), false },
	{ "serial", read_text, write_text, VM_FIELD(serial), false },
	{ "topology", read_topology, write_topology, VM_FIELD(topology), false },
	{ "uuid", read_uuid, write_uuid, VM_FIELD(uuid), false },
	{ "vcpu_period", config_read_tune, config_write_tune, VM_FIELD(cputune.vcpu_period), false },
	{ "vcpu_quota", config_read_tune, config_write_tune, VM_FIELD(cputune.vcpu_quota), false },
	{ "vcpupin", config_read_vcpupin, config_write_vcpupin, VM_FIELD(pin), true },
	{ "vcpus", read_vcpus, write_vcpus, VM_FIELD(vcpus), false },
	{ "video", config_read_video, config_write_video, VM_FIELD(video), false },
	{ 0 }
};

_Static_assert(ARRAY_COUNT(config_vm_keys) <= 65, "a bit of `seen` each");

const struct key config_host_keys[] = {
	{ "hostname", read_hostname, write_text, 0, sizeof(struct config_host), false },
	{ 0 }
};

static void write_rows(const struct writer *w, const struct key *k, const void *from,
		       const char *skip)
{
	for (; k->name; k++)
		if (!skip || strcmp(k->name, skip))
			k->write(w, k, from);
}

void config_write_vm(const struct config_vm *vm, const char *skip, config_emit *emit, void *arg)
{
	emit(arg, "[vm ");
	emit(arg, vm->name);
	emit(arg, "]\n");
	write_rows(&(struct writer){ emit, arg }, config_vm_keys, vm, skip);
}

void config_write_host(const struct config_host *host, config_emit *emit, void *arg)
{
	emit(arg, "[host]\n");
	write_rows(&(struct writer){ emit, arg }, config_host_keys, host, NULL);
}

uint64_t config_seen_bit(const char *name)
{
	for (unsigned i = 0; config_vm_keys[i].name; i++)
		if (!strcmp(config_vm_keys[i].name, name))
			return 1ul << i;
	return 0;
}

bool config_key_repeats(const char *name)
{
	for (const struct key *k = config_vm_keys; k->name; k++)
		if (!strcmp(k->name, name))
			return k->repeats;
	return false;
}

/* "autostart, cmdline ...". */
static void list_keys(const struct key *keys, char *out, size_t size)
{
	size_t n = 0;

	out[0] = 0;
	for (unsigned i = 0; keys[i].name && n < size; i++)
		n += (size_t)format(out + n, size - n, "%s%s", i ? ", " : "", keys[i].name);
}

void config_handle_key(struct parser *p, const struct key *keys, struct piece name, struct piece v)
{
	char known[480];

	for (unsigned i = 0; keys[i].name; i++) {
		if (!config_equals(name, keys[i].name))
			continue;
		if (p->seen & 1ul << i && !keys[i].repeats)
			config_fail(p, p->line, "%s stands twice in this section", keys[i].name);
		else
			keys[i].read(p, &keys[i], v);
		p->seen |= 1ul << i;
		return;
	}
	list_keys(keys, known, sizeof(known));
	config_fail(p, p->line, "unknown key '%s': %s %s", config_quote(name).s, known,
		  keys[1].name ? "are known" : "is known");
}
