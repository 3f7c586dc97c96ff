/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Management as a whole: reads keel.conf and defines its domains, runs the thread that acts on
 * their ends, and switches the host off in order. kernel/main.c brings it up; shell/ and a network
 * API use the rest of mgmt/.
 */
#pragma once

#include "boot/bootinfo.h"
#include "kernel/nodedev.h"
#include "mgmt/error.h"

/* What lies below or beside mgmt's layer and is handed in. */
struct mgmt_platform {
	void (*power_off)(void);
	void (*power_reboot)(void);
	bool (*cpu_virtual)(unsigned cpu);	/* is SVM or VMX on there? NULL: on every CPU */
	const char *(*console)(void);		/* where the console is; NULL: not told */
	/* What is wrong with Keel's command line, by number; NULL: nothing. */
	bool (*cmdline_error)(unsigned i, char *text, size_t size);
	nodedev_get *device;			/* NULL: there are none */
};

/*
 * Boot CPU, thread context, when vmm_ops is chosen and all CPUs are up. Errors in keel.conf are
 * logged, none is fatal.
 */
void mgmt_init(const struct mgmt_platform *platform, const struct bootinfo *boot);
/* Starts the domains that ask for it, in the background. */
void mgmt_autostart(void);
struct config_host;
const struct config_host *mgmt_host(void);	/* as keel.conf has it */
bool mgmt_cpu_virtual(unsigned cpu);	/* SVM or VMX is on there */
const char *mgmt_console(void);
bool mgmt_cmdline_error(unsigned i, char *text, size_t size);
bool mgmt_device(unsigned i, struct nodedev *out);

enum mgmt_power { MGMT_POWER_OFF, MGMT_POWER_REBOOT };

/*
 * Returns at once. Running guests are asked to shut down and have `grace_ns`; what is left then is
 * destroyed, and the machine goes off or starts again. 0: all are destroyed at once; a second call
 * may shorten the first one's grace.
 */
int mgmt_power(enum mgmt_power what, uint64_t grace_ns, struct mgmt_error *err);
#define MGMT_GRACE_NS	(30ull * 1000000000)

/*
 * One round of the management thread; when it wants to be called again at the latest. For host
 * tests.
 */
uint64_t mgmt_round(void);
