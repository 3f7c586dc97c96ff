/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Verbs about a domain's disks and drives; see mgmt/verb.h.
 */
#include "lib/string.h"
#include "mgmt/answers.h"
#include "mgmt/verb_run.h"

static int kind_of(struct verb_call *c, enum domain_media_what *out)
{
	unsigned given = (c->arg[3] != NULL) + (c->arg[4] != NULL) + (c->arg[5] != NULL);

	if (given > 1)
		return error_set(&c->error, -EINVAL, "'--eject', '--insert' and '--update' go alone");
	*out = c->arg[3] ? DOMAIN_MEDIA_EJECT : c->arg[4] ? DOMAIN_MEDIA_INSERT
							  : DOMAIN_MEDIA_UPDATE;
	return 0;
}

int verb_run_change_media(struct verb_call *c)
{
	struct domain_media m = {
		.target = c->arg[1], .source = c->arg[2], .force = c->arg[6],
	};
	unsigned how = 0;
	int e = kind_of(c, &m.what) ?: verb_affects(c, 7, &how);

	return e ?: domain_media_change(c->domain, how, &m, &c->error);
}

int verb_run_domblklist(struct verb_call *c)
{
	domain_disks(c->domain, !c->arg[1], &c->answer);
	return 0;
}

int verb_run_domblkinfo(struct verb_call *c)
{
	struct domain_disk found, *to;
	int e = domain_disk_find(c->domain, true, c->arg[1], &found, &c->error);

	to = e ? NULL : records_add(&c->answer);
	if (to)
		*to = found;
	return e;
}
