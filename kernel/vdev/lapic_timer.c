/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The LAPIC timer: one-shot, periodic, TSC-deadline. Its clock runs at 1 GHz, so
 * a count of one at divisor one is a nanosecond of guest time, and the current
 * count is computed when it is read. A host timer is armed for the end only.
 * [SDM 3A 10.5.4 "APIC Timer"]
 *
 * The host timer is never cancelled while the device lives: a callback that
 * finds nothing due goes away, so that no lock is held across a wait for it.
 */
#include "irqchip_int.h"

#define MODE(lvt) ((lvt) >> 17 & 3)
/* A callback arms its timer no sooner: a guest's period of nanoseconds, or guest
 * time that stands still, must not keep the CPU in timer interrupts. */
#define AGAIN_MIN_NS (100 * NSEC_PER_USEC)
#define EARLY_NS 16u /* how far guest time, otherwise rounded, may be behind at a callback */

unsigned lapic_divisor(uint32_t divide)
{
	unsigned code = (divide & 3) | (divide >> 1 & 4);

	return code == 7 ? 1 : 2u << code;
}

uint32_t lapic_count_left(uint64_t expiry_ns, uint64_t now_ns, unsigned divisor)
{
	if (expiry_ns == NEVER_NS || now_ns >= expiry_ns)
		return 0;
	return (uint32_t)((expiry_ns - now_ns + divisor - 1) / divisor);
}

uint64_t lapic_next_expiry(uint64_t expiry_ns, uint64_t period_ns, uint64_t now_ns)
{
	if (!period_ns)
		return NEVER_NS;
	if (now_ns < expiry_ns)
		return expiry_ns;
	return expiry_ns + ((now_ns - expiry_ns) / period_ns + 1) * period_ns;
}

static uint64_t period(const struct lapic *l)
{
	return (uint64_t)l->init_count * lapic_divisor(l->divide);
}

void lapic_timer_stop_locked(struct lapic *l)
{
	l->expiry_ns = NEVER_NS;
	l->deadline_tsc = 0;
}

static void interrupt_locked(struct lapic *l)
{
	if (!(l->lvt[LVT_TIMER] & LVT_MASKED))
		(void)lapic_fixed_locked(l, (uint8_t)l->lvt[LVT_TIMER], false);
}

static void arm(struct lapic *l, uint64_t host_ns, bool again)
{
	uint64_t soonest = time_ns() + (again ? AGAIN_MIN_NS : 0);

	timer_arm(&l->timer, MAX(host_ns, soonest));
}

/* Fires what is due and arms the host timer for what is not; again: from its callback. */
static void service_deadline_locked(struct lapic *l, bool again)
{
	uint64_t host;

	if (!l->deadline_tsc)
		return;
	host = vcpu_tsc_deadline_ns(l->vcpu, l->deadline_tsc);
	if (host) {
		arm(l, host, again);
		return;
	}
	l->deadline_tsc = 0;
	interrupt_locked(l);
}

static void service_count_locked(struct lapic *l, bool again)
{
	uint64_t now;

	if (l->expiry_ns == NEVER_NS)
		return;
	now = vm_guest_ns(l->chip->vm);
	if (again && now < l->expiry_ns && l->expiry_ns - now <= EARLY_NS)
		now = l->expiry_ns;
	if (now >= l->expiry_ns) {
		interrupt_locked(l);
		if (MODE(l->lvt[LVT_TIMER]) == TIMER_PERIODIC)
			l->expiry_ns = lapic_next_expiry(l->expiry_ns, period(l), now);
		else
			l->expiry_ns = NEVER_NS;
	}
	if (l->expiry_ns != NEVER_NS)
		arm(l, time_ns() + (l->expiry_ns - now), again);
}

static void service_locked(struct lapic *l, bool again)
{
	if (MODE(l->lvt[LVT_TIMER]) == TIMER_DEADLINE)
		service_deadline_locked(l, again);
	else
		service_count_locked(l, again);
}

void lapic_timer_arm_locked(struct lapic *l)
{
	service_locked(l, false);
}

static void fired(struct timer *t)
{
	struct lapic *l = container_of(t, struct lapic, timer);
	unsigned long flags = chip_lock(l->chip);

	service_locked(l, true);
	chip_unlock(l->chip, flags);
}

void lapic_timer_setup(struct lapic *l)
{
	timer_setup(&l->timer, fired);
}

void lapic_timer_start_locked(struct lapic *l)
{
	if (MODE(l->lvt[LVT_TIMER]) == TIMER_DEADLINE)
		return;
	l->expiry_ns = l->init_count ? vm_guest_ns(l->chip->vm) + period(l) : NEVER_NS;
	service_count_locked(l, false);
}

/* A change to or from TSC-deadline mode disarms. */
void lapic_timer_mode_locked(struct lapic *l, uint32_t old_lvt)
{
	bool was = MODE(old_lvt) == TIMER_DEADLINE, is = MODE(l->lvt[LVT_TIMER]) == TIMER_DEADLINE;

	if (was != is)
		lapic_timer_stop_locked(l);
}

void lapic_timer_deadline_locked(struct lapic *l, uint64_t tsc)
{
	if (MODE(l->lvt[LVT_TIMER]) != TIMER_DEADLINE)
		return;
	l->deadline_tsc = tsc;
	service_deadline_locked(l, false);
}

uint32_t lapic_timer_count_locked(const struct lapic *l)
{
	return lapic_count_left(l->expiry_ns, vm_guest_ns(l->chip->vm), lapic_divisor(l->divide));
}
