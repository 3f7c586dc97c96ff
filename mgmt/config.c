/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Design. The text is cut into lines, a line into key and value, each handled by its section's
 * table of keys: a row knows the key's name, how its value is read, and into which field. A row
 * that is seen twice in a section is an error, unless it may repeat. Whatever is quoted in an error
 * is cut and made printable first, since the text may be anything.
 */
#include "mgmt/config_parser.h"

#include "include/bits.h"
#include "include/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "mm/heap.h"

struct name {
	struct name *next;
	char text[CONFIG_NAME_MAX];
};

void config_fail(struct parser *p, unsigned line, const char *fmt, ...)
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

struct quoted config_quote(struct piece v)
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

bool config_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

struct piece config_trim(struct piece v)
{
	while (v.n && config_is_space(v.s[0]))
		v = (struct piece){ v.s + 1, v.n - 1 };
	while (v.n && config_is_space(v.s[v.n - 1]))
		v.n--;
	return v;
}

bool config_equals(struct piece v, const char *word)
{
	return v.n == strlen(word) && !memcmp(v.s, word, v.n);
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

	if (!(p->seen & config_seen_bit("topology"))) {
		*t = (struct cpu_topology){ 1, vm->vcpus, 1 };
		return;
	}
	cpu_topology_format(t, text);
	if (made > p->limits->vcpus_max)
		config_fail(p, vm->line, "VM '%s': its topology (%s) has more than %u vcpus",
			  vm->name, text, p->limits->vcpus_max);
	else if (!(p->seen & config_seen_bit("vcpus")))
		vm->vcpus = (unsigned)made;
	else if (vm->vcpus != made)
		config_fail(p, vm->line, "VM '%s' has %u vcpus, but its topology (%s) has %lu",
			  vm->name, vm->vcpus, text, made);
}

/* What a VM is started with is not right. */
static void fail_image(struct parser *p, const char *why)
{
	const struct config_vm *vm = p->vm;
	bool firmware = vm->firmware[0];
	const char *name = firmware ? vm->firmware : vm->kernel;

	config_fail(p, firmware ? vm->firmware_line : vm->kernel_line, "%s '%s': %s",
		    firmware ? "firmware" : "kernel",
		    config_quote((struct piece){ name, strlen(name) }).s, why);
}

/* What can be said only when a VM's section is complete. */
static void check_vm(struct parser *p)
{
	const struct config_limits *l = p->limits;
	struct config_vm *vm = p->vm;
	char why[160] = "";

	if (!(p->seen & (config_seen_bit("kernel") | config_seen_bit("firmware"))))
		config_fail(p, vm->line, "VM '%s' has no kernel, nor firmware", vm->name);
	if (!(p->seen & config_seen_bit("memory")))
		config_fail(p, vm->line, "VM '%s' has no memory, as in memory = 192M", vm->name);
	if (!p->vm_bad)
		check_topology(p);
	for (const struct config_pin *pin = vm->pin; pin; pin = pin->next)
		if (!p->vm_bad && pin->vcpu >= vm->vcpus)
			config_fail(p, pin->line, "vcpupin: VM '%s' has no vCPU %u, but %u vcpus",
				    vm->name, pin->vcpu, vm->vcpus);
	if ((p->seen & config_seen_bit("uuid")) && uuid_is_taken(p->out, vm->uuid))
		config_fail(p, p->uuid_line, "another VM has that uuid");
	if ((vm->option_rom || vm->nvram[0]) && !vm->firmware[0])
		config_fail(p, vm->line, "VM '%s' has %s and no firmware to use it", vm->name,
			    vm->nvram[0] ? "nvram" : "an option_rom");
	if (!p->vm_bad)
		config_check_boot(p);
	if (!p->vm_bad)
		config_default_video(p);
	if (!p->vm_bad && l->check && l->check(l->arg, vm, why, sizeof(why)))
		fail_image(p, why);
}

static void end_section(struct parser *p)
{
	if (p->section == SECTION_VM) {
		check_vm(p);
		if (p->vm_bad) {
			config_vm_put(p->vm);
		} else {
			/* Marks what config_parse is to fill when the host's name is known. */
			if (!(p->seen & config_seen_bit("uuid")))
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
		if (config_equals(name, n->text))
			return true;
	return false;
}

static int remember_name(struct parser *p, struct piece name)
{
	struct name *n = heap_alloc(sizeof(*n));

	if (!n)
		return -ENOMEM;
	config_copy_piece(n->text, name);
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
		if (!config_digit(name.s[i], 10, &d))
			return config_uuid_of(name, uuid);
	return true;
}

static int begin_vm(struct parser *p, struct piece name)
{
	if (!config_name_is_right(name)) {
		config_fail(
			p, p->line,
			"the VM's name '%s' is not right: 1 to %d letters, digits, '.', '_', '-' are allowed",
			config_quote(name).s, CONFIG_NAME_MAX - 1);
		return 0;
	}
	if (name_is_misleading(name)) {
		config_fail(p, p->line,
			  "the VM's name '%s' looks like an id or a UUID: put a letter into it",
			  config_quote(name).s);
		return 0;
	}
	if (name_is_taken(p, name)) {
		config_fail(p, p->line, "there is a VM '%s' already", config_quote(name).s);
		return 0;
	}
	if (p->name_count == CONFIG_VM_MAX) {
		config_fail(p, p->line, "more than %d VMs", CONFIG_VM_MAX);
		return 0;
	}
	p->vm = remember_name(p, name) ? NULL : heap_alloc(sizeof(*p->vm));
	if (!p->vm)
		return -ENOMEM;
	p->vm->vcpus = 1;
	cpu_set_fill(&p->vm->cpuset);
	p->vm->on_reboot = CONFIG_RESTART;
	p->vm->line = p->line;
	p->vm_bad = false;
	config_copy_piece(p->vm->name, name);
	p->section = SECTION_VM;
	return 0;
}

/* "[host]" or "[vm NAME]"; `v` lies between the brackets. Keys below a section that is wrong are
 * passed over. */
static int begin_section(struct parser *p, struct piece v)
{
	end_section(p);
	v = config_trim(v);
	p->section = SECTION_BAD;
	if (config_equals(v, "host")) {
		if (p->host_seen)
			config_fail(p, p->line, "there is a section [host] already");
		else
			p->section = SECTION_HOST;
		p->host_seen = true;
		return 0;
	}
	if (v.n >= 2 && !memcmp(v.s, "vm", 2) && (v.n == 2 || config_is_space(v.s[2])))
		return begin_vm(p, config_trim((struct piece){ v.s + 2, v.n - 2 }));
	config_fail(p, p->line, "unknown section [%s]: [host] and [vm NAME] are known", config_quote(v).s);
	return 0;
}

/* A comment begins at ; or #, where a line or its value begins or behind a blank. */
static struct piece uncomment(struct piece v)
{
	bool may = true, equal = false;

	for (size_t i = 0; i < v.n; i++) {
		char c = v.s[i];

		if (may && (c == ';' || c == '#'))
			return (struct piece){ v.s, i };
		may = config_is_space(c) || (c == '=' && !equal);
		equal |= c == '=';
	}
	return v;
}

static int handle_line(struct parser *p, struct piece line)
{
	struct piece v = config_trim(uncomment(line)), name;
	const char *equal;

	if (!v.n)
		return 0;
	if (v.s[0] == '[') {
		if (v.s[v.n - 1] == ']')
			return begin_section(p, (struct piece){ v.s + 1, v.n - 2 });
		end_section(p);
		p->section = SECTION_BAD;
		config_fail(p, p->line, "the section '%s' is not closed by ]", config_quote(v).s);
		return 0;
	}
	if (p->section == SECTION_BAD)
		return 0;
	equal = memchr(v.s, '=', v.n);
	if (!equal) {
		config_fail(p, p->line, "'%s' is neither a section nor KEY = VALUE", config_quote(v).s);
		return 0;
	}
	name = config_trim((struct piece){ v.s, (size_t)(equal - v.s) });
	v = config_trim((struct piece){ equal + 1, v.n - (size_t)(equal - v.s) - 1 });
	if (p->section == SECTION_NONE)
		config_fail(p, p->line, "'%s' stands before the first section", config_quote(name).s);
	else if (p->section == SECTION_HOST)
		config_handle_key(p, config_host_keys, name, v);
	else
		config_handle_key(p, config_vm_keys, name, v);
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
			make_uuid(c->host.hostname, c->vm[i]->name, c->vm[i]->uuid);
}

int config_parse(struct config *out, const char *text, size_t size,
		 const struct config_limits *limits)
{
	struct parser *p = heap_alloc(sizeof(*p));
	int err;

	memset(out, 0, sizeof(*out));
	str_copy(out->host.hostname, limits->host ? limits->host->hostname : "keel",
		 sizeof(out->host.hostname));
	if (!p)
		return -ENOMEM;
	p->out = out;
	p->limits = limits;
	err = parse_lines(p, text, size);
	config_vm_put(p->vm);
	forget_names(p);
	heap_free(p);
	if (err)
		config_fini(out);
	else
		fill_uuids(out);
	return err;
}

void config_vm_get(struct config_vm *vm)
{
	__atomic_fetch_add(&vm->refs, 1, __ATOMIC_RELAXED);
}

static void free_devices(struct config_device *d)
{
	while (d) {
		struct config_device *next = d->next;

		heap_free(d);
		d = next;
	}
}

static void free_modules(struct config_module *m)
{
	struct config_module *next;

	for (; m; m = next) {
		next = m->next;
		heap_free(m);
	}
}

static void free_pins(struct config_pin *pin)
{
	struct config_pin *next;

	for (; pin; pin = next) {
		next = pin->next;
		heap_free(pin);
	}
}

void config_vm_put(struct config_vm *vm)
{
	if (!vm || __atomic_fetch_sub(&vm->refs, 1, __ATOMIC_ACQ_REL))
		return;
	free_modules(vm->module);
	free_modules(vm->option_rom);
	free_devices(vm->device);
	free_devices(vm->disk);
	free_devices(vm->nic);
	free_pins(vm->pin);
	free_devices(vm->cdrom);
	free_devices(vm->channel);
	free_devices(vm->video);
	heap_free(vm);
}

void config_fini(struct config *c)
{
	for (unsigned i = 0; i < c->vm_count; i++)
		config_vm_put(c->vm[i]);
	c->vm_count = 0;
}
