/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Self-tests: A and D bits, and dirty tracking of a guest that never leaves by
 * itself, harvested from another CPU. The last one is a migration without a
 * wire: rounds copy what was reported into a shadow, and after the final harvest
 * the shadow must equal the memory.
 */
#include <stdlib.h>
#include <string.h>

#include <tern/cpu.h>
#include <tern/dirty.h>
#include <tern/log.h>
#include <tern/timer.h>

#include "gmem_int.h"
#include "selftest.h"

#define WRITTEN 0x800000ull
#define READ 0xa00000ull
#define STEP (2 * PAGE_SIZE)
#define TOUCHED 32u

static bool harvest(struct tiny *t, struct pageset *set)
{
	pageset_clear_all(set);
	if (dirty_harvest(&t->vm, set)) {
		tiny_fail(t, "a harvest failed");
		return false;
	}
	return true;
}

static bool touch(struct tiny *t)
{
	if (!tiny_start_long(t, guest_touch))
		return false;
	t->c.v.gpr[GPR_RSI] = WRITTEN;
	t->c.v.gpr[GPR_RDI] = READ;
	t->c.v.gpr[GPR_RCX] = TOUCHED;
	t->c.v.gpr[GPR_RDX] = STEP;
	tiny_run(t);
	return !t->why;
}

static void check_bits(struct tiny *t)
{
	struct slat_leaf leaf;

	for (uint64_t i = 0; i < 2 * TOUCHED; i++) {
		bool hit = !(i & 1);

		if (!slat_lookup(gmem_slat(t->vm.mem), GPA(WRITTEN + i * PAGE_SIZE), &leaf) ||
		    leaf.size != PAGE_SIZE || leaf.dirty != hit)
			tiny_fail(t, "D bits of written pages");
		if (!slat_lookup(gmem_slat(t->vm.mem), GPA(READ + i * PAGE_SIZE), &leaf) ||
		    leaf.dirty)
			tiny_fail(t, "D bits of pages that were only read");
	}
}

static void check_set(struct tiny *t, const struct pageset *set)
{
	for (gfn_t n = WRITTEN >> PAGE_SHIFT; n < (READ >> PAGE_SHIFT) + 2 * TOUCHED; n++) {
		gfn_t k = n - (WRITTEN >> PAGE_SHIFT);

		if (pageset_test(set, n) != (k < 2 * TOUCHED && !(k & 1)))
			tiny_fail(t, "a harvest is not what was written");
	}
}

/* First run maps by 2 MiB, the second finds 4 KiB leaves: exact from then on. */
static void test_bits(struct tiny *t)
{
	struct pageset set;
	uint8_t byte = 1;

	if (pageset_init(&set, gmem_max_gfn(t->vm.mem))) {
		tiny_fail(t, "out of memory");
		return;
	}
	if (touch(t) && !dirty_start(&t->vm)) {
		if (touch(t)) {
			if (trace_forced != TRACE_PROTECT && gmem_slat(t->vm.mem)->fmt->dirty)
				check_bits(t);
			if (harvest(t, &set))
				check_set(t, &set);
			if (harvest(t, &set) && !pageset_empty(&set))
				tiny_fail(t, "a page was reported twice");
		}
		if (gmem_write(t->vm.mem, GPA(READ), &byte, 1) || !harvest(t, &set) ||
		    pageset_count(&set) != 1 || !pageset_test(&set, READ >> PAGE_SHIFT))
			tiny_fail(t, "a store of the hypervisor was not reported");
		dirty_stop(&t->vm);
		if (!gmem_slat(t->vm.mem)->merges)
			tiny_fail(t, "no leaf was merged again");
		touch(t);
	} else {
		tiny_fail(t, "tracking did not start");
	}
	pageset_fini(&set);
}

/* ---- a migration without a wire ---- */

#define SEQ_BASE 0x400000ull
#define SEQ_PAGES 1024u
#define ROUNDS 40u

struct shadow {
	uint8_t *page[TINY_RAM / PAGE_SIZE];
};

static bool copy_page(struct tiny *t, struct shadow *sh, gfn_t n)
{
	hpa_t a;

	if (!sh->page[n]) {
		if (page_alloc(ORDER_4K, PAGE_ZERO, FRAME_KERNEL, &a)) {
			tiny_fail(t, "no memory for the shadow");
			return false;
		}
		sh->page[n] = hpa_ptr(a);
	}
	if (!gmem_read(t->vm.mem, gfn_gpa(n), sh->page[n], PAGE_SIZE))
		return true;
	tiny_fail(t, "a page cannot be copied");
	return false;
}

static bool copy_set(struct tiny *t, struct shadow *sh, const struct pageset *set)
{
	gfn_t from = 0, first;
	uint64_t count;

	while (pageset_next_run(set, from, 512, &first, &count)) {
		for (gfn_t n = first; n < first + count; n++)
			if (!copy_page(t, sh, n))
				return false;
		from = first + count;
	}
	return true;
}

static bool backed_set(struct tiny *t, struct pageset *set)
{
	gfn_t from = 0, first;
	uint64_t count;

	pageset_clear_all(set);
	while (gmem_next_backed(t->vm.mem, from, 512, &first, &count)) {
		if (pageset_set_range(set, first, count))
			return false;
		from = first + count;
	}
	return true;
}

static void compare(struct tiny *t, const struct shadow *sh)
{
	static uint8_t now[4096];
	unsigned wrong = 0;

	for (gfn_t n = 0; n < TINY_RAM / PAGE_SIZE; n++) {
		if (gmem_read(t->vm.mem, gfn_gpa(n), now, PAGE_SIZE))
			continue;
		if (sh->page[n] ? memcmp(now, sh->page[n], PAGE_SIZE) != 0 : !page_is_zero(now))
			wrong++;
	}
	if (wrong)
		log_error("selftest", "%u pages differ", wrong);
	if (wrong)
		tiny_fail(t, "a page was lost");
}

static void stop_guest(struct tiny *t, struct world *w, unsigned cpu)
{
	__atomic_store_n(&t->stop, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&t->c.v.kicked, 1, __ATOMIC_SEQ_CST);
	cpu_kick(cpu);
	world_join(w);
}

static void rounds(struct tiny *t, struct shadow *sh, struct pageset *set, unsigned cpu)
{
	struct world *w = tiny_launch(t, (int)cpu);
	struct dirty_stats st;

	if (!w)
		return;
	world_sleep_ns(30 * NSEC_PER_MSEC);
	if (dirty_start(&t->vm)) {
		tiny_fail(t, "tracking did not start");
		stop_guest(t, w, cpu);
		return;
	}
	if (!backed_set(t, set) || !copy_set(t, sh, set))
		tiny_fail(t, "round 0");
	for (unsigned i = 0; i < ROUNDS && !t->why; i++) {
		if (harvest(t, set) && pageset_count(set) < SEQ_PAGES / 2 && i % 4)
			world_sleep_ns(NSEC_PER_MSEC);
		copy_set(t, sh, set);
	}
	stop_guest(t, w, cpu);
	if (!t->why && harvest(t, set) && copy_set(t, sh, set))
		compare(t, sh);
	dirty_stats(&t->vm, &st);
	dirty_stop(&t->vm);
	log_info("selftest",
		 "%llu harvests, %llu pages, %llu kicks, %llu acks, %llu flushes at entry, guest "
		 "at %llu passes",
		 (unsigned long long)st.harvests, (unsigned long long)st.pages,
		 (unsigned long long)st.flush_kicks, (unsigned long long)st.flush_acks,
		 (unsigned long long)t->c.v.flushes, (unsigned long long)t->c.v.gpr[GPR_R8]);
	if (!st.flush_kicks || st.flush_kicks != st.flush_acks)
		tiny_fail(t, "flushes were not acknowledged");
}

static void test_lost(struct tiny *t)
{
	struct shadow *sh = calloc(1, sizeof(*sh));
	struct pageset set;

	if (cpu_count() < 2 || !sh || pageset_init(&set, gmem_max_gfn(t->vm.mem))) {
		free(sh);
		if (cpu_count() < 2)
			log_warn("selftest", "virt-lost-page needs two CPUs");
		return;
	}
	if (tiny_start_long(t, guest_sequence)) {
		t->c.v.rflags = TINY_IRQS_ON;
		t->c.v.gpr[GPR_RSI] = SEQ_BASE;
		t->c.v.gpr[GPR_RDX] = SEQ_PAGES;
		rounds(t, sh, &set, cpu_self() ? 0 : 1);
	}
	for (gfn_t n = 0; n < ARRAY_SIZE(sh->page); n++)
		if (sh->page[n])
			page_put(ptr_hpa(sh->page[n]));
	pageset_fini(&set);
	free(sh);
}

/* ---- the simpler ways of tracing, where the CPU would take a better one ---- */

static void forced(struct tiny *t, enum trace_kind kind, void (*test)(struct tiny *t))
{
	trace_forced = kind;
	test(t);
	trace_forced = TRACE_NONE;
}

static void test_bits_scan(struct tiny *t)
{
	if (gmem_slat(t->vm.mem)->fmt->dirty)
		forced(t, TRACE_SCAN, test_bits);
}

static void test_lost_scan(struct tiny *t)
{
	if (gmem_slat(t->vm.mem)->fmt->dirty)
		forced(t, TRACE_SCAN, test_lost);
}

static void test_bits_protect(struct tiny *t)
{
	forced(t, TRACE_PROTECT, test_bits);
}

static void test_lost_protect(struct tiny *t)
{
	forced(t, TRACE_PROTECT, test_lost);
}

const struct tiny_test tiny_dirty_tests[] = {
	{ "virt-ad-bits", test_bits },
	{ "virt-lost-page", test_lost },
	{ "virt-ad-bits-scan", test_bits_scan },
	{ "virt-lost-page-scan", test_lost_scan },
	{ "virt-ad-bits-protect", test_bits_protect },
	{ "virt-lost-page-protect", test_lost_protect },
	{ NULL, NULL },
};
