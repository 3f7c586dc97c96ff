/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ACPI tables (vdev/vacpi_tables.h) as three files for a firmware that puts them where it
 * likes: the RSDP, all other tables, and a script of commands by which it allocates room for both,
 * turns offsets into addresses, and sums up. Pure. (QEMU, "ACPI table loader"; the commands are
 * what SeaBIOS and OVMF execute.)
 */
#pragma once

#include "vdev/vacpi_tables.h"

#define VACPI_LOADER_RSDP	"etc/acpi/rsdp"
#define VACPI_LOADER_TABLES	"etc/acpi/tables"
#define VACPI_LOADER_SCRIPT	"etc/table-loader"

enum vacpi_file { VACPI_FILE_RSDP, VACPI_FILE_TABLES, VACPI_FILE_SCRIPT, VACPI_FILE_COUNT };

#define VACPI_LOADER_COMMAND	128	/* bytes of a command */
#define VACPI_LOADER_SCRIPT_MAX \
	(VACPI_LOADER_COMMAND * (2 + VACPI_LINKS_MAX + VACPI_SUMS_MAX))
#define VACPI_LOADER_MAX	(VACPI_TABLES_MAX + VACPI_LOADER_SCRIPT_MAX)

struct vacpi_files {
	struct { uint32_t at, size; } file[VACPI_FILE_COUNT];	/* in the buffer */
};

/* All three into `buf`; as vacpi_tables_build(). */
int vacpi_loader_build(const struct vacpi_tables_config *config, void *buf, size_t size,
	struct vacpi_files *out) must_check;
