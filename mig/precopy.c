/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pre-copy: every page that was ever backed is sent, and every page again that
 * is written meanwhile, until the rest fits the stun budget. Dirty bits are
 * harvested every HARVEST_EVERY_NS, not once a round: a page that is written
 * before its turn is then sent once, not twice, and the order (order.h) knows
 * what is hot. A round ends when all is sent that was owed at its start.
 *
 * Invariant: a harvested page is in the order until it is sent, so an error, a
 * cancel or the stun always finds it. No lock is held, no vCPU is stopped.
 */
#include <errno.h>

#include <tern/dirty.h>
#include <tern/log.h>

#include "phase.h"
#include "source.h"

/* Park, final harvest, records, READY, GO, first entry: what a stun costs without pages. */
#define FIXED_BLACKOUT_NS (20 * NSEC_PER_MSEC)
#define ROUND_TRIPS_IN_STUN 2u
#define RATE_START (50ull << 20) /* bytes/s assumed before anything is measured */
#define RATE_SAMPLE_NS (20 * NSEC_PER_MSEC)
#define HARVEST_EVERY_NS (50 * NSEC_PER_MSEC)
/* A scan takes longer with more memory; it may cost this share of the time at most. */
#define SCAN_SHARE 20u
/* Within the budget it still goes on while at least a quarter of what is sent makes the rest
 * smaller. */
#define WORTH_SHARE 4u
#define SMALL_REST_PAGES 64u
#define PRECOPY_PERCENT 95u
/* How often it waits for what is under way before it counts that as a round. */
#define WAITS_MAX 100u

struct precopy {
	struct source *s;
	struct mig_round round;
	uint64_t round_start_ns, harvest_due_ns;
	uint64_t first_rest, last_rest; /* pages owed at first, and after the last harvest */
	uint64_t last_sent;		/* pages sent until the last harvest */
};

uint64_t predict_blackout_ns(const struct source *s, uint64_t pages)
{
	uint64_t bytes = pages * PAGE_SIZE + ram_unacked_bytes(s->ram);
	uint64_t rate = s->rate_bytes_s ? s->rate_bytes_s : RATE_START;

	return FIXED_BLACKOUT_NS + ROUND_TRIPS_IN_STUN * s->j->rtt_ns +
	       mul_div64(bytes, NSEC_PER_SEC, rate);
}

/* Throughput since the last mark, by what the destination acknowledged. */
static void measure_rate(struct source *s)
{
	uint64_t now = time_ns(), dt = now - s->rate_mark_ns;
	uint64_t bytes = s->j->acked_bytes - s->rate_mark_bytes, rate;

	if (dt < RATE_SAMPLE_NS || bytes < SIZE_2M)
		return;
	rate = mul_div64(bytes, NSEC_PER_SEC, dt);
	s->rate_bytes_s = s->rate_bytes_s ? (3 * s->rate_bytes_s + rate) / 4 : rate;
	s->rate_mark_ns = now;
	s->rate_mark_bytes = s->j->acked_bytes;
}

static void end_round(struct precopy *p)
{
	struct mig_job *j = p->s->j;
	unsigned long f;

	p->round.ns = time_ns() - p->round_start_ns;
	f = spin_lock(&j->lock);
	if (j->st.rounds < MIG_MAX_ROUNDS)
		j->st.round[j->st.rounds] = p->round;
	j->st.rounds++;
	spin_unlock(&j->lock, f);
	log_debug("mig", "job %u: round %u: %u pages, %u zero, %u ms, %u dirtied, %u MB/s",
		  (unsigned)j->st.id, j->st.rounds - 1, (unsigned)p->round.pages,
		  (unsigned)p->round.zero_pages, (unsigned)(p->round.ns / NSEC_PER_MSEC),
		  (unsigned)p->round.dirtied, (unsigned)(p->s->rate_bytes_s / 1000000));
	p->round = (struct mig_round){ 0 };
	p->round_start_ns = time_ns();
}

/* Progress: how far the owed pages have come from all of memory towards none. */
static void show(struct precopy *p, uint64_t rest, uint64_t dirtied, uint64_t dt)
{
	struct mig_job *j = p->s->j;
	unsigned long f = spin_lock(&j->lock);

	j->st.rate_bytes_s = p->s->rate_bytes_s;
	j->st.dirty_pages_s = dt ? mul_div64(dirtied, NSEC_PER_SEC, dt) : 0;
	spin_unlock(&j->lock, f);
	if (rest < p->first_rest)
		job_progress(j,
			     (unsigned)((p->first_rest - rest) * PRECOPY_PERCENT / p->first_rest));
}

/* Is the blackout worth shortening further, by what the last interval achieved? */
static bool worth_going_on(struct precopy *p, uint64_t rest)
{
	struct mig_status *st = &p->s->j->st;
	uint64_t sent = st->pages_sent + st->zero_sent - p->last_sent;
	bool worth = rest > SMALL_REST_PAGES && rest < p->last_rest &&
		     (p->last_rest - rest) * WORTH_SHARE >= sent;

	p->last_sent += sent;
	p->last_rest = rest;
	return worth;
}

/* Takes in what was written; 1 when it is time to stun, 0 to go on. */
static int harvest(struct precopy *p)
{
	struct source *s = p->s;
	uint64_t start = time_ns(), rest, dirtied, last = p->harvest_due_ns - HARVEST_EVERY_NS;
	bool worth;
	int err = dirty_harvest(s->j->vm, &s->order.harvested);

	if (err)
		return err;
	dirtied = pageset_count(&s->order.harvested);
	err = order_take_harvest(&s->order);
	if (err)
		return err;
	measure_rate(s);
	rest = order_pages(&s->order);
	p->round.dirtied += dirtied;
	show(p, rest, dirtied, start - last);
	s->j->st.predicted_blackout_ns = predict_blackout_ns(s, rest);
	worth = worth_going_on(p, rest);
	p->harvest_due_ns = time_ns() + MAX(HARVEST_EVERY_NS, (time_ns() - start) * SCAN_SHARE);
	return !worth && s->j->st.predicted_blackout_ns <= s->j->req.budget_ms * NSEC_PER_MSEC;
}

static int not_converging(struct source *s)
{
	job_error(s->j, "not-converging",
		  "the guest writes %u MB/s, the link takes %u MB/s: %u MiB left after %u rounds; "
		  "a larger "
		  "--budget or less load helps",
		  (unsigned)(s->j->st.dirty_pages_s * PAGE_SIZE / 1000000),
		  (unsigned)(s->rate_bytes_s / 1000000), (unsigned)(order_pages(&s->order) >> 8),
		  s->j->st.rounds);
	return -EAGAIN;
}

/* Sends one round, harvesting on the way: 1 when it is time to stun. */
static int one_round(struct precopy *p)
{
	gfn_t at_old = 0, at_fresh = 0;
	struct pageset *set;
	int err;

	while ((set = order_next(&p->s->order))) {
		bool old = set == &p->s->order.old;

		err = ram_send_batch(p->s->ram, set, old ? &at_old : &at_fresh, &p->round);
		if (err < 0)
			return err;
		if (!err) /* none left from the cursor on: what is left lies before it */
			*(old ? &at_old : &at_fresh) = 0;
		if (time_ns() < p->harvest_due_ns)
			continue;
		err = harvest(p);
		if (err)
			return err;
	}
	return 0;
}

/* All is sent, but the link has still to take it: nothing to do until the next harvest. */
static int wait_for_link(struct precopy *p)
{
	int err = source_wait(p->s->j, WIRE_READY, p->harvest_due_ns);

	if (err && err != -ETIMEDOUT)
		return err;
	return harvest(p);
}

int source_precopy(struct source *s)
{
	struct precopy p = { .s = s,
			     .round_start_ns = time_ns(),
			     .harvest_due_ns = time_ns() + HARVEST_EVERY_NS };
	int err = order_add_backed(&s->order, s->j->vm->mem);
	unsigned waits = 0;

	s->rate_mark_ns = p.round_start_ns;
	p.last_rest = order_pages(&s->order);
	p.first_rest = p.last_rest + 1;
	while (!err) {
		err = one_round(&p);
		if (!err && !p.round.pages && !p.round.zero_pages && waits++ < WAITS_MAX) {
			err = wait_for_link(&p);
			if (!err)
				err = order_new_round(&s->order);
			continue;
		}
		end_round(&p);
		if (!err)
			err = harvest(&p);
		if (!err && s->j->st.rounds >= s->j->req.max_rounds)
			return not_converging(s);
		if (!err)
			err = order_new_round(&s->order);
	}
	return err > 0 ? 0 : err;
}
