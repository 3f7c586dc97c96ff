/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Contract: direct boot of kernels: Linux bzImage (64-bit, 32-bit and real-mode entry), PVH ELF
 * (XEN_ELFNOTE_PHYS32_ENTRY), multiboot 1 and 2, told apart by content, with any number of modules.
 * A loader plans first (pure: checks the image against the memory there is), then writes guest
 * memory, then says in struct load_entry how the boot vCPU starts. All input is hostile.
 * Sources: Linux, "The Linux/x86 Boot Protocol"; Multiboot Specification 0.6.96 and
 * Multiboot2 Specification 2.0; Xen, "x86/HVM
 * direct boot ABI".
 */
#pragma once

#include "vmm/firmware/memory_map.h"
#include "vmm/gmem/gmem.h"
#include "vmm/regs.h"

struct load_module {
	const uint8_t *data;
	size_t size;
	const char *name, *arguments;	/* a boot protocol tells both, or neither */
};

/* Pointers to what lives as long as the call, or, in a vm, as long as that. No text is NULL. */
struct load_image {
	/*
	 * What the guest starts with, if it is not NULL; it then finds the kernel, if there is one,
	 * and the initrd in its firmware configuration.
	 */
	const uint8_t *firmware;
	size_t firmware_size;
	const uint8_t *nvram;		/* what is in its flash when that is new, or NULL */
	size_t nvram_size;
	const struct load_module *option_rom;	/* that it is to start, in this order */
	unsigned option_rom_count;
	const struct load_module *video_rom;	/* its screen's; NULL: it has none */
	/*
	 * From what it is to start, by paths as Open Firmware has them, a line each; NULL: as it
	 * likes. And whether it offers to choose, for so many milliseconds; 0: as many as it likes.
	 */
	const char *boot_order;
	bool boot_menu;
	uint16_t boot_menu_ms;
	const uint8_t *kernel;
	size_t kernel_size;
	const char *name;		/* goes before the command line where a protocol wants it */
	const char *cmdline;
	const struct load_module *module;	/* an initrd is the first of them */
	unsigned module_count;
	/*
	 * Called before each piece of kernel and modules is written, of so many bytes; false: it is
	 * not loaded any further (-EINTR). NULL: nobody wants to know.
	 */
	bool (*go_on)(void *arg, size_t bytes);
	void *arg;
};

struct load_machine {
	struct gmem *gmem;
	uint64_t memory;		/* bytes: vmm/firmware/memory_map.h says where they lie */
	gpa_t rsdp;
};

enum load_start { LOAD_START_LINUX64, LOAD_START_PROTECTED32, LOAD_START_REAL };

/*
 * Registers other than these are 0; segments are flat: 32-bit (PVH, multiboot, old Linux: paging
 * off) or 64-bit with identity paging at cr3. REAL is real mode, at the beginning of `code_segment`
 * with all other segments `segment`.
 */
struct load_entry {
	enum load_start start;
	uint64_t rip, rsp;
	uint64_t rax, rbx, rsi;
	uint16_t code_segment, segment;	/* REAL */
	gpa_t cr3, gdt;			/* LINUX64: page tables (4G identity by 2M) written by the
					 * loader; GDT where gdt_size is not 0 */
	unsigned gdt_size;
	const char *kind;		/* "Linux bzImage", "PVH ELF", "multiboot ELF" */
};

/* 0; -EINVAL or -E2BIG with one clear line in `why`; -ENOMEM; -EINTR from go_on. */
int load_image(const struct load_image *image, const struct load_machine *m, struct load_entry *out,
	       char *why, size_t why_size) must_check;
/* How many bytes of a Linux bzImage are its real-mode part; 0 of any other image. */
size_t load_linux_setup(const struct load_image *image);
/*
 * Writes into a copy of those bytes what a boot loader would, for one that does not: where it will
 * have put what else there is. The heap ends before the command line, less than 64 KiB behind.
 */
struct load_linux_places {
	uint32_t setup, cmdline, initrd, initrd_size;
};
void load_linux_patch(uint8_t *setup, const struct load_linux_places *at);
/* The check alone, for configuration time: no guest memory is touched; m->gmem may be NULL. */
int load_check(const struct load_image *image, uint64_t memory, const char **kind,
	       char *why, size_t why_size) must_check;
