/* SPDX-License-Identifier: BSD-2-Clause */
/* The shapes of what verbs answer; see mgmt/records.h. */
#pragma once

#include "mgmt/records.h"

enum shape_list { SHAPE_LIST_CPUS, SHAPE_LIST_EVENTS, SHAPE_LIST_NAMES, SHAPE_LIST_COUNT };

extern const struct shape *const shape_lists[SHAPE_LIST_COUNT];	/* of lists within records */
extern const struct shape shape_cpu, shape_device, shape_device_name, shape_disk, shape_dominfo,
	shape_event, shape_events, shape_hostname, shape_irq, shape_job, shape_log, shape_memory,
	shape_name, shape_nodeinfo, shape_parameter, shape_pin, shape_row, shape_stat, shape_text,
	shape_trace, shape_uptime, shape_vcpu, shape_version;
