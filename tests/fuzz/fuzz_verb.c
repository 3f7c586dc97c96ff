/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whatever a remote caller asks: verbs by number, with arguments that are bytes, over domains whose
 * vm only remembers. Each answer is gone through by its shape; whatever was begun ends.
 */
/* links: mgmt/domain*.c mgmt/registry.c mgmt/job.c mgmt/verb*.c mgmt/shape.c mgmt/records.c
 * mgmt/text.c mgmt/events.c mgmt/error.c mgmt/console.c mgmt/config*.c vmm/cpu_model.c
 * vmm/cpu_topology.c kernel/cpu_set.c kernel/log.c kernel/sched_group.c lib/format.c
 * lib/png.c lib/deflate.c lib/crc.c
 * tests/host/fake_vm.c tests/host/fake_host.c tests/host/one_thread.c tests/host/heap.c
 * tests/host/panic.c tests/host/spinlock.c tests/host/percpu.c tests/host/tsc.c */
#include <stdlib.h>
#include <string.h>

#include "cpu/percpu.h"
#include "cpu/tsc.h"
#include "fake_vm.h"
#include "mgmt/domain_struct.h"
#include "mgmt/verb.h"

bool fake_host_settle(void);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t read_sum;	/* so that every byte of an answer is looked at */

static void look(const struct records *r)
{
	for (unsigned i = 0; i < r->count; i++)
		for (const struct field *f = r->shape->field; f->name; f++) {
			const char *at = (const char *)records_at(r, i) + f->offset;

			if (f->kind == FIELD_LIST) {
				look((const struct records *)at);
			} else if (f->kind == FIELD_WORD || f->kind == FIELD_LONG) {
				if (*(const char *const *)at)
					read_sum += strlen(*(const char *const *)at);
			} else if (f->kind == FIELD_TEXT && !memchr(at, 0, f->size)) {
				abort();
			} else {
				for (unsigned b = 0; b < f->size; b++)
					read_sum += (uint8_t)at[b];
			}
		}
}

static void settle(void)
{
	while (fake_host_settle())
		;
}

/* The next argument of the input: what is known, or its own bytes up to a 0. */
static const char *argument(const uint8_t **data, size_t *size, const struct verb_arg *a,
			    char *own, size_t own_size)
{
	static const char *const known[] = { NULL, "debian", "web", "" };
	static const char web[] = "[vm web]\nkernel = k\nmemory = 4M\n";
	uint8_t how;
	size_t n;

	if (!*size)
		return a->kind == VERB_DOMAIN ? "debian" : NULL;
	how = *(*data)++;
	--*size;
	if (how < 4)
		return known[how];
	if (how == 4)
		return web;
	n = strnlen((const char *)*data, *size < own_size - 1 ? *size : own_size - 1);
	memcpy(own, *data, n);
	own[n] = 0;
	n += n < *size;
	*data += n;
	*size -= n;
	return own;
}

static uint32_t pixel(unsigned x, unsigned y)
{
	return x * y;
}

static struct fake_screen screen = {
	.mode = { .width = 33, .height = 20 }, .pixel = pixel,
};

/* Not always all of it. */
static int take_stream(void *arg, const void *data, size_t n)
{
	unsigned *left = arg;

	for (size_t i = 0; i < n; i++)
		read_sum += ((const uint8_t *)data)[i];
	return (*left)-- ? 0 : -EINTR;
}

static void one(const uint8_t **data, size_t *size)
{
	const struct verb *v = &verb_table[*(*data)++ % VERB_COUNT];
	unsigned left = (unsigned)*size % 8;
	struct verb_call c = { .put = take_stream, .put_arg = &left };
	static char own[VERB_ARGS][256];
	unsigned i = 0;
	int e;

	--*size;
	for (; v->arg[i].name; i++)
		c.arg[i] = argument(data, size, &v->arg[i], own[i], sizeof(own[i]));
	/* A check's rounds are real work, even here. */
	if (v->arg == verb_table[VERB_DOMMEMCHECK].arg && c.arg[1] && strlen(c.arg[1]) > 2)
		c.arg[1] = NULL;
	e = verb_run(v, &c);
	if (e && (!c.error.message[0] || c.error.code != e || c.answer.count))
		abort();
	if (!e && !v->many && v->answer && c.answer.count != 1)
		abort();
	if (v->answer)
		look(&c.answer);
	verb_end(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct domain *d, *tmp;

	host_percpu_init(1);
	fake_vm_reset();
	fake.screen = &screen;
	if (domain_define_text("[vm debian]\nkernel = k\nmemory = 4M\n", 35, true, NULL, NULL))
		abort();
	while (size) {
		one(&data, &size);
		if (size & 1)
			settle();
		host_tsc += 1000000;
	}
	settle();
	list_for_each(d, &domain_list, link)
		(void)!domain_destroy(d, NULL);
	settle();
	list_for_each_safe(d, tmp, &domain_list, link) {
		if (d->refs != 1)
			abort();
		domain_get(d);
		if (domain_undefine(d, NULL))
			abort();
		domain_put(d);
	}
	if (fake.alive)
		abort();
	return 0;
}
