/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The LAPIC as a device: reset, save, check, load. Timers travel as absolute
 * guest time (nanoseconds of kvmclock, or TSC), so that the destination arms
 * what is left of them, blackout included: no tick is lost, none comes early.
 * [SDM 3A 10.4.7 "Local APIC State"]
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "irqchip_int.h"

#define LAPIC_VERSION 2u
#define LAPIC_WITHOUT_WORD 1u
#define BASE_MASK (APIC_BASE_BSP | APIC_BASE_X2 | APIC_BASE_ON | 0x000ffffffffff000ull)

void lapic_reset_state(struct lapic *l)
{
	l->base = LAPIC_BASE | APIC_BASE_ON | (l->vcpu->index ? 0 : APIC_BASE_BSP);
	l->tpr = 0;
	l->ldr = 0;
	l->dfr = 0xffffffffu;
	l->svr = 0xff;
	l->esr = l->esr_next = 0;
	l->icr_low = l->icr_high = 0;
	for (unsigned i = 0; i < LVT_COUNT; i++)
		l->lvt[i] = LVT_MASKED;
	if (!l->vcpu->index) /* virtual wire, as firmware leaves it: kernels without APIC live on it
			      */
		l->lvt[LVT_LINT0] = DELIVER_EXTINT << 8;
	memset(l->irr, 0, sizeof(l->irr));
	memset(l->isr, 0, sizeof(l->isr));
	memset(l->tmr, 0, sizeof(l->tmr));
	l->init_count = l->divide = 0;
	lapic_timer_stop_locked(l);
	l->extint = false;
}

static struct lapic *lapic_of(struct vdev *d)
{
	return container_of(d, struct lapic, dev);
}

static void reset(struct vdev *d)
{
	struct lapic *l = lapic_of(d);
	unsigned long flags = chip_lock(l->chip);

	lapic_reset_state(l);
	l->word_msr = 0;
	chip_unlock(l->chip, flags);
}

static void resume(struct vdev *d)
{
	struct lapic *l = lapic_of(d);
	unsigned long flags = chip_lock(l->chip);

	lapic_timer_arm_locked(l);
	chip_unlock(l->chip, flags);
}

static void save(struct vdev *d, struct rec_writer *w)
{
	struct lapic *l = lapic_of(d), copy;
	unsigned long flags = chip_lock(l->chip);

	lapic_sync_tpr(l);
	copy = *l;
	chip_unlock(l->chip, flags);
	rec_begin(w, REC_LAPIC, LAPIC_VERSION, 0, d->instance);
	rec_u64(w, copy.base);
	rec_u32(w, copy.tpr);
	rec_u32(w, copy.ldr);
	rec_u32(w, copy.dfr);
	rec_u32(w, copy.svr);
	rec_u32(w, copy.esr);
	rec_u32(w, copy.esr_next);
	rec_u32(w, copy.icr_low);
	rec_u32(w, copy.icr_high);
	for (unsigned i = 0; i < LVT_COUNT; i++)
		rec_u32(w, copy.lvt[i]);
	for (unsigned i = 0; i < APIC_REGS; i++) {
		rec_u32(w, copy.irr[i]);
		rec_u32(w, copy.isr[i]);
		rec_u32(w, copy.tmr[i]);
	}
	rec_u32(w, copy.init_count);
	rec_u32(w, copy.divide);
	rec_u64(w, copy.expiry_ns);
	rec_u64(w, copy.deadline_tsc);
	rec_u64(w, copy.word_msr);
	rec_end(w);
}

static int parse(struct rec_reader *r, struct lapic *s)
{
	if (r->head.version != LAPIC_VERSION && r->head.version != LAPIC_WITHOUT_WORD)
		return -EBADMSG;
	s->base = rec_get_u64(r);
	s->tpr = rec_get_u32(r);
	s->ldr = rec_get_u32(r);
	s->dfr = rec_get_u32(r);
	s->svr = rec_get_u32(r);
	s->esr = rec_get_u32(r);
	s->esr_next = rec_get_u32(r);
	s->icr_low = rec_get_u32(r);
	s->icr_high = rec_get_u32(r);
	for (unsigned i = 0; i < LVT_COUNT; i++)
		s->lvt[i] = rec_get_u32(r);
	for (unsigned i = 0; i < APIC_REGS; i++) {
		s->irr[i] = rec_get_u32(r);
		s->isr[i] = rec_get_u32(r);
		s->tmr[i] = rec_get_u32(r);
	}
	s->init_count = rec_get_u32(r);
	s->divide = rec_get_u32(r);
	s->expiry_ns = rec_get_u64(r);
	s->deadline_tsc = rec_get_u64(r);
	s->word_msr = r->head.version == LAPIC_WITHOUT_WORD ? 0 : rec_get_u64(r);
	if (!lapic_word_ok(s->word_msr))
		return -EBADMSG;
	if ((s->base & ~BASE_MASK) || (s->base & 0x000ffffffffff000ull) != LAPIC_BASE ||
	    s->tpr > 0xff)
		return -EBADMSG;
	if ((s->base & APIC_BASE_X2) && !(s->base & APIC_BASE_ON))
		return -EBADMSG;
	if ((s->irr[0] | s->isr[0]) & 0xffff)
		return -EBADMSG; /* vectors that no LAPIC takes */
	return rec_done(r);
}

static int check(struct vdev *d, struct rec_reader *r)
{
	struct lapic s;

	(void)d;
	return parse(r, &s);
}

static int load(struct vdev *d, struct rec_reader *r)
{
	struct lapic *l = lapic_of(d), s;
	unsigned long flags;

	if (parse(r, &s))
		return -EBADMSG;
	flags = chip_lock(l->chip);
	l->base = s.base;
	l->tpr = s.tpr;
	l->ldr = s.ldr;
	l->dfr = s.dfr;
	l->svr = s.svr;
	l->esr = s.esr;
	l->esr_next = s.esr_next;
	l->icr_low = s.icr_low;
	l->icr_high = s.icr_high;
	memcpy(l->lvt, s.lvt, sizeof(l->lvt));
	memcpy(l->irr, s.irr, sizeof(l->irr));
	memcpy(l->isr, s.isr, sizeof(l->isr));
	memcpy(l->tmr, s.tmr, sizeof(l->tmr));
	l->init_count = s.init_count;
	l->divide = s.divide;
	l->expiry_ns = s.expiry_ns;
	l->deadline_tsc = s.deadline_tsc;
	l->word_msr = s.word_msr;
	chip_unlock(l->chip, flags);
	return 0;
}

static void destroy(struct vdev *d)
{
	struct lapic *l = lapic_of(d);
	unsigned long flags = chip_lock(l->chip);

	lapic_timer_stop_locked(l); /* a callback under way does not arm it again */
	chip_unlock(l->chip, flags);
	(void)timer_cancel(&l->timer);
	l->vcpu->lapic = NULL;
	if (!l->vcpu->index)
		free(l->chip); /* the first made is the last destroyed */
	free(l);
}

const struct vdev_ops lapic_vdev_ops = {
	.name = "lapic",
	.reset = reset,
	.resume = resume,
	.save = save,
	.check = check,
	.load = load,
	.destroy = destroy,
};
