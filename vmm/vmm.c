/* SPDX-License-Identifier: BSD-2-Clause */
/* Choosing the back end; see vmm.h. */
#include "vmm/vmm.h"

#include "cpu/percpu.h"
#include "include/errno.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "lib/string.h"

#define WHY_MAX	160

const struct vmm_ops *vmm_ops;

static bool cpu_on PERCPU;

void vmm_init(const struct vmm_ops *const *backends, unsigned count)
{
	char why[WHY_MAX], best[WHY_MAX] =
		"this CPU shows neither VMX nor SVM: enable VT-x or SVM in the firmware's settings, or use a CPU that has it";
	int err;

	for (unsigned i = 0; i < count; i++) {
		err = backends[i]->probe(why, sizeof(why));
		if (!err) {
			vmm_ops = backends[i];
			vmm_ops->describe(why, sizeof(why));
			log_info("vmm: %s: %s", vmm_ops->name, why);
			return;
		}
		/* What is there but not usable is worth more words than what is not there. */
		if (err != -ENOENT)
			str_copy(best, why, sizeof(best));
	}
	fatal_boot("%s", best);
}

int vmm_cpu_enable(void)
{
	int err = vmm_ops->cpu_enable();

	this_cpu(cpu_on) = !err;
	return err;
}

void vmm_cpu_disable(void)
{
	bool was_on = this_cpu(cpu_on);

	/* First: a panic in here comes here again. */
	this_cpu(cpu_on) = false;
	if (was_on)
		vmm_ops->cpu_disable();
}

bool vmm_cpu_on(unsigned cpu)
{
	return per_cpu(cpu_on, cpu);
}
