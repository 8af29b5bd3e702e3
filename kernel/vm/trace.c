/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a guest's writes are seen while its dirty pages are tracked. Three ways,
 * by what the CPU has; "dirty = scan" or "dirty = protect" in tern.conf takes a
 * simpler one, for comparison and tests.
 *
 *  - log: each D bit that goes from 0 to 1 is logged by the CPU (PML), and only
 *    the logged pages' D bits are read and cleared. A log entry that a vCPU
 *    inside the guest still holds comes with a later harvest: its D bit stays
 *    set until then, so nothing is lost.
 *  - scan: all D bits are read.
 *  - protect: all leaves are read-only, and the first write to each page faults.
 *    The fault makes the page writable, then marks it; a harvest takes the
 *    marks, then protects those pages. Both hold g->lock. [SDM 3C 29.3.3.2
 *    "EPT Violations": one invalidates its own stale translation, so more
 *    rights need no flush]
 *
 * Large leaves in use are split at the start, the others when a write is seen.
 */
#include <errno.h>
#include <string.h>

#include <tern/bootinfo.h>

#include "gmem_int.h"

#define HIGH_BASE 0x100000000ull
#define ALL_RIGHTS (SLAT_R | SLAT_W | SLAT_X)
#define READ_RIGHTS (SLAT_R | SLAT_X)

/* RAM's two ranges; len 0 when there is no high memory. */
static void ram_ranges(const struct gmem *g, gpa_t start[2], uint64_t len[2])
{
	start[0] = GPA(0);
	len[0] = g->low_bytes;
	start[1] = GPA(HIGH_BASE);
	len[1] = g->ram_bytes - g->low_bytes;
}

enum trace_kind trace_forced = TRACE_NONE;

static enum trace_kind choose(const struct gmem *g)
{
	const char *asked = config_get("dirty");

	if (trace_forced != TRACE_NONE)
		return trace_forced;
	if (!g->slat.fmt->dirty || (asked && !strcmp(asked, "protect")))
		return TRACE_PROTECT;
	if (!virt_caps.pml || (asked && !strcmp(asked, "scan")))
		return TRACE_SCAN;
	return TRACE_LOG;
}

/* ---- D bits ---- */

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

static int scan(struct gmem *g, struct pageset *into, struct slat_flush *owed)
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

/* What was written before tracking began is not asked for: that set goes nowhere. */
static int start_bits(struct gmem *g, struct slat_flush *owed)
{
	struct pageset before;
	gpa_t start[2];
	uint64_t len[2];
	int r = pageset_init(&before, gmem_max_gfn(g));

	if (r)
		return r;
	ram_ranges(g, start, len);
	for (unsigned i = 0; !r && i < 2; i++)
		r = split_active(g, start[i], len[i], owed);
	if (!r)
		r = scan(g, &before, owed);
	pageset_fini(&before);
	return r;
}

/* ---- the log ---- */

/* Every CPU logs before the first D bit is cleared: the flush makes them all look. */
static int start_log(struct vm *vm, struct slat_flush *owed)
{
	struct gmem *g = vm->mem;
	struct slat_flush on = { 0 };
	int r = pageset_init(&g->log, gmem_max_gfn(g));

	if (!r)
		r = pageset_reserve(&g->log);
	if (r)
		return r;
	__atomic_store_n(&vm->virt.log, &g->log, __ATOMIC_SEQ_CST);
	slat_owe(&g->slat, &on);
	vm_flush(vm, on);
	return start_bits(g, owed);
}

static void put_back(struct pageset *to, const struct pageset *from)
{
	gfn_t at = 0, first;
	uint64_t count;

	while (pageset_next_run(from, at, UINT64_MAX, &first, &count)) {
		for (at = first; at < first + count; at++)
			(void)pageset_mark(to, at);
	}
}

static int harvest_log(struct gmem *g, struct pageset *into, struct slat_flush *owed)
{
	struct pageset logged;
	gfn_t at = 0, first;
	uint64_t count;
	int r = pageset_init(&logged, gmem_max_gfn(g));

	if (r)
		return r;
	r = pageset_drain(&logged, &g->log);
	while (!r && pageset_next_run(&logged, at, UINT64_MAX, &first, &count)) {
		r = slat_harvest_dirty(&g->slat, gfn_gpa(first), count << PAGE_SHIFT, true, into,
				       owed);
		at = first + count;
	}
	if (r) /* D bits that are still set must be found again */
		put_back(&g->log, &logged);
	pageset_fini(&logged);
	return r;
}

/* ---- protection ---- */

static int protect_all(struct gmem *g, unsigned rights, struct slat_flush *owed)
{
	gpa_t start[2];
	uint64_t len[2];
	int r = 0;

	ram_ranges(g, start, len);
	for (unsigned i = 0; !r && i < 2; i++)
		if (len[i])
			r = slat_protect(&g->slat, start[i], len[i], rights, owed);
	return r;
}

static int protect_again(struct gmem *g, const struct pageset *set, struct slat_flush *owed)
{
	gfn_t at = 0, first;
	uint64_t count;
	int r = 0;

	while (!r && pageset_next_run(set, at, UINT64_MAX, &first, &count)) {
		for (at = first; !r && at < first + count; at++) {
			struct slat_leaf leaf;

			if (slat_lookup(&g->slat, gfn_gpa(at), &leaf) && (leaf.prot & SLAT_W))
				r = slat_protect(&g->slat, gfn_gpa(at), PAGE_SIZE, READ_RIGHTS,
						 owed);
		}
	}
	return r;
}

/* dirty.c has just moved the marks to into. A page in it from earlier is protected at the cost of a
 * look. */
static int harvest_protect(struct gmem *g, const struct pageset *into, struct slat_flush *owed)
{
	int r;

	mutex_lock(&g->lock);
	r = protect_again(g, into, owed);
	mutex_unlock(&g->lock);
	if (r) /* pages that are still writable must be found again */
		put_back(&g->marks, into);
	return r;
}

unsigned trace_rights(const struct gmem *g)
{
	return g->trace == TRACE_PROTECT ? READ_RIGHTS : ALL_RIGHTS;
}

int trace_write_locked(struct gmem *g, gfn_t n)
{
	struct slat_flush owed = { 0 }; /* more rights, smaller leaves: nobody need wait */
	struct slat_leaf leaf;
	int r;

	if (g->trace != TRACE_PROTECT || !slat_lookup(&g->slat, gfn_gpa(n), &leaf))
		return 0;
	if (leaf.prot & SLAT_W)
		return 0; /* another vCPU was here first */
	r = slat_protect(&g->slat, gfn_gpa(n), PAGE_SIZE, ALL_RIGHTS, &owed);
	if (!r)
		gmem_mark(g, n);
	return r;
}

/* ---- for dirty.c ---- */

int trace_start(struct vm *vm, struct slat_flush *owed)
{
	struct gmem *g = vm->mem;
	int r;

	mutex_lock(&g->lock);
	g->trace = choose(g);
	mutex_unlock(&g->lock);
	switch (g->trace) {
	case TRACE_PROTECT:
		mutex_lock(&g->lock);
		r = protect_all(g, READ_RIGHTS, owed);
		mutex_unlock(&g->lock);
		return r;
	case TRACE_LOG:
		return start_log(vm, owed);
	default:
		return start_bits(g, owed);
	}
}

int trace_harvest(struct vm *vm, struct pageset *into, struct slat_flush *owed)
{
	switch (vm->mem->trace) {
	case TRACE_PROTECT:
		return harvest_protect(vm->mem, into, owed);
	case TRACE_LOG:
		return harvest_log(vm->mem, into, owed);
	default:
		return scan(vm->mem, into, owed);
	}
}

/* Rights first, so that leaves can be merged. */
void trace_stop(struct vm *vm, struct slat_flush *owed)
{
	struct gmem *g = vm->mem;
	gpa_t start[2];
	uint64_t len[2];

	mutex_lock(&g->lock);
	if (g->trace == TRACE_PROTECT)
		(void)protect_all(g, ALL_RIGHTS, owed); /* whole leaves: needs no memory */
	g->trace = TRACE_NONE;
	mutex_unlock(&g->lock);
	ram_ranges(g, start, len);
	for (unsigned i = 0; i < 2; i++)
		slat_merge(&g->slat, start[i], len[i], owed);
	__atomic_store_n(&vm->virt.log, NULL, __ATOMIC_SEQ_CST);
	slat_owe(&g->slat, owed);
}

void trace_end(struct vm *vm)
{
	pageset_fini(&vm->mem->log);
	memset(&vm->mem->log, 0, sizeof(vm->mem->log));
}
