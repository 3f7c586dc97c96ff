/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC that a guest sees; see vlapic.h. Registers are plain fields, read and written
 * through one function each, which the MMIO window and the x2APIC MSRs share; priorities come from
 * scanning IRR and ISR.
 * The timer counts at 1 GHz before the divider, on the VM's clock. Its callback runs in interrupt
 * context and only sets IRR and re-arms.
 * Source: Intel SDM 3, "Advanced Programmable Interrupt Controller (APIC)", "Extended
 * XAPIC (x2APIC)".
 */
#include "vmm/vlapic.h"

#include "cpu/registers.h"
#include "cpu/tsc.h"
#include "include/bits.h"
#include "include/errno.h"
#include "lib/record.h"
#include "lib/string.h"
#include "vmm/machine.h"
#include "vmm/vcpu.h"
#include "vmm/vlapic_bits.h"
#include "vmm/vm.h"

#define UNHEARD_NS	1000000ul
/*
 * A periodic timer faster than this would let a guest keep its CPU in the host's interrupt handler.
 */
#define PERIOD_MIN_NS	20000ul
/* Of the TSC: on a slow machine the guest must get some instructions in between. */
#define PERIOD_MIN_TICKS 20000ul

static const uint32_t lvt_mask[LVT_COUNT] = {
	[LVT_TIMER] = LVT_VECTOR | LVT_MASKED | LVT_TIMER_MODE,
	[LVT_THERMAL] = LVT_VECTOR | LVT_MODE | LVT_MASKED,
	[LVT_PERF] = LVT_VECTOR | LVT_MODE | LVT_MASKED,
	[LVT_LINT0] = LVT_VECTOR | LVT_MODE | LVT_POLARITY | LVT_LEVEL | LVT_MASKED,
	[LVT_LINT1] = LVT_VECTOR | LVT_MODE | LVT_POLARITY | LVT_LEVEL | LVT_MASKED,
	[LVT_ERROR] = LVT_VECTOR | LVT_MASKED,
};

static bool x2apic(const struct vcpu *vcpu)
{
	return vcpu->apic_base & APIC_BASE_X2APIC;
}

static bool hw_enabled(const struct vcpu *vcpu)
{
	return vcpu->apic_base & APIC_BASE_ENABLE;
}

static bool sw_enabled(const struct vlapic *l)
{
	return l->svr & SVR_ENABLE;
}

static struct vcpu *vcpu_of(struct vlapic *l)
{
	return container_of(l, struct vcpu, vlapic);
}

/* ---- priorities ---- */

static int highest(const uint64_t *map)
{
	for (int i = 3; i >= 0; i--)
		if (map[i])
			return i * 64 + (int)bit_highest(map[i]);
	return -1;
}

static void map_set(uint64_t *map, unsigned v, bool on)
{
	if (on)
		map[v / 64] |= BIT(v % 64);
	else
		map[v / 64] &= ~BIT(v % 64);
}

uint32_t vlapic_ppr(const struct vcpu *vcpu)
{
	const struct vlapic *l = &vcpu->vlapic;
	uint32_t service = l->highest_isr & 0xf0;

	return (l->tpr & 0xf0) >= service ? l->tpr : service;
}

int vlapic_pending(struct vcpu *vcpu)
{
	int v = highest(vcpu->vlapic.irr);

	if (v < 0 || (uint32_t)(v & 0xf0) <= (vlapic_ppr(vcpu) & 0xf0) || !hw_enabled(vcpu))
		return -1;
	return v;
}

bool vlapic_blocked_by_tpr(const struct vcpu *vcpu)
{
	int v = highest(vcpu->vlapic.irr);

	return v >= 0 && (v & 0xf0) > (vcpu->vlapic.highest_isr & 0xf0) &&
	       (uint32_t)(v & 0xf0) <= (vcpu->vlapic.tpr & 0xf0);
}

void vlapic_accept(struct vcpu *vcpu, unsigned v)
{
	struct vlapic *l = &vcpu->vlapic;

	__atomic_and_fetch(&l->irr[v / 64], ~BIT(v % 64), __ATOMIC_SEQ_CST);
	map_set(l->isr, v, true);
	l->highest_isr = (uint8_t)v;
}

static void irr_set(struct vlapic *l, unsigned v, bool level)
{
	if (level)
		__atomic_or_fetch(&l->tmr[v / 64], BIT(v % 64), __ATOMIC_RELAXED);
	else if (READ_ONCE(l->tmr[v / 64]) & BIT(v % 64))
		__atomic_and_fetch(&l->tmr[v / 64], ~BIT(v % 64), __ATOMIC_RELAXED);
	__atomic_or_fetch(&l->irr[v / 64], BIT(v % 64), __ATOMIC_SEQ_CST);
}

static void error_set(struct vlapic *l, uint32_t bit)
{
	uint32_t lvt = l->lvt[LVT_ERROR];

	l->esr_shadow |= bit;
	if (!(lvt & LVT_MASKED) && (lvt & LVT_VECTOR) >= 16) {
		irr_set(l, lvt & LVT_VECTOR, false);
		vcpu_of(l)->event.look = true;
	}
}

void vlapic_set_irr(struct vcpu *vcpu, unsigned vector, bool level)
{
	if (vector < 16 || !sw_enabled(&vcpu->vlapic))
		return;
	irr_set(&vcpu->vlapic, vector, level);
	vcpu_request(vcpu, VCPU_REQ_EVENT);
}

static void eoi(struct vcpu *vcpu)
{
	struct vlapic *l = &vcpu->vlapic;
	unsigned v = l->highest_isr;
	int next;

	if (!v)
		return;
	map_set(l->isr, v, false);
	next = highest(l->isr);
	l->highest_isr = next < 0 ? 0 : (uint8_t)next;
	if (vlapic_irr_any(l))
		vcpu->event.look = true;
	if (READ_ONCE(l->tmr[v / 64]) & BIT(v % 64))
		machine_eoi(vcpu->vm, v);
}

/* ---- messages ---- */

static bool logical_match(const struct vcpu *vcpu, uint32_t dest)
{
	const struct vlapic *l = &vcpu->vlapic;
	uint32_t id;

	if (x2apic(vcpu)) {
		id = (vcpu->id >> 4) << 16 | 1u << (vcpu->id & 15);
		return dest == 0xffffffff || (dest >> 16 == id >> 16 && dest & id & 0xffff);
	}
	id = l->ldr >> 24;
	dest &= 0xff;
	if (l->dfr >> 28 == 0xf)
		return id & dest;
	return dest == 0xff || (id >> 4 == dest >> 4 && id & dest & 15);
}

static bool physical_match(const struct vcpu *vcpu, uint32_t dest)
{
	return dest == vcpu->id || dest == 0xffffffff || (!x2apic(vcpu) && (dest & 0xff) == 0xff);
}

static void deliver(struct vcpu *to, unsigned mode, unsigned vector, bool level)
{
	switch (mode) {
	case DELIVERY_FIXED:
	case DELIVERY_LOWEST:
	case DELIVERY_EXTINT:
		vlapic_set_irr(to, vector, level);
		break;
	case DELIVERY_NMI:
		event_nmi(to);
		break;
	case DELIVERY_INIT:
		vcpu_request(to, VCPU_REQ_INIT);
		break;
	case DELIVERY_SIPI:
		WRITE_ONCE(to->sipi_vector, (uint8_t)vector);
		vcpu_request(to, VCPU_REQ_SIPI);
		break;
	default:
		break;
	}
}

struct message {
	uint32_t dest;
	uint8_t vector, mode;
	bool logical, level;
};

/* To all that match; "lowest priority" to the first of them that is enabled. */
static void send(struct vm *vm, const struct message *m, const struct vcpu *except)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *to = vm->vcpu[i];

		if (to == except ||
		    !(m->logical ? logical_match(to, m->dest) : physical_match(to, m->dest)))
			continue;
		if (m->mode == DELIVERY_LOWEST && !sw_enabled(&to->vlapic))
			continue;
		deliver(to, m->mode, m->vector, m->level);
		if (m->mode == DELIVERY_LOWEST)
			return;
	}
}

void vlapic_message(struct vm *vm, uint64_t address, uint32_t data)
{
	struct message m = {
		.dest = FIELD(address, 19, 12) | FIELD(address, 63, 40) << 8,
		.vector = (uint8_t)data,
		.mode = FIELD(data, 10, 8),
		.logical = address & BIT(2),
		.level = data & BIT(15),
	};

	if (address >> 20 == 0xfee)
		send(vm, &m, NULL);
}

void vlapic_ipi(struct vcpu *from, uint64_t icr)
{
	struct message m = {
		.dest = (uint32_t)(x2apic(from) ? icr >> 32 : icr >> 56),
		.vector = (uint8_t)icr,
		.mode = FIELD(icr, 10, 8),
		.logical = icr & ICR_LOGICAL,
		.level = false,
	};
	unsigned shorthand = FIELD(icr, 19, 18);
	bool fixed = m.mode == DELIVERY_FIXED || m.mode == DELIVERY_LOWEST;

	if (m.mode == DELIVERY_INIT && !(icr & ICR_ASSERT))
		return;		/* INIT level de-assert: nothing since the Pentium 4 */
	if (fixed && m.vector < 16) {
		error_set(&from->vlapic, ESR_SEND_ILLEGAL);
		return;
	}
	if (fixed &&
	    (shorthand == ICR_SELF || (shorthand == 0 && !m.logical && m.dest == from->id))) {
		if (sw_enabled(&from->vlapic))
			irr_set(&from->vlapic, m.vector, false);
		from->event.look = true;
		return;
	}
	if (shorthand) {
		m.dest = shorthand == ICR_SELF ? from->id : 0xffffffff;
		m.logical = false;
	}
	send(from->vm, &m, shorthand == ICR_OTHERS ? from : NULL);
}

/* ---- timer ---- */

static unsigned divider(const struct vlapic *l)
{
	unsigned code = (l->timer_divide & 3) | (l->timer_divide & 8) >> 1;

	return code == 7 ? 1 : 2u << code;
}

static unsigned timer_mode(const struct vlapic *l)
{
	return FIELD(l->lvt[LVT_TIMER], 18, 17);
}

static uint64_t period_ns(const struct vlapic *l)
{
	return (uint64_t)l->timer_initial * divider(l);
}

/* True if its vector was still waiting to be taken. */
static bool timer_fire(struct vlapic *l)
{
	uint32_t lvt = READ_ONCE(l->lvt[LVT_TIMER]);
	unsigned v = lvt & LVT_VECTOR;
	bool waits = READ_ONCE(l->irr[v / 64]) & BIT(v % 64);

	if (!(lvt & LVT_MASKED))
		vlapic_set_irr(vcpu_of(l), v, false);
	return waits;
}

/*
 * The host's timer follows timer_due_ns or tsc_deadline, which are the truth. The vCPU's thread
 * writes them and arms; the callback, perhaps on another CPU just then, takes what is due by
 * compare and exchange, and looks again after it has armed: who comes last has armed what holds.
 */
static void arm_due(struct vlapic *l)
{
	const struct vm *vm = vcpu_of(l)->vm;
	uint64_t due;

	do {
		due = READ_ONCE(l->timer_due_ns);
		if (due && vm->clock_running)
			timer_set(&l->timer, vm_clock_to_host(vm, due));
	} while (__atomic_load_n(&l->timer_due_ns, __ATOMIC_SEQ_CST) != due);
}

/* Far deadlines are cut to what the conversion holds; the callback finds that they are not due. */
static void arm_deadline(struct vlapic *l)
{
	const struct vcpu *vcpu = vcpu_of(l);
	uint64_t deadline, tsc, wait;

	do {
		deadline = READ_ONCE(l->tsc_deadline);
		tsc = vcpu_guest_tsc(vcpu);
		wait = deadline > tsc ? tsc_to_ns(MIN(deadline - tsc, tsc_hz << 20)) : 0;
		if (deadline && vcpu->vm->clock_running)
			timer_set(&l->timer, clock_ns() + wait);
	} while (__atomic_load_n(&l->tsc_deadline, __ATOMIC_SEQ_CST) != deadline);
}

static void deadline_expired(struct vlapic *l)
{
	uint64_t deadline = READ_ONCE(l->tsc_deadline), slack = tsc_hz >> 20;

	if (!deadline)
		return;
	/* The conversions' roundings are not worth another interrupt. */
	if (deadline > vcpu_guest_tsc(vcpu_of(l)) + slack)
		arm_deadline(l);
	else if (__atomic_compare_exchange_n(&l->tsc_deadline, &deadline, 0, false,
					     __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		timer_fire(l);
}

/*
 * When it is due next. A vCPU that does not come to take its ticks is not worth more of the host's
 * time than UNHEARD_NS.
 */
static uint64_t next_due(const struct vlapic *l, uint64_t due, uint64_t now, bool waits)
{
	uint64_t period = MAX(period_ns(l), MAX(PERIOD_MIN_NS, tsc_to_ns(PERIOD_MIN_TICKS))),
		 periods = 1;

	if (waits && period < UNHEARD_NS)
		periods = UNHEARD_NS / period;
	return due + ((now - due) / period + periods) * period;
}

/* Interrupt context, perhaps on another CPU than the vCPU's. */
static void timer_expired(struct timer *t)
{
	struct vlapic *l = container_of(t, struct vlapic, timer);
	uint64_t now = vm_clock_ns(vcpu_of(l)->vm), due = READ_ONCE(l->timer_due_ns), next;
	bool waits;

	if (timer_mode(l) == TIMER_DEADLINE) {
		deadline_expired(l);
		return;
	}
	if (!due)
		return;
	if (due <= now) {
		waits = timer_fire(l);
		next = timer_mode(l) == TIMER_PERIODIC ? next_due(l, due, now, waits) : 0;
		__atomic_compare_exchange_n(&l->timer_due_ns, &due, next, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_RELAXED);
	}
	arm_due(l);
}

/* Arms what the registers say, or stops. */
static void timer_rearm(struct vcpu *vcpu)
{
	struct vlapic *l = &vcpu->vlapic;
	bool deadline = timer_mode(l) == TIMER_DEADLINE;

	if (deadline ? !l->tsc_deadline : !l->timer_due_ns)
		timer_cancel(&l->timer);
	else if (deadline)
		arm_deadline(l);
	else
		arm_due(l);
}

static uint32_t timer_current(struct vcpu *vcpu)
{
	struct vlapic *l = &vcpu->vlapic;
	uint64_t gone, period = period_ns(l);

	if (!period || timer_mode(l) == TIMER_DEADLINE)
		return 0;
	gone = vm_clock_ns(vcpu->vm) - l->timer_start_ns;
	if (gone >= period) {
		if (timer_mode(l) != TIMER_PERIODIC)
			return 0;
		gone %= period;
	}
	return (uint32_t)((period - gone) / divider(l));
}

static void timer_start(struct vcpu *vcpu, uint32_t initial)
{
	struct vlapic *l = &vcpu->vlapic;

	if (timer_mode(l) == TIMER_DEADLINE)
		return;
	l->timer_initial = initial;
	l->timer_start_ns = vm_clock_ns(vcpu->vm);
	__atomic_store_n(&l->timer_due_ns, initial ? l->timer_start_ns + period_ns(l) : 0,
			 __ATOMIC_SEQ_CST);
	timer_rearm(vcpu);
}

/* A count that is under way goes on at the new rate; one that has ended stays so. */
static void timer_divide(struct vcpu *vcpu, uint32_t value)
{
	struct vlapic *l = &vcpu->vlapic;

	l->timer_divide = value & 11;
	if (!READ_ONCE(l->timer_due_ns))
		return;
	__atomic_store_n(&l->timer_due_ns, l->timer_start_ns + period_ns(l), __ATOMIC_SEQ_CST);
	timer_rearm(vcpu);
}

void vlapic_deadline_write(struct vcpu *vcpu, uint64_t deadline)
{
	struct vlapic *l = &vcpu->vlapic;

	if (timer_mode(l) != TIMER_DEADLINE)
		return;
	__atomic_store_n(&l->tsc_deadline, deadline, __ATOMIC_SEQ_CST);
	timer_rearm(vcpu);
}

/* ---- registers ---- */

static int lvt_index(unsigned offset)
{
	return offset >= REG_LVT_TIMER && offset <= REG_LVT_ERROR
		       ? (int)(offset - REG_LVT_TIMER) / 16 : -1;
}

static uint32_t map_word(const uint64_t *map, unsigned offset)
{
	unsigned word = (offset & 0x70) / 16;

	return (uint32_t)(map[word / 2] >> (32 * (word & 1)));
}

uint32_t vlapic_read(struct vcpu *vcpu, unsigned offset)
{
	struct vlapic *l = &vcpu->vlapic;

	switch (offset) {
	case REG_ID: return x2apic(vcpu) ? vcpu->id : vcpu->id << 24;
	case REG_VERSION: return VLAPIC_VERSION;
	case REG_TPR: return l->tpr;
	case REG_PPR: return vlapic_ppr(vcpu);
	case REG_LDR: return x2apic(vcpu) ? (vcpu->id >> 4) << 16 | 1u << (vcpu->id & 15) : l->ldr;
	case REG_DFR: return l->dfr;
	case REG_SVR: return l->svr;
	case REG_ISR ... REG_ISR + 0x70: return map_word(l->isr, offset);
	case REG_TMR ... REG_TMR + 0x70: return map_word(l->tmr, offset);
	case REG_IRR ... REG_IRR + 0x70: return map_word(l->irr, offset);
	case REG_ESR: return l->esr;
	case REG_ICR: return (uint32_t)l->icr;
	case REG_ICR_HIGH: return (uint32_t)(l->icr >> 32);
	case REG_LVT_TIMER ... REG_LVT_ERROR: return l->lvt[lvt_index(offset)];
	case REG_TIMER_INITIAL: return timer_mode(l) == TIMER_DEADLINE ? 0 : l->timer_initial;
	case REG_TIMER_CURRENT: return timer_current(vcpu);
	case REG_TIMER_DIVIDE: return l->timer_divide;
	default: return 0;
	}
}

static void lvt_write(struct vcpu *vcpu, unsigned i, uint32_t value)
{
	struct vlapic *l = &vcpu->vlapic;
	uint32_t old = l->lvt[i];

	value &= lvt_mask[i];
	if (!sw_enabled(l))
		value |= LVT_MASKED;
	WRITE_ONCE(l->lvt[i], value);
	if (i == LVT_TIMER && (old ^ value) & LVT_TIMER_MODE) {
		/* A change of mode stops the timer. */
		l->timer_initial = 0;
		l->timer_due_ns = l->tsc_deadline = 0;
		timer_cancel(&l->timer);
	}
	if (i == LVT_LINT0)
		vcpu->event.look = true;
}

static void svr_write(struct vcpu *vcpu, uint32_t value)
{
	struct vlapic *l = &vcpu->vlapic;

	l->svr = value & (SVR_ENABLE | 0xff | SVR_FOCUS);
	if (!sw_enabled(l))
		for (unsigned i = 0; i < LVT_COUNT; i++)
			l->lvt[i] |= LVT_MASKED;
}

void vlapic_write(struct vcpu *vcpu, unsigned offset, uint32_t value)
{
	struct vlapic *l = &vcpu->vlapic;

	switch (offset) {
	case REG_EOI:
		eoi(vcpu);
		break;
	case REG_ICR:
		l->icr = (l->icr & BITS(63, 32)) | (value & ICR_WRITABLE);
		vlapic_ipi(vcpu, l->icr);
		break;
	case REG_ICR_HIGH:
		l->icr = (l->icr & 0xffffffff) | (uint64_t)(value & 0xff000000) << 32;
		break;
	case REG_TPR:
		l->tpr = value & 0xff;
		vcpu->event.look = true;
		break;
	case REG_LDR:
		l->ldr = value & 0xff000000;
		break;
	case REG_DFR:
		l->dfr = value | 0x0fffffff;
		break;
	case REG_SVR:
		svr_write(vcpu, value);
		break;
	case REG_ESR:
		l->esr = l->esr_shadow;
		l->esr_shadow = 0;
		break;
	case REG_LVT_TIMER ... REG_LVT_ERROR:
		lvt_write(vcpu, (unsigned)lvt_index(offset), value);
		break;
	case REG_TIMER_INITIAL:
		timer_start(vcpu, value);
		break;
	case REG_TIMER_DIVIDE:
		timer_divide(vcpu, value);
		break;
	case REG_SELF_IPI:
		if (x2apic(vcpu))
			vlapic_ipi(vcpu, (value & 0xff) | (uint64_t)ICR_SELF << 18);
		break;
	default:
		break;	/* read-only or not there: ignored */
	}
}

/* ---- x2APIC ---- */

static bool x2apic_readable(unsigned reg)
{
	return reg <= 0x3f && X2APIC_READ_MASK & BIT(reg);
}

static bool x2apic_writable(unsigned reg)
{
	return reg <= 0x3f && X2APIC_WRITE_MASK & BIT(reg);
}

int vlapic_msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	unsigned reg = msr - MSR_X2APIC_BASE;

	if (!x2apic(vcpu) || !x2apic_readable(reg))
		return -EINVAL;
	*value = reg == REG_ICR / 16 ? vcpu->vlapic.icr : vlapic_read(vcpu, reg * 16);
	return 0;
}

int vlapic_msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	unsigned reg = msr - MSR_X2APIC_BASE;

	if (!x2apic(vcpu) || !x2apic_writable(reg))
		return -EINVAL;
	if (reg == REG_EOI / 16) {
		if (value)
			return -EINVAL;
		eoi(vcpu);
		return 0;
	}
	if (reg == REG_ICR / 16) {
		if (value & 0xffffffff & ~(uint64_t)ICR_WRITABLE)
			return -EINVAL;
		vcpu->vlapic.icr = value;
		vlapic_ipi(vcpu, value);
		return 0;
	}
	if (value >> 32 || (reg == REG_ESR / 16 && value) || (reg == REG_TPR / 16 && value > 0xff))
		return -EINVAL;
	vlapic_write(vcpu, reg * 16, (uint32_t)value);
	return 0;
}

int vlapic_base_write(struct vcpu *vcpu, uint64_t value)
{
	uint64_t old = vcpu->apic_base, mode = value & (APIC_BASE_ENABLE | APIC_BASE_X2APIC);
	uint64_t bsp = vcpu->id == 0 ? APIC_BASE_BSP : 0;

	/*
	 * The window does not move: no system moves it, and another page's claim stays what it is.
	 */
	if ((value & ~(APIC_BASE_ENABLE | APIC_BASE_X2APIC | APIC_BASE_BSP)) != VLAPIC_BASE ||
	    mode == APIC_BASE_X2APIC)
		return -EINVAL;
	/* x2APIC is left only by disabling, and not entered from there. */
	if ((old & APIC_BASE_X2APIC && mode == APIC_BASE_ENABLE) ||
	    (!(old & APIC_BASE_ENABLE) && mode & APIC_BASE_X2APIC))
		return -EINVAL;
	vcpu->apic_base = VLAPIC_BASE | bsp | mode;
	if (!(mode & APIC_BASE_ENABLE))
		vlapic_reset(vcpu);
	vcpu->event.look = true;
	return 0;
}

bool vlapic_extint_open(const struct vcpu *vcpu)
{
	uint32_t lint0 = vcpu->vlapic.lvt[LVT_LINT0];

	return !hw_enabled(vcpu) ||
	       (!(lint0 & LVT_MASKED) && FIELD(lint0, 10, 8) == DELIVERY_EXTINT);
}

/* ---- life ---- */

void vlapic_init(struct vcpu *vcpu)
{
	timer_init(&vcpu->vlapic.timer, timer_expired);
}

void vlapic_fini(struct vcpu *vcpu)
{
	timer_cancel_sync(&vcpu->vlapic.timer);
}

void vlapic_reset(struct vcpu *vcpu)
{
	struct vlapic *l = &vcpu->vlapic;

	timer_cancel(&l->timer);
	memset(l, 0, offsetof(struct vlapic, timer));
	l->svr = 0xff;
	l->dfr = 0xffffffff;
	for (unsigned i = 0; i < LVT_COUNT; i++)
		l->lvt[i] = LVT_MASKED;
}

void vlapic_firmware_state(struct vcpu *vcpu)
{
	struct vlapic *l = &vcpu->vlapic;

	l->svr = SVR_ENABLE | 0xff;
	l->lvt[LVT_LINT0] = DELIVERY_EXTINT << 8;
	l->lvt[LVT_LINT1] = DELIVERY_NMI << 8;
}

void vlapic_freeze(struct vcpu *vcpu)
{
	timer_cancel_sync(&vcpu->vlapic.timer);
}

void vlapic_thaw(struct vcpu *vcpu)
{
	timer_rearm(vcpu);
}

void vlapic_save(struct vcpu *vcpu, struct record_writer *w)
{
	struct vlapic *l = &vcpu->vlapic;

	record_begin(w, "vlapic", vcpu->id, 1);
	for (unsigned i = 0; i < 4; i++) {
		record_put_u64(w, l->irr[i]);
		record_put_u64(w, l->isr[i]);
		record_put_u64(w, l->tmr[i]);
	}
	record_put_u32(w, l->tpr);
	record_put_u32(w, l->svr);
	record_put_u32(w, l->ldr);
	record_put_u32(w, l->dfr);
	record_put_u32(w, l->esr);
	record_put_u32(w, l->esr_shadow);
	record_put_u64(w, l->icr);
	for (unsigned i = 0; i < LVT_COUNT; i++)
		record_put_u32(w, l->lvt[i]);
	record_put_u32(w, l->timer_initial);
	record_put_u32(w, l->timer_divide);
	record_put_u64(w, l->timer_start_ns);
	record_put_u64(w, l->timer_due_ns);
	record_put_u64(w, l->tsc_deadline);
	record_end(w);
}

int vlapic_load(struct vcpu *vcpu, struct record_reader *r, uint32_t version)
{
	struct vlapic *l = &vcpu->vlapic, n = { 0 };
	int top;

	if (version != 1)
		return -EINVAL;
	for (unsigned i = 0; i < 4; i++) {
		n.irr[i] = record_get_u64(r);
		n.isr[i] = record_get_u64(r);
		n.tmr[i] = record_get_u64(r);
	}
	n.tpr = (uint32_t)record_get_below(r, 4, 0xff);
	n.svr = (uint32_t)record_get_below(r, 4, SVR_ENABLE | SVR_FOCUS | 0xff);
	n.ldr = record_get_u32(r);
	n.dfr = record_get_u32(r);
	n.esr = record_get_u32(r);
	n.esr_shadow = record_get_u32(r);
	n.icr = record_get_u64(r);
	for (unsigned i = 0; i < LVT_COUNT; i++) {
		n.lvt[i] = record_get_u32(r);
		if (n.lvt[i] & ~lvt_mask[i])
			r->error = -EINVAL;
	}
	n.timer_initial = record_get_u32(r);
	n.timer_divide = (uint32_t)record_get_below(r, 4, 11);
	n.timer_start_ns = record_get_u64(r);
	n.timer_due_ns = record_get_u64(r);
	n.tsc_deadline = record_get_u64(r);
	if (n.irr[0] & 0xffff || n.isr[0] & 0xffff || n.timer_divide & 4 ||
	    n.timer_start_ns > vm_clock_ns(vcpu->vm))
		r->error = -EINVAL;
	if (record_finish(r))
		return -EINVAL;
	top = highest(n.isr);
	n.highest_isr = top < 0 ? 0 : (uint8_t)top;
	memcpy(l, &n, offsetof(struct vlapic, timer));
	return 0;
}
