/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which pages of a VM changed. dirty_start; dirty_harvest in rounds, the last
 * one with the VM parked; dirty_stop.
 *
 * Invariants
 *  - Each round, in this order: take the software marks; flush what hardware
 *    caches of dirty state; read and clear D (or what stands for it: trace.c); make every pCPU that
 * runs the VM invalidate, and wait for each; only then may contents be read. A cleared D bit with a
 * stale TLB entry is a lost page.
 *  - A harvested set belongs to the caller, who sends it or gives it back.
 *    After a failure nothing is lost: D bits that are not in the set are still
 *    set, marks likewise.
 *  - No vCPU is stopped: bits are cleared from outside, each vCPU flushes at its
 *    next entry, and those inside the guest are kicked once.
 *  - A page is reported alone from the second harvest on.
 */
#include <errno.h>

#include <tern/timer.h>

#include "gmem_int.h"

static int sync_hardware(struct vm *vm, struct pageset *into)
{
	int r = 0;

	for (unsigned i = 0; virt->dirty_sync && !r && i < vm->nr_vcpus; i++)
		r = virt->dirty_sync(&vm->vcpu[i]->v, into);
	return r;
}

static void flush(struct vm *vm, struct slat_flush owed)
{
	struct dirty_stats *st = &vm->mem->dirty;
	uint64_t start = time_ns();

	vm_flush(vm, owed);
	st->flush_wait_ns += time_ns() - start;
}

int dirty_start(struct vm *vm)
{
	struct slat_flush owed = { 0 };
	int r;

	gmem_track(vm->mem, true);
	r = trace_start(vm, &owed);
	flush(vm, owed);
	if (r)
		dirty_stop(vm);
	return r;
}

int dirty_harvest(struct vm *vm, struct pageset *set)
{
	struct gmem *g = vm->mem;
	struct slat_flush owed = { 0 };
	uint64_t before = pageset_count(set), start = time_ns();
	int r = gmem_drain_marks(g, set);

	if (!r)
		r = sync_hardware(vm, set);
	if (!r)
		r = trace_harvest(vm, set, &owed);
	g->dirty.scan_ns += time_ns() - start;
	flush(vm, owed);
	g->dirty.harvests++;
	g->dirty.pages += pageset_count(set) - before;
	return r;
}

int dirty_restore(struct vm *vm, const struct pageset *set)
{
	gfn_t from = 0, first;
	uint64_t count;

	while (pageset_next_run(set, from, UINT64_MAX, &first, &count)) {
		for (uint64_t i = 0; i < count; i++)
			if (first + i < vm->mem->marks.pages)
				(void)pageset_mark(&vm->mem->marks, first + i);
		from = first + count;
	}
	return 0;
}

void dirty_stop(struct vm *vm)
{
	struct slat_flush owed = { 0 };

	gmem_track(vm->mem, false);
	trace_stop(vm, &owed);
	flush(vm, owed);
	slat_reap(&vm->mem->slat, owed);
	trace_end(vm);
}

void dirty_stats(struct vm *vm, struct dirty_stats *out)
{
	*out = vm->mem->dirty;
}
