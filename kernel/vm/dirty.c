/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which pages of a VM changed. dirty_start; dirty_harvest in rounds, the last
 * one with the VM parked; dirty_stop.
 *
 * Invariants
 *  - Each round, in this order: take the software marks; flush what hardware
 *    caches of dirty state (PML); read and clear D; make every pCPU that runs
 *    the VM invalidate, and wait for each; only then may contents be read. A
 *    cleared D bit with a stale TLB entry is a lost page.
 *  - A harvested set belongs to the caller, who sends it or gives it back.
 *    After a failure nothing is lost: D bits that are not in the set are still
 *    set, marks likewise.
 *  - No vCPU is stopped: bits are cleared from outside, each vCPU flushes at its
 *    next entry, and those inside the guest are kicked once.
 *  - Large leaves in use are split at the start, the others when a write is
 *    seen, so a page is reported alone from the second harvest on.
 */
#include <errno.h>

#include <tern/timer.h>

#include "gmem_int.h"

#define HIGH_BASE 0x100000000ull

/* RAM's two ranges; len 0 when there is no high memory. */
static void ram_ranges(const struct gmem *g, gpa_t start[2], uint64_t len[2])
{
	start[0] = GPA(0);
	len[0] = g->low_bytes;
	start[1] = GPA(HIGH_BASE);
	len[1] = g->ram_bytes - g->low_bytes;
}

static int split_active(struct gmem *g, gpa_t a, uint64_t len, struct slat_flush *owed)
{
	for (uint64_t end = a.v + len; a.v < end; a.v += SIZE_2M) {
		struct slat_leaf leaf;
		int r;

		if (!slat_lookup(&g->slat, a, &leaf) || leaf.size == PAGE_SIZE)
			continue;
		if (!leaf.accessed && !leaf.dirty)
			continue;
		r = slat_split(&g->slat, a, SIZE_2M, owed);
		if (r)
			return r;
	}
	return 0;
}

static int clear_dirty(struct gmem *g, struct pageset *into, struct slat_flush *owed)
{
	gpa_t start[2];
	uint64_t len[2];
	int r = 0;

	ram_ranges(g, start, len);
	for (unsigned i = 0; !r && i < 2; i++)
		if (len[i])
			r = slat_harvest_dirty(&g->slat, start[i], len[i], true, into, owed);
	return r;
}

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

/* What was written before dirty_start returns is not asked for: the first set goes nowhere. */
int dirty_start(struct vm *vm)
{
	struct gmem *g = vm->mem;
	struct slat_flush owed = { 0 };
	struct pageset before;
	gpa_t start[2];
	uint64_t len[2];
	int r = pageset_init(&before, gmem_max_gfn(g));

	if (r)
		return r;
	gmem_track(g, true);
	ram_ranges(g, start, len);
	for (unsigned i = 0; !r && i < 2; i++)
		r = split_active(g, start[i], len[i], &owed);
	if (!r)
		r = sync_hardware(vm, &before);
	if (!r)
		r = clear_dirty(g, &before, &owed);
	flush(vm, owed);
	pageset_fini(&before);
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
		r = clear_dirty(g, set, &owed);
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
	struct gmem *g = vm->mem;
	struct slat_flush owed = { 0 };
	gpa_t start[2];
	uint64_t len[2];

	gmem_track(g, false);
	ram_ranges(g, start, len);
	for (unsigned i = 0; i < 2; i++)
		slat_merge(&g->slat, start[i], len[i], &owed);
	flush(vm, owed);
	slat_reap(&g->slat, owed);
}

void dirty_stats(struct vm *vm, struct dirty_stats *out)
{
	*out = vm->mem->dirty;
}
