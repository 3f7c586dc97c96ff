/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: direct boot of kernels: Linux bzImage (64-bit boot protocol), PVH ELF
 * (XEN_ELFNOTE_PHYS32_ENTRY), multiboot1 ELF, told apart by content, with any number of modules. A
 * loader plans first (pure: checks the image against the memory there is), then writes guest
 * memory, then says in struct load_entry how the boot vCPU starts. All input is hostile.
 * Sources: Linux, "The Linux/x86 Boot Protocol"; Multiboot Specification 0.6.96; Xen, "x86/HVM
 * direct boot ABI".
 */
#pragma once

#include "vmm/gmem.h"
#include "vmm/regs.h"

struct load_module {
	const uint8_t *data;
	size_t size;
	const char *name, *arguments;	/* a boot protocol tells both, or neither */
};

/* Pointers to what lives as long as the call, or, in a vm, as long as that. No text is NULL. */
struct load_image {
	const uint8_t *kernel;
	size_t kernel_size;
	const char *name;		/* goes before the command line where a protocol wants it */
	const char *cmdline;
	const struct load_module *module;	/* an initrd is the first of them */
	unsigned module_count;
};

/*
 * Guest physical layout the loaders keep to: RAM below 640K and from 1M; ACPI tables and RSDP where
 * the machine put them.
 */
struct load_machine {
	struct gmem *gmem;
	uint64_t ram_low_end;		/* RAM is [0, ram_low_end), hole 640K-1M reserved, */
	uint64_t ram_high_size;		/* and [4G, 4G + this) */
	gpa_t rsdp;
	gpa_t acpi;			/* tables: reserved in the memory map */
	uint64_t acpi_size;
	gpa_t ecam;			/* PCI's configuration space, between RAM and 4G: told as
					 * reserved; size 0: none */
	uint64_t ecam_size;
};

enum load_start { LOAD_START_LINUX64, LOAD_START_PROTECTED32 };

/*
 * Registers other than these are 0; segments are flat: 32-bit (PVH, multiboot: paging off) or
 * 64-bit with identity paging at cr3.
 */
struct load_entry {
	enum load_start start;
	uint64_t rip, rsp;
	uint64_t rax, rbx, rsi;
	gpa_t cr3, gdt;			/* LINUX64: page tables (4G identity by 2M) and GDT written
					 * by the loader */
	unsigned gdt_size;
	const char *kind;		/* "Linux bzImage", "PVH ELF", "multiboot ELF" */
};

/* 0; -EINVAL or -E2BIG with one clear line in `why`; -ENOMEM. */
int load_image(const struct load_image *image, const struct load_machine *m, struct load_entry *out,
	       char *why, size_t why_size) must_check;
/* How many bytes of a Linux bzImage are its real-mode part; 0 of any other image. */
size_t load_linux_setup(const struct load_image *image);
/* The check alone, for configuration time: no guest memory is touched; m->gmem may be NULL. */
int load_check(const struct load_image *image, uint64_t memory, const char **kind,
	       char *why, size_t why_size) must_check;
