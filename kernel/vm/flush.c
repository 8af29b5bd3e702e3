/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Consuming flush tokens: every pCPU that runs the VM invalidates what it may
 * hold from before the token, and the caller waits for it.
 *
 * A vCPU outside of the guest flushes at its next entry by itself: the backend
 * compares slat->gen with what it has flushed to, after it has set in_guest.
 * One inside is kicked; its exit and next entry do the same. A vCPU is never
 * stopped, and a target that has left is not waited for. in_guest and flushed_gen
 * pair with the full barriers in the backend's run().
 */
#include <tern/cpu.h>
#include <tern/log.h>

#include "gmem_int.h"

#define SPINS 2000u /* some tens of microseconds, then others get their turn */

static bool behind(const struct virt_vcpu *v, uint64_t gen, unsigned *cpu)
{
	uint32_t in = __atomic_load_n(&v->in_guest, __ATOMIC_SEQ_CST);

	*cpu = in - 1;
	return in && __atomic_load_n(&v->flushed_gen, __ATOMIC_SEQ_CST) < gen;
}

static void await(const struct virt_vcpu *v, uint64_t gen)
{
	unsigned cpu, spins = 0;

	while (behind(v, gen, &cpu)) {
		cpu_pause();
		if (++spins % SPINS == 0)
			world_yield();
	}
}

void vm_flush(struct vm *vm, struct slat_flush owed)
{
	struct dirty_stats *st = &vm->mem->dirty;
	bool kicked[VM_VCPUS_MAX] = { false };
	unsigned cpu;

	if (!owed.gen)
		return;
	tern_assert(irqs_on()); /* else a kick for this CPU, or the wait, could deadlock */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	st->flushes++;
	for (unsigned i = 0; i < vm->nr_vcpus; i++) {
		kicked[i] = vm->vcpu[i] && behind(&vm->vcpu[i]->v, owed.gen, &cpu);
		if (kicked[i]) {
			cpu_kick(cpu);
			st->flush_kicks++;
		}
	}
	for (unsigned i = 0; i < vm->nr_vcpus; i++) {
		if (!kicked[i])
			continue;
		await(&vm->vcpu[i]->v, owed.gen);
		st->flush_acks++;
	}
}
