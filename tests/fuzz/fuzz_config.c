/* SPDX-License-Identifier: BSD-2-Clause */
/* links: mgmt/config*.c vmm/cpu_model.c vmm/cpu_topology.c kernel/cpu_set.c lib/format.c
 * tests/host/heap.c */
/*
 * Any bytes as keel.conf: what is defined is within the limits, and the same when it was written
 * and read again; what is said is printable.
 */
#include "mgmt/config.h"

#include <stdlib.h>
#include <string.h>

#include "config_round.h"
#include "include/addr.h"

static bool module(void *arg, const char *name)
{
	(void)arg;
	return strlen(name) < 100;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct config_limits limits = { .vcpus_max = 8, .memory_max = GIB, .module = module };
	static struct config c;

	if (config_parse(&c, (const char *)data, size, &limits))
		abort();
	for (unsigned i = 0; i < c.vm_count; i++) {
		const struct config_vm *v = c.vm[i];

		if (!v->name[0] || !v->kernel[0] || !v->vcpus || v->vcpus > 8 || !v->memory ||
		    v->memory > GIB || v->memory % 4096)
			abort();
	}
	if (!config_round(&c, &limits))
		abort();
	for (unsigned i = 0; i < c.error_count && i < CONFIG_ERROR_MAX; i++)
		for (const char *s = c.error[i].text; *s; s++)
			if (*s < ' ' || *s > '~')
				abort();
	config_fini(&c);
	return 0;
}
