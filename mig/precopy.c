/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pre-copy: round 0 sends every page that was ever backed, each further round
 * what was written during the one before, until the rest fits the stun budget.
 * Rounds hold no lock and stop no vCPU.
 *
 * Invariant: a harvested page is in todo until it is sent, so an error, a
 * cancel or the next round always finds it.
 */
#include <errno.h>

#include <tern/dirty.h>
#include <tern/gmem.h>
#include <tern/log.h>

#include "phase.h"
#include "source.h"

/* Park, final harvest, records, READY, GO, first entry: what a stun costs without pages. */
#define FIXED_BLACKOUT_NS (20 * NSEC_PER_MSEC)
#define ROUND_TRIPS_IN_STUN 2u
#define RATE_START (50ull << 20) /* bytes/s assumed before anything is measured */
#define PRECOPY_PERCENT 95u

uint64_t predict_blackout_ns(const struct source *s, uint64_t pages)
{
	uint64_t bytes = pages * PAGE_SIZE + ram_unacked_bytes(s->ram);
	uint64_t rate = s->rate_bytes_s ? s->rate_bytes_s : RATE_START;

	return FIXED_BLACKOUT_NS + ROUND_TRIPS_IN_STUN * s->j->rtt_ns + mul_div64(bytes, NSEC_PER_SEC, rate);
}

/* Everything ever backed is to be sent once. */
static int first_round(struct source *s)
{
	struct gmem *g = s->j->vm->mem;
	gfn_t at = 0, first;
	uint64_t count;
	int err = 0;

	while (!err && gmem_next_backed(g, at, PAGESET_CHUNK_PAGES, &first, &count)) {
		err = pageset_set_range(&s->todo, first, count);
		at = first + count;
	}
	return err;
}

/* Throughput since the last mark, by what the destination acknowledged. */
static void measure_rate(struct source *s)
{
	uint64_t now = time_ns(), dt = now - s->rate_mark_ns;
	uint64_t bytes = s->j->acked_bytes - s->rate_mark_bytes, rate;

	if (dt < 20 * NSEC_PER_MSEC || bytes < SIZE_2M)
		return;
	rate = mul_div64(bytes, NSEC_PER_SEC, dt);
	s->rate_bytes_s = s->rate_bytes_s ? (s->rate_bytes_s + rate) / 2 : rate;
	s->rate_mark_ns = now;
	s->rate_mark_bytes = s->j->acked_bytes;
}

static void record_round(struct source *s, const struct mig_round *r)
{
	struct mig_job *j = s->j;
	unsigned long f = spin_lock(&j->lock);

	if (j->st.rounds < MIG_MAX_ROUNDS)
		j->st.round[j->st.rounds] = *r;
	j->st.rounds++;
	j->st.rate_bytes_s = s->rate_bytes_s;
	j->st.dirty_pages_s = r->ns ? mul_div64(r->dirtied, NSEC_PER_SEC, r->ns) : 0;
	spin_unlock(&j->lock, f);
	log_debug("mig", "job %u: round %u: %u pages, %u zero, %u ms, %u dirtied, %u MB/s", (unsigned)j->st.id,
		  j->st.rounds - 1, (unsigned)r->pages, (unsigned)r->zero_pages,
		  (unsigned)(r->ns / NSEC_PER_MSEC), (unsigned)r->dirtied,
		  (unsigned)(s->rate_bytes_s / 1000000));
}

/* One round: send todo, then harvest what was written meanwhile into it. */
static int one_round(struct source *s)
{
	struct mig_round r = { 0 };
	uint64_t start = time_ns();
	int err = ram_send_set(s->ram, &s->todo, &r);

	if (err)
		return err;
	err = dirty_harvest(s->j->vm, &s->todo);
	r.ns = time_ns() - start;
	r.dirtied = pageset_count(&s->todo);
	measure_rate(s);
	record_round(s, &r);
	return err;
}

/* Percent by how much of the predicted blackout's excess is gone; capped until the stun. */
static void show_progress(struct source *s, uint64_t predicted, uint64_t budget)
{
	unsigned done = s->j->st.rounds * PRECOPY_PERCENT / (s->j->st.rounds + 1);

	if (predicted > budget)
		done = MIN(done, PRECOPY_PERCENT - 5);
	job_progress(s->j, done);
}

static int not_converging(struct source *s, uint64_t left)
{
	job_error(s->j, "not-converging",
		  "the guest writes %u MB/s, the link takes %u MB/s: %u MiB left after %u rounds; a larger "
		  "--budget or less load helps",
		  (unsigned)(s->j->st.dirty_pages_s * PAGE_SIZE / 1000000), (unsigned)(s->rate_bytes_s / 1000000),
		  (unsigned)(left >> 8), s->j->st.rounds);
	return -EAGAIN;
}

int source_precopy(struct source *s)
{
	struct mig_job *j = s->j;
	uint64_t budget = j->req.budget_ms * NSEC_PER_MSEC, predicted, left;
	int err = first_round(s);

	s->rate_mark_ns = time_ns();
	while (!err) {
		err = one_round(s);
		if (err)
			break;
		left = pageset_count(&s->todo);
		predicted = predict_blackout_ns(s, left);
		j->st.predicted_blackout_ns = predicted;
		show_progress(s, predicted, budget);
		if (predicted <= budget)
			return 0;
		if (j->st.rounds >= j->req.max_rounds)
			return not_converging(s, left);
	}
	return err;
}
