/* SPDX-License-Identifier: BSD-2-Clause */
/* links: vmm/insn/breakpoint.c vmm/insn/emulate*.c vmm/insn/fetch.c
 * vmm/insn/gwalk.c vmm/insn/decode.c lib/format.c tests/host/guest.c tests/host/heap.c
 * tests/host/percpu.c tests/host/spinlock.c tests/host/fpu.c cpu/fpu_run.c */
/*
 * Any instruction in any mode with any registers, and any switch of tasks: the emulator touches
 * nothing but RAM and device, and does one of four things: the next instruction, an event, a crash
 * of the VM, or the same instruction again.
 */
#include "tests/host/guest.h"

#include <stdlib.h>
#include <string.h>

#include "cpu/registers.h"
#include "vmm/exit.h"

/* A new task may be one that wants to be seen. */
static void check(void)
{
	bool seen = guest_log.events && guest_log.event.vector == EXC_DB;

	if (guest_log.events + guest_log.crashes > 1 || guest_log.nexts > 1 ||
	    (guest_log.nexts && ((guest_log.events && !seen) || guest_log.crashes)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t places[] = {
		0, GUEST_MMIO, GUEST_MMIO + 4090, GUEST_MMIO + 0x2ff8, 0x300000, 2 * MIB, ~0ul
	};
	uint8_t head[8] = { 0 };
	static bool ready;

	if (size < sizeof(head))
		return 0;
	memcpy(head, data, sizeof(head));
	data += sizeof(head);
	size -= sizeof(head);
	if (!ready)
		guest_reset();
	ready = true;
	guest_mode.bits = head[0] & 1 ? 64 : head[0] & 2 ? 32 : 16;
	guest_mode.cpl = head[0] & 4 ? 3 : 0;
	guest_mode.cr0 = head[0] & 8 ? CR0_PE : CR0_PE | CR0_PG | CR0_WP;
	guest_mode.long_mode = guest_mode.bits == 64 || (head[0] & 16);
	guest_mode.cr4 = (head[1] & 1 ? CR4_SMEP : 0) | (head[1] & 2 ? CR4_SMAP : 0) |
			 (guest_mode.long_mode || (head[1] & 4) ? CR4_PAE : 0) |
			 (head[1] & 8 ? CR4_PSE : 0) |
			 (head[1] & 16 ? CR4_OSFXSR | CR4_OSXSAVE | CR4_OSXMMEXCPT : 0);
	guest_reg[REG_XCR0] = XCR0_X87 | XCR0_SSE | XCR0_AVX;
	guest_vcpu.rflags = RFLAGS_ONE | (head[2] & 1 ? RFLAGS_DF : 0) |
			    (head[2] & 2 ? RFLAGS_TF : 0) | (head[2] & 4 ? RFLAGS_AC : 0) |
			    (head[2] & 0xd0);
	for (unsigned i = 0; i < GPR_COUNT; i++)
		guest_vcpu.gpr[i] =
			places[(head[3] + i * head[4]) % ARRAY_COUNT(places)] + head[5] % (i + 1);
	guest_vcpu.gpr[GPR_RCX] = head[6];
	for (unsigned s = 0; s < SEG_COUNT; s++)
		guest_segment[s] = (struct segment){ .limit = head[7] & 1 ? 0xffff : ~0u,
							.attr = head[7] & 2 ? 0x93 : ~0x10000u };
	guest_segment[SEG_TR].base = places[head[6] % ARRAY_COUNT(places)];
	guest_vcpu.event.pending.valid = false;
	guest_log = (struct guest_log){ 0 };
	guest_code(data, size < 32 ? size : 32);
	memcpy(guest_ram + 8, data, size < 64 ? size : 64);	/* descriptors, where tables are */
	emulate_mmio(&guest_vcpu, GPA(GUEST_DEVICE + head[5]),
		     (head[6] & 1 ? GMEM_WRITE : GMEM_READ) | (head[6] & 2 ? EXIT_TABLES : 0));
	check();
	if (head[2] & 8 && !guest_mode.long_mode) {
		guest_vcpu.event.pending = (struct event){
			.valid = true, .type = head[3] % 7, .vector = head[4],
			.has_error = head[5] & 1 };
		guest_log = (struct guest_log){ 0 };
		emulate_task_switch(&guest_vcpu, head[6] % 4, head[7], head[3] % 16);
		check();
	}
	emulate_string_io(&guest_vcpu, &(struct io_access){
		.port = 0x80, .size = (uint8_t)(1u << head[4] % 3), .in = head[0] & 1,
		.rep = head[0] & 32, .segment = SEG_COUNT,
	});
	(void)emulate_length_of(&guest_vcpu, 0x0fa2);
	return 0;
}
