/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's shares and CPUs, and how long its parks took. The scheduler itself is
 * kernel/base's: here it is told what the user wants of it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/cpu.h>

#include "vm_int.h"

int vm_sched_check(const struct vm_sched *s, char *why, size_t len)
{
	uint64_t here = cpu_count() < 64 ? (1ull << cpu_count()) - 1 : ~0ull;

	if (s->shares && (s->shares < WORLD_SHARES_MIN || s->shares > WORLD_SHARES_MAX)) {
		snprintf(why, len, "shares are %u to %u, usually %u", WORLD_SHARES_MIN,
			 WORLD_SHARES_MAX, WORLD_SHARES);
		return -EINVAL;
	}
	for (unsigned i = 0; i < VM_VCPUS_MAX; i++)
		if (s->cpus[i] && !(s->cpus[i] & here)) {
			snprintf(why, len, "vCPU %u would have no CPU: this host has 0 to %u", i,
				 cpu_count() - 1);
			return -EINVAL;
		}
	return 0;
}

static void tell_worlds(struct vm *vm)
{
	const struct vm_sched *s = &vm->cfg.sched;

	for (unsigned i = 0; i < vm->nr_vcpus; i++) {
		struct vcpu *c = vm->vcpu[i];

		if (!c->world)
			continue;
		world_set_shares(c->world, s->shares ? s->shares : WORLD_SHARES);
		world_set_cpus(c->world, s->cpus[i] ? s->cpus[i] : ~0ull);
		vcpu_kick(c);
	}
}

int vm_set_sched(struct vm *vm, const struct vm_sched *s, char *why, size_t len)
{
	int err = vm_sched_check(s, why, len);

	if (err)
		return err;
	mutex_lock(&vm->lock);
	vm->cfg.sched = *s;
	tell_worlds(vm);
	mutex_unlock(&vm->lock);
	return 0;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

void vm_park_times(struct vm *vm, struct vm_park_times *t)
{
	struct vm_run *run = vm->run;
	uint64_t ns[PARKS_KEPT];
	unsigned long flags = spin_lock(&run->lock);
	unsigned n = (unsigned)MIN(run->parks_done, PARKS_KEPT);

	*t = (struct vm_park_times){ .count = run->parks_done };
	if (n)
		t->last_ns = run->parked_ns[(run->parks_done - 1) % PARKS_KEPT];
	memcpy(ns, run->parked_ns, sizeof(ns));
	spin_unlock(&run->lock, flags);
	if (!n)
		return;
	qsort(ns, n, sizeof(ns[0]), by_size);
	t->median_ns = ns[n / 2];
	t->max_ns = ns[n - 1];
}
