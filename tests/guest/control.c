/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control registers, debug registers and single steps: what is written is read, what is forbidden
 * faults, and an instruction that a hypervisor emulates ends in #DB as any other does.
 */
#include "tests/guest/lib/apic.h"
#include "tests/guest/lib/pages.h"

static uint64_t value;

/* QEMU's chip checks little, and Bochs ends itself over what an SVM guest writes. */
static bool chip_is_lax(void)
{
	return on_qemu_chip() || vendor() != VENDOR_INTEL;
}

static void write_cr0(void *arg)
{
	cr0_write(*(uint64_t *)arg);
}

static void write_cr4(void *arg)
{
	cr4_write(*(uint64_t *)arg);
}

static void write_cr3(void *arg)
{
	cr3_write(*(uint64_t *)arg);
}

static void cr0(void)
{
	uint64_t was = cr0_read(), bad;

	cr0_write(was & ~CR0_WP);
	check(!(cr0_read() & CR0_WP), "cr0_wp_off", "%lx", cr0_read());
	cr0_write(was | CR0_WP | CR0_TS);
	check((cr0_read() & (CR0_WP | CR0_TS)) == (CR0_WP | CR0_TS), "cr0_wp_ts_on", "%lx",
	      cr0_read());
	__asm__ volatile("clts");
	check(!(cr0_read() & CR0_TS), "clts", "%lx", cr0_read());
	__asm__ volatile("smsw %0" : "=r"(value));
	check_equal(value & 0xffff, cr0_read() & 0xffff, "smsw");
	__asm__ volatile("lmsw %w0" :: "r"((uint16_t)(cr0_read() | CR0_TS)));
	check(cr0_read() & CR0_TS, "lmsw_sets_ts", "%lx", cr0_read());
	cr0_write(was);
	cr0_write(was | CR0_CD);
	check(cr0_read() & CR0_CD, "cr0_cd", "%lx", cr0_read());
	cr0_write(was);
	check_equal(cr0_read(), was, "cr0_back");
	if (chip_is_lax()) {
		skip("cr0_refused", "the emulated chip does not look");
		return;
	}
	bad = was & ~CR0_PE;
	check_fault(fault_call(write_cr0, &bad), VEC_GP, 0, "cr0_pg_without_pe");
	bad = was | CR0_NW;
	check_fault(fault_call(write_cr0, &bad), VEC_GP, 0, "cr0_nw_without_cd");
	bad = was | 1ul << 40;
	check_fault(fault_call(write_cr0, &bad), VEC_GP, 0, "cr0_upper_half");
	check_equal(cr0_read(), was, "cr0_unchanged");
}

static void cr4(void)
{
	uint64_t was = cr4_read(), bad;

	cr4_write(was | CR4_PGE | CR4_DE | CR4_TSD);
	check((cr4_read() & (CR4_PGE | CR4_DE | CR4_TSD)) == (CR4_PGE | CR4_DE | CR4_TSD),
	      "cr4_pge_de_tsd", "%lx", cr4_read());
	cr4_write(was);
	check_equal(cr4_read(), was, "cr4_back");
	if (!chip_is_lax() || (on_qemu_chip() && on_keel())) {
		bad = was | 1ul << 31;
		check_fault(fault_call(write_cr4, &bad), VEC_GP, 0, "cr4_reserved");
		bad = was | 1ul << 40;
		check_fault(fault_call(write_cr4, &bad), VEC_GP, 0, "cr4_upper_half");
		check_equal(cr4_read(), was, "cr4_not_changed");
	}
	if (chip_is_lax()) {
		skip("cr4_refused", "the emulated chip does not look");
		return;
	}
	check(!(cr4_read() & CR4_VMXE), "cr4_vmxe_hidden", "%lx", cr4_read());
	bad = was & ~CR4_PAE;
	check_fault(fault_call(write_cr4, &bad), VEC_GP, 0, "cr4_pae_off_in_long_mode");
	bad = was | CR4_VMXE;
	check_fault(fault_call(write_cr4, &bad), VEC_GP, 0, "cr4_vmxe");
	check_equal(cr4_read(), was, "cr4_unchanged");
}

static void user_rdtsc(void *arg)
{
	*(uint64_t *)arg = rdtsc();
}

static void tsd(void)
{
	uint64_t was = cr4_read();

	cr4_write(was | CR4_TSD);
	check_fault(user_call(user_rdtsc, &value), VEC_GP, 0, "rdtsc_ring3_tsd");
	check(rdtsc() != 0, "rdtsc_ring0_tsd", "0");
	cr4_write(was);
	check_fault(user_call(user_rdtsc, &value), -1, 0, "rdtsc_ring3");
}

static void read_at(void *arg)
{
	value = *(volatile uint64_t *)arg;
}

static void write_at(void *arg)
{
	*(volatile uint64_t *)arg = 1;
}

static void paging(void)
{
	uint64_t *ram = page_get(), *other = page_get(), cr3 = cr3_read(), bad;
	uint64_t efer = rdmsr(MSR_EFER), cr0 = cr0_read();
	struct fault f;

	ram[0] = 111, other[0] = 222;
	page_map(WINDOW, (uint64_t)ram, PTE_P | PTE_W);
	read_at((void *)WINDOW);
	check_equal(value, 111, "map_first");
	*page_entry(WINDOW) = (uint64_t)other | PTE_P | PTE_W;
	cr3_write(cr3);
	read_at((void *)WINDOW);
	check_equal(value, 222, "cr3_reload_flushes");
	*page_entry(WINDOW) = (uint64_t)ram | PTE_P | PTE_W;
	invlpg(WINDOW);
	read_at((void *)WINDOW);
	check_equal(value, 111, "invlpg_flushes");
	check((*page_entry(WINDOW) & (PTE_A | PTE_D)) == PTE_A, "accessed_not_dirty", "%lx",
	      *page_entry(WINDOW));
	write_at((void *)WINDOW);
	check(*page_entry(WINDOW) & PTE_D, "dirty", "%lx", *page_entry(WINDOW));
	page_map(WINDOW, (uint64_t)ram, PTE_P);
	f = fault_call(write_at, (void *)WINDOW);
	check(f.vector == VEC_PF && f.error == 3 && f.cr2 == WINDOW, "write_protect", "%d %x %lx",
	      f.vector, f.error, f.cr2);
	cr0_write(cr0 & ~CR0_WP);
	check_fault(fault_call(write_at, (void *)WINDOW), -1, 0, "wp_off_writes");
	cr0_write(cr0);
	check_fault(fault_call(write_at, (void *)WINDOW), VEC_PF, 3, "wp_on_faults");
	wrmsr(MSR_EFER, efer | EFER_NXE);
	page_map(WINDOW, (uint64_t)ram, PTE_P | PTE_W | PTE_NX);
	f = fault_call((call_fn *)WINDOW, NULL);
	check(f.vector == VEC_PF && (f.error & ~2u) == 0x11, "nx", "%d %x", f.vector, f.error);
	wrmsr(MSR_EFER, efer & ~EFER_NXE);
	cr3_write(cr3);
	f = fault_call(read_at, (void *)WINDOW);
	check(f.vector == VEC_PF && (f.error | 1) == 9, "nx_reserved_without_nxe", "%d %x",
	      f.vector, f.error);
	wrmsr(MSR_EFER, efer);
	page_map(WINDOW, 0, 0);
	f = fault_call(read_at, (void *)WINDOW);
	check(f.vector == VEC_PF && f.error == 0 && f.cr2 == WINDOW, "absent", "%d %x %lx",
	      f.vector, f.error, f.cr2);
	if (!chip_is_lax() || (on_qemu_chip() && on_keel())) {
		bad = cr3 | 1ul << 60;
		check_fault(fault_call(write_cr3, &bad), VEC_GP, 0, "cr3_reserved");
	}
}

static void debug_registers(void)
{
	dr0_write(0x1111), dr1_write(0x2222), dr2_write(0x3333), dr3_write(0x4444);
	for (unsigned i = 0; i < 5; i++)
		cpuid(0);
	check(dr0_read() == 0x1111 && dr1_read() == 0x2222 &&
	      dr2_read() == 0x3333 && dr3_read() == 0x4444,
	      "dr0_to_dr3", "%lx %lx %lx %lx", dr0_read(), dr1_read(), dr2_read(), dr3_read());
	dr7_write(0x400 | 2);
	cpuid(0);
	check_equal(dr7_read(), 0x402, "dr7_keeps");
	dr7_write(0x400);
	dr6_write(0xffff0ff0);
	check_equal(dr6_read() & 0xe00f, 0, "dr6_clean");
	dr0_write(0), dr1_write(0), dr2_write(0), dr3_write(0);
}

static unsigned db_count;
static uint64_t db_rip[8], db_dr6[8];

static void on_db(struct frame *frame)
{
	if (db_count < ARRAY_COUNT(db_rip)) {
		db_rip[db_count] = frame->rip;
		db_dr6[db_count] = dr6_read();
	}
	db_count++;
	dr6_write(0xffff0ff0);
	frame->rflags |= RFLAGS_RF;
}

extern char bp_here[];
static uint64_t watched;

static void breakpoints(void)
{
	trap_set(VEC_DB, on_db);
	db_count = 0;
	dr0_write((uint64_t)bp_here);
	dr7_write(0x402);
	__asm__ volatile("nop\nbp_here:\n\tcpuid" : : "a"(0), "c"(0) : "rbx", "rdx", "memory");
	dr7_write(0x400);
	check(db_count == 1 && db_rip[0] == (uint64_t)bp_here && (db_dr6[0] & 0xf) == 1,
	      "breakpoint_on_cpuid", "%u at %lx dr6 %lx", db_count, db_rip[0], db_dr6[0]);
	db_count = 0;
	dr1_write((uint64_t)&watched);
	dr7_write(0x400 | 0x8 | 0xdul << 20);	/* L1.. G1: four bytes, writes */
	*(volatile uint64_t *)&watched = 7;
	dr7_write(0x400);
	check(db_count == 1 && (db_dr6[0] & 0xf) == 2, "watchpoint", "%u dr6 %lx", db_count,
	      db_dr6[0]);
	trap_set(VEC_DB, NULL);
}

static struct { unsigned count; uint8_t opcode; uint64_t dr6, dr7; } detected;

/* Behind the MOV, which has three bytes. */
static void on_access(struct frame *frame)
{
	detected.count++;
	detected.opcode = ((const uint8_t *)frame->rip)[1];
	detected.dr6 = dr6_read();
	detected.dr7 = dr7_read();
	dr6_write(DR6_RESET);
	frame->rip += 3;
}

#define READ(n)		__asm__ volatile("mov %%dr" #n ", %%rax" ::: "rax")
#define WRITE(n)	__asm__ volatile("mov %0, %%dr" #n :: "r"(0x2222ul))
/* Is `access` the #DB of DR7.GD, which is over with its delivery, and not done? */
#define DETECTED(access, code) ({ \
	detected.count = 0; \
	dr7_write(DR7_RESET | DR7_GD); \
	access; \
	detected.count == 1 && detected.opcode == (code) && detected.dr7 == DR7_RESET && \
	(detected.dr6 & (DR6_BD | DR6_BS | DR6_B)) == DR6_BD && dr7_read() == DR7_RESET; })
#define CHECK_DETECTED(access, code, name) \
	check(DETECTED(access, code), name, "%u, opcode %x, dr6 %lx, dr7 %lx then %lx", \
	      detected.count, detected.opcode, detected.dr6, detected.dr7, dr7_read())

static void general_detect(void)
{
	if (on_qemu_chip() && !on_keel()) {
		skip("general_detect", "QEMU's chip has none");
		return;
	}
	trap_set(VEC_DB, on_access);
	dr0_write(0x1111);
	CHECK_DETECTED(READ(0), 0x21, "detect_read_dr0");
	CHECK_DETECTED(READ(3), 0x21, "detect_read_dr3");
	CHECK_DETECTED(READ(6), 0x21, "detect_read_dr6");
	CHECK_DETECTED(READ(7), 0x21, "detect_read_dr7");
	CHECK_DETECTED(WRITE(0), 0x23, "detect_write_dr0");
	check_equal(dr0_read(), 0x1111, "detected_dr0");
	CHECK_DETECTED(WRITE(6), 0x23, "detect_write_dr6");
	CHECK_DETECTED(WRITE(7), 0x23, "detect_write_dr7");
	dr0_write(0);
	trap_set(VEC_DB, NULL);
}

extern char step_1[], step_2[], step_3[], step_4[], step_5[], step_6[];

/* One #DB behind each instruction, emulated or not. */
static void steps(void)
{
	const char *want[] = { step_1, step_2, step_3, step_4, step_5, step_6 };
	bool right = true;

	trap_set(VEC_DB, on_db);
	db_count = 0;
	__asm__ volatile("xor %%ecx, %%ecx\n\tpushfq\n\torl $0x100, (%%rsp)\n\tpopfq\n"
			 "\tnop\nstep_1:\txor %%eax, %%eax\nstep_2:\tcpuid\n"
			 "step_3:\tinb $0x21, %%al\nstep_4:\tmovl (%0), %%eax\n"
			 "step_5:\tpushfq\nstep_6:\tandl $~0x100, (%%rsp)\n\tpopfq"
			 :: "S"(LAPIC_BASE + APIC_LVT_ERROR)
			 : "rax", "rbx", "rcx", "rdx", "memory");
	for (unsigned i = 0; i < 6; i++)
		right = right && db_rip[i] == (uint64_t)want[i] && (db_dr6[i] & 1 << 14);
	check(right, "single_step", "%u: %lx %lx %lx %lx %lx, want from %p", db_count, db_rip[0],
	      db_rip[1], db_rip[2], db_rip[3], db_rip[4], (void *)step_1);
	check(db_count == 8, "single_step_count", "%u", db_count);
	trap_set(VEC_DB, NULL);
}

static void exceptions(void)
{
	static const uint8_t ud2[] = { 0x0f, 0x0b }, int3[] = { 0xcc, 0xc3 };
	static const uint8_t de[] = { 0x31, 0xc9, 0xf7, 0xf1 };

	check_fault(code_call(ud2, sizeof(ud2), false), VEC_UD, 0, "ud2");
	check_fault(code_call(int3, sizeof(int3), false), VEC_BP, 0, "int3");
	check_fault(code_call(de, sizeof(de), false), VEC_DE, 0, "divide");
	check_fault(user_call(write_cr3, &value), VEC_GP, 0, "cr3_ring3");
}

static void read_no_msr(void *arg)
{
	*(uint64_t *)arg = rdmsr(0x12345678);
}

static uint64_t irq_flags;

static void on_irq(struct frame *frame)
{
	irq_flags = frame->rflags;
	apic_eoi();
}

static void user_read_cr0(void *arg)
{
	(void)arg;
	__asm__ volatile("mov %cr0, %rax");
}

/* Set in the frames of faults, also of those that a hypervisor injects; not in others. */
static void resume_flag(void)
{
	static const uint8_t stgi[] = { 0x0f, 0x01, 0xdc };

	check(fault_call(read_no_msr, &value).rflags & RFLAGS_RF, "rf_gp_rdmsr", "clear");
	check(wrmsr_try(MSR_DEBUGCTL, ~0ul).rflags & RFLAGS_RF, "rf_gp_wrmsr", "clear");
	check(code_call(stgi, sizeof(stgi), false).rflags & RFLAGS_RF, "rf_ud", "clear");
	if (!on_qemu_chip())
		check(user_call(user_read_cr0, NULL).rflags & RFLAGS_RF, "rf_gp_ring3", "clear");
	else
		skip("rf_gp_ring3", "QEMU's chip does not set RF in faults of its own");
	trap_set(0x70, on_irq);
	apic_self_ipi(0x70);
	irq_window();
	trap_set(0x70, NULL);
	if (cmdline_has("rf-stays"))
		skip("rf_interrupt", "this bed sets RF in an interrupt's frame, bare too");
	else
		check(irq_flags && !(irq_flags & RFLAGS_RF), "rf_interrupt", "%lx", irq_flags);
}

extern char btf_1[], btf_3[];

/*
 * With BTF #DB comes behind the branch, not behind what is before it, executed or emulated; then
 * each instruction is a step again, for #DB has cleared it.
 */
static void branch_step(void)
{
	trap_set(VEC_DB, on_db);
	db_count = 0;
	wrmsr(MSR_DEBUGCTL, DEBUGCTL_BTF);
	__asm__ volatile("xor %%eax, %%eax\n\txor %%ecx, %%ecx\n\tpushfq\n\torl $0x100, (%%rsp)\n"
			 "\tpopfq\n\tnop\nbtf_1:\tcpuid\n\tjmp btf_3\n\tnop\n"
			 "btf_3:\tpushfq\n\tandl $~0x100, (%%rsp)\n\tpopfq"
			 ::: "rax", "rbx", "rcx", "rdx", "memory");
	trap_set(VEC_DB, NULL);
	if (db_rip[0] == (uint64_t)btf_1) {
		skip("branch_step", "the chip steps all instructions whatever BTF says");
		return;
	}
	check(db_count == 4 && db_rip[0] == (uint64_t)btf_3, "branch_step", "%u, first at %lx",
	      db_count, db_rip[0]);
	check_equal(rdmsr(MSR_DEBUGCTL), 0, "db_clears_btf");
}

/* BTF is kept or not at all. */
static void branch_steps(void)
{
	check_fault(wrmsr_try(MSR_DEBUGCTL, 1ul << 40), VEC_GP, 0, "debugctl_reserved");
	check_fault(wrmsr_try(MSR_DEBUGCTL, DEBUGCTL_BTF | 1), -1, 0, "debugctl_btf");
	cpuid(0);
	value = rdmsr(MSR_DEBUGCTL);
	print("DEBUGCTL %lx\n", value);
	check(!(value & ~DEBUGCTL_BTF), "debugctl_keeps_btf_alone", "%lx", value);
	if (value)
		branch_step();
	wrmsr(MSR_DEBUGCTL, 0);
	check_equal(rdmsr(MSR_DEBUGCTL), 0, "debugctl_clear");
}

static void user_misaligned(void *arg)
{
	value = *(volatile uint64_t *)((char *)arg + 1);
}

static void alignment(void)
{
	static uint64_t data[2];
	uint64_t was = cr0_read();

	cr0_write(was | CR0_AM);
	check_fault(user_call_flags(user_misaligned, data, RFLAGS_AC | 2), VEC_AC, 0,
		    "alignment_check");
	check_fault(user_call_flags(user_misaligned, data, 2), -1, 0, "alignment_check_off");
	cr0_write(was);
}

void test_main(void)
{
	apic_init(APIC_XAPIC);
	cr0();
	cr4();
	tsd();
	paging();
	exceptions();
	if (!on_qemu_chip())
		alignment();
	else
		skip("alignment_check", "QEMU's chip has none");
	debug_registers();
	breakpoints();
	general_detect();
	steps();
	resume_flag();
	branch_steps();
}
