# SPDX-License-Identifier: BSD-2-Clause
#
# Builds, runs and tests Keel.  `make help` lists the goals.
#
# Sources are found, not listed: every .c and .asm in the folders of DIRS is part of build/keel.elf, every .asl in
# vdev/ becomes a byte array, every tests/unit/test_*.c and tests/fuzz/fuzz_*.c a program of its own, linked with the
# real files that its `/* links: ... */` line names.
#
#   DEBUG=1         checked build: assertions, lock levels (defines KEEL_DEBUG)
#   BED=svm|vmx|svm10  the bed of `make run`: SVM under QEMU, VMX under Bochs, SVM under QEMU 10
#   V=1             print whole commands

MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:

B := build
BED ?= svm
FUZZ_SECONDS ?= 10
PYTHON := /usr/bin/python3
Q := $(if $(V),,@)
comma := ,
say = $(if $(V),:,printf '  %-6s %s\n' $(1) '$(2)')

DIRS := boot cpu lib mm kernel drivers vmm $(addprefix vmm/,insn gmem vlapic load firmware) vmx svm vdev vdev/virtio \
	block net mgmt shell

default: deps-build
	$(Q)$(MAKE) --no-print-directory $(B)/keel.elf $(B)/keelconf

# ---- the hypervisor ------------------------------------------------------------------------------------------------

CC := gcc
OBJDIR := $(B)/obj$(if $(DEBUG),-debug)

CFLAGS := -std=gnu11 -ffreestanding -mno-red-zone -mgeneral-regs-only -march=x86-64 -mcmodel=kernel -fno-pie \
	-fno-omit-frame-pointer -momit-leaf-frame-pointer -fno-strict-aliasing -fno-stack-protector -fcf-protection=none -fno-common \
	-fno-asynchronous-unwind-tables -falign-functions=8 -falign-jumps=1 -falign-labels=1 -falign-loops=1 -ffunction-sections -fdata-sections -O2 -g \
	-Wall -Wextra -Werror -I. -I$(B)/gen $(if $(DEBUG),-DKEEL_DEBUG)
LDFLAGS := -nostdlib -static -no-pie -z max-page-size=4096 -z noexecstack --gc-sections --build-id=none \
	--no-warn-rwx-segments

OFFSETS_C := kernel/offsets.c
C_SRC := $(filter-out $(OFFSETS_C),$(sort $(foreach d,$(DIRS),$(wildcard $(d)/*.c))))
ASM_SRC := $(sort $(foreach d,$(DIRS),$(wildcard $(d)/*.asm)))
ASL_SRC := $(sort $(wildcard vdev/*.asl))
ASL_C := $(ASL_SRC:%.asl=$(B)/gen/%.aml.c)
BIN_C := $(B)/gen/vmm/firmware/bios/bios.bin.c
FONT := /usr/share/consolefonts/Lat15-VGA16.psf.gz
FONT_C := $(B)/gen/drivers/font.c
VERSION_C := $(B)/gen/mgmt/version.c
OBJS := $(C_SRC:%.c=$(OBJDIR)/%.o) $(ASM_SRC:%.asm=$(OBJDIR)/%.asm.o) $(ASL_C:%.c=$(OBJDIR)/%.o) \
	$(BIN_C:%.c=$(OBJDIR)/%.o) $(FONT_C:%.c=$(OBJDIR)/%.o) $(VERSION_C:%.c=$(OBJDIR)/%.o)

$(OBJDIR)/%.o: %.c $(OBJDIR)/flags
	@mkdir -p $(@D); $(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

# What no guest waits for is compiled for size.
SMALL := $(filter boot/% drivers/% mgmt/% shell/% vmm/insn/emulate_% vmm/load/load% vmm/vm_check% \
	$(addprefix cpu/,errata.c features.c fpu.c gdt.c lapic.c mitigation.c place.c tsc.c) kernel/cpu_map.c kernel/cpu_set.c kernel/log.c \
	kernel/main.c kernel/panic.c kernel/sched_group.c kernel/selftest.c kernel/random.c kernel/smp.c kernel/symbols.c \
	kernel/trace.c kernel/trap.c lib/chacha.c lib/deflate.c lib/format.c lib/keyboard.c lib/png.c lib/record.c mm/kmap.c \
	mm/page_init.c mm/page_intake.c vdev/vacpi% vdev/vahci.c vdev/vata% vdev/vahci_run.c vdev/vdma.c vdev/ve1000.c vdev/ve1000_phy.c \
	vdev/vedu.c vdev/vflash.c vdev/vfwcfg.c vdev/vhpet.c vdev/vide% \
	$(addprefix vdev/virtio/virtio_,balloon.c console.c pci.c rng.c) vdev/vkbd.c vdev/vpost.c vdev/vlpc.c vdev/vmch.c \
	vdev/vmouse.c vdev/vmp_table.c $(addprefix vdev/vnvme,.c _admin.c _info.c _state.c) \
	$(addprefix vdev/vpci,.c _bridge.c _express.c _function.c _port.c _testdev.c) vdev/vps2.c vdev/vrtc.c vdev/vpic.c \
	vdev/vpit.c vdev/vsmbios.c vdev/vsmbus.c vdev/vuart.c vdev/vtco.c vdev/vtestdev.c vdev/vvga% vmm/cpu_model.c vmm/cpu_topology.c vmm/firmware/% \
	$(addprefix vmm/gmem/gmem_,balloon.c dirty.c share.c take.c) vmm/insn/decode.c vmm/machine% vmm/pvclock.c \
	vmm/vcpu_reset.c vmm/vcpu_state.c vmm/vlapic/vlapic_save.c svm/svm.c svm/svm_machine_check.c vmx/vmx.c vmm/media_disc.c vmm/vram.c \
	$(addprefix vmm/vm,.c _balloon.c _image.c _memory.c _screen.c _state.c _stats.c m.c) svm/svm_audit% vmx/vmx_audit% \
	vmx/vmx_errata.c,$(C_SRC))
$(filter-out %emulate_memory.o,$(SMALL:%.c=$(OBJDIR)/%.o)): private CFLAGS += -Os -falign-functions=1

# A loop in memcpy must not become a call of memcpy.
$(OBJDIR)/lib/string.o: private CFLAGS += -fno-tree-loop-distribute-patterns

$(OBJDIR)/%.asm.o: %.asm $(OBJDIR)/gen/offsets.inc $(OBJDIR)/flags
	@mkdir -p $(@D); $(call say,NASM,$<)
	$(Q)nasm -f elf64 -g -F dwarf -Werror -Wno-error=user $(if $(DEBUG),-DKEEL_DEBUG) -I./ -I$(OBJDIR)/gen/ \
		-MD $(@:.o=.d) -MP -MT $@ -o $@ $<

# Offsets of C structs for the assembly: kernel/offsets.c is compiled to text, never linked.
$(OBJDIR)/gen/offsets.inc: $(OFFSETS_C) tools/asm-offsets $(OBJDIR)/flags
	@mkdir -p $(@D); $(call say,GEN,$@)
	$(Q)$(CC) $(CFLAGS) -MMD -MP -MF $(OBJDIR)/gen/offsets.d -MT $@ -S -o $(OBJDIR)/gen/offsets.s $<
	$(Q)tools/asm-offsets $(OBJDIR)/gen/offsets.s >$@

# ACPI source to `const unsigned char NAME_aml[]` and `const unsigned NAME_aml_size`.
$(B)/gen/%.aml.c: %.asl tools/bin2c
	@mkdir -p $(@D); $(call say,IASL,$<)
	$(Q)iasl -p $(B)/gen/$* $< >$(B)/gen/$*.log 2>&1 || { cat $(B)/gen/$*.log; exit 1; }
	$(Q)tools/bin2c $(notdir $*)_aml $(B)/gen/$*.aml >$@

# What guests run in real mode, as `const unsigned char NAME_bin[]` and its size.
$(B)/gen/%.bin.c: %.asm tools/bin2c
	@mkdir -p $(@D); $(call say,NASM,$<)
	$(Q)nasm -f bin -Werror -o $(B)/gen/$*.bin $<
	$(Q)tools/bin2c $(notdir $*)_bin $(B)/gen/$*.bin >$@

# The screen's font.
$(FONT_C): tools/psf2c $(wildcard $(FONT))
	@mkdir -p $(@D); $(call say,FONT,$(FONT))
	$(Q)tools/psf2c font_glyphs $(FONT) >$@

# The commit; only another one makes anything anew.
$(VERSION_C): FORCE
	@mkdir -p $(@D); tools/version | cmp -s - $@ || tools/version >$@

# The image is linked twice: first with an empty symbol table, then with the one made from the first.
LINK = ld $(LDFLAGS) -T linker.ld -o $(1) $(OBJS) $(2)

$(OBJDIR)/symbols0.o $(OBJDIR)/symbols1.o: $(OBJDIR)/symbols%.o: $(OBJDIR)/symbols%.asm
	$(Q)nasm -f elf64 -o $@ $<

$(OBJDIR)/symbols0.asm: tools/symtab
	@mkdir -p $(@D)
	$(Q)tools/symtab >$@

$(OBJDIR)/symbols1.asm: $(OBJDIR)/keel0.elf tools/symtab
	@$(call say,GEN,symbols)
	$(Q)tools/symtab $< >$@

$(OBJDIR)/keel0.elf: $(OBJDIR)/symbols0.o $(OBJS) linker.ld
	@$(call say,LD,first pass)
	$(Q)$(call LINK,$@,$<)

$(OBJDIR)/keel.elf: $(OBJDIR)/symbols1.o $(OBJS) linker.ld
	@$(call say,LD,$(B)/keel.elf)
	$(Q)$(call LINK,$@,$<)
	$(Q)tools/symtab $@ | cmp -s - $(OBJDIR)/symbols1.asm || \
		{ echo 'error: the two link passes differ: .rodata.symbols moves code' >&2; rm -f $@; exit 1; }

# Until there is a linker script, objects are all there is to build.
ifeq ($(wildcard linker.ld),)
$(B)/keel.elf: $(OBJS) $(OBJDIR)/gen/offsets.inc
else
# The release and the checked build keep their objects apart; $(B)/keel.elf is the one asked for last.
$(B)/keel.elf: $(OBJDIR)/keel.elf FORCE
	@cmp -s $< $@ || cp $< $@
endif

# Rewritten only when it changes, so that new flags rebuild everything.
$(OBJDIR)/flags: FORCE
	@mkdir -p $(@D); echo '$(CFLAGS)' | cmp -s - $@ || echo '$(CFLAGS)' >$@

-include $(OBJS:.o=.d) $(OBJDIR)/gen/offsets.d

# ---- host programs: unit tests and fuzz targets ----------------------------------------------------------------------

UNIT := $(patsubst tests/unit/%.c,%,$(sort $(wildcard tests/unit/test_*.c)))
FUZZ := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))

HOST_WARN := -std=gnu11 -g -O1 -fno-omit-frame-pointer -fno-strict-aliasing -Wall -Wextra -Werror \
	-DKEEL_HOST -DKEEL_DEBUG -Itests/host -I. -I$(B)/gen
UNIT_CFLAGS := $(HOST_WARN) -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_CFLAGS := $(HOST_WARN) -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all \
	-fno-sanitize=function

$(B)/host/%.o: %.c
	@mkdir -p $(@D); $(call say,HOSTCC,$<)
	$(Q)gcc $(UNIT_CFLAGS) -MMD -MP -c -o $@ $<

# A guest's vectors are in the CPU there.
$(B)/host/cpu/fpu_run.o $(B)/host/tests/host/fpu.o: UNIT_CFLAGS += -mgeneral-regs-only
$(B)/fuzzobj/cpu/fpu_run.o $(B)/fuzzobj/tests/host/fpu.o: FUZZ_CFLAGS += -mgeneral-regs-only

# tests/host/sim.c counts what the scheduler's work costs.
COUNTED := $(patsubst %,$(B)/host/kernel/%.o,sched runqueue placement cpu_map)
$(COUNTED): UNIT_CFLAGS += -fsanitize-coverage=trace-pc
$(COUNTED): Makefile

# What a test_NAME_cost counts is the product's code: compiled like it, in sections by which the
# program knows it.
COUNTED_QUEUE := kernel/runqueue.c kernel/placement.c kernel/cpu_map.c lib/tree.c
COST_CFLAGS := $(HOST_WARN) -O2 -UKEEL_DEBUG -DKEEL_COST -momit-leaf-frame-pointer -fcf-protection=none
$(B)/cost/%.o: %.c Makefile
	@mkdir -p $(@D); $(call say,HOSTCC,$<)
	$(Q)gcc $(COST_CFLAGS) $(if $(filter tests/%,$<),,-mgeneral-regs-only) -MMD -MP -c -o $@ $<
	$(Q)$(if $(filter tests/%,$<),,objcopy \
		--rename-section .text=counted$(if $(filter $(COUNTED_QUEUE),$<),_queue) $@)

$(B)/fuzzobj/%.o: %.c
	@mkdir -p $(@D); $(call say,CLANG,$<)
	$(Q)clang $(FUZZ_CFLAGS) -MMD -MP -c -o $@ $<

# One line per program: `NAME: file.c file.c`, from the links: comments.
$(B)/gen/links.mk: tools/links tools/keelconf.c $(wildcard tests/unit/test_*.c tests/fuzz/fuzz_*.c)
	@mkdir -p $(@D); tools/links $(filter %.c,$^) >$@

ifneq ($(UNIT)$(FUZZ),)
-include $(B)/gen/links.mk
endif

# A program's name, where its objects are, how it is linked.
define unit_rule
$(B)/unit/$(1): $(B)/$(2)/tests/unit/$(1).o $$(patsubst %.c,$(B)/$(2)/%.o,$$(LINKS_$(1)))
	@mkdir -p $$(@D); $$(call say,HOSTLD,$(1))
	$(Q)gcc $(3) -o $$@ $$^ -lcmocka
-include $(B)/$(2)/tests/unit/$(1).d $$(patsubst %.c,$(B)/$(2)/%.d,$$(LINKS_$(1)))
endef
define fuzz_rule
$(B)/fuzz/$(1): $(B)/fuzzobj/tests/fuzz/$(1).o $$(patsubst %.c,$(B)/fuzzobj/%.o,$$(LINKS_$(1)))
	@mkdir -p $$(@D); $$(call say,HOSTLD,$(1))
	$(Q)clang -fsanitize=fuzzer,address,undefined -o $$@ $$^
-include $(B)/fuzzobj/tests/fuzz/$(1).d $$(patsubst %.c,$(B)/fuzzobj/%.d,$$(LINKS_$(1)))
endef
# Without clang: it links, and takes its seeds.
define seeds_rule
$(B)/unit/$(1): $(B)/host/tests/fuzz/$(1).o $(B)/host/tests/host/fuzz_main.o \
		$$(patsubst %.c,$(B)/host/%.o,$$(LINKS_$(1)))
	@mkdir -p $$(@D); $$(call say,HOSTLD,$(1))
	$(Q)gcc -fsanitize=address,undefined -o $$@ $$^
-include $(B)/host/tests/fuzz/$(1).d $$(patsubst %.c,$(B)/host/%.d,$$(LINKS_$(1)))
endef
UNIT_COST := $(filter %_cost,$(UNIT))
$(foreach t,$(filter-out $(UNIT_COST),$(UNIT)),$(eval $(call unit_rule,$(t),host,-fsanitize=address$(comma)undefined)))
$(foreach t,$(UNIT_COST),$(eval $(call unit_rule,$(t),cost,)))
$(foreach t,$(FUZZ),$(eval $(call fuzz_rule,$(t))))
$(foreach t,$(FUZZ),$(eval $(call seeds_rule,$(t))))

# The parser of keel.conf as a program, for tools/mkiso and for people.
$(B)/keelconf: tools/keelconf.c $(LINKS_keelconf)
	@mkdir -p $(@D); $(call say,HOSTCC,$@)
	$(Q)gcc $(HOST_WARN) -MMD -MP -MT $@ -MF $@.d -o $@ $(filter %.c,$^)
-include $(B)/keelconf.d $(B)/host/tests/host/fuzz_main.d

unit: deps-test
	$(Q)$(MAKE) --no-print-directory -j$(shell nproc) unit-now
unit-now: $(UNIT:%=$(B)/unit/%) $(FUZZ:%=$(B)/unit/%)
	$(Q)tools/unit $^

fuzz: deps-fuzz
	$(Q)$(MAKE) --no-print-directory fuzz-now
fuzz-now: $(FUZZ:%=$(B)/fuzz/%)
	$(Q)tools/fuzz $(FUZZ_SECONDS) $^

# One test: `make unit/test_page`, `make fuzz/fuzz_decode`.
unit/%: $(B)/unit/%
	$(Q)tools/unit $<
fuzz/%: $(B)/fuzz/%
	$(Q)tools/fuzz $(FUZZ_SECONDS) $<

# ---- guests, media, runs -------------------------------------------------------------------------------------------

-include $(wildcard tests/guest/*.mk)

GUEST := $(B)/guest/vmlinuz $(B)/guest/initrd.img

$(B)/guest/vmlinuz: tools/guest-kernel tools/guest-package
	@$(call say,GUEST,$@)
	$(Q)tools/guest-kernel $@

$(B)/guest/initrd.img: tools/guest-initrd tools/guest-init tools/guest-rc $(B)/guest/vmlinuz
	@$(call say,GUEST,$@)
	$(Q)tools/guest-initrd $@

$(B)/keel.iso: $(B)/keel.elf $(B)/keelconf $(GUEST) configs/demo.conf tools/mkiso
	@$(call say,ISO,$@)
	$(Q)tools/mkiso -o $@ -c configs/demo.conf $(GUEST)

# Kernels of others, which only the tests start (one with a real-mode entry alone, one with a 32-bit
# entry alone, and Xen), and loaders on media of their own.
GUEST_OTHERS := $(B)/guest/ipxe.lkrn $(B)/guest/memtest.bin $(B)/guest/xen $(B)/guest/u-boot.rom \
	$(B)/guest/ipxe.iso $(B)/guest/grub-rescue.iso
$(B)/guest/ipxe.lkrn: PACKAGE := ipxe ipxe.lkrn
$(B)/guest/memtest.bin: PACKAGE := memtest86+ boot/memtest86+ia32.bin
$(B)/guest/u-boot.rom: PACKAGE := u-boot-qemu qemu-x86/u-boot.rom
$(B)/guest/ipxe.iso: PACKAGE := ipxe ipxe.iso
$(B)/guest/grub-rescue.iso: PACKAGE := grub-rescue-pc grub-rescue-cdrom.iso
$(B)/guest/xen: PACKAGE := 'xen-system-amd64:xen-hypervisor-[0-9.]*-amd64' 'boot/xen-*-amd64.gz'

# Big ones, for the long proofs alone: Debian's full kernel, and its last one of 32 bits, which only
# Debian 12's i386 still has.
GUEST_SOAK := $(B)/guest/vmlinuz-full $(B)/guest/vmlinuz-686 $(B)/guest/vmlinuz-disks \
	$(B)/guest/installer-amd64.iso $(B)/guest/installer-i386.iso
$(B)/guest/vmlinuz-full: PACKAGE := 'linux-image-amd64:linux-image-[0-9][0-9.a-z+-]*-amd64' 'boot/vmlinuz-*'
$(GUEST_OTHERS) $(B)/guest/vmlinuz-full: tools/guest-package
	@mkdir -p $(@D); $(call say,GUEST,$@)
	$(Q)tools/guest-package $@ $(PACKAGE)

$(B)/guest/vmlinuz-disks: tools/guest-disks tools/guest-package
	@mkdir -p $(@D); $(call say,GUEST,$@)
	$(Q)tools/guest-disks $@

$(B)/guest/vmlinuz-686: tools/guest-package tools/apt-suite
	@mkdir -p $(@D); $(call say,GUEST,$@)
	$(Q)tools/apt-suite $(B)/guest/i386 bookworm i386
	$(Q)APT_CONFIG=$(CURDIR)/$(B)/guest/i386/apt.conf tools/guest-package $@ \
		'linux-image-686-pae:linux-image-[0-9][0-9.a-z+-]*-686-pae' 'boot/vmlinuz-*'
	$(Q)rm -rf $(B)/guest/i386

$(B)/guest/installer-%.iso: tools/guest-installer tools/guest-package
	@mkdir -p $(@D); $(call say,GUEST,$@)
	$(Q)tools/guest-installer $@ $*

guests: $(GUEST)

iso: deps-image
	$(Q)$(MAKE) --no-print-directory $(B)/keel.iso

run: deps-image deps-$(BED)
	$(Q)$(MAKE) --no-print-directory $(B)/keel.iso
	$(Q)tools/run --bed $(BED) --iso $(B)/keel.iso

bench: deps-test
	$(Q)$(MAKE) --no-print-directory $(B)/keel.elf $(GUEST) $(GUEST_ELFS)
	$(Q)tools/bench

# ---- tests -----------------------------------------------------------------------------------------------------------

style: deps-build
	$(Q)tools/style

check: unit style

# Quick checks first; pytest's summary comes last.
test: deps-test
	$(Q)$(MAKE) --no-print-directory -j$(shell nproc) $(B)/keel.elf
	$(Q)$(MAKE) --no-print-directory check
	$(Q)$(MAKE) --no-print-directory system

PYTEST_ARGS ?= -n 2

system:
	$(Q)$(MAKE) --no-print-directory $(B)/keel.elf $(B)/keelconf $(GUEST) $(GUEST_ELFS) $(GUEST_ROMS) \
		$(GUEST_IMAGES) 		$(GUEST_OTHERS) $(GUEST_MORE)
	$(Q)tools/qemu10 $(B)/qemu10 || true
	$(Q)$(PYTHON) -m pytest tests/system $(PYTEST_ARGS)

# The long proofs, of which `make test` has a short run each: hours.
soak: deps-soak deps-fuzz
	$(Q)$(MAKE) --no-print-directory system PYTEST_ARGS='$(PYTEST_ARGS) --soak' \
		GUEST_MORE='$(GUEST_SOAK)'
	$(Q)$(MAKE) --no-print-directory fuzz-now FUZZ_SECONDS=300

# ---- what it takes ---------------------------------------------------------------------------------------------------

deps:
	$(Q)tools/deps test fuzz
deps-%:
	$(Q)tools/deps $*

clean:
	rm -rf $(B)

help:
	@printf '%s\n' \
	'make            build/keel.elf (DEBUG=1: checked build)' \
	'make run        start the demo on the SVM bed, QEMU (BED=vmx: Bochs; BED=svm10: QEMU 10)' \
	'make iso        build/keel.iso, a hybrid BIOS and UEFI image' \
	'make test       everything, on both beds' \
	'make check      unit tests and style' \
	'make soak       the long form of what make test does in short: hours' \
	'make fuzz       each fuzz target for FUZZ_SECONDS=10' \
	'make bench      what operations cost, one line each' \
	'make deps       install missing Debian packages' \
	'make clean      remove build/'

FORCE:
.PHONY: default FORCE deps unit unit-now fuzz fuzz-now guests iso run bench style check test soak system clean help
