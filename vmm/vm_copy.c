/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copies from and to guest memory, for devices and media. In an exit of the vm's own, where most
 * requests are done, what is there is peeked at: no lock, no pin (see "Pointers and TLBs" in
 * vmm/gmem/gmem.h); nothing is kept beyond the call. All else goes by gmem_read and gmem_write.
 */
#include "include/bits.h"
#include "lib/string.h"
#include "vmm/gmem/gmem_slots.h"
#include "vmm/vm.h"

/* Words of a ring and descriptors are copied on the spot. */
static always_inline void copy(void *dst, const void *src, size_t n)
{
	if (n == 2)
		__builtin_memcpy(dst, src, 2);
	else if (n == 16)
		__builtin_memcpy(dst, src, 16);
	else if (n == 8)
		__builtin_memcpy(dst, src, 8);
	else if (n == 1)
		__builtin_memcpy(dst, src, 1);
	else if (n == 4)
		__builtin_memcpy(dst, src, 4);
	else
		memcpy(dst, src, n);
}

/* The bytes as far as a page goes; NULL: not so. As gmem_peek, on the spot for most of RAM. */
static always_inline void *peek(struct vm *vm, uint64_t a, size_t n, unsigned access)
{
	const struct gmem_place *p = &gmem_slots_now(&vm->gmem)->main;

	if (unlikely(a % PAGE_SIZE + n > PAGE_SIZE))
		return NULL;
	if (unlikely(a - p->base >= p->size))
		return gmem_peek(&vm->gmem, GPA(a), access);
	return gmem_place_peek(p, a, access);
}

bool vm_is_plain(struct vm *vm, gpa_t a, uint64_t n)
{
	const struct gmem_place *p = vcpu_current(vm) ? &gmem_slots_now(&vm->gmem)->main : NULL;

	return (likely(p) && likely(range_within(a.v, n, p->base, p->size))) ||
	       gmem_is_plain(&vm->gmem, a, n);
}

int vm_read(struct vm *vm, gpa_t a, void *dst, size_t n)
{
	const void *there = vcpu_current(vm) ? peek(vm, a.v, n, GMEM_READ) : NULL;

	if (unlikely(!there))
		return gmem_read(&vm->gmem, a, dst, n);
	copy(dst, there, n);
	return 0;
}

int vm_write(struct vm *vm, gpa_t a, const void *src, size_t n)
{
	void *there = vcpu_current(vm) ? peek(vm, a.v, n, GMEM_WRITE) : NULL;

	if (unlikely(!there))
		return gmem_write(&vm->gmem, a, src, n);
	copy(there, src, n);
	return 0;
}
