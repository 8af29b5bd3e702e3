/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pre-copy over a slow link, with a stun budget that is short for it: a guest that writes less than
 * the link takes is stunned within the budget, by a rate that is right and with batches at last
 * that fit; over a fast link they are as large as ever. Guest, link and clock are the test's own.
 */
// SOURCES: mig/precopy.c mig/ram_send.c mig/order.c mig/acks.c mig/delta.c
// SOURCES: kernel/lib/pageset.c kernel/lib/muldiv.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tern/dirty.h>

#include "mig/bases.h"
#include "mig/hints.h"
#include "mig/phase.h"
#include "mig/source.h"
#include "mig/source_disks.h"

#define PAGES 4096u
#define MBIT 125000ull /* bytes a second */
#define TCP_SHARE 4u   /* of a second: what a stream has under way */

static uint8_t frame[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE))) = { 1 };

static struct {
	uint64_t now_ns;
	uint64_t rate;			/* of the link, bytes a second */
	uint64_t given, arrived;	/* bytes, ever; the first are the stream's by now */
	uint64_t ends[BATCHES_OUT_MAX]; /* by number: where it ends among the given ones */
	unsigned largest, last;		/* pages of a batch */
	uint64_t writes_s, written;	/* pages of the guest's */
	unsigned set;			/* of so many, one after the other */
	bool dirty[PAGES];
} sim;
static struct source s;
static struct mig_job job;
static struct vm vm;

/* ---- time, in which the link sends and the guest writes ---- */

uint64_t time_ns(void)
{
	return sim.now_ns;
}

static void hear(void)
{
	struct acks *a = &job.acks;

	while (acks_out(a) && sim.ends[(a->acked + 1) % BATCHES_OUT_MAX] <= sim.arrived) {
		assert_int_equal(acks_heard(a, a->acked + 1), 0);
		job.acked_ns = sim.now_ns;
	}
}

static void pass(uint64_t ns)
{
	uint64_t written;

	sim.now_ns += ns;
	sim.arrived = MIN(sim.given, sim.arrived + mul_div64(sim.rate, ns, NSEC_PER_SEC));
	hear();
	written = mul_div64(sim.writes_s, sim.now_ns, NSEC_PER_SEC);
	for (; sim.written < written; sim.written++)
		sim.dirty[sim.written % sim.set] = true;
}

static void give(uint64_t bytes)
{
	sim.given += bytes;
	while (sim.given - sim.arrived > sim.rate / TCP_SHARE)
		pass(NSEC_PER_MSEC);
}

int peer_send_pages(struct peer *p, enum wire_type type, const void *body, size_t len,
		    const hpa_t *pages, unsigned count)
{
	sim.largest = MAX(sim.largest, count);
	sim.last = count;
	sim.ends[job.acks.sent % BATCHES_OUT_MAX] = sim.given + len + count * PAGE_SIZE;
	give(len + count * PAGE_SIZE);
	return 0;
}

int peer_send(struct peer *p, enum wire_type type, const void *body, size_t len)
{
	abort(); /* no deltas here */
}

int source_until(struct mig_job *j, bool (*so)(const void *arg), const void *arg,
		 uint64_t deadline_ns)
{
	while (!so(arg))
		pass(NSEC_PER_MSEC);
	return 0;
}

int source_pause(struct mig_job *j, uint64_t until_ns)
{
	pass(until_ns - sim.now_ns);
	return 0;
}

/* READY does not come before it is asked for. */
int source_wait(struct mig_job *j, enum wire_type type, uint64_t deadline_ns)
{
	if (deadline_ns > sim.now_ns)
		pass(deadline_ns - sim.now_ns);
	return -ETIMEDOUT;
}

/* ---- the guest ---- */

int dirty_harvest(struct vm *of, struct pageset *into)
{
	for (gfn_t n = 0; n < PAGES; n++)
		if (sim.dirty[n])
			assert_int_equal(pageset_set(into, n), 0);
	memset(sim.dirty, 0, sizeof(sim.dirty));
	return 0;
}

bool gmem_frame(struct gmem *g, gfn_t n, hpa_t *out)
{
	*out = ptr_hpa(frame);
	return true;
}

uint64_t gmem_max_gfn(const struct gmem *g)
{
	return PAGES;
}

bool gmem_next_backed(struct gmem *g, gfn_t from, uint64_t max, gfn_t *first, uint64_t *count)
{
	*first = from;
	*count = MIN(max, PAGES - from);
	return from < PAGES;
}

void page_get(hpa_t block)
{
}

void page_put(hpa_t block)
{
}

bool page_is_zero(const void *page)
{
	return false;
}

/* ---- what is not there ---- */

int bases_init(struct bases *b, uint64_t pages)
{
	return -ENOMEM;
}

void bases_fini(struct bases *b)
{
}

bool bases_make(struct bases *b, gfn_t n, const void *live, bool written, hpa_t *out)
{
	return false;
}

void *bases_write(struct bases *b, gfn_t n)
{
	return NULL;
}

void bases_drop(struct bases *b, gfn_t n)
{
}

void bases_give_up(struct bases *b, gfn_t n)
{
}

int source_vm_runs(struct mig_job *j)
{
	return 0;
}

int source_probe(struct mig_job *j)
{
	return 0;
}

int source_hints(struct source *of)
{
	return 0;
}

static struct {
	int error;	    /* the other host's disks take no more */
	uint64_t rest_ns;   /* of what they are owed */
	unsigned not_calm;  /* so often */
	unsigned grows_at;  /* what is owed, when it is not for so often any more; 0: never */
	unsigned pauses_at; /* that harvest; 0: none */
	bool paused;
	unsigned went_on;
} disks;

int source_disks_look(struct source *of)
{
	if (disks.pauses_at && !--disks.pauses_at)
		disks.paused = true;
	return disks.error;
}

uint64_t source_disks_rest_ns(const struct source *of)
{
	return disks.rest_ns;
}

bool source_disks_calm(struct source *of)
{
	if (!disks.not_calm)
		return true;
	disks.paused = true;
	if (--disks.not_calm == disks.grows_at && disks.grows_at)
		disks.rest_ns = NSEC_PER_SEC;
	return !disks.not_calm;
}

void source_disks_go_on(struct source *of)
{
	disks.went_on += disks.paused;
	disks.paused = false;
	if (disks.grows_at)
		disks.rest_ns = 0;
}

bool source_disks_paused(const struct source *of)
{
	return disks.paused;
}

void job_progress(struct mig_job *j, unsigned percent)
{
}

void job_error(struct mig_job *j, const char *code, const char *fmt, ...)
{
}

bool world_should_yield(void)
{
	return false;
}

void world_yield(void)
{
}

/* ---- tests ---- */

static int move(uint64_t mbit, uint64_t writes_s, unsigned set, uint32_t budget_ms)
{
	memset(&sim, 0, sizeof(sim));
	memset(&job, 0, sizeof(job));
	memset(&s, 0, sizeof(s));
	sim.now_ns = NSEC_PER_SEC;
	sim.rate = mbit * MBIT;
	sim.writes_s = writes_s;
	sim.set = set;
	job.vm = &vm;
	job.req.budget_ms = budget_ms;
	job.req.max_rounds = DEFAULT_MAX_ROUNDS;
	job.rtt_ns = NSEC_PER_MSEC;
	s.j = &job;
	assert_int_equal(order_init(&s.order, PAGES), 0);
	s.ram = ram_sender_new(&job, DEFAULT_BATCH_PAGES);
	assert_non_null(s.ram);
	return source_precopy(&s);
}

/* What is still to come when the guest stands still, on the link as it is. */
static uint64_t rest_ms(void)
{
	struct pageset left = { 0 };
	uint64_t bytes;

	assert_int_equal(pageset_init(&left, PAGES), 0);
	assert_int_equal(order_collect(&s.order, &left), 0);
	bytes = pageset_count(&left) * PAGE_SIZE + sim.given - sim.arrived;
	pageset_fini(&left);
	return bytes * 1000 / sim.rate;
}

static void end(void)
{
	ram_sender_free(s.ram);
	order_fini(&s.order);
}

/* Up to three quarters of what the link takes, here and there or again and again. */
static void small_budgets_on_a_slow_link(void **state)
{
	static const uint64_t percent[] = { 0, 10, 30, 60, 75 };
	static const unsigned set[] = { PAGES, 300, 200, 50 };
	static const uint32_t budget_ms[] = { 100, 200, 400 };

	for (unsigned i = 0; i < ARRAY_SIZE(percent) * ARRAY_SIZE(set) * ARRAY_SIZE(budget_ms);
	     i++) {
		uint64_t pages_s = 10 * MBIT / PAGE_SIZE * percent[i % 5] / 100;
		uint32_t ms = budget_ms[i / 5 % 3];

		assert_int_equal(move(10, pages_s, set[i / 15], ms), 0);
		assert_in_range(rest_ms(), 0, ms - 20); /* what else a stun takes */
		assert_true(!pages_s || sim.last * PAGE_SIZE <= 10 * MBIT * ms / 1000 / 2);
		end();
	}
}

/* Which takes many of the largest within any budget. */
static void large_batches_on_a_fast_link(void **state)
{
	assert_int_equal(move(10000, 2000, PAGES, 300), 0);
	assert_int_equal(sim.largest, DEFAULT_BATCH_PAGES);
	end();
}

/* What they are owed then is never less: that is no guest that writes too much. */
static void disks_there_that_fail(void **state)
{
	disks.rest_ns = NSEC_PER_SEC;
	assert_int_equal(move(100, 100, PAGES, 300), -EAGAIN);
	end();
	disks.error = -ECONNABORTED;
	assert_int_equal(move(100, 100, PAGES, 300), -ECONNABORTED);
	end();
	memset(&disks, 0, sizeof(disks));
}

/* The guest's queues run empty first, on a slow link for longer than pre-copy waits for anything.
 */
static void disks_that_are_not_calm(void **state)
{
	disks.not_calm = 400;
	assert_int_equal(move(100, 100, PAGES, 300), 0);
	assert_int_equal(disks.not_calm, 0);
	assert_true(disks.paused && !disks.went_on && job.st.rounds < DEFAULT_MAX_ROUNDS / 2);
	assert_in_range(sim.now_ns / NSEC_PER_SEC, 20, 60);
	end();
	memset(&disks, 0, sizeof(disks));
	disks.not_calm = 100;
	disks.grows_at = 50; /* then the guest has its disks for a while */
	assert_int_equal(move(100, 100, PAGES, 300), 0);
	assert_true(disks.paused && disks.went_on == 1);
	end();
	memset(&disks, 0, sizeof(disks));
}

/* They are paused for the stun, and it fits: that there is less to send each time is no reason to
 * let them go again. */
static void disks_that_are_paused_and_calm(void **state)
{
	disks.pauses_at = 5;
	assert_int_equal(move(100, 100, PAGES, 60000), 0);
	assert_int_equal(disks.went_on, 0);
	end();
	memset(&disks, 0, sizeof(disks));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_budgets_on_a_slow_link),
		cmocka_unit_test(large_batches_on_a_fast_link),
		cmocka_unit_test(disks_there_that_fail),
		cmocka_unit_test(disks_that_are_not_calm),
		cmocka_unit_test(disks_that_are_paused_and_calm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
