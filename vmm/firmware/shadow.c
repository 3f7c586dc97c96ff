/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See shadow.h. Each piece is a slot of its own, whose object, offset and denied accesses follow
 * from its registers' two bits. Where RAM takes writes and does not answer reads no slot can say
 * so: reads are the image's or nobody's, and the chipset, which gets the writes, has them put into
 * the hidden RAM. Source: Intel, "3 Series Express Chipset Family" datasheet, "PAM" and "SMRAM".
 */
#include "vmm/firmware/shadow.h"

#include "include/bits.h"
#include "include/errno.h"
#include "lib/string.h"
#include "mm/heap.h"
#include "vmm/firmware/memory_map.h"
#include "vmm/vm.h"

#define SCREEN		0xa0000ul
#define PIECE		(16 * KIB)
#define BIOS		0xf0000ul
#define IMAGE_END	(4 * GIB)
#define IMAGE_LOW_MAX	(128 * KIB)	/* so much of its end lies below 1 MiB, too */
#define ALL		(GMEM_READ | GMEM_WRITE | GMEM_EXEC)

struct shadow {
	struct gmem_object *ram, *image, *nvram;
	uint64_t image_size;
};

static uint64_t piece_base(unsigned piece)
{
	return piece == HOST_SHADOW_SCREEN ? SCREEN : HOST_SHADOW_FIRST + piece * PIECE;
}

static uint64_t piece_size(unsigned piece)
{
	return piece == HOST_SHADOW_SCREEN ? HOST_SHADOW_FIRST - SCREEN
	     : piece == HOST_SHADOW_BIOS   ? HOST_SHADOW_END - BIOS
					   : PIECE;
}

/* What is shown where a piece begins. */
static struct gmem_slot slot_of(const struct shadow *s, unsigned piece, unsigned access)
{
	struct gmem_slot slot = {
		.base = piece_base(piece), .size = piece_size(piece), .object = s->ram,
		.offset = piece_base(piece),
	};
	uint64_t from_end = HOST_SHADOW_END - slot.base;

	if (access & HOST_SHADOW_READ) {
		slot.denied = access & HOST_SHADOW_WRITE ? 0 : GMEM_WRITE;
	} else if (from_end <= MIN(s->image_size, IMAGE_LOW_MAX)) {
		slot.object = s->image;
		slot.offset = s->image_size - from_end;
		slot.denied = GMEM_WRITE;
	} else {
		slot.denied = ALL;
	}
	return slot;
}

int shadow_set(struct vm *vm, unsigned piece, unsigned access)
{
	struct shadow *s = vm->shadow;
	struct gmem_slot slot;
	struct vcpu *self;
	int err;

	if (!s || piece >= HOST_SHADOW_COUNT)
		return -EINVAL;
	slot = slot_of(s, piece, access);
	self = vm_quiet_begin(vm);
	mutex_lock(&vm->slots_lock);
	err = gmem_slot_replace(&vm->gmem, &slot);
	mutex_unlock(&vm->slots_lock);
	vm_quiet_end(self);
	return err;
}

int shadow_write(struct vm *vm, gpa_t a, const void *src, size_t n)
{
	if (!vm->shadow || !range_within(a.v, n, SCREEN, HOST_SHADOW_END - SCREEN))
		return -EINVAL;
	return gmem_object_write(&vm->gmem, vm->shadow->ram, a.v, src, n);
}

/* ---- flash ---- */

uint64_t shadow_nvram_base(const struct vm *vm)
{
	return IMAGE_END - vm->config.firmware_size - vm->config.nvram_size;
}

int shadow_nvram_show(struct vm *vm, bool shown)
{
	struct vcpu *self;
	int err;

	if (!vm->shadow || !vm->shadow->nvram)
		return -EINVAL;
	self = vm_quiet_begin(vm);
	mutex_lock(&vm->slots_lock);
	err = gmem_slot_deny(&vm->gmem, GPA(shadow_nvram_base(vm)), shown ? GMEM_WRITE : ALL);
	mutex_unlock(&vm->slots_lock);
	vm_quiet_end(self);
	return err;
}

static bool nvram_has(const struct vm *vm, uint64_t offset, size_t n)
{
	return vm->shadow && vm->shadow->nvram &&
	       range_within(offset, n, 0, vm->config.nvram_size);
}

int shadow_nvram_read(struct vm *vm, uint64_t offset, void *dst, size_t n)
{
	if (!nvram_has(vm, offset, n))
		return -EINVAL;
	memcpy(dst, vm->config.nvram + offset, n);
	return 0;
}

/* Both: what the guest is shown, and what stays when the vm is gone. */
int shadow_nvram_write(struct vm *vm, uint64_t offset, const void *src, size_t n)
{
	int err;

	if (!nvram_has(vm, offset, n))
		return -EINVAL;
	err = gmem_object_write(&vm->gmem, vm->shadow->nvram, offset, src, n);
	if (!err)
		memcpy(vm->config.nvram + offset, src, n);
	return err;
}

/* ---- life ---- */

static int create_nvram(struct vm *vm, struct shadow *s)
{
	const struct gmem_config *c = &vm->gmem.config;
	size_t size = vm->config.nvram_size;
	struct gmem_slot slot = {
		.base = shadow_nvram_base(vm), .size = size, .denied = GMEM_WRITE,
	};
	int err;

	if (!shadow_nvram_size_valid(size))
		return -EINVAL;
	err = gmem_object_create(0, size, 1, c->node, c->charge, &s->nvram);
	if (!err)
		err = gmem_object_write(&vm->gmem, s->nvram, 0, vm->config.nvram, size);
	slot.object = s->nvram;
	return err ?: gmem_slot_add(&vm->gmem, &slot);
}

static int add_slots(struct gmem *g, const struct shadow *s, uint64_t low_end)
{
	const struct gmem_slot fixed[] = {
		{ .base = 0, .size = SCREEN, .object = s->ram },
		{ .base = HOST_SHADOW_END, .size = low_end - HOST_SHADOW_END, .object = s->ram,
		  .offset = HOST_SHADOW_END },
		{ .base = IMAGE_END - s->image_size, .size = s->image_size, .object = s->image,
		  .denied = GMEM_WRITE },
	};
	int err = 0;

	for (unsigned i = 0; i < ARRAY_COUNT(fixed) && !err; i++)
		err = gmem_slot_add(g, &fixed[i]);
	for (unsigned i = 0; i < HOST_SHADOW_COUNT && !err; i++) {
		struct gmem_slot slot = slot_of(s, i, 0);

		err = gmem_slot_add(g, &slot);
	}
	return err;
}

int shadow_create(struct vm *vm)
{
	uint64_t low_end = memory_low_end(vm->config.memory);
	const struct gmem_config *c = &vm->gmem.config;
	size_t size = vm->config.firmware_size;
	struct shadow *s;
	int err;

	if (!shadow_size_valid(size) || low_end < 2 * MIB)
		return -EINVAL;
	s = vm->shadow = heap_alloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->image_size = size;
	err = gmem_object_create(0, low_end, c->max_leaf_level, c->node, c->charge, &s->ram);
	if (!err)
		err = gmem_object_create(0, size, 1, c->node, c->charge, &s->image);
	if (!err)
		err = gmem_object_write(&vm->gmem, s->image, 0, vm->config.firmware, size);
	err = err ?: add_slots(&vm->gmem, s, low_end);
	return err || !vm->config.nvram ? err : create_nvram(vm, s);
}

void shadow_destroy(struct vm *vm)
{
	struct shadow *s = vm->shadow;

	if (!s)
		return;
	if (s->ram)
		gmem_object_put(s->ram);
	if (s->image)
		gmem_object_put(s->image);
	if (s->nvram)
		gmem_object_put(s->nvram);
	vm->shadow = NULL;
	heap_free(s);
}
