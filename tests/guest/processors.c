/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The boot processor sends INIT, SIPI, NMI and interrupts to the others (and to nobody, where there
 * are none) as fast as it goes, while its own timer ticks at the highest rate. The others run bits
 * of real-mode code that halt, spin, reset themselves, send to all, or have timers tick that they
 * never hear. The boot processor must come through, and with it what runs beside.
 */
#include "tests/guest/lib/apic.h"

#define ROUNDS		6000
#define VEC		0x61
#define ICR		0x830
#define ICR_INIT	0x4500
#define ICR_INIT_EDGE	0x0500		/* an edge needs no level */
#define ICR_SIPI	0x4600
#define ICR_OTHERS	0xc0000
#define STUB		0x7f00		/* IRET for all vectors of real mode */
#define FIRST_PAGE	8

static unsigned ticks, nmis;

/* Each begins with x2APIC mode switched on: mov ecx, 0x1b; rdmsr; or eax, 0xc00; wrmsr. */
#define X2APIC_ON "\x66\xb9\x1b\x00\x00\x00\x0f\x32\x66\x0d\x00\x0c\x00\x00\x0f\x30"
#define MSR_IS(low, high) "\x66\xb9" low high "\x00\x00"
#define VALUE_IS(b0, b1, b2, b3) "\x66\xb8" b0 b1 b2 b3 "\x66\x31\xd2"
#define WRMSR "\x0f\x30"

/* wrmsr again and again */
#define FOR_EVER WRMSR "\xeb\xfc"
#define SEND(low, mode, to) \
	X2APIC_ON MSR_IS("\x30", "\x08") VALUE_IS(low, mode, to, "\x00") FOR_EVER

static const struct { const char *code; unsigned size; } bits[] = {
#define CODE(c) { c, sizeof(c) - 1 }
	CODE("\xfa\xf4\xeb\xfd"),			/* cli; hlt; again */
	CODE("\xfb\xf4\xeb\xfd"),			/* sti; hlt; again */
	CODE("\xfa\xeb\xfe"),				/* cli; spin */
	CODE(SEND("\x00", "\x45", "\x04")),		/* INIT to itself */
	CODE(SEND("\x08", "\x46", "\x0c")),		/* SIPI to the others */
	CODE(SEND("\x00", "\x44", "\x0c")),		/* NMI to the others */
	CODE(X2APIC_ON					/* a timer as fast as it goes, unheard */
	     MSR_IS("\x0f", "\x08") VALUE_IS("\xff", "\x01", "\x00", "\x00") WRMSR
	     MSR_IS("\x32", "\x08") VALUE_IS("\x50", "\x00", "\x02", "\x00") WRMSR
	     MSR_IS("\x38", "\x08") VALUE_IS("\x01", "\x00", "\x00", "\x00") FOR_EVER),
	CODE("\x0f\x0b"),				/* ud2, for ever */
};

static void place_code(void)
{
	volatile uint32_t *ivt = (uint32_t *)0ul;

	for (unsigned v = 0; v < 256; v++)
		ivt[v] = STUB;
	*(volatile uint8_t *)STUB = 0xcf;
	for (unsigned i = 0; i < ARRAY_COUNT(bits); i++)
		for (unsigned k = 0; k < bits[i].size; k++)
			((volatile uint8_t *)((FIRST_PAGE + i) * 4096ul))[k] =
				(uint8_t)bits[i].code[k];
}

/* What another processor leaves for the boot processor, by the code below. */
#define MAILBOX		0x600
#define MAIL_DONE	((volatile uint8_t *)(MAILBOX + 0ul))
#define MAIL(n)		(*(volatile uint32_t *)(MAILBOX + 4ul * (n)))
#define RDMSR_TO_MAIL(low, high, at) MSR_IS(low, high) "\x0f\x32\x66\xa3" at "\x06"
#define TELL(n) "\xc6\x06\x00\x06" n "\xfa\xf4\xeb\xfd"

/*
 * TSC_ADJUST, PAT (its low half, written twice), the APIC's mode, SYSENTER_EIP and LSTAR are not
 * INIT's to change.
 */
static const char before_init[] = X2APIC_ON
	MSR_IS("\x3b", "\x00") VALUE_IS("\x78", "\x56", "\x34", "\x12") WRMSR
	"\x66\xb9\x77\x02\x00\x00" VALUE_IS("\x06", "\x05", "\x04", "\x01") WRMSR
	MSR_IS("\x76", "\x01") VALUE_IS("\x21", "\x43", "\x65", "\x07") WRMSR
	"\x66\xb9\x82\x00\x00\xc0" VALUE_IS("\x89", "\x67", "\x45", "\x03") WRMSR TELL("\x01");
static const char after_init[] =
	RDMSR_TO_MAIL("\x3b", "\x00", "\x04") "\x66\xb9\x77\x02\x00\x00\x0f\x32\x66\xa3\x08\x06"
	RDMSR_TO_MAIL("\x1b", "\x00", "\x0c") RDMSR_TO_MAIL("\x76", "\x01", "\x10")
	"\x66\xb9\x82\x00\x00\xc0\x0f\x32\x66\xa3\x14\x06" TELL("\x02");

static bool run_there(const char *code, unsigned size, uint32_t init, uint8_t done)
{
	for (unsigned k = 0; k < size; k++)
		((volatile uint8_t *)(FIRST_PAGE * 4096ul))[k] = (uint8_t)code[k];
	wrmsr(ICR, 1ul << 32 | init);
	wrmsr(ICR, 1ul << 32 | ICR_SIPI | FIRST_PAGE);
	for (unsigned i = 0; i < 2000000 && *MAIL_DONE != done; i++)
		pause();
	return *MAIL_DONE == done;
}

static void init_keeps(void)
{
	*MAIL_DONE = 0;
	if (!run_there(before_init, sizeof(before_init) - 1, ICR_INIT, 1)) {
		skip("init_keeps", "there is no other processor");
		return;
	}
	check(run_there(after_init, sizeof(after_init) - 1, ICR_INIT_EDGE, 2), "restarts", "after INIT");
	check(MAIL(1) == 0x12345678, "tsc_adjust", "%x", MAIL(1));
	check(MAIL(2) == 0x01040506, "pat", "%x", MAIL(2));
	check((MAIL(3) & 0xc00) == 0xc00, "apic_mode", "%x", MAIL(3));
	check(MAIL(4) == 0x07654321, "sysenter_eip", "%x", MAIL(4));
	check(MAIL(5) == 0x03456789, "lstar", "%x", MAIL(5));
}

static void on_nmi(struct frame *frame)
{
	(void)frame;
	nmis++;
}

static void send(void)
{
	uint64_t to = random_next() % 4 + 1;
	uint32_t page = FIRST_PAGE + (uint32_t)(random_next() % ARRAY_COUNT(bits));

	switch (random_next() % 6) {
	case 0:
		wrmsr(ICR, to << 32 | ICR_INIT);
		break;
	case 1:
	case 2:
		wrmsr(ICR, to << 32 | ICR_INIT);
		wrmsr(ICR, to << 32 | ICR_SIPI | page);
		break;
	case 3:
		wrmsr(ICR, ICR_OTHERS | ICR_SIPI | page);
		break;
	case 4:
		wrmsr(ICR, to << 32 | 0x4000 | ICR_NMI);
		break;
	default:
		wrmsr(ICR, ICR_OTHERS | 0x4000 | (uint32_t)(random_next() & 0xff));
	}
}

void test_main(void)
{
	random_seed(7);
	apic_init(APIC_X2APIC);
	init_keeps();
	place_code();
	trap_set(VEC_NMI, on_nmi);
	trap_count_set(VEC, &ticks);
	apic_write(APIC_TIMER_DIV, TIMER_DIV_1);
	apic_write(APIC_LVT_TIMER, LVT_PERIODIC | VEC);
	apic_write(APIC_TIMER_INIT, 1);
	for (unsigned i = 0; i < ROUNDS; i++) {
		send();
		if (random_next() % 8 == 0)
			apic_write(APIC_TIMER_INIT, 1 + (uint32_t)random_next() % 2000000);
		if (random_next() % 16 == 0)
			__asm__ volatile("sti; hlt; cli");
	}
	/* Quiet: the others halt. */
	apic_write(APIC_TIMER_INIT, 0);
	wrmsr(ICR, ICR_OTHERS | ICR_INIT);
	check(ticks > 0, "ticks", "%u", ticks);
}
