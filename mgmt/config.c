/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Design. The text is cut into lines, a line into key and value, each handled by its section's
 * table of keys: a row knows the key's name, how its value is read, and into which field. A row
 * seen twice in a section is an error, but for `module`. Whatever is quoted in an error is cut and
 * made printable first, since the text may be anything.
 */
#include "mgmt/config.h"

#include "include/bits.h"
#include "include/addr.h"
#include "include/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mm/heap.h"

#define MEMORY_MIN	(2 * MIB)

/* A piece of the text; not ended by NUL. */
struct piece {
	const char *s;
	size_t n;
};

enum section { SECTION_NONE, SECTION_HOST, SECTION_VM, SECTION_BAD };

struct parser {
	struct config *out;
	const struct config_limits *limits;
	unsigned line;
	enum section section;
	struct config_vm *vm;		/* of SECTION_VM; not yet in out->vm */
	bool vm_bad;			/* an error in its section */
	uint32_t seen;			/* keys of the section, by row */
	bool host_seen;
	unsigned uuid_line;
	struct name *names;		/* of every section, right or wrong */
	unsigned name_count;
};

struct name {
	struct name *next;
	char text[CONFIG_NAME_MAX];
};

/* One key: its name and what reads its value; false after having told the error. */
struct key {
	const char *name;
	bool (*read)(struct parser *p, const struct key *k, struct piece v);
	size_t field;			/* offset in struct config_vm or struct config */
	size_t size;			/* of a text field */
};

static void add_error(struct parser *p, unsigned line, const char *fmt, ...) printf_like(3, 4);

static void add_error(struct parser *p, unsigned line, const char *fmt, ...)
{
	struct config_error *e;
	va_list ap;

	if (p->section == SECTION_VM)
		p->vm_bad = true;
	if (p->out->error_count++ >= CONFIG_ERROR_MAX)
		return;
	e = &p->out->error[p->out->error_count - 1];
	e->line = line;
	va_start(ap, fmt);
	format_v(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
}

/* What the user wrote, printable and not too long. */
struct quoted {
	char s[48];
};

static struct quoted quote(struct piece v)
{
	struct quoted q;
	size_t n = MIN(v.n, sizeof(q.s) - 4);

	for (size_t i = 0; i < n; i++)
		q.s[i] = v.s[i] >= ' ' && v.s[i] <= '~' ? v.s[i] : '?';
	q.s[n] = 0;
	if (n < v.n)
		memcpy(q.s + n, "...", 4);
	return q;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static struct piece trim(struct piece v)
{
	while (v.n && is_space(v.s[0]))
		v = (struct piece){ v.s + 1, v.n - 1 };
	while (v.n && is_space(v.s[v.n - 1]))
		v.n--;
	return v;
}

static bool equals(struct piece v, const char *word)
{
	return v.n == strlen(word) && !memcmp(v.s, word, v.n);
}

static bool digit(char c, unsigned base, unsigned *out)
{
	*out = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
	       : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
	       : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
				      : 16;
	return *out < base;
}

/* Digits only. */
static bool read_number(struct piece v, uint64_t *out)
{
	unsigned d;

	*out = 0;
	if (!v.n)
		return false;
	for (size_t i = 0; i < v.n; i++)
		if (!digit(v.s[i], 10, &d) || __builtin_mul_overflow(*out, 10ul, out) ||
		    __builtin_add_overflow(*out, d, out))
			return false;
	return true;
}

/* ---- values */

static void *field_of(struct parser *p, const struct key *k)
{
	return (char *)(p->section == SECTION_HOST ? (void *)p->out : p->vm) + k->field;
}

static bool name_is_right(struct piece v)
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

static void copy_piece(char *dst, struct piece v)
{
	memcpy(dst, v.s, v.n);
	dst[v.n] = 0;
}

static bool read_hostname(struct parser *p, const struct key *k, struct piece v)
{
	if (!name_is_right(v)) {
		add_error(
			p, p->line,
			"%s '%s' is not right: 1 to %d letters, digits, '.', '_', '-' are allowed",
			k->name, quote(v).s, CONFIG_NAME_MAX - 1);
		return false;
	}
	copy_piece(field_of(p, k), v);
	return true;
}

static bool read_text_into(struct parser *p, const char *name, struct piece v, char *out,
			   size_t size)
{
	if (v.n >= size) {
		add_error(p, p->line, "%s has %zu characters, at most %zu are allowed", name, v.n,
			  size - 1);
		return false;
	}
	for (size_t i = 0; i < v.n; i++) {
		if ((uint8_t)v.s[i] < ' ' || v.s[i] == 0x7f) {
			add_error(p, p->line, "%s contains the control character 0x%02x", name,
				  (uint8_t)v.s[i]);
			return false;
		}
	}
	copy_piece(out, v);
	return true;
}

static bool read_text(struct parser *p, const struct key *k, struct piece v)
{
	return read_text_into(p, k->name, v, field_of(p, k), k->size);
}

/* The name of a module that the boot loader brought, into `out`. */
static bool read_module_name(struct parser *p, const struct key *k, struct piece v, char *out)
{
	const struct config_limits *l = p->limits;

	if (!v.n) {
		add_error(p, p->line, "%s names no module", k->name);
		return false;
	}
	if (!read_text_into(p, k->name, v, out, CONFIG_MODULE_MAX))
		return false;
	if (l->module && !l->module(l->arg, out)) {
		add_error(p, p->line,
			  "%s: there is no module '%s': give it to GRUB (tools/mkiso NAME=FILE)",
			  k->name, quote(v).s);
		return false;
	}
	return true;
}

static bool read_module(struct parser *p, const struct key *k, struct piece v)
{
	*(k->field == offsetof(struct config_vm, kernel) ? &p->vm->kernel_line
							 : &p->vm->initrd_line) = p->line;
	return read_module_name(p, k, v, field_of(p, k));
}

/* "NAME ARGUMENTS": one more module of the list. */
static bool read_more_module(struct parser *p, const struct key *k, struct piece v)
{
	struct config_module **end = field_of(p, k), *m = heap_alloc(sizeof(*m));
	size_t n = 0;

	while (*end)
		end = &(*end)->next;
	while (n < v.n && !is_space(v.s[n]))
		n++;
	if (!m)
		add_error(p, p->line, "%s: no memory for it", k->name);
	if (m && read_module_name(p, k, (struct piece){ v.s, n }, m->name) &&
	    read_text_into(p, k->name, trim((struct piece){ v.s + n, v.n - n }), m->arguments,
			   sizeof(m->arguments))) {
		*end = m;
		return true;
	}
	heap_free(m);
	return false;
}

static bool read_vcpus(struct parser *p, const struct key *k, struct piece v)
{
	uint64_t n;

	if (!read_number(v, &n) || n < 1 || n > p->limits->vcpus_max) {
		add_error(p, p->line, "%s = %s is not right: 1 to %u are allowed", k->name,
			  quote(v).s, p->limits->vcpus_max);
		return false;
	}
	*(unsigned *)field_of(p, k) = (unsigned)n;
	return true;
}

static bool read_topology(struct parser *p, const struct key *k, struct piece v)
{
	bool right = cpu_topology_parse(field_of(p, k), v.s, v.n);

	if (!right)
		add_error(p, p->line, "%s = %s is not right: it looks like 2 sockets, 4 cores, "
			  "2 threads", k->name, quote(v).s);
	return right;
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
		add_error(p, p->line, "%s: %s", k->name, why);
	return !err;
}

/* A number with K, M, G (KiB, KB and so on are too many ways to say the same). */
static bool read_memory(struct parser *p, const struct key *k, struct piece v)
{
	static const char suffixes[] = "KMG";
	const char *suffix = v.n ? strchr(suffixes, v.s[v.n - 1] & ~0x20) : NULL;
	unsigned shift = suffix && *suffix ? (unsigned)(suffix - suffixes + 1) * 10 : 0;
	uint64_t n;

	if (!read_number(trim((struct piece){ v.s, v.n - (shift ? 1 : 0) }), &n) ||
	    n > ~0ul >> shift) {
		add_error(p, p->line,
			  "%s = %s is not right: a number with K, M or G is wanted, as in 192M",
			  k->name, quote(v).s);
		return false;
	}
	n <<= shift;
	if (n < MEMORY_MIN || n > p->limits->memory_max) {
		add_error(p, p->line, "%s = %s is not possible: %luM to %luM are allowed", k->name,
			  quote(v).s, MEMORY_MIN / MIB, p->limits->memory_max / MIB);
		return false;
	}
	if (!IS_ALIGNED(n, PAGE_SIZE)) {
		add_error(p, p->line, "%s = %s is not a multiple of 4K", k->name, quote(v).s);
		return false;
	}
	*(uint64_t *)field_of(p, k) = n;
	return true;
}

static bool read_bool(struct parser *p, const struct key *k, struct piece v)
{
	if (!equals(v, "yes") && !equals(v, "no")) {
		add_error(p, p->line, "%s = %s is not right: yes or no is allowed", k->name,
			  quote(v).s);
		return false;
	}
	*(bool *)field_of(p, k) = equals(v, "yes");
	return true;
}

static const char *const action_names[] = { "destroy", "restart", "preserve" };

const char *config_action_name(enum config_action a)
{
	return (unsigned)a < ARRAY_COUNT(action_names) ? action_names[a] : "?";
}

static bool read_action(struct parser *p, const struct key *k, struct piece v)
{
	for (unsigned i = 0; i < ARRAY_COUNT(action_names); i++) {
		if (equals(v, action_names[i])) {
			*(enum config_action *)field_of(p, k) = (enum config_action)i;
			return true;
		}
	}
	add_error(p, p->line, "%s = %s is not right: destroy, restart or preserve is allowed",
		  k->name, quote(v).s);
	return false;
}

/* 32 hexadecimal digits, hyphens where they usually are or nowhere. */
static bool uuid_of(struct piece v, uint8_t out[16])
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
		if (!digit(v.s[i], 16, &d))
			return false;
		out[digits / 2] = (uint8_t)(out[digits / 2] << 4 | d);
		digits++;
	}
	return true;
}

static bool read_uuid(struct parser *p, const struct key *k, struct piece v)
{
	bool right = uuid_of(v, field_of(p, k));

	if (!right)
		add_error(p, p->line,
			  "%s = %s is not right: 32 hexadecimal digits are wanted, as in "
			  "6b1c1f2e-0d6a-4c1e-9f57-0a52d6c3e811",
			  k->name, quote(v).s);
	p->uuid_line = p->line;
	return right;
}

/* ---- keys */

#define VM_FIELD(f)	offsetof(struct config_vm, f), sizeof(((struct config_vm *)0)->f)

static const struct key vm_keys[] = {
	{ "autostart", read_bool, VM_FIELD(autostart) },
	{ "cmdline", read_text, VM_FIELD(cmdline) },
	{ "cpu", read_cpu, VM_FIELD(cpu) },
	{ "debug_exit", read_bool, VM_FIELD(debug_exit) },
	{ "initrd", read_module, VM_FIELD(initrd) },
	{ "kernel", read_module, VM_FIELD(kernel) },
	{ "memory", read_memory, VM_FIELD(memory) },
	{ "module", read_more_module, VM_FIELD(module) },
	{ "on_crash", read_action, VM_FIELD(on_crash) },
	{ "on_poweroff", read_action, VM_FIELD(on_poweroff) },
	{ "on_reboot", read_action, VM_FIELD(on_reboot) },
	{ "topology", read_topology, VM_FIELD(topology) },
	{ "uuid", read_uuid, VM_FIELD(uuid) },
	{ "vcpus", read_vcpus, VM_FIELD(vcpus) },
};

static const struct key host_keys[] = {
	{ "hostname", read_hostname, offsetof(struct config, hostname), CONFIG_NAME_MAX },
};

static uint32_t seen_bit(const char *name)
{
	for (unsigned i = 0; i < ARRAY_COUNT(vm_keys); i++)
		if (!strcmp(vm_keys[i].name, name))
			return 1u << i;
	return 0;
}

/* "autostart, cmdline ...". */
static void list_keys(const struct key *keys, unsigned count, char *out, size_t size)
{
	size_t n = 0;

	out[0] = 0;
	for (unsigned i = 0; i < count && n < size; i++)
		n += (size_t)format(out + n, size - n, "%s%s", i ? ", " : "", keys[i].name);
}

static void handle_key(struct parser *p, const struct key *keys, unsigned count, struct piece name,
		       struct piece v)
{
	char known[160];

	for (unsigned i = 0; i < count; i++) {
		if (!equals(name, keys[i].name))
			continue;
		if (p->seen & 1u << i && keys[i].read != read_more_module)
			add_error(p, p->line, "%s stands twice in this section", keys[i].name);
		else
			keys[i].read(p, &keys[i], v);
		p->seen |= 1u << i;
		return;
	}
	list_keys(keys, count, known, sizeof(known));
	add_error(p, p->line, "unknown key '%s': %s %s", quote(name).s, known,
		  count > 1 ? "are known" : "is known");
}

/* ---- sections */

/* A UUID that stays the same as long as host and VM keep their names (RFC 9562, version 8). */
static void make_uuid(const char *hostname, const char *name, uint8_t uuid[16])
{
	uint64_t a = str_hash(str_hash(STR_HASH_START, hostname), name);
	uint64_t b = str_hash(str_hash(a ^ 0x9e3779b97f4a7c15ul, name), hostname);

	memcpy(uuid, &a, 8);
	memcpy(uuid + 8, &b, 8);
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x80);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

static bool uuid_is_taken(const struct config *c, const uint8_t uuid[16])
{
	for (unsigned i = 0; i < c->vm_count; i++)
		if (!memcmp(c->vm[i]->uuid, uuid, 16))
			return true;
	return false;
}

/* The topology is complete, and has as many vCPUs as the VM. */
static void check_topology(struct parser *p)
{
	struct config_vm *vm = p->vm;
	struct cpu_topology *t = &vm->topology;
	uint64_t made = cpu_topology_vcpus(t);
	char text[CPU_TOPOLOGY_TEXT];

	if (!(p->seen & seen_bit("topology"))) {
		*t = (struct cpu_topology){ 1, vm->vcpus, 1 };
		return;
	}
	cpu_topology_format(t, text);
	if (made > p->limits->vcpus_max)
		add_error(p, vm->line, "VM '%s': its topology (%s) has more than %u vcpus",
			  vm->name, text, p->limits->vcpus_max);
	else if (!(p->seen & seen_bit("vcpus")))
		vm->vcpus = (unsigned)made;
	else if (vm->vcpus != made)
		add_error(p, vm->line, "VM '%s' has %u vcpus, but its topology (%s) has %lu",
			  vm->name, vm->vcpus, text, made);
}

/* What can be said only when a VM's section is complete. */
static void check_vm(struct parser *p)
{
	const struct config_limits *l = p->limits;
	struct config_vm *vm = p->vm;
	char why[160] = "";

	if (!(p->seen & seen_bit("kernel")))
		add_error(p, vm->line, "VM '%s' has no kernel", vm->name);
	if (!(p->seen & seen_bit("memory")))
		add_error(p, vm->line, "VM '%s' has no memory, as in memory = 192M", vm->name);
	if (!p->vm_bad)
		check_topology(p);
	if ((p->seen & seen_bit("uuid")) && uuid_is_taken(p->out, vm->uuid))
		add_error(p, p->uuid_line, "another VM has that uuid");
	if (!p->vm_bad && l->check && l->check(l->arg, vm, why, sizeof(why)))
		add_error(p, vm->kernel_line, "kernel '%s': %s",
			  quote((struct piece){ vm->kernel, strlen(vm->kernel) }).s, why);
}

static void end_section(struct parser *p)
{
	if (p->section == SECTION_VM) {
		check_vm(p);
		if (p->vm_bad) {
			config_vm_free(p->vm);
		} else {
			/* Marks what config_parse is to fill when the host's name is known. */
			if (!(p->seen & seen_bit("uuid")))
				memset(p->vm->uuid, 0, sizeof(p->vm->uuid));
			p->out->vm[p->out->vm_count++] = p->vm;
		}
		p->vm = NULL;
	}
	p->section = SECTION_NONE;
	p->seen = 0;
}

static bool name_is_taken(const struct parser *p, struct piece name)
{
	for (const struct name *n = p->names; n; n = n->next)
		if (equals(name, n->text))
			return true;
	return false;
}

static int remember_name(struct parser *p, struct piece name)
{
	struct name *n = heap_alloc(sizeof(*n));

	if (!n)
		return -ENOMEM;
	copy_piece(n->text, name);
	n->next = p->names;
	p->names = n;
	p->name_count++;
	return 0;
}

static void forget_names(struct parser *p)
{
	while (p->names) {
		struct name *n = p->names;

		p->names = n->next;
		heap_free(n);
	}
}

/* Commands take a name, an id or a UUID: a name must not be either of the others. */
static bool name_is_misleading(struct piece name)
{
	uint8_t uuid[16];
	unsigned d;

	for (size_t i = 0; i < name.n; i++)
		if (!digit(name.s[i], 10, &d))
			return uuid_of(name, uuid);
	return true;
}

static int begin_vm(struct parser *p, struct piece name)
{
	if (!name_is_right(name)) {
		add_error(
			p, p->line,
			"the VM's name '%s' is not right: 1 to %d letters, digits, '.', '_', '-' are allowed",
			quote(name).s, CONFIG_NAME_MAX - 1);
		return 0;
	}
	if (name_is_misleading(name)) {
		add_error(p, p->line,
			  "the VM's name '%s' looks like an id or a UUID: put a letter into it",
			  quote(name).s);
		return 0;
	}
	if (name_is_taken(p, name)) {
		add_error(p, p->line, "there is a VM '%s' already", quote(name).s);
		return 0;
	}
	if (p->name_count == CONFIG_VM_MAX) {
		add_error(p, p->line, "more than %d VMs", CONFIG_VM_MAX);
		return 0;
	}
	p->vm = remember_name(p, name) ? NULL : heap_alloc(sizeof(*p->vm));
	if (!p->vm)
		return -ENOMEM;
	p->vm->vcpus = 1;
	p->vm->on_reboot = CONFIG_RESTART;
	p->vm->line = p->line;
	p->vm_bad = false;
	copy_piece(p->vm->name, name);
	p->section = SECTION_VM;
	return 0;
}

/* "[host]" or "[vm NAME]"; `v` lies between the brackets. Keys below a section that is wrong are
 * passed over. */
static int begin_section(struct parser *p, struct piece v)
{
	end_section(p);
	v = trim(v);
	p->section = SECTION_BAD;
	if (equals(v, "host")) {
		if (p->host_seen)
			add_error(p, p->line, "there is a section [host] already");
		else
			p->section = SECTION_HOST;
		p->host_seen = true;
		return 0;
	}
	if (v.n >= 2 && !memcmp(v.s, "vm", 2) && (v.n == 2 || is_space(v.s[2])))
		return begin_vm(p, trim((struct piece){ v.s + 2, v.n - 2 }));
	add_error(p, p->line, "unknown section [%s]: [host] and [vm NAME] are known", quote(v).s);
	return 0;
}

/* A comment begins at ; or #, at the line's start or behind a blank, in values too. */
static struct piece without_comment(struct piece v)
{
	for (size_t i = 0; i < v.n; i++)
		if ((v.s[i] == ';' || v.s[i] == '#') && (i == 0 || is_space(v.s[i - 1])))
			return (struct piece){ v.s, i };
	return v;
}

static int handle_line(struct parser *p, struct piece line)
{
	struct piece v = trim(without_comment(line)), name;
	const char *equal;

	if (!v.n)
		return 0;
	if (v.s[0] == '[') {
		if (v.s[v.n - 1] == ']')
			return begin_section(p, (struct piece){ v.s + 1, v.n - 2 });
		end_section(p);
		p->section = SECTION_BAD;
		add_error(p, p->line, "the section '%s' is not closed by ]", quote(v).s);
		return 0;
	}
	if (p->section == SECTION_BAD)
		return 0;
	equal = memchr(v.s, '=', v.n);
	if (!equal) {
		add_error(p, p->line, "'%s' is neither a section nor KEY = VALUE", quote(v).s);
		return 0;
	}
	name = trim((struct piece){ v.s, (size_t)(equal - v.s) });
	v = trim((struct piece){ equal + 1, v.n - (size_t)(equal - v.s) - 1 });
	if (p->section == SECTION_NONE)
		add_error(p, p->line, "'%s' stands before the first section", quote(name).s);
	else if (p->section == SECTION_HOST)
		handle_key(p, host_keys, ARRAY_COUNT(host_keys), name, v);
	else
		handle_key(p, vm_keys, ARRAY_COUNT(vm_keys), name, v);
	return 0;
}

static int parse_lines(struct parser *p, const char *text, size_t size)
{
	const char *end = text + size, *newline;
	int err = 0;

	while (text < end && !err) {
		newline = memchr(text, '\n', (size_t)(end - text)) ?: end;
		p->line++;
		err = handle_line(p, (struct piece){ text, (size_t)(newline - text) });
		text = newline < end ? newline + 1 : end;
	}
	if (!err)
		end_section(p);
	return err;
}

static void fill_uuids(struct config *c)
{
	static const uint8_t none[16];

	for (unsigned i = 0; i < c->vm_count; i++)
		if (!memcmp(c->vm[i]->uuid, none, 16))
			make_uuid(c->hostname, c->vm[i]->name, c->vm[i]->uuid);
}

int config_parse(struct config *out, const char *text, size_t size,
		 const struct config_limits *limits)
{
	struct parser *p = heap_alloc(sizeof(*p));
	int err;

	memset(out, 0, sizeof(*out));
	str_copy(out->hostname, "keel", sizeof(out->hostname));
	if (!p)
		return -ENOMEM;
	p->out = out;
	p->limits = limits;
	err = parse_lines(p, text, size);
	config_vm_free(p->vm);
	forget_names(p);
	heap_free(p);
	if (err)
		config_fini(out);
	else
		fill_uuids(out);
	return err;
}

void config_vm_free(struct config_vm *vm)
{
	struct config_module *m, *next;

	for (m = vm ? vm->module : NULL; m; m = next) {
		next = m->next;
		heap_free(m);
	}
	heap_free(vm);
}

void config_fini(struct config *c)
{
	for (unsigned i = 0; i < c->vm_count; i++)
		config_vm_free(c->vm[i]);
	c->vm_count = 0;
}
