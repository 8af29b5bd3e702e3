/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who gets how much of which CPU: shares, masks of CPUs, turns that are given away.
 * Worlds that never sleep work until they are told to stop; what each had is its
 * time on a CPU, as the scheduler itself counts it. Limits have room for a machine
 * that takes its threads away for many turns.
 */
// ALONE: the fake CPUs are threads, and time is the real one
#include "fake_machine.h"

#define WORKERS 4u
#define WORK_NS (600 * NSEC_PER_MSEC)
#define ANYWHERE (~0ull)

static uint32_t stop_work;
static uint64_t seen_on[WORKERS]; /* a bit for each CPU */

static void worker(void *arg)
{
	uintptr_t i = (uintptr_t)arg;

	while (!__atomic_load_n(&stop_work, __ATOMIC_RELAXED)) {
		__atomic_fetch_or(&seen_on[i], 1ull << cpu_self(), __ATOMIC_RELAXED);
		irq_restore(irq_save()); /* where a guest could be interrupted */
		if (world_should_yield())
			world_yield();
	}
}

static struct world *start_worker(uintptr_t i, uint32_t shares, uint64_t cpus)
{
	struct world_opts o = { .name = "worker",
				.prio = WORLD_NORMAL,
				.cpu = -1,
				.cpus = cpus,
				.shares = shares,
				.stack_size = STACK };
	struct world *w = NULL;

	check(world_create(&w, &o, worker, (void *)i) == 0, "world_create");
	return w;
}

/* Lets them work and ends them; what each had of CPUs, in microseconds. */
static void work(struct world **w, unsigned n, uint64_t *had_us)
{
	struct world_info info[WORKERS + 2];
	unsigned listed, at = 0;

	world_sleep_ns(WORK_NS);
	listed = world_list(info, ARRAY_SIZE(info)); /* the newest first */
	for (unsigned i = 0; i < listed; i++)
		if (!strcmp(info[i].name, "worker") && at < n)
			had_us[n - ++at] = info[i].run_ns / 1000;
	check(at == n, "a worker is not listed");
	__atomic_store_n(&stop_work, 1, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < n; i++)
		world_join(w[i]);
}

static bool about(uint64_t a, uint64_t b, unsigned tenths_low, unsigned tenths_high)
{
	return a * 10 >= b * tenths_low && a * 10 <= b * tenths_high;
}

/* ---- shares ---- */

static void do_shares_one_cpu(void)
{
	struct world *w[2] = { start_worker(0, 3000, 0), start_worker(1, 1000, 0) };
	uint64_t had[2] = { 0 };

	work(w, 2, had);
	check(about(had[0], had[1], 18, 50), "3000 shares are not three times 1000");
}

/* The heavy ones begin on one CPU, the light ones on the other: that must not stay so. */
static void do_shares_two_cpus(void)
{
	struct world *w[4] = { start_worker(0, 3000, 1), start_worker(1, 3000, 1),
			       start_worker(2, 1000, 2), start_worker(3, 1000, 2) };
	uint64_t had[4] = { 0 };

	for (unsigned i = 0; i < 4; i++)
		world_set_cpus(w[i], ANYWHERE);
	work(w, 4, had);
	check(about(had[0] + had[1], had[2] + had[3], 14, 60),
	      "two CPUs: 3000 shares have no more than 1000");
}

/* Nobody has a CPU for itself while two others share one. */
static void do_three_on_two(void)
{
	struct world *w[3] = { start_worker(0, 0, 0), start_worker(1, 0, 0),
			       start_worker(2, 0, 0) };
	uint64_t had[3] = { 0 };

	work(w, 3, had);
	for (unsigned i = 0; i < 3; i++)
		check(had[i] * 1000 < WORK_NS / 100 * 85, "one of three has a CPU for itself");
}

static void do_early_leave(void)
{
	struct world *w = start_worker(0, 0, 0);
	int64_t left = world_self()->left_ns;

	world_yield();
	check(world_self()->left_ns < left && world_self()->left_ns > 0,
	      "what was used of a turn is not counted when it ends early");
	__atomic_store_n(&stop_work, 1, __ATOMIC_RELAXED);
	world_join(w);
}

/* Who gets a CPU that others wait for asks for the end of its turn before it enters a guest. */
static void do_asked(void)
{
	struct world *w = start_worker(0, 0, 0);

	world_yield();
	check(world_waits(w), "the other one does not wait");
	check(this_cpu()->resched, "a guest could be entered without an end of its turn");
	check(!world_should_yield() && this_cpu()->deadline_ns != NEVER_NS, "no end was set");
	__atomic_store_n(&stop_work, 1, __ATOMIC_RELAXED);
	world_join(w);
}

/* ---- masks ---- */

static void do_masks(void)
{
	struct world *w[4] = { start_worker(0, 0, 1), start_worker(1, 0, 1), start_worker(2, 0, 6),
			       start_worker(3, 0, 6) };
	uint64_t had[4] = { 0 };

	work(w, 4, had); /* CPU 1 and 2 have one each: nothing there may take what CPU 0 has */
	check(seen_on[0] == 1 && seen_on[1] == 1, "a world left its only CPU");
	check(!(seen_on[2] & ~6ull) && !(seen_on[3] & ~6ull), "a world left its two CPUs");
	check(had[2] + had[3] > had[0] + had[1], "two CPUs gave no more than one");
}

static void do_mask_changes(void)
{
	struct world *w[2] = { start_worker(0, 0, 1), start_worker(1, 0, 1) };
	uint64_t start = time_ns();

	world_set_cpus(w[0], 2); /* one of them runs or waits on CPU 0: either must go */
	while (!(__atomic_load_n(&seen_on[0], __ATOMIC_RELAXED) & 2)) {
		check(time_ns() - start < PATIENCE_NS, "it never came to its new CPU");
		world_sleep_ns(NSEC_PER_MSEC);
		if (job.failed)
			break;
	}
	__atomic_store_n(&seen_on[0], 0, __ATOMIC_RELAXED);
	world_sleep_ns(50 * NSEC_PER_MSEC);
	check(!(__atomic_load_n(&seen_on[0], __ATOMIC_RELAXED) & 1), "it came back to its old CPU");
	__atomic_store_n(&stop_work, 1, __ATOMIC_RELAXED);
	world_join(w[0]);
	world_join(w[1]);
}

/* ---- a turn given away ---- */

static unsigned order[3], order_len;

static void note(void *arg)
{
	order[order_len++] = (unsigned)(uintptr_t)arg;
}

static void do_yield_to(void)
{
	struct world_opts o = {
		.name = "note", .prio = WORLD_NORMAL, .cpu = -1, .shares = 3000, .stack_size = STACK
	};
	struct world *w[3];

	for (uintptr_t i = 0; i < 3; i++)
		check(world_create(&w[i], &o, note, (void *)i) == 0, "world_create");
	check(world_waits(w[2]) && world_wanted(), "worlds that wait are not seen to");
	check(world_yield_to(w[2]), "a waiting world was not to be had");
	check(world_self()->left_ns > 10 * (int64_t)NSEC_PER_MSEC, "the turns were not traded");
	check(order_len == 3 && order[0] == 2 && order[1] == 0, "it did not run first");
	check(!world_yield_to(w[2]), "one that has ended was yielded to");
	for (unsigned i = 0; i < 3; i++)
		world_join(w[i]);
}

/* Two that give each other their turns for ever take nothing from a third. */
static struct world *friend_of[2];

static void passer(void *arg)
{
	uintptr_t i = (uintptr_t)arg;

	while (!__atomic_load_n(&stop_work, __ATOMIC_RELAXED)) {
		struct world *other = __atomic_load_n(&friend_of[1 - i], __ATOMIC_RELAXED);

		if (!other || !world_yield_to(other))
			world_yield();
	}
}

static void do_passers(void)
{
	struct world *w = start_worker(0, 0, 0);
	uint64_t had = 0;

	for (uintptr_t i = 0; i < 2; i++)
		friend_of[i] = spawn("passer", WORLD_NORMAL, -1, passer, (void *)i);
	work(&w, 1, &had);
	check(had * 1000 > WORK_NS / 5, "two others kept a third from its CPU");
	world_join(friend_of[0]);
	world_join(friend_of[1]);
}

/* ---- waiting is counted ---- */

static void do_ready_time(void)
{
	struct world *w = start_worker(0, 0, 0);
	uint64_t start = time_ns(), before = world_self()->ready_ns;

	world_yield();
	check(world_self()->ready_ns - before <= time_ns() - start, "it waited longer than it did");
	check(world_self()->ready_ns - before > NSEC_PER_MSEC, "a turn's wait was not counted");
	__atomic_store_n(&stop_work, 1, __ATOMIC_RELAXED);
	world_join(w);
}

ON(test_shares_one_cpu, 1, do_shares_one_cpu)
ON(test_shares_two_cpus, 2, do_shares_two_cpus)
ON(test_three_on_two, 2, do_three_on_two)
ON(test_early_leave, 1, do_early_leave)
ON(test_asked, 1, do_asked)
ON(test_masks, 3, do_masks)
ON(test_mask_changes, 2, do_mask_changes)
ON(test_yield_to, 1, do_yield_to)
ON(test_passers, 1, do_passers)
ON(test_ready_time, 1, do_ready_time)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shares_one_cpu), cmocka_unit_test(test_shares_two_cpus),
		cmocka_unit_test(test_three_on_two),   cmocka_unit_test(test_early_leave),
		cmocka_unit_test(test_asked),	       cmocka_unit_test(test_masks),
		cmocka_unit_test(test_mask_changes),   cmocka_unit_test(test_yield_to),
		cmocka_unit_test(test_passers),	       cmocka_unit_test(test_ready_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
