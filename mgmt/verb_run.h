/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The functions behind mgmt/verb.c's rows, for that file alone. Each finds its arguments checked,
 * by the row's order, adds records of the row's shape, and returns 0 or -Exxx with the error.
 */
#pragma once

#include "mgmt/verb.h"

struct text;
/* What has come together is the answer. 0. */
int verb_run_text(struct verb_call *c, struct text *t);

/* --- verb_domain.c */
int verb_run_dominfo(struct verb_call *c);
int verb_run_domjobinfo(struct verb_call *c);
int verb_run_domstats(struct verb_call *c);
int verb_run_dumpconf(struct verb_call *c);
int verb_run_dumpxml(struct verb_call *c);
int verb_run_event(struct verb_call *c);
int verb_run_jobs(struct verb_call *c);
int verb_run_list(struct verb_call *c);
int verb_run_vcpuinfo(struct verb_call *c);

/* --- verb_host.c */
int verb_run_capabilities(struct verb_call *c);
int verb_run_hostname(struct verb_call *c);
int verb_run_irqs(struct verb_call *c);
int verb_run_log(struct verb_call *c);
int verb_run_nodecpustats(struct verb_call *c);
int verb_run_nodedev_dumpxml(struct verb_call *c);
int verb_run_nodedev_info(struct verb_call *c);
int verb_run_nodedev_list(struct verb_call *c);
int verb_run_nodeinfo(struct verb_call *c);
int verb_run_nodememstats(struct verb_call *c);
int verb_run_poweroff(struct verb_call *c);
int verb_run_trace(struct verb_call *c);
int verb_run_uptime(struct verb_call *c);
int verb_run_version(struct verb_call *c);

/* --- verb_media.c */
int verb_run_change_media(struct verb_call *c);
int verb_run_domblkinfo(struct verb_call *c);
int verb_run_domblklist(struct verb_call *c);

/* --- verb_sched.c */
/* *how: from the flags "live", "config" and "current", whose places follow each other. */
int verb_affects(struct verb_call *c, unsigned at, unsigned *how);
int verb_run_schedinfo(struct verb_call *c);
int verb_run_vcpupin(struct verb_call *c);
