/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPUID: every encoding advances over the whole instruction, the leaves make sense, and the bits
 * that follow a control register follow it.
 */
#include "tests/guest/lib/apic.h"

/* After a wrong advance the next byte runs as an instruction of its own and RSI is never set. */
#define CPUID_BYTES(bytes, leaf, ebx_out) ({					\
	uint64_t a_ = 0xffffffff00000000 | (leaf), b_, c_ = 0, d_, ok_ = 0;	\
										\
	__asm__ volatile(".byte " bytes "\n\tmov $77, %0"			\
			 : "=&S"(ok_), "+a"(a_), "=b"(b_), "+c"(c_), "=d"(d_));	\
	ebx_out = b_;								\
	ok_ == 77 && !((a_ | b_ | c_ | d_) >> 32);				\
})

#define CHECK_BYTES(bytes, name) do {						\
	uint64_t ebx_ = 0;							\
	bool ok_ = CPUID_BYTES(bytes, 0, ebx_);					\
										\
	check(ok_ && ebx_ == cpuid(0).ebx, name, "ebx %lx", ebx_);		\
} while (0)

static void encodings(void)
{
	CHECK_BYTES("0x0f, 0xa2", "cpuid_plain");
	CHECK_BYTES("0x66, 0x0f, 0xa2", "cpuid_66");
	CHECK_BYTES("0xf3, 0x0f, 0xa2", "cpuid_f3");
	CHECK_BYTES("0xf2, 0x0f, 0xa2", "cpuid_f2");
	CHECK_BYTES("0x48, 0x0f, 0xa2", "cpuid_rexw");
	CHECK_BYTES("0x66, 0x48, 0x0f, 0xa2", "cpuid_66_rexw");
	CHECK_BYTES("0x2e, 0x67, 0x0f, 0xa2", "cpuid_cs_67");
	CHECK_BYTES("0x66, 0xf3, 0x64, 0x67, 0x4f, 0x0f, 0xa2", "cpuid_many_prefixes");
}

static void limits(void)
{
	uint32_t basic = cpuid(0).eax, extended = cpuid(0x80000000).eax;
	struct cpuid above = cpuid(basic + 1);
	bool zero = !(above.eax | above.ebx | above.ecx | above.edx);

	check(basic >= 0xd && basic < 0x40, "cpuid_basic_limit", "%x", basic);
	check(extended >= 0x80000008 && extended < 0x80000040, "cpuid_extended_limit", "%x",
	      extended);
	if (vendor() == VENDOR_AMD && on_keel())
		check(zero, "cpuid_above_limit_amd", "eax %x", above.eax);
	check(cpuid(1).edx & 1 << 9, "cpuid_apic_bit", "%x", cpuid(1).edx);
	check((cpuid(0x80000008).eax & 0xff) >= 36, "cpuid_physical_bits", "%x",
	      cpuid(0x80000008).eax);
	check((cpuid(0x80000008).eax >> 8 & 0xff) >= 48, "cpuid_linear_bits", "%x",
	      cpuid(0x80000008).eax);
}

static void hypervisor(void)
{
	struct cpuid id = cpuid(0x40000000);
	uint32_t text[3] = { id.ebx, id.ecx, id.edx };

	if (!on_keel()) {
		skip("cpuid_keel", "not on Keel");
		return;
	}
	check(compare(text, "KVMKVMKVM\0\0", 12) == 0, "cpuid_kvm_signature", "%x %x %x", text[0],
	      text[1], text[2]);
	check(id.eax >= 0x40000001 && id.eax < 0x40000200, "cpuid_kvm_limit", "%x", id.eax);
	check(cpuid(0x40000001).eax & 1 << 3, "cpuid_kvmclock2", "%x", cpuid(0x40000001).eax);
	check(cpuid(0x40000200).eax >= 0x40000200, "cpuid_keel_limit", "%x", cpuid(0x40000200).eax);
	check(!(cpuid(1).ecx & 1 << 5), "cpuid_no_vmx", "%x", cpuid(1).ecx);
	check(!(cpuid(0x80000001).ecx & 1 << 2), "cpuid_no_svm", "%x", cpuid(0x80000001).ecx);
	check(!(cpuid(1).ecx & 1 << 3), "cpuid_no_monitor", "%x", cpuid(1).ecx);
	/* Intel's chips give the last basic leaf for those above the limit. */
	if (vendor() != VENDOR_AMD)
		return;
	id = cpuid(0x8000000a);
	check(!(id.eax | id.ebx | id.ecx | id.edx), "cpuid_svm_leaf_empty", "eax %x edx %x", id.eax,
	      id.edx);
}

static void following(void)
{
	uint64_t cr4 = cr4_read(), base = rdmsr(MSR_APIC_BASE);

	if (cpuid(1).ecx & 1 << 26) {
		cr4_write(cr4 | CR4_OSXSAVE);
		check(cpuid(1).ecx & 1 << 27, "cpuid_osxsave_on", "%x", cpuid(1).ecx);
		cr4_write(cr4 & ~CR4_OSXSAVE);
		check(!(cpuid(1).ecx & 1 << 27), "cpuid_osxsave_off", "%x", cpuid(1).ecx);
		cr4_write(cr4);
	} else {
		skip("cpuid_osxsave", "no XSAVE");
	}
	check_equal(cpuid(1).ebx >> 24, mmio_read(LAPIC_BASE + APIC_ID) >> 24, "cpuid_apic_id");
	if (on_qemu_tcg()) {
		skip("cpuid_apic_off", "bare QEMU never enables it again");
		return;
	}
	wrmsr(MSR_APIC_BASE, base & ~0x800ul);
	check(!(cpuid(1).edx & 1 << 9), "cpuid_apic_off", "%x", cpuid(1).edx);
	wrmsr(MSR_APIC_BASE, base);
	check(cpuid(1).edx & 1 << 9, "cpuid_apic_on", "%x", cpuid(1).edx);
}

static void xsave_leaf(void)
{
	uint64_t cr4 = cr4_read(), xcr0;
	uint32_t small, large;

	if (!(cpuid(1).ecx & 1 << 26) || !(cpuid_count(0xd, 0).eax & 4)) {
		skip("cpuid_xsave_size", "no AVX state");
		return;
	}
	cr4_write(cr4 | CR4_OSXSAVE);
	xcr0 = xgetbv(0);
	xsetbv_try(0, 1);
	small = cpuid_count(0xd, 0).ebx;
	xsetbv_try(0, 7);
	large = cpuid_count(0xd, 0).ebx;
	check(small == 576 && large == 832, "cpuid_xsave_size", "x87 %u, AVX %u", small, large);
	check(cpuid_count(0xd, 0).ecx >= large, "cpuid_xsave_most", "%u", cpuid_count(0xd, 0).ecx);
	xsetbv_try(0, xcr0);
	cr4_write(cr4);
}

static void in_ring3(void *arg)
{
	*(uint32_t *)arg = cpuid(0).ebx;
}

static void stable(void)
{
	uint32_t ebx = 0;
	struct cpuid first = cpuid(1), again;
	struct fault fault = user_call(in_ring3, &ebx);

	check(fault.vector < 0 && ebx == cpuid(0).ebx, "cpuid_ring3", "vector %d", fault.vector);
	for (unsigned i = 0; i < 1000; i++) {
		again = cpuid(1);
		if (compare(&first, &again, sizeof(first)))
			break;
	}
	check(compare(&first, &again, sizeof(first)) == 0, "cpuid_stable", "ecx %x %x", first.ecx,
	      again.ecx);
}

void test_main(void)
{
	encodings();
	limits();
	hypervisor();
	following();
	xsave_leaf();
	stable();
}
