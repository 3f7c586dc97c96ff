/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC that a guest sees; see vlapic.h. Registers are plain fields, read and written
 * through one function each, which the MMIO window and the x2APIC MSRs share; priorities come from
 * scanning IRR and ISR. The timer is vlapic_timer.c's, the saved form vlapic_save.c's.
 * Source: Intel SDM 3, "Advanced Programmable Interrupt Controller (APIC)", "Extended
 * XAPIC (x2APIC)".
 */
#include "vmm/vlapic/vlapic.h"

#include "cpu/registers.h"
#include "include/bits.h"
#include "include/errno.h"
#include "kernel/panic.h"
#include "lib/string.h"
#include "vmm/machine.h"
#include "vmm/vlapic/vlapic_state.h"

const uint32_t vlapic_lvt_mask[LVT_COUNT] = {
	[LVT_TIMER] = LVT_VECTOR | LVT_MASKED | LVT_TIMER_MODE,
	[LVT_THERMAL] = LVT_VECTOR | LVT_MODE | LVT_MASKED,
	[LVT_PERF] = LVT_VECTOR | LVT_MODE | LVT_MASKED,
	[LVT_LINT0] = LVT_VECTOR | LVT_MODE | LVT_POLARITY | LVT_LEVEL | LVT_MASKED,
	[LVT_LINT1] = LVT_VECTOR | LVT_MODE | LVT_POLARITY | LVT_LEVEL | LVT_MASKED,
	[LVT_ERROR] = LVT_VECTOR | LVT_MASKED,
};

/* ---- priorities ---- */

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
	const struct vlapic *l = &vcpu->vlapic;
	int v = vlapic_highest(l->irr);

	/* Of a higher class than both, so above all vectors of theirs. */
	if (v < 0 || (unsigned)v <= (MAX(l->tpr, l->highest_isr) | 0xf) || !vlapic_hw_enabled(vcpu))
		return -1;
	return v;
}

bool vlapic_blocked_by_tpr(const struct vcpu *vcpu)
{
	int v = vlapic_highest(vcpu->vlapic.irr);

	return v >= 0 && (v & 0xf0) > (vcpu->vlapic.highest_isr & 0xf0) &&
	       (uint32_t)(v & 0xf0) <= (vcpu->vlapic.tpr & 0xf0);
}

void vlapic_accept(struct vcpu *vcpu, unsigned v)
{
	struct vlapic *l = &vcpu->vlapic;

	ASSERT(v >= 16 && v < 256);
	__atomic_and_fetch(&l->irr[v / 64], ~BIT(v % 64), __ATOMIC_SEQ_CST);
	map_set(l->isr, v, true);
	l->highest_isr = (uint8_t)v;
	l->in_service++;
}

/* Before the vector is: whether its EOI goes on, and as what it is shown. */
static noinline void trigger_set(struct vlapic *l, unsigned v, bool level, bool tell)
{
	vlapic_bit_set(&l->tmr[v / 64], BIT(v % 64), level);
	vlapic_bit_set(&l->tell[v / 64], BIT(v % 64), level || tell);
}

static always_inline void irr_set(struct vlapic *l, unsigned v, bool level, bool tell)
{
	uint64_t bit = BIT(v % 64);

	if (unlikely(level || tell || READ_ONCE(l->tell[v / 64]) & bit))
		trigger_set(l, v, level, tell);
	__atomic_or_fetch(&l->irr[v / 64], bit, __ATOMIC_SEQ_CST);
}

static void error_set(struct vlapic *l, uint32_t bit)
{
	uint32_t lvt = l->lvt[LVT_ERROR];

	l->esr_shadow |= bit;
	if (!(lvt & LVT_MASKED) && (lvt & LVT_VECTOR) >= 16) {
		irr_set(l, lvt & LVT_VECTOR, false, false);
		vlapic_vcpu(l)->event.look = true;
	}
}

static always_inline bool take(struct vcpu *vcpu, unsigned vector, bool level, bool tell)
{
	if (vector < 16 || !vlapic_sw_enabled(&vcpu->vlapic))
		return false;
	irr_set(&vcpu->vlapic, vector, level, tell);
	vcpu_request(vcpu, VCPU_REQ_EVENT);
	return true;
}

bool vlapic_set_irr(struct vcpu *vcpu, unsigned vector, bool level)
{
	ASSERT(vector < 256);
	return take(vcpu, vector, level, false);
}

void vlapic_eoi(struct vcpu *vcpu)
{
	struct vlapic *l = &vcpu->vlapic;
	unsigned v = l->highest_isr;

	if (!v)
		return;
	map_set(l->isr, v, false);
	l->highest_isr = --l->in_service ? (uint8_t)vlapic_highest(l->isr) : 0;
	if (vlapic_irr_any(l))
		vcpu->event.look = true;
	if (READ_ONCE(l->tell[v / 64]) & BIT(v % 64))
		machine_eoi(vcpu->vm, v);
}

/* ---- messages ---- */

struct message {
	uint32_t dest;
	uint8_t vector, mode;
	bool logical, level, tell;
};

/* Did it take a vector, for which an EOI will come? ExtINT has no 8259 at this end of the bus. */
static bool deliver(struct vcpu *to, const struct message *m)
{
	switch (m->mode) {
	case DELIVERY_FIXED:
	case DELIVERY_LOWEST:
		return take(to, m->vector, m->level, m->tell);
	case DELIVERY_NMI:
		event_nmi(to);
		break;
	case DELIVERY_INIT:
		vcpu_request_init(to);
		break;
	case DELIVERY_SIPI:
		vcpu_request_startup(to, m->vector);
		break;
	default:
		break;
	}
	return false;
}

/*
 * "Lowest priority": one of them that is enabled, each in its turn. Chips since the Core family
 * leave the choice to the chipset, and it need not look at the priorities.
 */
static bool send_to_one(struct vm *vm, const struct message *m, uint64_t left)
{
	unsigned last = READ_ONCE(vm->routes.last);
	uint64_t later = ~1ul << last;

	while (left) {
		struct vcpu *to = vm->vcpu[bit_lowest(left & later ?: left)];

		if (vlapic_hw_enabled(to) && vlapic_sw_enabled(&to->vlapic)) {
			WRITE_ONCE(vm->routes.last, to->id);
			return deliver(to, m);
		}
		left &= ~BIT(to->id);
	}
	return false;
}

/* To all that are meant. As deliver(). */
static bool send(struct vm *vm, const struct message *m, const struct vcpu *except)
{
	uint64_t left = vlapic_route(vm, m->dest, m->logical);
	bool taken = false;

	if (except)
		left &= ~BIT(except->id);
	if (m->mode == DELIVERY_LOWEST)
		return send_to_one(vm, m, left);
	for (; left; left &= left - 1) {
		struct vcpu *to = vm->vcpu[bit_lowest(left)];

		if (vlapic_hw_enabled(to))
			taken |= deliver(to, m);
	}
	return taken;
}

/*
 * Nothing since the Pentium 4. Without the level, an edge is an INIT all the same. ICR and a
 * message's data agree here.
 */
static bool init_deassert(uint64_t icr)
{
	return FIELD(icr, 10, 8) == DELIVERY_INIT && icr & ICR_LEVEL && !(icr & ICR_ASSERT);
}

static struct message message_of(uint64_t address, uint32_t data)
{
	struct message m = {
		.dest = FIELD(address, 19, 12) | FIELD(address, 63, 40) << 8,
		.vector = (uint8_t)data,
		.mode = FIELD(data, 10, 8),
		.logical = address & BIT(2),
		.level = data & BIT(15),
		.tell = data & HOST_MSI_TELL,
	};

	/* A device's broadcast is of 8 bits, whatever the width of its hearers' ids. */
	if (m.dest == 0xff && !m.logical)
		m.dest = VLAPIC_ALL;
	return m;
}

bool vlapic_message_busy(struct vm *vm, uint64_t address, uint32_t data)
{
	struct message m = message_of(address, data);
	uint64_t left = vlapic_route(vm, m.dest, m.logical);

	for (; left; left &= left - 1) {
		const struct vlapic *l = &vm->vcpu[bit_lowest(left)]->vlapic;

		if ((READ_ONCE(l->irr[m.vector / 64]) | READ_ONCE(l->isr[m.vector / 64])) >>
		    m.vector % 64 & 1)
			return true;
	}
	return false;
}

bool vlapic_message(struct vm *vm, uint64_t address, uint32_t data)
{
	struct message m = message_of(address, data);

	return address >> 20 == 0xfee && !init_deassert(data) && send(vm, &m, NULL);
}

void vlapic_ipi(struct vcpu *from, uint64_t icr)
{
	struct message m = {
		.dest = (uint32_t)(vlapic_is_x2apic(from) ? icr >> 32 : icr >> 56),
		.vector = (uint8_t)icr,
		.mode = FIELD(icr, 10, 8),
		.logical = icr & ICR_LOGICAL,
		.level = false,
	};
	unsigned shorthand = FIELD(icr, 19, 18);
	bool fixed = m.mode == DELIVERY_FIXED || m.mode == DELIVERY_LOWEST;

	if (init_deassert(icr))
		return;
	if (fixed && m.vector < 16) {
		error_set(&from->vlapic, ESR_SEND_ILLEGAL);
		return;
	}
	if (fixed &&
	    (shorthand == ICR_SELF || (shorthand == 0 && !m.logical && m.dest == from->apic_id))) {
		if (vlapic_sw_enabled(&from->vlapic))
			irr_set(&from->vlapic, m.vector, false, false);
		from->event.look = true;
		return;
	}
	if (shorthand) {
		m.dest = shorthand == ICR_SELF ? from->apic_id : VLAPIC_ALL;
		m.logical = false;
	}
	send(from->vm, &m, shorthand == ICR_OTHERS ? from : NULL);
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

	ASSERT(offset < 0x1000);
	switch (offset) {
	case REG_ID: return vlapic_is_x2apic(vcpu) ? vcpu->apic_id : vcpu->apic_id << 24;
	case REG_VERSION: return VLAPIC_VERSION;
	case REG_TPR: return l->tpr;
	case REG_PPR: return vlapic_ppr(vcpu);
	case REG_LDR:
		return vlapic_is_x2apic(vcpu) ? vlapic_x2apic_logical(vcpu->apic_id)
					      : l->ldr;
	case REG_DFR: return l->dfr;
	case REG_SVR: return l->svr;
	case REG_ISR ... REG_ISR + 0x70: return map_word(l->isr, offset);
	case REG_TMR ... REG_TMR + 0x70: return map_word(l->tmr, offset);
	case REG_IRR ... REG_IRR + 0x70: return map_word(l->irr, offset);
	case REG_ESR: return l->esr;
	case REG_ICR: return (uint32_t)l->icr;
	case REG_ICR_HIGH: return (uint32_t)(l->icr >> 32);
	case REG_LVT_TIMER ... REG_LVT_ERROR: return l->lvt[lvt_index(offset)];
	case REG_TIMER_INITIAL:
		return vlapic_timer_mode(l) == TIMER_DEADLINE ? 0 : l->timer_initial;
	case REG_TIMER_CURRENT: return vlapic_timer_current(vcpu);
	case REG_TIMER_DIVIDE: return l->timer_divide;
	default: return 0;
	}
}

static void lvt_write(struct vcpu *vcpu, unsigned i, uint32_t value)
{
	struct vlapic *l = &vcpu->vlapic;

	value &= vlapic_lvt_mask[i];
	if (i == LVT_TIMER && !vcpu->vm->cpuid->tsc_deadline)
		value &= ~LVT_TIMER_DEADLINE;
	if (!vlapic_sw_enabled(l))
		value |= LVT_MASKED;
	if (i == LVT_TIMER) {
		vlapic_timer_lvt_write(vcpu, value);
		return;
	}
	l->lvt[i] = value;
	if (i == LVT_LINT0)
		vcpu->event.look = true;
}

static void svr_write(struct vcpu *vcpu, uint32_t value)
{
	struct vlapic *l = &vcpu->vlapic;
	bool before = vlapic_sw_enabled(l);

	l->svr = value & (SVR_ENABLE | 0xff | SVR_FOCUS);
	if (!vlapic_sw_enabled(l))
		for (unsigned i = 0; i < LVT_COUNT; i++)
			l->lvt[i] |= LVT_MASKED;
	else if (!before)
		machine_apic_changed(vcpu->vm);
}

/* All but EOI. */
static noinline void register_write(struct vcpu *vcpu, unsigned offset, uint32_t value)
{
	struct vlapic *l = &vcpu->vlapic;

	switch (offset) {
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
		vlapic_route_update(vcpu);
		machine_apic_changed(vcpu->vm);
		break;
	case REG_DFR:
		l->dfr = value | 0x0fffffff;
		vlapic_route_update(vcpu);
		machine_apic_changed(vcpu->vm);
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
		vlapic_timer_start(vcpu, value);
		break;
	case REG_TIMER_DIVIDE:
		vlapic_timer_divide(vcpu, value);
		break;
	case REG_SELF_IPI:
		if (vlapic_is_x2apic(vcpu))
			vlapic_ipi(vcpu, (value & 0xff) | (uint64_t)ICR_SELF << 18);
		break;
	default:
		break;	/* read-only or not there: ignored */
	}
}

void vlapic_write(struct vcpu *vcpu, unsigned offset, uint32_t value)
{
	ASSERT(offset < 0x1000);
	if (likely(offset == REG_EOI))		/* the busiest of all */
		vlapic_eoi(vcpu);
	else
		register_write(vcpu, offset, value);
}

/* ---- x2APIC ---- */

static bool x2apic_readable(unsigned reg)
{
	return reg <= 0x3f && X2APIC_READ_MASK & BIT(reg);
}

#define LVT_READ_ONLY		(LVT_PENDING | LVT_REMOTE_IRR)
#define ROW(reg)		[(reg) / 16]

/* The bits of each register that a write may set; those that are read-only there are ignored. */
static const uint64_t x2apic_bits[0x40] = {
	ROW(REG_TPR) = 0xff,
	ROW(REG_EOI) = 0,
	ROW(REG_SVR) = SVR_ENABLE | SVR_FOCUS | 0xff,
	ROW(REG_ESR) = 0,
	ROW(REG_ICR) = BITS(63, 32) | ICR_WRITABLE,
	ROW(REG_LVT_TIMER) = LVT_VECTOR | LVT_PENDING | LVT_MASKED | LVT_TIMER_MODE,
	ROW(REG_LVT_THERMAL) = LVT_VECTOR | LVT_MODE | LVT_PENDING | LVT_MASKED,
	ROW(REG_LVT_PERF) = LVT_VECTOR | LVT_MODE | LVT_PENDING | LVT_MASKED,
	ROW(REG_LVT_LINT0) = LVT_VECTOR | LVT_MODE | LVT_READ_ONLY | LVT_POLARITY | LVT_LEVEL |
			     LVT_MASKED,
	ROW(REG_LVT_LINT1) = LVT_VECTOR | LVT_MODE | LVT_READ_ONLY | LVT_POLARITY | LVT_LEVEL |
			     LVT_MASKED,
	ROW(REG_LVT_ERROR) = LVT_VECTOR | LVT_PENDING | LVT_MASKED,
	ROW(REG_TIMER_INITIAL) = 0xffffffff,
	ROW(REG_TIMER_DIVIDE) = 0xb,
	ROW(REG_SELF_IPI) = 0xff,
};

static bool x2apic_writable(const struct vcpu *vcpu, unsigned reg, uint64_t value)
{
	if (reg > 0x3f || !(X2APIC_WRITE_MASK & BIT(reg)) || value & ~x2apic_bits[reg])
		return false;
	return reg != REG_LVT_TIMER / 16 || !(value & LVT_TIMER_DEADLINE) ||
	       vcpu->vm->cpuid->tsc_deadline;
}

int vlapic_msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	unsigned reg = msr - MSR_X2APIC_BASE;

	if (!vlapic_is_x2apic(vcpu) || !x2apic_readable(reg))
		return -EINVAL;
	*value = reg == REG_ICR / 16 ? vcpu->vlapic.icr : vlapic_read(vcpu, reg * 16);
	return 0;
}

int vlapic_msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	unsigned reg = msr - MSR_X2APIC_BASE;

	if (!vlapic_is_x2apic(vcpu) || !x2apic_writable(vcpu, reg, value))
		return -EINVAL;
	if (reg == REG_EOI / 16) {
		vlapic_eoi(vcpu);
	} else if (reg == REG_ICR / 16) {
		vcpu->vlapic.icr = value;
		vlapic_ipi(vcpu, value);
	} else {
		vlapic_write(vcpu, reg * 16, (uint32_t)value);
	}
	return 0;
}

/* ---- base ---- */

#define BASE_MODE	(APIC_BASE_ENABLE | APIC_BASE_X2APIC)

bool vlapic_base_valid(const struct vcpu *vcpu, uint64_t value)
{
	const struct cpuid_policy *p = vcpu->vm->cpuid;
	uint64_t mode = value & BASE_MODE;

	if (value & ~(APIC_BASE_ADDRESS | APIC_BASE_BSP | BASE_MODE) || value >> p->phys_bits)
		return false;
	return !(mode & APIC_BASE_X2APIC) ||
	       (mode == BASE_MODE && p->x2apic);
}

void vlapic_base_set(struct vcpu *vcpu, uint64_t value)
{
	gpa_t window = GPA(value & APIC_BASE_ADDRESS);
	bool open = (value & BASE_MODE) == APIC_BASE_ENABLE;

	vcpu->apic_base = (value & ~APIC_BASE_BSP) | (vcpu->id ? 0 : APIC_BASE_BSP);
	open = open && !gmem_is_ram(&vcpu->vm->gmem, window, GMEM_READ);
	vcpu->apic_window = open ? window.v : ~0ul;
	vlapic_route_update(vcpu);
}

/* x2APIC is left only by disabling, and not entered from there. */
static bool transition_valid(uint64_t from, uint64_t to)
{
	if (from & APIC_BASE_X2APIC)
		return (to & BASE_MODE) != APIC_BASE_ENABLE;
	return from & APIC_BASE_ENABLE || !(to & APIC_BASE_X2APIC);
}

int vlapic_base_write(struct vcpu *vcpu, uint64_t value)
{
	if (!vlapic_base_valid(vcpu, value) || !transition_valid(vcpu->apic_base, value))
		return -EINVAL;
	vlapic_base_set(vcpu, value);
	if (!(value & APIC_BASE_ENABLE))
		vlapic_reset(vcpu);
	vcpu->event.look = true;
	return 0;
}

bool vlapic_extint_open(const struct vcpu *vcpu)
{
	uint32_t lint0 = vcpu->vlapic.lvt[LVT_LINT0];

	return !vlapic_hw_enabled(vcpu) ||
	       (!(lint0 & LVT_MASKED) && FIELD(lint0, 10, 8) == DELIVERY_EXTINT);
}

/* ---- life ---- */

void vlapic_init(struct vcpu *vcpu)
{
	timer_init(&vcpu->vlapic.timer, vlapic_timer_expired);
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
	vlapic_route_update(vcpu);
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
	vlapic_timer_rearm(vcpu);
}
