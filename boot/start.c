/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first C: called by boot/entry.asm with the loader's magic and information, on the boot stack
 * and the boot map. Makes traps work, gathers the boot information, opens the serial line and the
 * screen that it names, and hands over to kernel_main().
 */
#include "boot/gather.h"
#include "cpu/features.h"
#include "cpu/gdt.h"
#include "cpu/percpu.h"
#include "drivers/screen.h"
#include "drivers/serial.h"
#include "drivers/uart.h"
#include "kernel/main.h"
#include "kernel/panic.h"
#include "kernel/trap.h"
#include "mm/layout.h"

extern char image_start[], image_end[];

noreturn void boot_main(uint32_t magic, uint64_t info, uint64_t image);

/* For NMI, #DF and #MC until there are stacks with guard pages. */
static char early_trap_stack[4096] aligned(16);

static const void *map_boot(hpa_t a, uint64_t size)
{
	if (a.v >= LAYOUT_BOOT_DIRECT_SIZE || size > LAYOUT_BOOT_DIRECT_SIZE - a.v)
		return NULL;
	return (const void *)(LAYOUT_DIRECT + a.v);
}

static int gather(uint32_t magic, uint64_t info, uint64_t image)
{
	int err = -1;

	gather_reset();
	bootinfo.image_start.v = image;
	bootinfo.image_size = (uint64_t)(image_end - image_start);
	if (magic == MULTIBOOT2_LOADED)
		err = multiboot2_gather(HPA(info), map_boot);
	else if (magic == PVH_LOADED)
		err = pvh_gather(HPA(info), map_boot);
	gather_finish();
	return err;
}

static void print(const char *text)
{
	uart_panic_print(text);
	screen_panic_print(text);
}

void boot_main(uint32_t magic, uint64_t info, uint64_t image)
{
	int err;

	percpu_init();
	features_init();
	for (enum gdt_ist i = GDT_IST_NMI; i < GDT_IST_COUNT; i++)
		gdt_set_stack(i, early_trap_stack + sizeof(early_trap_stack));
	gdt_cpu_init();
	trap_init();
	trap_cpu_init();
	features_unlock();
	panic_set_print(print);
	err = gather(magic, info, image);
	serial_early();
	screen_early();
	if (err)
		fatal_boot("the boot loader's information is missing or malformed (magic %x); use GRUB's multiboot2",
			   magic);
	kernel_main();
}
