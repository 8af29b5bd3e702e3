/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vCPUs that spin. What a vCPU spins for is mostly held, or to be done, by another
 * one of its VM; when that one waits for a CPU, the spinner gives it the rest of
 * its turn: first to one that had to give way while it ran, for it may hold a
 * lock; then to one that was woken, for it may be the target of an interrupt; never
 * to one that spun itself. Without such a one, whoever waits here is next.
 *
 * Where the CPU has a filter it exits when a loop of PAUSEs has lasted; without
 * one PAUSE does not exit, for most locks are free before an exit is over, and the
 * spin ends with the turn.
 * [APM2 15.14.4 "Pause Intercept Filtering"] [SDM 3C 26.1.3 "Instructions That Cause VM Exits
 * Conditionally"]
 */
#include "vm_int.h"

static bool could_use_it(const struct vcpu *s, bool preempted)
{
	if (!s->world || !world_waits(s->world))
		return false;
	return preempted ? __atomic_load_n(&s->preempted, __ATOMIC_RELAXED)
			 : !__atomic_load_n(&s->spinning, __ATOMIC_RELAXED);
}

/* Worlds of this run stay until all have ended, the caller among them. */
static bool give_turn(struct vcpu *c, bool preempted)
{
	struct vm *vm = c->vm;
	unsigned first = __atomic_load_n(&vm->run->pause_next, __ATOMIC_RELAXED);

	for (unsigned i = 0; i < vm->nr_vcpus; i++) {
		unsigned n = (first + i) % vm->nr_vcpus;
		struct vcpu *s = vm->vcpu[n];

		if (s == c || !could_use_it(s, preempted))
			continue;
		__atomic_store_n(&vm->run->pause_next, n + 1, __ATOMIC_RELAXED);
		if (world_yield_to(s->world))
			return true;
	}
	return false;
}

enum exit_next exit_pause(struct vcpu *c, struct vmexit *x)
{
	vcpu_skip(c, x, 2);
	c->stats.spins++;
	__atomic_store_n(&c->spinning, 1, __ATOMIC_RELAXED);
	if (give_turn(c, true) || give_turn(c, false))
		c->stats.given++;
	else
		world_yield();
	__atomic_store_n(&c->spinning, 0, __ATOMIC_RELAXED);
	return NEXT_RESUME;
}
