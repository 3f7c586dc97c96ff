/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What hypervisors' own tests of their instruction emulators try, with the memory of pc-testdev as
 * operand and as stack: strings, the stack, bits, products and quotients, far transfers, segments,
 * system tables, and what must fault. Each group is named before it is tried.
 */
#include "tests/guest/lib/guest.h"
#include "tests/guest/lib/pages.h"

#define DEVICE	0xff000000ul
#define SCRATCH	0xe0			/* a port that keeps what is written */

static volatile uint64_t *const m = (volatile uint64_t *)DEVICE;
static uint8_t ram[256] aligned(64);

static void compare_strings(void)
{
	volatile uint8_t *a = (volatile uint8_t *)DEVICE, *b = a + 1024;
	uint64_t rsi, rdi, rcx;

	for (unsigned i = 0; i < 200; i++) {
		b[i] = ram[i] = (uint8_t)i;
		a[i] = (uint8_t)(i + (i >= 100));
	}
	for (unsigned n = 0; n < 2; n++) {
		uint64_t other = n ? (uint64_t)b : (uint64_t)ram;

		rsi = (uint64_t)a, rdi = other, rcx = 30;
		__asm__ volatile("repe cmpsb" : "+S"(rsi), "+D"(rdi), "+c"(rcx) :: "memory", "cc");
		check(!rcx && rsi == (uint64_t)a + 30 && rdi == other + 30, "repe_cmpsb_equal",
		      "%lx %lx %lx", rcx, rsi, rdi);
		rsi = (uint64_t)a, rdi = other, rcx = 130;
		__asm__ volatile("repe cmpsb" : "+S"(rsi), "+D"(rdi), "+c"(rcx) :: "memory", "cc");
		check(rcx == 29 && rsi == (uint64_t)a + 101, "repe_cmpsb", "%lx %lx", rcx, rsi);
		rsi = (uint64_t)a, rdi = other, rcx = 16;
		__asm__ volatile("repe cmpsq" : "+S"(rsi), "+D"(rdi), "+c"(rcx) :: "memory", "cc");
		check(rcx == 3 && rsi == (uint64_t)a + 104, "repe_cmpsq", "%lx %lx", rcx, rsi);
	}
	m[0] = 0x77665544332211;
	rdi = DEVICE, rcx = 8;
	__asm__ volatile("repne scasb" : "+D"(rdi), "+c"(rcx) : "a"(0x44) : "cc");
	check(rdi == DEVICE + 4 && rcx == 4, "repne_scasb", "%lx %lx", rdi, rcx);
	rdi = DEVICE, rcx = 0;
	__asm__ volatile("scasq\n\tsete %b0" : "+c"(rcx), "+D"(rdi) : "a"(0x77665544332211) : "cc");
	check(rdi == DEVICE + 8 && rcx == 1, "scasq", "%lx %lx", rdi, rcx);
}

/* From a port across the end of a page, and to it. */
static void port_strings(void)
{
	volatile uint8_t *byte = (volatile uint8_t *)DEVICE;
	uint64_t at = DEVICE + 4096 - 6, count = 6;

	outl(SCRATCH, 0x12345678);
	__asm__ volatile("rep insw" : "+D"(at), "+c"(count) : "d"(SCRATCH) : "memory");
	check(at == DEVICE + 4096 + 6 && byte[4090] == 0x78 && byte[4101] == 0x56,
	      "rep_insw_to_device", "%lx %x %x", at, byte[4090], byte[4101]);
	at = DEVICE + 4097, count = 3;
	byte[4095] = 0x5a;
	__asm__ volatile("std\n\trep outsb\n\tcld" : "+S"(at), "+c"(count) : "d"(SCRATCH) : "memory");
	check(at == DEVICE + 4094 && inb(SCRATCH) == 0x5a, "rep_outsb_from_device_down", "%lx %x",
	      at, inb(SCRATCH));
}

/* RSP is there while `insn` runs. RAX goes in and out. */
#define ON_DEVICE(insn, top, rax)							\
	__asm__ volatile("xchg %%rsp, %%r8\n\t" insn "\n\txchg %%rsp, %%r8"		\
			 : "+r"(r8), "+a"(rax) : "b"(DEVICE) : "memory", "cc", "rcx")

static void stack(void)
{
	register uint64_t r8 __asm__("r8");
	uint64_t rax = 0x123456789abcdef, old = (uint64_t)&m[64];

	r8 = old;
	ON_DEVICE("push $-7\n\tpush %%rax\n\tpushq $-7070707\n\tpushw %%ax\n\tpush %%fs", 0, rax);
	check(r8 == old - 34 && m[63] == -7ul && m[62] == rax && m[61] == -7070707ul, "push",
	      "%lx %lx %lx %lx", old - r8, m[63], m[62], m[61]);
	m[0] = 0x5566, r8 = old;
	ON_DEVICE("pushq (%%rbx)\n\tpopq 8(%%rbx)\n\tpushw (%%rbx)\n\tpopw %%ax", 0, rax);
	check(r8 == old && m[1] == 0x5566 && rax == 0x123456789ab5566, "push_pop_memory",
	      "%lx %lx %lx", old - r8, m[1], rax);
	r8 = old;
	ON_DEVICE("lea 1f(%%rip), %%rax\n\tpush %%rax\n\tret\n\tud2\n1:\tcall 2f\n\tjmp 3f\n"
		  "2:\tret $8\n3:", 0, rax);
	check_equal(r8, old + 8, "call_ret");
	m[62] = 0x778899, r8 = 0;
	__asm__ volatile("xchg %%rsp, %%r8\n\txchg %%rbp, %%rax\n\tleave\n\txchg %%rsp, %%r8\n\t"
			 "xchg %%rbp, %%rax" : "+r"(r8), "=a"(rax) : "a"(&m[62]) : "memory");
	check(r8 == (uint64_t)&m[63] && rax == 0x778899, "leave", "%lx %lx", r8, rax);
	rax = 0xaa55aa55bb66bb66, r8 = old;
	__asm__ volatile("xchg %%rsp, %%r8\n\txchg %%rbp, %%rax\n\tenter $0x1238, $0\n\t"
			 "xchg %%rsp, %%r8\n\txchg %%rbp, %%rax" : "+r"(r8), "+a"(rax) :: "memory");
	check(r8 == old - 8 - 0x1238 && rax == old - 8 && m[63] == 0xaa55aa55bb66bb66, "enter",
	      "%lx %lx %lx", r8, rax, m[63]);
}

static void exchanges(void)
{
	static const uint64_t mask[] = { 0xff, 0xffff, 0xffffffff, ~0ul };
	const uint64_t a = 0xfedcba9876543210, b = 0x123456789abcdef;
	uint64_t rax[8], got[8];

	for (unsigned n = 0; n < 8; n++) {
		m[0] = b;
		rax[n] = a;
		switch (n) {
		case 0: __asm__ volatile("xchgb %%al, (%1)" : "+a"(rax[n]) : "r"(m) : "memory"); break;
		case 1: __asm__ volatile("xchgw %%ax, (%1)" : "+a"(rax[n]) : "r"(m) : "memory"); break;
		case 2: __asm__ volatile("xchgl %%eax, (%1)" : "+a"(rax[n]) : "r"(m) : "memory"); break;
		case 3: __asm__ volatile("xchgq %%rax, (%1)" : "+a"(rax[n]) : "r"(m) : "memory"); break;
		case 4: __asm__ volatile("xaddb %%al, (%1)" : "+a"(rax[n]) : "r"(m) : "memory"); break;
		case 5: __asm__ volatile("xaddw %%ax, (%1)" : "+a"(rax[n]) : "r"(m) : "memory"); break;
		case 6: __asm__ volatile("xaddl %%eax, (%1)" : "+a"(rax[n]) : "r"(m) : "memory"); break;
		case 7: __asm__ volatile("lock xaddq %%rax, (%1)" : "+a"(rax[n]) : "r"(m) : "memory");
		}
		got[n] = m[0];
	}
	for (unsigned n = 0; n < 8; n++) {
		uint64_t k = mask[n & 3], want = n < 4 ? a : a + b,
			 kept = (n & 3) == 2 ? 0 : a & ~k;

		check(got[n] == ((b & ~k) | (want & k)) && rax[n] == (kept | (b & k)),
		      n < 4 ? "xchg" : "xadd", "%u: %lx %lx", n, got[n], rax[n]);
	}
	m[0] = 5, m[1] = 6;
	rax[0] = 5, rax[1] = 6;
	__asm__ volatile("lock cmpxchg16b (%2)" : "+a"(rax[0]), "+d"(rax[1])
			 : "r"(m), "b"(7), "c"(8) : "memory", "cc");
	check(m[0] == 7 && m[1] == 8, "cmpxchg16b", "%lx %lx", m[0], m[1]);
}

static void bits(void)
{
	volatile uint32_t *a = (volatile uint32_t *)DEVICE;
	uint64_t rax = 0, zf = 0;

	m[0] = m[1] = 0;
	__asm__ volatile("btcl $32, (%0)\n\tbtcl $1, 4(%0)\n\tbtcl %k1, (%0)\n\tbtcl %k2, 12(%0)"
			 :: "r"(a), "r"(66), "r"(-1) : "memory", "cc");
	check(a[0] == 1 && a[1] == 2 && a[2] == 0x80000004, "btcl", "%x %x %x", a[0], a[1], a[2]);
	__asm__ volatile("btcq %1, 8(%0)" :: "r"(a), "r"(-1l) : "memory", "cc");
	check(a[1] == 0x80000002 && a[2] == 0x80000004, "btcq", "%x %x", a[1], a[2]);
	m[0] = 0xc00000000000;
	__asm__ volatile("bsfq (%1), %0" : "=r"(rax) : "r"(m) : "cc");
	check_equal(rax, 46, "bsfq");
	__asm__ volatile("bsrq (%1), %0" : "=r"(rax) : "r"(m) : "cc");
	check_equal(rax, 47, "bsrq");
	m[0] = 0;
	__asm__ volatile("bsrq (%2), %0\n\tsete %b1" : "=r"(rax), "+r"(zf) : "r"(m) : "cc");
	check_equal(zf, 1, "bsrq_of_nothing");
	m[0] = 0x12340000ffffabcd;
	__asm__ volatile("shldq $16, %1, (%0)" :: "r"(m), "r"(0x5678ul << 48) : "memory", "cc");
	check_equal(m[0], 0xffffabcd5678, "shldq");
	__asm__ volatile("cmp %%eax, %%eax\n\tcmovnel (%1), %k0"
			 : "=a"(rax) : "r"(m), "a"(0x1234567812345678) : "cc");
	check_equal(rax, 0x12345678, "cmovnel");
}

static void divide(void *arg)
{
	(void)arg;
	__asm__ volatile("divq (%0)" :: "r"(m), "a"(1), "d"(2) : "cc");
}

static void products(void)
{
	uint64_t a = 123456789012345, d = 123456789012345;

	m[0] = 0;
	check_fault(fault_call(divide, NULL), VEC_DE, 0, "divq_by_0");
	m[0] = 987654321098765;
	__asm__ volatile("divq (%2)" : "+a"(a), "+d"(d) : "r"(m) : "cc");
	check(a == 0x1ffffffb1b963b33 && d == 0x273ba4384ede2, "divq", "%lx %lx", a, d);
	m[0] = 0x3333333333333333;
	a = 0x1111111111111111, d = 0x2222222222222222;
	__asm__ volatile("mulw (%2)" : "+a"(a), "+d"(d) : "r"(m) : "cc");
	check(a == 0x111111111111c963 && d == 0x2222222222220369, "mulw", "%lx %lx", a, d);
	m[0] = 51, a = 0x1234567812345678;
	__asm__ volatile("imulb (%1)" : "+a"(a) : "r"(m) : "cc");
	check_equal(a, 0x12345678123417e8, "imulb");
	m[0] = 51, a = 0x1234567812345678;
	__asm__ volatile("imulw (%1), %w0\n\timulq $-5, (%1), %0" : "+a"(a) : "r"(m) : "cc");
	check_equal(a, -255ul, "imulq");
}

/* Offset and selector, of JMP and CALL; offsets of eight bytes are not AMD's. */
static void far_transfers(void)
{
	volatile uint32_t *at = (volatile uint32_t *)DEVICE;
	uint64_t got = 0, to;

	__asm__ volatile("lea 1f(%%rip), %0\n\tmov %k0, (%1)\n\tmovl %2, 4(%1)\n\tljmpl *(%1)\n\t"
			 "ud2\n1:" : "=&r"(to) : "r"(at), "i"(SEL_CODE64) : "memory");
	check(true, "ljmp", "%lx", to);
	__asm__ volatile("lea 1f(%%rip), %k0\n\tmov %k0, (%1)\n\tlcall *(%1)\n\tjmp 2f\n"
			 "1:\tmov 4(%%rsp), %k0\n\tlretl\n2:" : "=&r"(got) : "r"(at) : "memory");
	check_equal(got, SEL_CODE64, "lcall");
	if (vendor() != VENDOR_INTEL)
		return;
	__asm__ volatile("lea 1f(%%rip), %0\n\tmov %0, (%1)\n\tmovw %2, 8(%1)\n\trex64 ljmp *(%1)\n\t"
			 "ud2\n1:" : "=&r"(to) : "r"(at), "i"(SEL_CODE64) : "memory");
	check(true, "ljmpq", "%lx", to);
}

/* Through a gate, whose offset counts, and which pushes eight bytes each. */
static void gates(void)
{
	uint64_t cs = 0, to;

	__asm__ volatile("lea 1f(%%rip), %0\n\tjmp 2f\n1:\tmov 8(%%rsp), %%rax\n\tlretq\n2:"
			 : "=r"(to));
	gdt[SEL_FREE / 8] = (to & 0xffff) | SEL_CODE64 << 16 | 0x8cul << 40 |
			    (to >> 16 & 0xffff) << 48;
	gdt[SEL_FREE / 8 + 1] = to >> 32;
	m[0] = 0xdeadbeef | (uint64_t)SEL_FREE << 32;
	__asm__ volatile("lcall *(%1)" : "=a"(cs) : "r"(m) : "memory");
	check_equal(cs, SEL_CODE64, "lcall_gate");
}

/* ---- the stack in RAM, where the processor does it all, and in the device */

struct place {
	uint64_t pointer, top;		/* of a far call; below which the stack is */
};

/* Ring 0 by a gate; back to ring 3 with a frame below RDI. */
extern char inside_iret[], inside_lret[];
__asm__("inside_iret:\n\tmov %cs, %eax\n\tpop %rcx\n\tpop %rdx\n\tpop %r8\n\tpop %r9\n\t"
	"mov %rdi, %rsp\n\tpush %r9\n\tpush %r8\n\tpushf\n\tpush %rdx\n\tpush %rcx\n\tiretq\n"
	"inside_lret:\n\tmov %cs, %eax\n\tpop %rcx\n\tpop %rdx\n\tpop %r8\n\tpop %r9\n\t"
	"mov %rdi, %rsp\n\tpush %r9\n\tpush %r8\n\tpush %rdx\n\tpush %rcx\n\tlretq");

static uint64_t trip_in, trip_from, trip_ss, trip_cs, trip_sp;

static void trip(void *arg)
{
	struct place *p = arg;
	uint64_t sp;

	__asm__ volatile("mov %%rsp, %4\n\tlcall *(%7)\n\tsub %%rsp, %4\n\tmov %%cs, %k3"
			 : "=a"(trip_in), "=d"(trip_from), "=r"(trip_ss), "=&r"(trip_cs), "=&r"(sp)
			 : "D"(p->top), "2"(0), "r"(p->pointer)
			 : "rcx", "r8", "r9", "memory", "cc");
	trip_sp = sp;
}

static void gate_to(const char *at, unsigned access)
{
	uint64_t to = (uint64_t)at;

	gdt[SEL_FREE / 8] = (to & 0xffff) | SEL_CODE64 << 16 | (uint64_t)access << 40 |
			    (to >> 16 & 0xffff) << 48;
	gdt[SEL_FREE / 8 + 1] = to >> 32;
}

static void rings(struct place p)
{
	for (unsigned n = 0; n < 2; n++) {
		gate_to(n ? inside_lret : inside_iret, 0xec);
		*(volatile uint64_t *)p.pointer = 0xdeadbeef | (SEL_FREE | 3ul) << 32;
		trip_in = trip_from = trip_cs = trip_sp = ~0ul;
		check_fault(user_call(trip, &p), -1, 0, n ? "lret_to_ring3" : "iret_to_ring3");
		check(trip_in == SEL_CODE64 && trip_from == SEL_UCODE && trip_cs == SEL_UCODE &&
		      !trip_sp, "gate_to_ring0", "%lx %lx %lx %lx", trip_in, trip_from, trip_cs,
		      trip_sp);
		gate_to(inside_lret, 0x8c);			/* not for ring 3 */
		check_fault(user_call(trip, &p), VEC_GP, SEL_FREE, "gate_of_ring0");
	}
}

static void frames(struct place p)
{
	register uint64_t r8 __asm__("r8") = p.top;
	uint64_t flags = 0, base = 0, *top = (uint64_t *)p.top;

	__asm__ volatile("xchg %%rsp, %0\n\tmov %%ss, %%eax\n\tmov %%rsp, %%rcx\n\tpush %%rax\n\t"
			 "push %%rcx\n\tpush $0x8d7\n\tmov %%cs, %%eax\n\tpush %%rax\n\t"
			 "lea 1f(%%rip), %%rax\n\tpush %%rax\n\tiretq\n\tud2\n1:\tpushf\n\tpop %1\n\t"
			 "xchg %%rsp, %0" : "+r"(r8), "=&r"(flags) :: "rax", "rcx", "memory", "cc");
	check(r8 == p.top && (flags & 0x8d7) == 0x8d7, "iretq", "%lx %lx", p.top - r8, flags);
	r8 = p.top;
	__asm__ volatile("xchg %%rsp, %0\n\tpushq $0x4c7\n\tpopf\n\tpushf\n\tpop %1\n\tcld\n\t"
			 "mov %%cs, %%eax\n\tpush %%rax\n\tlea 1f(%%rip), %%rax\n\tpush %%rax\n\t"
			 "lretq\n\tud2\n1:\txchg %%rsp, %0"
			 : "+r"(r8), "=&r"(flags) :: "rax", "memory", "cc");
	check(r8 == p.top && (flags & 0xcd7) == 0x4c7, "popf_lretq", "%lx %lx", p.top - r8, flags);
	top[-1] = 0x1111, top[-2] = 0x2222, r8 = p.top;
	__asm__ volatile("mov %%rbp, %%rcx\n\tmov %0, %%rbp\n\tlea -64(%0), %%rax\n\t"
			 "xchg %%rsp, %%rax\n\tenter $16, $3\n\tmov %%rbp, %1\n\tmov %%rax, %%rsp\n\t"
			 "mov %%rcx, %%rbp" :: "r"(r8), "r"(base) : "rax", "rcx", "memory");
	check(top[-9] == p.top && top[-10] == 0x1111 && top[-11] == 0x2222 &&
	      top[-12] == (uint64_t)&top[-9], "enter_nested", "%lx %lx %lx %lx", top[-9], top[-10],
	      top[-11], top[-12]);
}

/* In 32-bit code. */
static void narrow_frames(struct place p)
{
	const volatile uint32_t *top = (volatile uint32_t *)p.top;
	uint64_t rdi = p.top, rax = 0x11111111, rcx = 0x22222222;

	__asm__ volatile("push %[code32]\n\tpush $1f\n\tlretq\n\t.code32\n1:\txchg %%esp, %%edi\n\t"
			 "push %%cs\n\tpush $2f\n\tlret\n\tud2\n2:\tpushf\n\tpush %%cs\n\tpush $3f\n\t"
			 "iret\n\tud2\n3:\tlcall %[code32], $4f\n\tjmp 5f\n4:\tlret\n5:\tpushf\n\tpopf\n\t"
			 "pusha\n\txor %%eax, %%eax\n\txor %%ecx, %%ecx\n\txor %%edi, %%edi\n\tpopa\n\t"
			 "xchg %%esp, %%edi\n\tljmp %[code64], $9f\n\t.code64\n9:"
			 : "+D"(rdi), "+a"(rax), "+c"(rcx)
			 : [code32] "i"(SEL_CODE32), [code64] "i"(SEL_CODE64) : "memory", "cc");
	check(rdi == p.top && (uint32_t)rax == 0x11111111 && (uint32_t)rcx == 0x22222222,
	      "narrow_frames", "%lx %lx %lx", p.top - rdi, rax, rcx);
	check(top[-1] == 0x11111111 && top[-2] == 0x22222222 && top[-5] == (uint32_t)p.top, "pusha",
	      "%x %x %x", top[-1], top[-2], top[-5]);
}

static void stacks(void)
{
	static uint64_t words[64];
	const struct place places[] = { { (uint64_t)&words[60], (uint64_t)&words[48] },
					{ DEVICE + 8, (uint64_t)&m[520] } };

	for (unsigned n = 0; n < 2; n++) {
		frames(places[n]);
		narrow_frames(places[n]);
		rings(places[n]);
	}
}

static void ljmp_to(void *arg)
{
	m[0] = (uint64_t)arg << 32;
	__asm__ volatile("ljmpl *(%0)" :: "r"(m) : "memory");
}

static void jmp_to_nowhere(void *arg)
{
	(void)arg;
	m[0] = 0x1111111111111111;
	__asm__ volatile("jmp *(%0)" :: "r"(m) : "memory");
}

static void call_to_nowhere(void *arg)
{
	(void)arg;
	m[0] = 0x1111111111111111;
	__asm__ volatile("call *(%0)" :: "r"(m) : "memory");
}

static void null_ss(void *arg)
{
	m[0] = (uint64_t)arg;
	__asm__ volatile("movw (%0), %%ss" :: "r"(m) : "memory");
}

static void ltr_busy(void *arg)
{
	(void)arg;
	m[0] = SEL_TSS;
	__asm__ volatile("ltr (%0)" :: "r"(m) : "memory");
}

static void lea_of_register(void *arg)
{
	(void)arg;
	__asm__ volatile(".byte 0x48, 0x8d, 0xc0");
}

static void lock_mov(void *arg)
{
	(void)arg;
	__asm__ volatile(".byte 0xf0, 0x89, 0x03" :: "b"(m));
}

static void faults(void)
{
	check_fault(fault_call(jmp_to_nowhere, NULL), VEC_GP, 0, "jmp_noncanonical");
	check_fault(fault_call(call_to_nowhere, NULL), VEC_GP, 0, "call_noncanonical");
	check_fault(fault_call(ljmp_to, (void *)SEL_DATA), VEC_GP, SEL_DATA, "ljmp_to_data");
	check_fault(fault_call(ljmp_to, NULL), VEC_GP, 0, "ljmp_to_null");
	check_fault(fault_call(null_ss, (void *)3), VEC_GP, 0, "null_ss_of_ring3");
	check_fault(fault_call(null_ss, (void *)SEL_CODE64), VEC_GP, SEL_CODE64, "code_in_ss");
	check_fault(fault_call(ltr_busy, NULL), VEC_GP, SEL_TSS, "ltr_busy");
	check_fault(fault_call(lea_of_register, NULL), VEC_UD, 0, "lea_of_register");
	check_fault(fault_call(lock_mov, NULL), VEC_UD, 0, "lock_mov");
}

static void segments(void)
{
	uint64_t v = 0, old = 0;

	__asm__ volatile("mov %%ss, %k0\n\tmovw $0, (%2)\n\tmovw (%2), %%ss\n\tmov %%ss, %k1\n\t"
			 "mov %k0, %%ss" : "=&r"(old), "=&r"(v) : "r"(m) : "memory");
	check_equal(v & 0xffff, 0, "null_ss");
	m[0] = ~0ul;
	__asm__ volatile("movw %%ds, (%1)\n\tmovw (%1), %%gs\n\tlsl (%1), %k0"
			 : "=&r"(v) : "r"(m) : "memory", "cc");
	check(m[0] >> 16 == 0xffffffffffff && (uint32_t)v == 0xffffffff, "movw_from_ds_lsl", "%lx %lx",
	      m[0], v);
	m[0] = 0x12345678abcdef;
	__asm__ volatile("smsw (%0)" :: "r"(m) : "memory");
	check_equal(m[0], 0x12345678ab0000 | (cr0_read() & 0xffff), "smsw");
	old = cr0_read();
	m[0] = (old ^ CR0_TS) & ~CR0_PE;
	__asm__ volatile("lmsw (%0)" :: "r"(m) : "memory");
	check_equal(old ^ cr0_read(), CR0_TS, "lmsw");
	cr0_write(old);
	__asm__ volatile("sgdt (%0)\n\tsidt 16(%0)\n\tlgdt (%0)\n\tlidt 16(%0)\n\tsgdt 32(%0)"
			 :: "r"(m) : "memory");
	check(m[0] == m[4] && (uint16_t)m[1] == (uint16_t)m[5] && m[0], "sgdt_lgdt", "%lx %lx", m[0],
	      m[4]);
}

/* Code and device side by side, the operand by its distance. */
static void rip_relative(void)
{
	static const uint8_t code[] = { 0xc6, 0x05, 0xfb, 0x0f, 0, 0, 0x5a, 0xc3 };
	uint8_t *page = page_get();

	page_map(WINDOW, (uint64_t)page, PTE_P | PTE_W);
	page_map(WINDOW + 4096, DEVICE, PTE_P | PTE_W);
	copy(page, code, sizeof(code));
	m[0] = 0;
	__asm__ volatile("call *%0" :: "r"(WINDOW) : "memory");
	check_equal(m[0], 0x5a0000, "rip_relative");
	m[511] = 0, m[512] = 0;
	*(volatile uint32_t *)(DEVICE + 4094) = 0x11223344;
	check(m[511] >> 48 == 0x3344 && m[512] == 0x1122, "across_pages", "%lx %lx", m[511], m[512]);
}

static void named(const char *name, void (*fn)(void))
{
	print("TRY %s\n", name);
	fn();
}

void test_main(void)
{
	named("compare_strings", compare_strings);
	named("port_strings", port_strings);
	named("stack", stack);
	named("exchanges", exchanges);
	named("bits", bits);
	named("products", products);
	named("far_transfers", far_transfers);
	named("gates", gates);
	named("faults", faults);
	named("segments", segments);
	named("rip_relative", rip_relative);
	named("stacks", stacks);
}
