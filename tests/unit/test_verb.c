/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every row of the table of verbs, over domains whose vm only remembers: with what it wants, with
 * too little, too much and bent arguments, without memory. Each answer is gone through by its
 * shape, as a remote caller would. No verb prints: there is no terminal here that it could print
 * on, and nothing in the log but what domains do.
 */
/* links: mgmt/domain*.c mgmt/registry.c mgmt/job.c mgmt/verb*.c mgmt/shape.c mgmt/records.c
 * mgmt/text.c mgmt/events.c mgmt/error.c mgmt/console.c mgmt/config*.c vmm/cpu_model.c
 * vmm/cpu_topology.c kernel/cpu_set.c kernel/log.c kernel/sched_group.c lib/format.c
 * lib/png.c lib/deflate.c lib/crc.c
 * tests/host/fake_vm.c tests/host/fake_host.c tests/host/one_thread.c tests/host/heap.c
 * tests/host/panic.c tests/host/spinlock.c tests/host/percpu.c tests/host/tsc.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/percpu.h"
#include "cpu/tsc.h"
#include "fake_vm.h"
#include "kernel/log.h"
#include "kernel/thread.h"
#include "mgmt/answers.h"
#include "mgmt/domain_struct.h"
#include "mgmt/shape.h"
#include "mgmt/text.h"
#include "mgmt/verb.h"
#include "mm/heap.h"

extern unsigned host_heap_left, fake_host_power;
bool fake_host_settle(void);

static void settle(void)
{
	while (fake_host_settle())
		;
}

static int begin_with(const char *text)
{
	struct verb_call c = { .arg = { text } };
	int e = verb_run(&verb_table[VERB_DEFINE], &c);

	verb_end(&c);
	return e;
}

static int setup(void **state)
{
	(void)state;
	fake_vm_reset();
	host_tsc = 1000000000;
	fake_host_power = 0;
	assert_int_equal(begin_with("[vm debian]\nkernel = vmlinuz\nmemory = 64M\nvcpus = 2\n"
				    "cmdline = a < b & 'c'\ncdrom = disc, port=1\n"), 0);
	return 0;
}

static int teardown(void **state)
{
	struct domain *d, *tmp;

	(void)state;
	host_heap_left = ~0u;
	list_for_each_safe(d, tmp, &domain_list, link) {
		(void)!domain_destroy(d, NULL);
		settle();
	}
	list_for_each_safe(d, tmp, &domain_list, link) {
		assert_int_equal(d->refs, 1);
		domain_get(d);
		assert_int_equal(domain_undefine(d, NULL), 0);
		domain_put(d);
	}
	assert_int_equal(fake.alive, 0);
	return 0;
}

/* --- answers, by their shapes */

static void check_records(const struct records *r, bool many);

static void check_field(const struct field *f, const char *at)
{
	switch (f->kind) {
	case FIELD_TEXT:
		assert_non_null(memchr(at, 0, f->size));
		break;
	case FIELD_WORD:
	case FIELD_LONG:
		assert_int_equal(f->size, sizeof(char *));
		if (*(const char *const *)at)
			(void)strlen(*(const char *const *)at);
		break;
	case FIELD_NUMBER:
	case FIELD_SIGNED:
		assert_true(f->size == 1 || f->size == 2 || f->size == 4 || f->size == 8);
		break;
	case FIELD_YES:
		assert_int_equal(f->size, sizeof(bool));
		assert_in_range(*(const uint8_t *)at, 0, 1);
		break;
	case FIELD_UUID:
		assert_int_equal(f->size, 16);
		break;
	case FIELD_LIST:
		assert_ptr_equal(shape_lists[f->of], ((const struct records *)at)->shape);
		check_records((const struct records *)at, true);
		break;
	default:
		fail_msg("'%s' is of no kind", f->name);
	}
}

static void check_records(const struct records *r, bool many)
{
	assert_false(r->cut);
	if (!many)
		assert_int_equal(r->count, 1);
	for (unsigned i = 0; i < r->count; i++)
		for (const struct field *f = r->shape->field; f->name; f++) {
			assert_true(f->offset + f->size <= r->shape->size);
			check_field(f, (const char *)records_at(r, i) + f->offset);
		}
}

/* --- every row */

/* What each verb is content with, but for the domain, a number or a flag. */
static const char *text_for(enum verb_id id)
{
	switch (id) {
	case VERB_CHANGE_MEDIA:
	case VERB_DOMBLKINFO:
		return "disc";
	case VERB_DEFINE:
		return "[vm web]\nkernel = k\nmemory = 4M\n";
	case VERB_EVENT:
		return "lifecycle";
	case VERB_LOG:
		return "info";
	case VERB_NODEDEV_DUMPXML:
	case VERB_NODEDEV_INFO:
		return "pci_0000_00_1f_2";
	case VERB_SEND_MOUSE:
		return "1 -1 LEFT";
	case VERB_SETMAXMEM:
	case VERB_SETMEM:
		return "32M";
	case VERB_SCHEDINFO:
		return "cpu_shares=512";
	case VERB_VCPUPIN:
		return "0";
	default:
		return "1";
	}
}

static struct fake_screen screen;

static uint32_t stripes(unsigned x, unsigned y)
{
	return x / 10 % 2 ? 0xff0000 : y;
}

/* What was streamed; `stream_room`: what is wanted of it. */
static uint8_t stream[1 << 20];
static size_t stream_count, stream_room = sizeof(stream);
static void (*stream_meanwhile)(void);

/* As slow as a terminal: no domain's lock is held meanwhile. */
static int take_stream(void *arg, const void *data, size_t n)
{
	struct domain *d;

	list_for_each(d, &domain_list, link)
		assert_false(mutex_held(&d->lock));
	assert_ptr_equal(arg, stream);
	if (stream_meanwhile)
		stream_meanwhile();
	if (stream_count + n > stream_room)
		return -EINTR;
	memcpy(stream + stream_count, data, n);
	stream_count += n;
	return 0;
}

/* In which state the domain has to be for it. */
static void prepare(enum verb_id id)
{
	static const enum verb_id active[] = {
		VERB_DESTROY, VERB_DOMMEMCHECK, VERB_DOMSTATECHECK, VERB_INJECT_NMI, VERB_REBOOT,
		VERB_RESET, VERB_RESUME, VERB_SHUTDOWN, VERB_SUSPEND, VERB_VCPUINFO, VERB_DOMSTATS,
		VERB_DOMINFO, VERB_VCPUPIN, VERB_SCHEDINFO, VERB_CHANGE_MEDIA, VERB_SETMEM,
		VERB_DOMMEMSTAT, VERB_SEND_KEY, VERB_SCREENSHOT,
		VERB_SEND_MOUSE,
	};
	static struct virtio_balloon_info balloon;
	struct verb_call c = { .arg = { "debian" } };

	fake.balloon = &balloon;
	fake.screen = &screen;
	screen = (struct fake_screen){ .mode = { .width = 100, .height = 50 }, .pixel = stripes };

	for (unsigned i = 0; i < ARRAY_COUNT(active); i++)
		if (active[i] == id) {
			assert_int_equal(verb_run(&verb_table[VERB_START], &c), 0);
			settle();
			if (id == VERB_RESUME)
				assert_int_equal(domain_suspend(c.domain, NULL), 0);
			verb_end(&c);
		}
	if (id == VERB_DOMJOBABORT) {
		assert_int_equal(verb_run(&verb_table[VERB_START], &c), 0);
		verb_end(&c);
	}
}

/* Goes with no other. */
static bool is_alone(const char *flag)
{
	return !strcmp(flag, "current") || !strcmp(flag, "eject") || !strcmp(flag, "insert");
}

/* All but a flag that goes with no other. */
static void give_all(const struct verb *v, struct verb_call *c)
{
	*c = (struct verb_call){ .put = take_stream, .put_arg = stream };
	stream_count = 0;
	for (unsigned i = 0; v->arg[i].name; i++)
		c->arg[i] = v->arg[i].kind == VERB_DOMAIN ? "debian" :
			    is_alone(v->arg[i].name) ? NULL :
			    v->arg[i].kind == VERB_FLAG ? "" :
			    v->arg[i].kind == VERB_NUMBER ? "0" :
			    text_for((enum verb_id)(v - verb_table));
}

static int run_to_the_end(const struct verb *v, struct verb_call *c)
{
	int e = verb_run(v, c);

	if (!e && c->job)
		e = job_finish(c->job, &c->error);
	settle();
	return e;
}

static void rows_are_complete(void **state)
{
	(void)state;
	for (unsigned i = 0; i < VERB_COUNT; i++) {
		const struct verb *v = &verb_table[i];
		unsigned n = 0;

		assert_non_null(v->name);
		assert_ptr_equal(verb_find(v->name), v);
		assert_true(!v->run != !v->on_domain);
		assert_true(!v->stream || (!v->answer && strchr(v->stream, '/')));
		while (v->arg[n].name)
			n++;
		assert_in_range(n, 0, VERB_ARGS);
		if (v->on_domain)
			assert_true(n == 1 && v->arg[0].kind == VERB_DOMAIN && v->arg[0].required);
	}
	assert_null(verb_find("nonsense"));
}

static void each_answers_as_declared(void **state)
{
	struct verb_call c;

	for (unsigned i = 0; i < VERB_COUNT; i++) {
		const struct verb *v = &verb_table[i];

		prepare((enum verb_id)i);
		give_all(v, &c);
		assert_int_equal(run_to_the_end(v, &c), 0);
		assert_ptr_equal(c.answer.shape, v->answer);
		if (v->answer)
			check_records(&c.answer, v->many);
		else
			assert_int_equal(c.answer.count, 0);
		assert_true(!stream_count == !v->stream);
		verb_end(&c);
		teardown(state);
		setup(state);
	}
}

/* Without anything, without one that is required, with one too many, each of them bent. */
static void bent_arguments(void **state)
{
	static const char *const bent[] = {
		[VERB_DOMAIN] = "nobody", [VERB_TEXT] = "\x1b[2J\n", [VERB_FLAG] = "x",
		[VERB_NUMBER] = "12x",
	};
	static const char *const numbers[] = { "", "-1", " 1", "0x10", "1234567890123456789" };
	static char longest[VERB_TEXT_MAX + 2];
	struct verb_call c;

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	for (unsigned i = 0; i < VERB_COUNT; i++) {
		const struct verb *v = &verb_table[i];
		unsigned n;

		for (n = 0; v->arg[n].name; n++) {
			const struct verb_arg *a = &v->arg[n];

			if (a->required) {
				give_all(v, &c);
				c.arg[n] = NULL;
				assert_int_equal(verb_run(v, &c), -EINVAL);
				assert_non_null(strstr(c.error.message, a->name));
				verb_end(&c);
			}
			give_all(v, &c);
			c.arg[n] = bent[a->kind];
			assert_in_range(-verb_run(v, &c), 1, 200);
			assert_int_not_equal(c.error.message[0], 0);
			for (const char *p = c.error.message; *p; p++)
				assert_true((uint8_t)*p >= ' ' && *p != 0x7f);
			assert_int_equal(c.answer.count, 0);
			verb_end(&c);
			for (unsigned k = 0; a->kind == VERB_NUMBER && k < 5; k++) {
				give_all(v, &c);
				c.arg[n] = numbers[k];
				assert_int_equal(verb_run(v, &c), -EINVAL);
				assert_non_null(strstr(c.error.message, "wants a number"));
				verb_end(&c);
			}
			if (a->kind != VERB_TEXT)
				continue;
			give_all(v, &c);
			c.arg[n] = longest;
			assert_int_equal(verb_run(v, &c), -E2BIG);
			verb_end(&c);
		}
		for (; n < VERB_ARGS; n++) {
			give_all(v, &c);
			c.arg[n] = "more";
			assert_int_equal(verb_run(v, &c), -EINVAL);
			assert_non_null(strstr(c.error.message, "and no more"));
			verb_end(&c);
		}
	}
	assert_int_equal(fake.created, 0);
	assert_int_equal(fake_host_power, 0);
}

/* With memory for so many pieces and no more: an error or a whole answer, and nothing is left. */
static void without_memory(void **state)
{
	struct verb_call c;

	(void)state;
	for (unsigned i = 0; i < VERB_COUNT; i++)
		for (unsigned left = 0; left < 6; left++) {
			const struct verb *v = &verb_table[i];
			int e;

			if (i == VERB_START || i == VERB_DEFINE || i == VERB_UNDEFINE ||
			    i == VERB_POWEROFF)
				continue;
			give_all(v, &c);
			host_heap_left = left;
			e = verb_run(v, &c);
			host_heap_left = ~0u;
			settle();
			if (!e && v->answer)
				check_records(&c.answer, v->many);
			else
				assert_int_equal(c.answer.count, 0);
			if (e && v->answer && i != VERB_VCPUINFO && i != VERB_VCPUPIN &&
			    i != VERB_DOMMEMSTAT &&
			    i != VERB_SCHEDINFO)
				assert_int_equal(e, -ENOMEM);
			verb_end(&c);
		}
}

/* Records stay where they are, in any order, and go with what belongs to them. */
static void records_by_number(void **state)
{
	struct records r = { .shape = &shape_text };
	struct answer_text *t, *first = NULL;
	char text[16];

	(void)state;
	assert_null(records_at(&r, 0));
	for (unsigned i = 0; i < 3000; i++) {
		t = records_add(&r);
		assert_non_null(t);
		assert_null(t->text);
		sprintf(text, "%u", i);
		t->text = heap_strdup(text);
		first = first ?: t;
	}
	assert_ptr_equal(records_at(&r, 0), first);
	for (unsigned i = 0; i < 3000; i++) {
		unsigned k = i * 1237 % 3000;

		sprintf(text, "%u", k);
		t = records_at(&r, k);
		assert_string_equal(t->text, text);
	}
	assert_null(records_at(&r, 3000));
	host_heap_left = 0;
	while (records_add(&r))
		;
	host_heap_left = ~0u;
	assert_false(records_whole(&r));
	records_fini(&r);
	assert_int_equal(r.count, 0);
}

/* --- what some of them say */

static void *ask(enum verb_id id, struct verb_call *c, const char *a, const char *b)
{
	*c = (struct verb_call){ .arg = { a, b } };
	assert_int_equal(verb_run(&verb_table[id], c), 0);
	return records_at(&c->answer, 0);
}

static unsigned count(enum verb_id id, const char *a, const char *b)
{
	struct verb_call c;
	unsigned n;

	(void)ask(id, &c, a, b);
	n = c.answer.count;
	verb_end(&c);
	return n;
}

/* One vCPU's, or all; changed only with both, and what is told is whole or an error. */
static void pins(void **state)
{
	const struct verb *v = &verb_table[VERB_VCPUPIN];
	struct answer_pin *p;
	struct verb_call c;

	(void)state;
	assert_int_equal(begin_with("[vm web]\nkernel = k\nmemory = 4M\nvcpus = 3\n"
				    "vcpupin = 1:0\n"), 0);
	assert_int_equal(count(VERB_VCPUPIN, "web", NULL), 3);
	assert_int_equal(count(VERB_VCPUPIN, "web", "1"), 1);
	p = ask(VERB_VCPUPIN, &c, "web", "1");
	assert_int_equal(p->vcpu, 1);
	assert_string_equal(p->cpus, "0");
	verb_end(&c);
	c = (struct verb_call){ .arg = { "web", "3" } };
	assert_int_equal(verb_run(v, &c), -ENOENT);
	verb_end(&c);
	c = (struct verb_call){ .arg = { "web", NULL, "0" } };
	assert_int_equal(verb_run(v, &c), -EINVAL);
	verb_end(&c);
	c = (struct verb_call){ .arg = { "web" } };
	host_heap_left = 0;
	assert_int_equal(verb_run(v, &c), -ENOMEM);
	host_heap_left = ~0u;
	verb_end(&c);
}

static void lists(void **state)
{
	(void)state;
	assert_int_equal(begin_with("[vm web]\nkernel = k\nmemory = 4M\n"), 0);
	assert_int_equal(count(VERB_LIST, NULL, NULL), 0);
	assert_int_equal(count(VERB_LIST, "", NULL), 2);
	assert_int_equal(count(VERB_LIST, NULL, ""), 2);
	prepare(VERB_DOMINFO);
	assert_int_equal(count(VERB_LIST, NULL, NULL), 1);
	assert_int_equal(count(VERB_LIST, NULL, ""), 1);
	assert_int_equal(count(VERB_NODECPUSTATS, NULL, NULL), 2);
	assert_int_equal(count(VERB_NODECPUSTATS, "1", NULL), 1);
	assert_int_equal(count(VERB_TRACE, NULL, NULL), 32);
	assert_int_equal(count(VERB_TRACE, "5", NULL), 5);
}

static void log_by_level_and_number(void **state)
{
	struct verb_call c;
	struct log_line *l;
	uint64_t from;
	char text[24];

	(void)state;
	log_error("test: an error");
	log_debug("test: a detail");
	(void)ask(VERB_LOG, &c, NULL, NULL);
	l = records_at(&c.answer, c.answer.count - 1);
	assert_string_equal(l->text, "test: a detail");
	from = l->sequence;
	verb_end(&c);
	(void)ask(VERB_LOG, &c, "error", NULL);
	records_for_each(l, &c.answer)
		assert_int_equal(l->level, LOG_ERROR);
	l = records_at(&c.answer, c.answer.count - 1);
	assert_string_equal(l->text, "test: an error");
	verb_end(&c);
	sprintf(text, "%lu", (unsigned long)from);
	assert_int_equal(count(VERB_LOG, NULL, text), 1);
	sprintf(text, "%lu", (unsigned long)from + 1);
	assert_int_equal(count(VERB_LOG, NULL, text), 0);
}

/* --- XML: a checker that knows elements, attributes and texts, and takes nothing else */

static const char *skip_name(const char *p)
{
	const char *start = p;

	while ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_' || *p == ':' ||
	       (p > start && ((*p >= '0' && *p <= '9') || *p == '-')))
		p++;
	if (p == start)
		fail_msg("a name is wanted at '%.40s'", p);
	return p;
}

/* Text up to one of `end`; '&' begins one of the five names or a number. */
static const char *skip_text(const char *p, const char *end)
{
	static const char *const names[] = { "amp;", "lt;", "gt;", "apos;", "quot;" };

	for (; !strchr(end, *p); p++) {
		bool known = false;

		assert_true(*p && *p != '<' && ((uint8_t)*p >= ' ' || *p == '\n'));
		if (*p != '&')
			continue;
		for (unsigned i = 0; i < ARRAY_COUNT(names); i++)
			known |= !strncmp(p + 1, names[i], strlen(names[i]));
		assert_true(known || (p[1] == '#' && strspn(p + 2, "0123456789")));
	}
	return p;
}

static const char *skip_element(const char *p)
{
	const char *name = p + 1, *end;
	size_t n;

	assert_int_equal(*p, '<');
	p = skip_name(name);
	n = (size_t)(p - name);
	while (*p == ' ') {
		p = skip_name(p + 1);
		assert_int_equal(strncmp(p, "='", 2), 0);
		p = skip_text(p + 2, "'") + 1;
	}
	if (!strncmp(p, "/>", 2))
		return p + 2;
	assert_int_equal(*p++, '>');
	for (;;) {
		p = skip_text(p, "<");
		if (p[1] == '/')
			break;
		p = skip_element(p);
	}
	end = p + 2;
	assert_int_equal(strncmp(end, name, n), 0);
	assert_int_equal(end[n], '>');
	return end + n + 1;
}

static void is_document(const char *text)
{
	assert_string_equal(skip_element(text), "\n");
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no '%s' in:\n%s", part, text);
}

static void domain_as_xml(void **state)
{
	struct answer_text *a;
	struct verb_call c;

	(void)state;
	assert_int_equal(begin_with("[vm web]\nkernel = k<1>\nmemory = 64M\nmodule = m'\" x<&>y\n"
				    "topology = 2 sockets, 3 cores\ncpu = host, -aes, -x2apic\n"
				    "cmdline = a=\"b\" 'c' <d> & \xc3\xa9 \xc3 \xed\xa0\x80 "
				    "\xf0\x9f\x98\x80\xff]]>\non_crash = preserve\n"
				    "debug_exit = yes\ncpuset = 0-1,^0\nvcpupin = 2:0\ncpu_shares = 2048\n"
				    "global_quota = 5000\nvcpu_quota = 2000\nnic = cable=a\n"
				    "nic = cable=b, model=e1000e, mac=52:54:00:0a:bc:de\n"), 0);
	a = ask(VERB_DUMPXML, &c, "web", NULL);
	is_document(a->text);
	assert_null(strstr(a->text, " id='"));
	has(a->text, "<domain type='keel'>\n  <name>web</name>\n  <uuid>");
	has(a->text, "<keel:debug_exit/>\n      <keel:module name='m&apos;&quot;'>x&lt;&amp;&gt;y<");
	has(a->text, "<memory unit='KiB'>65536</memory>");
	has(a->text, "<vcpu placement='static' cpuset='1'>6</vcpu>\n  <cputune>\n"
		     "    <shares>2048</shares>\n    <quota>2000</quota>\n"
		     "    <global_quota>5000</global_quota>\n"
		     "    <vcpupin vcpu='2' cpuset='0'/>\n  </cputune>\n");
	has(a->text, "<kernel>k&lt;1&gt;</kernel>\n    <cmdline>a=&quot;b&quot; &apos;c&apos; &lt;d&gt; "
		     "&amp; \xc3\xa9 \xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd "
		     "\xf0\x9f\x98\x80\xef\xbf\xbd]]&gt;</cmdline>");
	has(a->text, "<topology sockets='2' dies='1' cores='3' threads='1'/>\n"
		     "    <feature policy='disable' name='x2apic'/>\n"
		     "    <feature policy='disable' name='aes'/>\n  </cpu>");
	has(a->text, "<on_reboot>restart</on_reboot>\n  <on_crash>preserve</on_crash>");
	has(a->text, "<interface type='network'>\n      <source network='a'/>\n"
		     "      <model type='virtio'/>\n      <address type='pci' ");
	has(a->text, "<mac address='52:54:00:0a:bc:de'/>\n      <source network='b'/>\n"
		     "      <model type='e1000e'/>");
	verb_end(&c);
	prepare(VERB_DOMINFO);
	a = ask(VERB_DUMPXML, &c, "debian", NULL);
	is_document(a->text);
	has(a->text, "<domain type='keel' id='");
	assert_null(strstr(a->text, "<metadata>"));
	assert_null(strstr(a->text, "cputune"));
	has(a->text, "<vcpu placement='static'>2</vcpu>");
	verb_end(&c);
	a = ask(VERB_DUMPXML, &c, "debian", "");
	assert_null(strstr(a->text, " id='"));
	verb_end(&c);
	a = ask(VERB_CAPABILITIES, &c, NULL, NULL);
	is_document(a->text);
	verb_end(&c);
}

static void boot_order_as_xml(void **state)
{
	struct answer_text *a;
	struct verb_call c;

	(void)state;
	assert_int_equal(begin_with("[vm f]\nfirmware = f\nmemory = 8M\n"
				    "disk = disk, boot=2\nnic = cable=a, boot=1\n"), 0);
	a = ask(VERB_DUMPXML, &c, "f", NULL);
	is_document(a->text);
	has(a->text, "<transient/>\n      <boot order='2'/>\n");
	has(a->text, "<model type='virtio'/>\n      <boot order='1'/>\n");
	verb_end(&c);
}

static int send_keys(const char *keys, struct mgmt_error *err)
{
	struct verb_call c = { .arg = { "debian", keys } };
	int e = verb_run(&verb_table[VERB_SEND_KEY], &c);

	*err = c.error;
	verb_end(&c);
	return e;
}

static void keys_refused(const char *keys, int code, const char *why)
{
	struct mgmt_error err;

	fake.key_count = 0;
	assert_int_equal(send_keys(keys, &err), code);
	if (!strstr(err.message, why))
		fail_msg("'%s', and not '%s'", err.message, why);
}

/* They are released in the reverse order, also where one of them cannot be pressed. */
static void keys(void **state)
{
	struct mgmt_error err;

	(void)state;
	prepare(VERB_SEND_KEY);
	assert_int_equal(send_keys("KEY_LEFTCTRL  KEY_RIGHTALT 111", &err), 0);
	assert_int_equal(fake.key_count, 12);
	assert_memory_equal(fake.keys, "\x1d\1\xb8\1\xd3\1\xd3\0\xb8\0\x1d", 12);
	fake.key_count = 0;
	assert_int_equal(send_keys("KEY_102ND 88 KEY_ESC KEY_P", &err), 0);
	assert_memory_equal(fake.keys, "\x56\1\x58\1\x01\1\x19\1", 8);
	keys_refused("KEY_", -EINVAL, "no key 'KEY_'");
	keys_refused("KEY_A KEY_NONE", -EINVAL, "no key 'KEY_NONE'");
	keys_refused("0", -EINVAL, "no key '0'");
	keys_refused("84", -EINVAL, "no key '84'");
	keys_refused("KEY_84", -EINVAL, "no key");
	keys_refused("1000", -EINVAL, "no key");
	keys_refused("a", -EINVAL, "no key 'a'");
	keys_refused(" ", -EINVAL, "no key is named");
	keys_refused("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17", -E2BIG, "at most 16");
	assert_int_equal(fake.key_count, 0);
	fake.keys_full = 3;
	assert_int_equal(send_keys("30", &err), 0);
	assert_int_equal(fake.key_count, 4);
	fake.keys_full = 1000;
	keys_refused("30", -EAGAIN, "does not read its keyboard");
	fake.keys_full = 0;
	fake.key_error = -EPERM;
	keys_refused("30", -EPERM, "switched its keyboard off");
	fake.key_error = 0;
}

static int shoot(struct mgmt_error *err)
{
	struct verb_call c = {
		.arg = { "debian" }, .put = take_stream, .put_arg = stream,
	};
	int e;

	stream_count = 0;
	e = verb_run(&verb_table[VERB_SCREENSHOT], &c);
	*err = c.error;
	verb_end(&c);
	return e;
}

static void no_shot(int code, const char *why)
{
	struct mgmt_error err;

	assert_int_equal(shoot(&err), code);
	has(err.message, why);
}

static unsigned big(unsigned at)
{
	return (unsigned)stream[at] << 24 | stream[at + 1] << 16 | stream[at + 2] << 8 |
	       stream[at + 3];
}

/* Another mode, and then no guest any more, in the middle of a picture. */
static void smaller(void)
{
	screen.mode.width = screen.mode.height = 3;
}

static void gone(void)
{
	if (stream_count > 100)
		fake.screen = NULL;
}

/* Nobody to take it, no screen, no mode, nobody who wants more; not more than there can be. */
static void screenshots(void **state)
{
	struct verb_call c = { .arg = { "debian" } };
	struct mgmt_error err;

	(void)state;
	no_shot(-EPERM, "is shut off");
	prepare(VERB_SCREENSHOT);
	assert_int_equal(verb_run(&verb_table[VERB_SCREENSHOT], &c), -EINVAL);
	has(c.error.message, "answers by image/png");
	verb_end(&c);
	fake.screen = NULL;
	no_shot(-ENODEV, "'video = vga'");
	fake.screen = &screen;
	screen.mode.height = 0;
	no_shot(-EAGAIN, "shows nothing yet");
	screen.mode.height = 50;
	assert_int_equal(shoot(&err), 0);
	assert_memory_equal(stream, "\x89PNG", 4);
	assert_memory_equal(stream + stream_count - 8, "IEND", 4);
	assert_int_equal(big(16), 100);
	assert_int_equal(big(20), 50);
	assert_int_equal(stream[24], 8);
	assert_int_equal(stream[25], 3);
	for (unsigned i = 0; i < 200; i++) {
		stream_room = i;
		no_shot(-EINTR, "given up");
	}
	stream_room = sizeof(stream);
	host_heap_left = 0;
	no_shot(-ENOMEM, "no memory for a picture");
	host_heap_left = ~0u;
	screen.mode.width = screen.mode.height = 100000;
	assert_int_equal(shoot(&err), 0);
	assert_int_equal(big(16), VVGA_WIDTH_MAX);
	assert_int_equal(big(20), VVGA_HEIGHT_MAX);
	stream_meanwhile = smaller;
	screen.mode.width = screen.mode.height = 300;
	assert_int_equal(shoot(&err), 0);
	assert_int_equal(big(16), 300);
	assert_memory_equal(stream + stream_count - 8, "IEND", 4);
	stream_meanwhile = gone;
	screen.mode.width = screen.mode.height = 1000;
	no_shot(-ENODEV, "has no screen");
	stream_meanwhile = NULL;
}

static int send_mouse(const char *motion, struct mgmt_error *err)
{
	struct verb_call c = { .arg = { "debian", motion } };
	int e = verb_run(&verb_table[VERB_SEND_MOUSE], &c);

	*err = c.error;
	verb_end(&c);
	return e;
}

static void motion_refused(const char *motion, int code, const char *why)
{
	struct mgmt_error err;

	assert_int_equal(send_mouse(motion, &err), code);
	if (!strstr(err.message, why))
		fail_msg("'%s', and not '%s'", err.message, why);
}

/* It is moved first; what is pressed is released. */
static void mouse(void **state)
{
	struct mgmt_error err;

	(void)state;
	prepare(VERB_SEND_MOUSE);
	fake.moves = 0;
	fake.dx = fake.dy = 0;
	assert_int_equal(send_mouse(" 10000  -10000 DOWN ", &err), 0);
	assert_int_equal(fake.moves, 1);
	assert_int_equal(fake.dx, 10000);
	assert_int_equal(fake.dy, -10000);
	assert_int_equal(fake.wheel, 1);
	fake.keys_full = 3;
	fake.pressed = 0;
	assert_int_equal(send_mouse("+0 0 LEFT EXTRA UP UP", &err), 0);
	assert_int_equal(fake.moves, 4);
	assert_int_equal(fake.wheel, -1);
	assert_int_equal(fake.pressed, 0x11);
	assert_int_equal(fake.held, 0);
	motion_refused("", -EINVAL, "two numbers");
	motion_refused("1", -EINVAL, "two numbers");
	motion_refused("1 LEFT", -EINVAL, "'LEFT' is no distance");
	motion_refused("1 -", -EINVAL, "'-' is no distance");
	motion_refused("1- 1", -EINVAL, "'1-' is no distance");
	motion_refused("10001 0", -EINVAL, "10000 at most");
	motion_refused("0 99999999999999999999", -EINVAL, "no distance");
	motion_refused("0 0 LEF", -EINVAL, "no button 'LEF'");
	motion_refused("0 0 LEFTS", -EINVAL, "no button 'LEFTS'");
	assert_int_equal(fake.moves, 4);
	fake.keys_full = 1000;
	motion_refused("1 1", -EAGAIN, "does not read its mouse");
	fake.keys_full = 0;
	fake.key_error = -EPERM;
	motion_refused("1 1", -EPERM, "switched its mouse off");
	fake.key_error = -ENOSYS;
	motion_refused("1 1", -ENOSYS, "has no mouse");
	fake.key_error = 0;
}

static void device_as_xml(void **state)
{
	struct answer_text *a;
	struct verb_call c;

	(void)state;
	a = ask(VERB_NODEDEV_DUMPXML, &c, "pci_0000_00_1f_2", NULL);
	is_document(a->text);
	has(a->text, "<device>\n  <name>pci_0000_00_1f_2</name>\n  <parent>computer</parent>\n"
		     "  <capability type='pci'>\n    <class>0x010601</class>\n");
	has(a->text, "<product id='0x2922'/>\n    <vendor id='0x8086'/>");
	verb_end(&c);
}

/* Any text that a configuration can have. */
static void any_text_as_xml(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		static const char often[] = "&<>'\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80;#";
		struct text t = { 0 };
		char s[64], *all;
		unsigned n = 0;

		while (n < sizeof(s) - 1) {
			seed = seed * 1664525 + 1013904223;
			s[n++] = seed >> 31 ? often[(seed >> 8) % (sizeof(often) - 1)]
					    : (char)(1 + (seed >> 16) % 255);
		}
		s[n] = 0;
		text_add(&t, "<a b='");
		text_add_xml(&t, s);
		text_add(&t, "'>");
		text_add_xml(&t, s);
		text_add(&t, "</a>\n");
		all = text_take(&t);
		is_document(all);
		heap_free(all);
	}
}

/* --- events */

static const struct answer_event *events_since(struct verb_call *c, uint64_t since,
					       const char *domain)
{
	static char text[24];

	sprintf(text, "%lu", (unsigned long)since);
	return ask(VERB_EVENT, c, text, domain);
}

static const struct domain_event *event(const struct answer_event *a, unsigned i)
{
	return records_at(&a->events, i);
}

static uint64_t now(void)
{
	struct verb_call c;
	const struct answer_event *a = ask(VERB_EVENT, &c, NULL, NULL);
	uint64_t next = a->next;

	assert_int_equal(a->events.count, 0);
	verb_end(&c);
	return next;
}

static void events_are_read_on(void **state)
{
	const struct answer_event *a;
	const struct domain_event *e;
	uint64_t begin = now();
	struct verb_call c;

	(void)state;
	assert_int_equal(begin_with("[vm web]\nkernel = k\nmemory = 4M\n"), 0);
	prepare(VERB_DOMINFO);
	a = events_since(&c, begin, NULL);
	assert_int_equal(a->events.count, 4);
	assert_int_equal(a->lost, 0);
	assert_int_equal(a->next, begin + 4);
	assert_string_equal(event(a, 0)->name, "web");
	assert_string_equal(event(a, 0)->word, "Defined");
	assert_string_equal(event(a, 2)->word, "Started");
	assert_int_equal(event(a, 2)->time_ns, host_tsc);
	verb_end(&c);
	a = events_since(&c, begin, "debian");
	assert_int_equal(a->events.count, 3);
	assert_int_equal(a->next, begin + 4);
	verb_end(&c);
	c = (struct verb_call){ .arg = { "1", NULL, "job" } };
	assert_int_equal(verb_run(&verb_table[VERB_EVENT], &c), 0);
	a = records_at(&c.answer, 0);
	assert_int_not_equal(a->events.count, 0);
	records_for_each(e, &a->events)
		assert_string_equal(e->class, "job");
	verb_end(&c);
	/* Behind all there are: nothing, and where to read on. */
	a = events_since(&c, begin + 1000000, NULL);
	assert_int_equal(a->events.count, 0);
	assert_int_equal(a->next, begin + 4);
	verb_end(&c);
}

static void lost_events_are_counted(void **state)
{
	const struct answer_event *a;
	uint64_t begin = now();
	struct verb_call c;

	(void)state;
	for (unsigned i = 0; i < EVENTS_MAX + 17; i++)
		assert_int_equal(begin_with("[vm debian]\nkernel = k\nmemory = 4M\n"), 0);
	a = events_since(&c, begin, NULL);
	assert_int_equal(a->lost, 17);
	assert_int_equal(a->events.count, EVENTS_MAX);
	assert_int_equal(a->next, begin + EVENTS_MAX + 17);
	verb_end(&c);
	a = events_since(&c, 0, NULL);		/* from the first that there ever was */
	assert_int_equal(a->lost, begin + 17 - 1);
	verb_end(&c);
}

static unsigned woken;

static void wake(struct event_watch *w)
{
	(void)w;
	woken++;
}

static void watches_wake(void **state)
{
	struct event_watch w = { .fn = wake };

	(void)state;
	events_watch(&w);
	prepare(VERB_DOMINFO);
	assert_int_equal(woken, 3);
	events_unwatch(&w);
	teardown(state);
	assert_int_equal(woken, 3);
	setup(state);
}

/* A vm that waits for memory is told once, and once more when it has some. */
static void waiting_for_memory(void **state)
{
	struct domain *d = list_entry(domain_list.next, struct domain, link);
	const struct answer_event *a;
	struct verb_call c;
	uint64_t begin;

	(void)state;
	prepare(VERB_DOMINFO);
	begin = now();
	fake.last->memory_waiters = 1;
	for (unsigned i = 0; i < 3; i++) {
		fake.last->config.starved(fake.last->config.arg);
		settle();
		assert_int_not_equal(domain_due_ns(d), THREAD_FOREVER);
		host_tsc = domain_due_ns(d);
		domain_work(d);
	}
	assert_int_equal(now(), begin + 1);
	fake.last->memory_waiters = 0;
	domain_work(d);
	assert_int_equal(now(), begin + 1);
	host_tsc = domain_due_ns(d);
	domain_work(d);
	assert_int_equal(domain_due_ns(d), THREAD_FOREVER);
	a = events_since(&c, begin, NULL);
	assert_int_equal(a->events.count, 2);
	assert_string_equal(event(a, 0)->class, "memory");
	assert_string_equal(event(a, 0)->word, "Waiting");
	assert_string_equal(event(a, 1)->word, "Came");
	verb_end(&c);
}

/* --- jobs */

static struct mgmt_error refusal;
static uint64_t seen_done, seen_total;

static void abort_it(void)
{
	struct domain *d = list_entry(domain_list.next, struct domain, link);
	struct domain_job j;

	domain_job_get(d, false, &j);
	seen_done = j.done;
	seen_total = j.total;
	(void)!domain_job_abort(d, &refusal);
}

static void checks_are_given_up(void **state)
{
	struct domain *d = list_entry(domain_list.next, struct domain, link);
	struct verb_call c = { .arg = { "debian", "5" } };
	struct domain_job j;

	(void)state;
	prepare(VERB_DOMMEMCHECK);
	fake.meanwhile = abort_it;
	assert_int_equal(run_to_the_end(&verb_table[VERB_DOMMEMCHECK], &c), -EINTR);
	fake.meanwhile = NULL;
	assert_non_null(strstr(c.error.message, "aborted after 1 of 5 rounds"));
	verb_end(&c);
	assert_true(seen_done == 0 && seen_total == 5);
	domain_job_get(d, true, &j);
	assert_string_equal(j.name, "dommemcheck");
	assert_string_equal(j.outcome, "aborted");
	assert_string_equal(j.found_name[1], "marked");
	assert_int_equal(j.found[1], 5);
	assert_int_equal(domain_state(d), DOMAIN_RUNNING);
}

static void some_jobs_cannot_be(void **state)
{
	struct domain *d = list_entry(domain_list.next, struct domain, link);
	struct mgmt_error err;
	struct domain_job j;

	(void)state;
	prepare(VERB_DOMINFO);
	refusal.code = 0;
	fake.meanwhile = abort_it;
	assert_int_equal(domain_suspend(d, NULL), 0);
	fake.meanwhile = NULL;
	assert_int_equal(refusal.code, -EPERM);
	assert_non_null(strstr(refusal.message, "(suspend) cannot be given up: it stands still"));
	fake.last->charge.pages = 256;
	assert_int_equal(domain_destroy(d, NULL), 0);
	fake.last->charge.pages = 64;
	domain_job_get(d, false, &j);
	assert_string_equal(j.name, "end");
	assert_false(j.abortable);
	assert_int_equal(domain_job_abort(d, &err), -EPERM);
	assert_non_null(strstr(err.message, "(end) cannot be given up"));
	assert_int_equal(domain_suspend(d, &err), -EBUSY);
	assert_non_null(strstr(err.message, "is just being ended"));
	settle();
	domain_job_get(d, false, &j);
	assert_string_equal(j.name, "none");
}

/* Of a start's pieces, an event for each eighth. */
static void progress_is_told(void **state)
{
	struct domain *d = list_entry(domain_list.next, struct domain, link);
	struct job j = { .kind = JOB_START, .domain = d, .total = 1000 };
	uint64_t begin = now();
	struct domain_event e;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		domain_job_progress(&j, 1);
	assert_int_equal(now(), begin + 7);
	assert_true(events_read(begin + 6, &e));
	assert_string_equal(e.word, "Progress");
	assert_string_equal(e.detail, "start");
	assert_true(e.done == 875 && e.total == 1000);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(rows_are_complete), TEST(each_answers_as_declared), TEST(bent_arguments),
		TEST(without_memory), TEST(records_by_number), TEST(lists),
		TEST(pins),
		TEST(log_by_level_and_number), TEST(domain_as_xml),
		TEST(boot_order_as_xml), TEST(keys), TEST(screenshots), TEST(device_as_xml),
		TEST(boot_order_as_xml), TEST(keys), TEST(mouse), TEST(device_as_xml),
		TEST(any_text_as_xml),
		TEST(events_are_read_on), TEST(lost_events_are_counted), TEST(watches_wake),
		TEST(waiting_for_memory), TEST(checks_are_given_up), TEST(some_jobs_cannot_be),
		TEST(progress_is_told),
	};

	host_percpu_init(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
