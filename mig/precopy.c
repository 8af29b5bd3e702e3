/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pre-copy: every page that is backed and that the guest does not say to be free
 * (hints.h) is sent, and every page again that
 * is written meanwhile, until the rest fits the stun budget. Dirty bits are
 * harvested every HARVEST_EVERY_NS, not once a round: a page that is written
 * before its turn is then sent once, not twice, and the order (order.h) knows
 * what is hot. A round ends when all is sent that was owed at its start.
 *
 * A guest that writes about as fast as the link sends would never converge by
 * whole pages. So while it writes a considerable share of what the link takes,
 * every page that is sent is kept (KEEP_ALL): round 0 sends each page whole,
 * once, and what is written afterwards goes as its difference, some dozens of
 * bytes a page. Until the first harvest, which comes early, nobody knows; then
 * all are kept too, for a page that was not kept costs a whole one more. A calm
 * guest's pages are kept only when it was seen to write them.
 *
 * Invariant: a harvested page is in the order until it is sent, so an error, a
 * cancel or the stun always finds it. No lock is held, no vCPU is stopped.
 */
#include <errno.h>

#include <tern/dirty.h>
#include <tern/log.h>

#include "hints.h"
#include "phase.h"
#include "source.h"
#include "source_disks.h"

/* Park, final harvest, records, READY, GO, first entry: what a stun costs without pages. */
#define FIXED_BLACKOUT_NS (20 * NSEC_PER_MSEC)
#define ROUND_TRIPS_IN_STUN 2u
#define RATE_START (50ull << 20) /* bytes/s assumed before anything is measured */
#define RATE_FLOOR (64ull << 10)
#define RATE_SAMPLE_NS (20 * NSEC_PER_MSEC)
#define HARVEST_EVERY_NS (50 * NSEC_PER_MSEC)
#define FIRST_HARVEST_NS (20 * NSEC_PER_MSEC)
/* All pages are kept when the guest writes at least this share of what the link takes. */
#define KEEP_ALL_SHARE 4u
/* Fewer bytes than this under way: the link is not what limits. */
#define LINK_BUSY_BYTES (256u << 10)
/* A scan takes longer with more memory; it may cost this share of the time at most. */
#define SCAN_SHARE 20u
/* Within the budget it still goes on while the blackout shrinks by at least a quarter of the time
 * spent. */
#define WORTH_SHARE 4u
#define SMALL_REST_PAGES 64u
#define PRECOPY_PERCENT 95u
/* From so many budgets' worth of pages on that are owed, a batch is no more than this share of one,
 * but so many bytes at least. */
#define LAST_BUDGETS 4u
#define BATCH_SHARE 4u
#define BATCH_LEAST (8 * PAGE_SIZE)
/* How often it waits for what is under way before it counts that as a round. */
#define WAITS_MAX 100u
/* How often the disks are paused in vain before a round in which they are counts as any other. */
#define RESUMES_MAX 16u

struct rest {
	uint64_t raw_pages, delta_pages, unacked_bytes;
};

struct precopy {
	struct source *s;
	struct mig_round round;
	uint64_t round_start_ns, harvest_due_ns;
	uint64_t harvested_ns; /* when the last harvest was */
	uint64_t first_rest;   /* pages owed at first */
	struct rest last;      /* after the last harvest */
	unsigned resumes;      /* of disks that were paused for a stun which did not come */
};

static uint64_t link_rate(const struct source *s)
{
	return s->rate_bytes_s ? s->rate_bytes_s : RATE_START;
}

/*
 * What a prediction may count on: before the first sample is complete no more than
 * was acknowledged since the beginning. An assumption here would stun the guest for
 * all of its memory when the link is slow and the budget large.
 */
static uint64_t proven_rate(const struct source *s)
{
	uint64_t dt = MAX(time_ns() - s->precopy_at_ns, 1);

	if (s->rate_bytes_s)
		return s->rate_bytes_s;
	return MAX(mul_div64(s->j->acks.acked_bytes, NSEC_PER_SEC, dt), RATE_FLOOR);
}

/* What is still owed: whole pages, those that go as deltas, bytes under way. */
static struct rest rest_of(const struct source *s)
{
	uint64_t based = order_based_pages(&s->order);

	return (struct rest){ order_pages(&s->order) - based, based, ram_unacked_bytes(s->ram) };
}

/* How long it takes to send, by the rates measured until now. */
static uint64_t rest_ns(const struct source *s, const struct rest *r)
{
	uint64_t bytes = r->raw_pages * PAGE_SIZE + ram_delta_bytes(s->ram, r->delta_pages) +
			 r->unacked_bytes;

	return mul_div64(bytes, NSEC_PER_SEC, proven_rate(s)) +
	       ram_delta_ns(s->ram, r->delta_pages);
}

static uint64_t predict_blackout_ns(const struct source *s, const struct rest *r)
{
	return FIXED_BLACKOUT_NS + ROUND_TRIPS_IN_STUN * s->j->rtt_ns + rest_ns(s, r) +
	       source_disks_rest_ns(s);
}

/*
 * Nothing is harvested while a batch goes, and it counts as under way until the last of it has
 * come: on a slow link one of the largest is longer than a small budget. With much to do it is
 * better so, for what the guest writes again meanwhile is sent once.
 */
static uint64_t most_bytes(const struct source *s, const struct rest *r)
{
	struct rest owed = { r->raw_pages, r->delta_pages, 0 };
	uint64_t budget_ns = s->j->req.budget_ms * NSEC_PER_MSEC;

	if (rest_ns(s, &owed) > LAST_BUDGETS * budget_ns)
		return UINT64_MAX;
	return MAX(mul_div64(proven_rate(s), budget_ns / BATCH_SHARE, NSEC_PER_SEC), BATCH_LEAST);
}

/*
 * Throughput since the last mark, by what the destination acknowledged, from one acknowledgement
 * to another: each is of a whole batch, which on a slow link is much of a sample. Time in which
 * the link had nothing to do says nothing about it.
 */
static void measure_rate(struct source *s)
{
	uint64_t now = time_ns(), heard = s->j->acked_ns, rate;
	uint64_t bytes = s->j->acks.acked_bytes - s->rate_mark_bytes;

	if (now - s->rate_mark_ns < RATE_SAMPLE_NS)
		return;
	if (bytes >= SIZE_2M && heard > s->rate_mark_ns) {
		rate = mul_div64(bytes, NSEC_PER_SEC, heard - s->rate_mark_ns);
		s->rate_bytes_s = s->rate_bytes_s ? (3 * s->rate_bytes_s + rate) / 4 : rate;
		now = heard;
	} else if (ram_unacked_bytes(s->ram) >= LINK_BUSY_BYTES) {
		return;
	}
	s->rate_mark_ns = now;
	s->rate_mark_bytes = s->j->acks.acked_bytes;
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
	log_debug("mig",
		  "job %u: round %u: %u pages, %u deltas, %u zero, %u ms, %u dirtied, %u MB/s",
		  (unsigned)j->st.id, j->st.rounds - 1, (unsigned)p->round.pages,
		  (unsigned)p->round.delta_pages, (unsigned)p->round.zero_pages,
		  (unsigned)(p->round.ns / NSEC_PER_MSEC), (unsigned)p->round.dirtied,
		  (unsigned)(p->s->rate_bytes_s / 1000000));
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

/* Is the blackout worth shortening further, by what the last dt achieved? */
static bool worth_going_on(struct precopy *p, const struct rest *rest, uint64_t dt)
{
	uint64_t before = rest_ns(p->s, &p->last), now = rest_ns(p->s, rest);

	p->last = *rest;
	if (rest->raw_pages + rest->delta_pages <= SMALL_REST_PAGES)
		return false;
	return now < before && (before - now) * WORTH_SHARE >= dt;
}

/* What to keep from now on, by the guest's rate against the link's. */
static enum ram_keep what_to_keep(const struct source *s, uint64_t dirtied, uint64_t dt)
{
	uint64_t written = mul_div64(dirtied * PAGE_SIZE, NSEC_PER_SEC, MAX(dt, 1));

	return written >= link_rate(s) / KEEP_ALL_SHARE ? KEEP_ALL : KEEP_WRITTEN;
}

/* Takes in what was written; 1 when it is time to stun, 0 to go on. */
static int harvest(struct precopy *p)
{
	struct source *s = p->s;
	uint64_t start = time_ns(), dirtied, dt = start - p->harvested_ns;
	struct rest rest;
	bool worth;
	int err = source_vm_runs(s->j);

	if (!err)
		err = source_probe(s->j); /* clocks drift, and this may last */
	if (!err)
		err = dirty_harvest(s->j->vm, &s->order.harvested);
	if (err)
		return err;
	p->harvested_ns = start;
	dirtied = pageset_count(&s->order.harvested);
	err = order_take_harvest(&s->order);
	if (err)
		return err;
	measure_rate(s);
	err = source_disks_look(s);
	if (err)
		return err;
	ram_send_keep(s->ram, what_to_keep(s, dirtied, dt));
	rest = rest_of(s);
	ram_send_most(s->ram, most_bytes(s, &rest));
	p->round.dirtied += dirtied;
	show(p, rest.raw_pages + rest.delta_pages, dirtied, dt);
	s->j->st.predicted_blackout_ns = predict_blackout_ns(s, &rest);
	worth = worth_going_on(p, &rest, dt);
	p->harvest_due_ns = time_ns() + MAX(HARVEST_EVERY_NS, (time_ns() - start) * SCAN_SHARE);
	if ((!worth || source_disks_paused(s)) &&
	    s->j->st.predicted_blackout_ns <= s->j->req.budget_ms * NSEC_PER_MSEC)
		return source_disks_calm(s);
	p->resumes += source_disks_paused(s);
	source_disks_go_on(s);
	return 0;
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

static bool is_empty(const struct mig_round *r)
{
	return !(r->pages + r->delta_pages + r->zero_pages);
}

/*
 * All that was owed is sent. If that was nothing, or if what the link has still to
 * take would fill half of the stun budget, another round would not help.
 */
static bool nothing_to_do(const struct precopy *p)
{
	struct rest under_way = { .unacked_bytes = ram_unacked_bytes(p->s->ram) };

	return is_empty(&p->round) ||
	       rest_ns(p->s, &under_way) > p->s->j->req.budget_ms * NSEC_PER_MSEC / 2;
}

/* Until the next harvest. */
static int wait_for_link(struct precopy *p)
{
	int err = source_wait(p->s->j, WIRE_READY, p->harvest_due_ns);

	if (err && err != -ETIMEDOUT)
		return err;
	return harvest(p);
}

int source_precopy(struct source *s)
{
	struct precopy p = { .s = s };
	int err = order_add_backed(&s->order, s->j->vm->mem);
	unsigned waits = 0;
	uint64_t start;

	if (!err)
		err = source_hints(s);
	start = p.round_start_ns = p.harvested_ns = time_ns();
	p.harvest_due_ns = start + FIRST_HARVEST_NS;
	s->rate_mark_ns = s->precopy_at_ns = start;
	ram_send_keep(s->ram, KEEP_ALL);
	p.last = rest_of(s);
	p.first_rest = p.last.raw_pages + 1;
	while (!err) {
		err = one_round(&p);
		if (!err && ((source_disks_paused(s) && p.resumes < RESUMES_MAX) ||
			     (nothing_to_do(&p) && waits++ < WAITS_MAX))) {
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
	if (!is_empty(&p.round)) /* the stun came while the link was waited for */
		end_round(&p);
	return err > 0 ? 0 : err;
}
