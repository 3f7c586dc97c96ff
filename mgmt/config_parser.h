/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What mgmt/config.c, which cuts the text into sections and lines, and mgmt/config_keys.c, whose
 * rows read and write the values, share; everyone else sees mgmt/config.h.
 */
#pragma once

#include "mgmt/config.h"

/* A piece of the text; not ended by NUL. */
struct piece {
	const char *s;
	size_t n;
};

enum section { SECTION_NONE, SECTION_HOST, SECTION_VM, SECTION_BAD };

struct parser {
	struct config *out;
	const struct config_limits *limits;
	unsigned line;
	enum section section;
	struct config_vm *vm;		/* of SECTION_VM; not yet in out->vm */
	bool vm_bad;			/* an error in its section */
	uint64_t seen;			/* keys of the section, by row */
	bool host_seen;
	unsigned uuid_line;
	struct name *names;		/* of every section, right or wrong */
	unsigned name_count;
};

/* What the user wrote, printable and not too long. */
struct quoted {
	char s[48];
};

struct writer {
	config_emit *emit;
	void *arg;
};

/* One key: its name and what reads and writes its value. */
struct key {
	const char *name;
	/* False after having told the error. */
	bool (*read)(struct parser *p, const struct key *k, struct piece v);
	/* A line for each value in struct config_vm or config_host. */
	void (*write)(const struct writer *w, const struct key *k, const void *from);
	uint16_t field;			/* offset in that struct */
	uint16_t size;
	bool repeats;			/* each line adds to a list, in their order */
};

/* A property of a device: its name and what reads its value; the last row has no name. */
struct property {
	const char *name;
	bool (*read)(struct piece v, struct config_device *d);
};

typedef bool config_read_device_t(struct parser *p, const struct key *k, struct piece v,
				  struct config_device *d);

/* --- config.c */
/* An error in that line, which spoils the VM of the section. */
void config_fail(struct parser *p, unsigned line, const char *fmt, ...) printf_like(3, 4);
struct quoted config_quote(struct piece v);
bool config_is_space(char c);
struct piece config_trim(struct piece v);
bool config_equals(struct piece v, const char *word);

/* --- config_keys.c */
extern const struct key config_vm_keys[], config_host_keys[];	/* end with a row without name */
bool config_name_is_right(struct piece v);
bool config_digit(char c, unsigned base, unsigned *out);
bool config_uuid_of(struct piece v, uint8_t out[16]);
void config_copy_piece(char *dst, struct piece v);
/* Of the row of that name in `keys`; 0 if there is none. */
uint64_t config_seen_bit(const char *name);
/* A line of the section, by its row. */
void config_handle_key(struct parser *p, const struct key *keys, struct piece name, struct piece v);
/* "KEY = A" or "KEY = A B". */
void config_put_line(const struct writer *w, const struct key *k, const char *a, const char *b);
/* The piece before the first `end`, which goes with it; all of it where there is none. */
struct piece config_cut(struct piece *rest, char end);
/* The name of a module that the boot loader brought, into CONFIG_MODULE_MAX bytes. */
bool config_read_module(struct parser *p, const struct key *k, struct piece v, char *out);
/* Digits only. */
bool config_read_number(struct piece v, uint64_t *out);

/* --- config_boot.c */
/* A device's place in the order. */
bool config_read_boot_number(struct piece v, struct config_device *d);
/* Behind other properties: ", boot=..." or nothing. */
#define CONFIG_BOOT_TEXT	16
const char *config_boot_text(const struct config_device *d, char text[CONFIG_BOOT_TEXT]);
/* Of a VM that is read: what is said of the order goes together. */
void config_check_boot(struct parser *p);
bool config_read_boot(struct parser *p, const struct key *k, struct piece v);
void config_write_boot(const struct writer *w, const struct key *k, const void *from);
bool config_read_boot_menu(struct parser *p, const struct key *k, struct piece v);
void config_write_boot_menu(const struct writer *w, const struct key *k, const void *from);

/* --- config_device.c */
/*
 * "NAME=VALUE, ...": each name once, and of the rows of `allowed` alone, a bit each; `seen` says
 * which there were. False where that is not so, or a value is not right.
 */
bool config_read_properties(const struct property *rows, unsigned allowed, struct piece v,
			    struct config_device *d, unsigned *seen);
/* "BUS:DEVICE.FUNCTION", as lspci writes it. */
bool config_read_slot(struct piece v, struct config_device *d);
/* Behind other properties: ", slot=..." or nothing. */
#define CONFIG_SLOT_TEXT	24
const char *config_slot_text(const struct config_device *d, char text[CONFIG_SLOT_TEXT]);
/* One more at the end of `list`, if `read` takes the value (it tells the error if not) and the VM
 * may have it. */
bool config_add_device(struct parser *p, const struct key *k, struct piece v,
		       struct config_device **list, config_read_device_t *read);
bool config_read_device(struct parser *p, const struct key *k, struct piece v);
void config_write_device(const struct writer *w, const struct key *k, const void *from);

/* --- config_channel.c */
bool config_read_channel(struct parser *p, const struct key *k, struct piece v);
void config_write_channel(const struct writer *w, const struct key *k, const void *from);
bool config_read_console(struct parser *p, const struct key *k, struct piece v);
void config_write_console(const struct writer *w, const struct key *k, const void *from);

/* --- config_disk.c */
bool config_read_disk(struct parser *p, const struct key *k, struct piece v);
void config_write_disk(const struct writer *w, const struct key *k, const void *from);
bool config_read_cdrom(struct parser *p, const struct key *k, struct piece v);
void config_write_cdrom(const struct writer *w, const struct key *k, const void *from);

/* --- config_nic.c */
bool config_read_nic(struct parser *p, const struct key *k, struct piece v);
void config_write_nic(const struct writer *w, const struct key *k, const void *from);

/* --- config_video.c */
bool config_read_video(struct parser *p, const struct key *k, struct piece v);
void config_write_video(const struct writer *w, const struct key *k, const void *from);
/* Of a VM that is read: the screen of one whose section does not speak of it. */
void config_default_video(struct parser *p);

/* --- config_sched.c */
bool config_read_cpuset(struct parser *p, const struct key *k, struct piece v);
void config_write_cpuset(const struct writer *w, const struct key *k, const void *from);
bool config_read_vcpupin(struct parser *p, const struct key *k, struct piece v);
void config_write_vcpupin(const struct writer *w, const struct key *k, const void *from);
/* A number of struct config_cputune. */
bool config_read_tune(struct parser *p, const struct key *k, struct piece v);
void config_write_tune(const struct writer *w, const struct key *k, const void *from);
