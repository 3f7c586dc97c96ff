/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC's saved form: its registers as they stand, and the timer's moments on the VM's
 * clock. Loading checks the whole record before it commits; what follows from the registers is
 * worked out again. The vm is paused; no locks.
 */
#include "vmm/vlapic/vlapic.h"

#include "include/errno.h"
#include "lib/record.h"
#include "lib/string.h"
#include "vmm/vlapic/vlapic_state.h"

void vlapic_save(struct vcpu *vcpu, struct record_writer *w)
{
	struct vlapic *l = &vcpu->vlapic;

	record_begin(w, "vlapic", vcpu->id, 2);
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
	record_put_u64(w, l->timer_due_ns);
	record_put_u64(w, l->tsc_deadline);
	record_end(w);
}

int vlapic_load(struct vcpu *vcpu, struct record_reader *r, uint32_t version)
{
	struct vlapic *l = &vcpu->vlapic, n = { 0 };
	int top;

	if (version != 2)
		return -EINVAL;
	for (unsigned i = 0; i < 4; i++) {
		n.irr[i] = record_get_u64(r);
		n.isr[i] = record_get_u64(r);
		n.tmr[i] = record_get_u64(r);
		n.tell[i] = ~0ul;	/* whoever it is, he is told once */
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
		if (n.lvt[i] & ~vlapic_lvt_mask[i])
			r->error = -EINVAL;
	}
	n.timer_initial = record_get_u32(r);
	n.timer_divide = (uint32_t)record_get_below(r, 4, 11);
	n.timer_due_ns = record_get_u64(r);
	n.tsc_deadline = record_get_u64(r);
	if (n.irr[0] & 0xffff || n.isr[0] & 0xffff || n.timer_divide & 4)
		r->error = -EINVAL;
	if (record_finish(r))
		return -EINVAL;
	top = vlapic_highest(n.isr);
	n.highest_isr = top < 0 ? 0 : (uint8_t)top;
	for (unsigned i = 0; i < 4; i++)
		for (uint64_t left = n.isr[i]; left; left &= left - 1)
			n.in_service++;
	memcpy(l, &n, offsetof(struct vlapic, timer));
	vlapic_route_update(vcpu);
	return 0;
}
