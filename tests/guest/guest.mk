# SPDX-License-Identifier: BSD-2-Clause
# Guest kernels: each tests/guest/NAME.c (with NAME.asm beside it, where there is one) and the small
# runtime in tests/guest/lib become build/tests/guest/NAME.elf, a multiboot1 kernel:
# `qemu-system-x86_64 -kernel` starts it bare, Keel starts it with `kernel = NAME.elf` and
# `debug_exit = yes`. Those of OWN_HEADER bring another header than multiboot1's in their NAME.asm.
# Each tests/guest/rom/NAME.asm becomes build/tests/guest/NAME.rom, for `firmware = NAME.rom`, and each
# tests/guest/boot/NAME.asm the disk image build/tests/guest/NAME.img, which firmware boots.

GUEST_OUT := build/tests/guest
GUEST_NAMES := $(sort $(patsubst tests/guest/%.c,%,$(wildcard tests/guest/*.c)))
GUEST_ELFS := $(GUEST_NAMES:%=$(GUEST_OUT)/%.elf)
GUEST_ROMS := $(patsubst tests/guest/rom/%.asm,$(GUEST_OUT)/%.rom,$(sort $(wildcard tests/guest/rom/*.asm)))
GUEST_IMAGES := $(patsubst tests/guest/boot/%.asm,$(GUEST_OUT)/%.img,$(sort $(wildcard tests/guest/boot/*.asm)))
GUEST_LIB := $(patsubst tests/guest/lib/%.c,$(GUEST_OUT)/lib/%.o,$(wildcard tests/guest/lib/*.c)) \
	$(patsubst tests/guest/lib/%.asm,$(GUEST_OUT)/lib/%.asm.o,$(wildcard tests/guest/lib/*.asm))
OWN_HEADER := multiboot2
GUEST_CFLAGS := -std=gnu11 -O2 -g -m64 -ffreestanding -nostdlib -mno-red-zone \
	-mgeneral-regs-only -mcmodel=small -fno-pie -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fcf-protection=none -fno-omit-frame-pointer \
	-fno-strict-aliasing -fno-delete-null-pointer-checks -Wall -Wextra -Werror \
	-Wno-array-bounds -I. -MMD -MP

.PHONY: guest-kernels
guest-kernels: $(GUEST_ELFS) $(GUEST_ROMS) $(GUEST_IMAGES)

$(GUEST_OUT)/%.rom: tests/guest/rom/%.asm tests/guest/guest.mk
	@mkdir -p $(@D); $(call say,NASM,$<)
	$(Q)nasm -f bin -Werror -o $@ $<

$(GUEST_OUT)/%.img: tests/guest/boot/%.asm tests/guest/guest.mk
	@mkdir -p $(@D); $(call say,NASM,$<)
	$(Q)nasm -f bin -Werror -o $@ $<

$(GUEST_OUT)/lib/%.o: tests/guest/lib/%.c tests/guest/guest.mk
	@mkdir -p $(@D); $(call say,CC,$<)
	$(Q)gcc $(GUEST_CFLAGS) -c -o $@ $<

$(GUEST_OUT)/lib/%.asm.o: tests/guest/lib/%.asm tests/guest/guest.mk
	@mkdir -p $(@D); $(call say,NASM,$<)
	$(Q)nasm -f elf64 -g -F dwarf -o $@ $<

$(GUEST_OUT)/%.o: tests/guest/%.c tests/guest/guest.mk
	@mkdir -p $(@D); $(call say,CC,$<)
	$(Q)gcc $(GUEST_CFLAGS) -c -o $@ $<

$(GUEST_OUT)/%.asm.o: tests/guest/%.asm tests/guest/guest.mk
	@mkdir -p $(@D); $(call say,NASM,$<)
	$(Q)nasm -f elf64 -g -F dwarf -o $@ $<

# Multiboot loaders want ELF32: the 64-bit program is linked as ELF64 and then put into 32-bit
# headers.
define guest_rule
$(GUEST_OUT)/$(1).elf: $(GUEST_OUT)/$(1).o \
		$(if $(wildcard tests/guest/$(1).asm),$(GUEST_OUT)/$(1).asm.o) \
		$(if $(filter $(1),$(OWN_HEADER)),$(filter-out %/header.asm.o,$(GUEST_LIB)),$(GUEST_LIB)) \
		tests/guest/lib/guest.ld
	@$$(call say,LD,$$@)
	$$(Q)ld -nostdlib -static -z max-page-size=4096 -z noexecstack --no-warn-rwx-segments \
		-T tests/guest/lib/guest.ld -o $$@.64 $$(filter %.o,$$^)
	$$(Q)objcopy -O elf32-i386 --strip-debug $$@.64 $$@
endef
$(foreach name,$(GUEST_NAMES),$(eval $(call guest_rule,$(name))))

-include $(GUEST_NAMES:%=$(GUEST_OUT)/%.d) $(wildcard $(GUEST_OUT)/lib/*.d)
