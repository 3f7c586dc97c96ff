/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The answers of verbs, where what mgmt's other headers have is not already one; mgmt/shape.c has
 * the shapes of all.
 */
#pragma once

#include "mgmt/domain.h"
#include "mgmt/events.h"
#include "mgmt/node.h"

struct answer_dominfo {
	struct domain_info info;
	/* Of the guest that runs, or of the next one. */
	char kernel[CONFIG_MODULE_MAX], initrd[CONFIG_MODULE_MAX];
	char cmdline[CONFIG_CMDLINE_MAX];
};

struct answer_job {
	char name[CONFIG_NAME_MAX];	/* the domain's */
	struct domain_job job;
};

struct answer_event {
	uint64_t next;			/* where to read on */
	uint64_t lost;			/* of any domain, since what was asked for */
	struct records events;		/* struct domain_event */
};

struct answer_parameter {
	const char *name;		/* a key of keel.conf */
	int64_t value;
};

struct answer_pin {
	unsigned vcpu;
	char cpus[CPU_SET_TEXT];	/* where it may run */
};

struct answer_text {
	char *text;
};

/* A feature, a quirk with what is done about it, a mistake, a device: whatever has a name. */
struct answer_name {
	char name[192];
	const char *text;		/* NULL: no more is told */
};

struct answer_nodeinfo {
	struct node_info info;
	char console[96];
	struct records cpus;		/* struct node_cpu */
	struct records features, guest_features, quirks;	/* struct answer_name */
};

struct answer_uptime {
	uint64_t ns;
	unsigned running, defined;	/* domains */
};

struct answer_version {
	const char *version, *commit, *loader;
	char *cmdline;
	struct records mistakes;	/* in the command line: struct answer_name */
};
