/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands about a domain's disks and drives, in virsh's forms.
 */
#include "lib/string.h"
#include "shell/commands.h"
#include "shell/table.h"
#include "shell/tty.h"

/* What lies on an open tray is not in the drive. */
static const char *source_of(const struct domain_disk *d)
{
	return d->open || !d->source[0] ? "-" : d->source;
}

static int run_domblklist(const struct command_args *a)
{
	struct verb_call c = { .arg = { NULL } };
	bool details = command_flag(a, "details");
	const struct domain_disk *d;
	int e = commands_call(a, VERB_DOMBLKLIST, &c);

	if (!e)
		tty_text(details ? " Type   Device   Target   Source\n"
				   "------------------------------------\n"
				 : " Target   Source\n------------------------\n");
	if (!e)
		records_for_each(d, &c.answer) {
			if (details)
				tty_print(" %-6s %-8s", "file", d->device);
			tty_print(" %-8s %s\n", d->target, source_of(d));
		}
	verb_end(&c);
	return e;
}

static int run_domblkinfo(const struct command_args *a)
{
	struct verb_call c = { .arg = { NULL } };
	int e = commands_call(a, VERB_DOMBLKINFO, &c);
	const struct domain_disk *d = e ? NULL : records_at(&c.answer, 0);

	if (d) {
		table_field("Capacity", "%lu", d->size);
		table_field("Allocation", "%lu", d->size);
		table_field("Physical", "%lu", d->size);
	}
	verb_end(&c);
	return e;
}

static int run_change_media(const struct command_args *a)
{
	struct verb_call c = { .arg = { NULL } };
	int e = commands_call(a, VERB_CHANGE_MEDIA, &c);

	if (!e)
		tty_print("Successfully %s media.\n", c.arg[3] ? "ejected" :
						      c.arg[4] ? "inserted" : "updated");
	verb_end(&c);
	return e;
}

static const struct option change_media_options[] = {
	OPTION_DOMAIN(WHAT_DOMAIN),
	{ "path", "the drive's target, or what lies in it", OPTION_TEXT, WHAT_NOTHING, true, true },
	{ "source", "the module that is to be its disc", OPTION_TEXT, WHAT_NOTHING, false, true },
	OPTION_SWITCH("eject", "take the disc out; the tray stays open"),
	OPTION_SWITCH("insert", "put one into an empty drive"),
	OPTION_SWITCH("update", "put one in, whatever lies there; so without any of the three"),
	OPTION_SWITCH("force", "also where the guest holds the tray shut"),
	OPTION_SWITCH("live", "of the guest that runs"),
	OPTION_SWITCH("config", "what holds from its next start"),
	OPTION_SWITCH("current", "the first if it runs, else the second; so without any"),
	OPTION_LAST
};
static const struct option domblklist_options[] = {
	OPTION_DOMAIN(WHAT_DOMAIN),
	OPTION_SWITCH("inactive", "those of its next start"),
	OPTION_SWITCH("details", "what they are, too"),
	OPTION_LAST
};
static const struct option domblkinfo_options[] = {
	OPTION_DOMAIN(WHAT_DOMAIN),
	{ "device", "its target, or its source", OPTION_TEXT, WHAT_NOTHING, true, true },
	OPTION_LAST
};

const struct command media_commands[] = {
	{ "change-media", "change the disc in a domain's drive",
	  "change-media web sda other.iso puts another one in while the guest runs; what was changed\n"
	  "    holds until it is shut off. 'domblklist' shows what lies where.",
	  change_media_options, run_change_media },
	{ "domblkinfo", "the size of a domain's disk", NULL, domblkinfo_options, run_domblkinfo },
	{ "domblklist", "a domain's disks and drives", NULL, domblklist_options, run_domblklist },
	{ 0 }
};
