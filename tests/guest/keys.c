/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protection keys, in both rings and all their combinations: what a key forbids to the processor's
 * own moves it forbids to INS, OUTS, and MOVS from and to a device, which a hypervisor does in the
 * guest's name. The same #PF each time, and nothing moved.
 */
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/pages.h"

#define CPUID_OSPKE	(1u << 4)		/* leaf 7, ECX */
#define KEY		5u			/* of the page */
#define KEY_SHIFT	59
#define NO_ACCESS(key)	(1u << 2 * (key))
#define NO_WRITE(key)	(2u << 2 * (key))

#define PF_P		1u
#define PF_W		2u
#define PF_U		4u
#define PF_PK		0x20u

#define PORT		0x2f0			/* nobody's: ones */
#define REG		(LAPIC_BASE + APIC_LVT_ERROR)
#define IN_REG		0x10055u
#define IN_PAGE		0x10012u

static volatile uint32_t *page;			/* the page, where nothing forbids */

static void load(void *at)
{
	(void)*(volatile uint32_t *)at;
}

static void store(void *at)
{
	*(volatile uint32_t *)at = IN_REG;
}

static void insb(void *at)
{
	__asm__ volatile("insb" : "+D"(at) : "d"(PORT) : "memory");
}

static void outsb(void *at)
{
	__asm__ volatile("outsb" : "+S"(at) : "d"(PORT) : "memory");
}

static void from_device(void *at)
{
	uint64_t reg = REG;

	__asm__ volatile("movsl" : "+D"(at), "+S"(reg) :: "memory");
}

static void to_device(void *at)
{
	uint64_t reg = REG;

	__asm__ volatile("movsl" : "+D"(reg), "+S"(at) :: "memory");
}

static const struct insn {
	const char *name;
	call_fn *fn;
	bool writes;
	uint32_t page, reg;		/* afterwards */
} insns[] = {
	{ "load", load, false, IN_PAGE, IN_REG },
	{ "store", store, true, IN_REG, IN_REG },
	{ "insb", insb, true, IN_PAGE | 0xff, IN_REG },
	{ "outsb", outsb, false, IN_PAGE, IN_REG },
	{ "movs_from_device", from_device, true, IN_REG, IN_REG },
	{ "movs_to_device", to_device, false, IN_PAGE, IN_PAGE },
};

static const uint32_t pkrus[] = {
	0, NO_ACCESS(KEY), NO_WRITE(KEY), NO_ACCESS(KEY) | NO_WRITE(KEY),
	NO_ACCESS(KEY - 1) | NO_WRITE(KEY + 1),
};

static struct {
	bool user, user_page, wp;
	uint32_t pkru;
} now;

/* The manual's rule: 0, or the error code. */
static uint32_t forbidden(const struct insn *insn)
{
	bool no_write = now.pkru & NO_WRITE(KEY) && insn->writes && (now.user || now.wp);

	if (now.user && !now.user_page)
		return PF_P | PF_U | (insn->writes ? PF_W : 0);
	if (!now.user_page || !(now.pkru & NO_ACCESS(KEY) || no_write))
		return 0;
	return PF_P | PF_PK | (insn->writes ? PF_W : 0) | (now.user ? PF_U : 0);
}

static bool right(const struct insn *insn)
{
	uint32_t want = forbidden(insn), reg;
	struct fault f;

	*page = IN_PAGE;
	mmio_write(REG, IN_REG);
	wrpkru(now.pkru);
	f = (now.user ? user_call : fault_call)(insn->fn, (void *)WINDOW);
	wrpkru(0);
	reg = mmio_read(REG);
	if (want ? f.vector == VEC_PF && f.error == want && f.cr2 == WINDOW && *page == IN_PAGE &&
			   reg == IN_REG
		 : f.vector == -1 && *page == insn->page && reg == insn->reg)
		return true;
	print("%s ring %u page %s wp %u pkru %x: vector %d error %x cr2 %lx, want %x, page %x reg %x\n",
	      insn->name, now.user ? 3 : 0, now.user_page ? "user" : "supervisor", now.wp,
	      now.pkru, f.vector, f.error, f.cr2, want, *page, reg);
	return false;
}

/* In every ring, with every key register. */
static void accesses(unsigned *wrong)
{
	for (unsigned user = 0; user < 2; user++)
		for (unsigned k = 0; k < ARRAY_COUNT(pkrus); k++) {
			now.user = user;
			now.pkru = pkrus[k];
			for (unsigned i = 0; i < ARRAY_COUNT(insns); i++)
				wrong[i] += !right(&insns[i]);
		}
}

static void combinations(void)
{
	uint64_t cr0 = cr0_read();
	unsigned wrong[ARRAY_COUNT(insns)] = { 0 };

	for (unsigned how = 0; how < 4; how++) {
		now.user_page = how & 1;
		now.wp = how & 2;
		page_map(WINDOW, (uint64_t)page,
			 PTE_P | PTE_W | (uint64_t)KEY << KEY_SHIFT | (now.user_page ? PTE_U : 0));
		cr0_write(now.wp ? cr0 | CR0_WP : cr0 & ~CR0_WP);
		accesses(wrong);
	}
	for (unsigned i = 0; i < ARRAY_COUNT(insns); i++)
		check(!wrong[i], insns[i].name, "%u wrong", wrong[i]);
	cr0_write(cr0);
}

/* PKRU stays what it is and counts for nothing while PKE is off. */
static void without_pke(void)
{
	uint64_t cr4 = cr4_read();
	unsigned bad = 0;

	page_map(WINDOW, (uint64_t)page, PTE_P | PTE_W | PTE_U | (uint64_t)KEY << KEY_SHIFT);
	wrpkru(NO_ACCESS(KEY));
	cr4_write(cr4 & ~CR4_PKE);
	cr3_write(cr3_read());
	check(!(cpuid(7).ecx & CPUID_OSPKE), "ospke_off", "%x", cpuid(7).ecx);
	for (unsigned i = 0; i < ARRAY_COUNT(insns); i++)
		bad += fault_call(insns[i].fn, (void *)WINDOW).vector != -1;
	check(!bad, "pke_off", "%u fault", bad);
	cr4_write(cr4);
	cr3_write(cr3_read());
	check_equal(rdpkru(), NO_ACCESS(KEY), "pkru_kept");
	check(fault_call(insb, (void *)WINDOW).vector == VEC_PF, "pke_on_again", "no fault");
	wrpkru(0);
}

static struct { unsigned count; uint64_t rcx, rdi, cr2; uint32_t error; } met;

static void on_pf(struct frame *frame)
{
	met.count++;
	met.rcx = frame->rcx, met.rdi = frame->rdi;
	met.error = (uint32_t)frame->error, met.cr2 = cr2_read();
	wrpkru(0);
}

/* Stops at the border of the forbidden page, and goes on from there when it is allowed. */
static void repeated(void)
{
	uint8_t *first = page_get(), *second = page_get();
	uint64_t rcx = 8, rdi = WINDOW + 4096 - 3;
	static uint8_t ones[8] = { 255, 255, 255, 255, 255, 255, 255, 255 };

	page_map(WINDOW, (uint64_t)first, PTE_P | PTE_W | PTE_U);
	page_map(WINDOW + 4096, (uint64_t)second,
		 PTE_P | PTE_W | PTE_U | (uint64_t)KEY << KEY_SHIFT);
	trap_set(VEC_PF, on_pf);
	wrpkru(NO_WRITE(KEY));
	__asm__ volatile("rep insb" : "+D"(rdi), "+c"(rcx) : "d"(PORT) : "memory");
	trap_set(VEC_PF, NULL);
	check(met.count == 1 && met.error == (PF_P | PF_W | PF_PK) && met.cr2 == WINDOW + 4096,
	      "rep_insb_faults", "%u, error %x cr2 %lx", met.count, met.error, met.cr2);
	check(met.rcx == 5 && met.rdi == WINDOW + 4096, "rep_insb_stops", "rcx %lu rdi %lx",
	      met.rcx, met.rdi);
	check(!rcx && rdi == WINDOW + 4096 + 5 && !compare(first + 4093, ones, 3) &&
	      !compare(second, ones, 5) && !second[5], "rep_insb_goes_on", "rcx %lu rdi %lx", rcx,
	      rdi);
}

void test_main(void)
{
	if (!cpu_has_keys()) {
		skip("keys", "this processor has no protection keys");
		return;
	}
	apic_init(APIC_XAPIC);
	tss_allow(PORT);
	page = page_get();
	cr4_write(cr4_read() | CR4_PKE);
	check(cpuid(7).ecx & CPUID_OSPKE, "ospke", "%x", cpuid(7).ecx);
	wrpkru(0);
	combinations();
	without_pke();
	repeated();
}
