/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The copy's pace (pace.h). It begins without a brake, to learn what that gives; the first moment
 * does not count, for many a disk has a buffer that is soon full. Then the brake is drawn while
 * the guest is slowed down, step by step, and let go when it is not. The pieces follow: fewer and
 * smaller ones at a time as long as these keep the pace that is left, more when they do not.
 *
 * How far it is braked at most: a disk that is busy anyway would never be copied, and where
 * requests wait for one another, any copy makes them longer. So a guest that gets through
 * as much as before may have its requests slowed down; one that does not gets more.
 */
#include <tern/timer.h>

#include "pace.h"

#define SLOWED(before) ((before) + (before) / 4 + 50000) /* 50 us: what measuring is worth */
#define ENOUGH 4u /* requests or units, for a mean that says something */
#define LEARN_NS (5 * PACE_EVERY_NS)
#define UNIT (64u << 10)
#define BEGIN 3u /* step */
#define GOOD 2u	 /* looks, before it goes a step up */
#define WHOLE 1024u
#define KEPT (WHOLE * 15 / 16)
#define ZEROS_SHARE 4u	/* one in so many bytes, and a look is no measure */
#define UNLIKE_MOST 50u /* such looks, before any is better than none */

static const struct {
	unsigned window;
	uint32_t piece_bytes;
} steps[] = {
	{ 1, PACE_PIECE_MIN },
	{ 1, PACE_PIECE_GUEST },
	{ 2, PACE_PIECE_GUEST },
	{ 4, PACE_PIECE_GUEST },
	{ PACE_WINDOW_MAX, PACE_PIECE_GUEST },
};

static void set_step(struct pace *p, unsigned step)
{
	p->step = step;
	p->window = steps[step].window;
	p->piece_bytes = steps[step].piece_bytes;
	p->good = 0;
}

void pace_init(struct pace *p, const struct pace_guest *before, uint32_t bw_mbit)
{
	*p = (struct pace){ .bw_mbit = bw_mbit, .kept = WHOLE };
	if (before->requests) {
		p->before_ns = before->busy_ns / before->requests;
		p->every_ns = before->ns / before->requests;
	}
	set_step(p, BEGIN);
}

/* As far as it is braked. */
static uint64_t slowest(const struct pace *p)
{
	if (p->alone)
		return p->free_ns * 8 / 3;
	return p->kept >= KEPT ? p->free_ns * 6 / 5 : p->free_ns * 3;
}

/* The pieces that are under way now give less than the brake leaves. */
static bool behind(const struct pace *p, uint64_t interval_ns)
{
	return interval_ns > p->brake_ns + p->brake_ns / 8;
}

static void slower(struct pace *p, uint64_t interval_ns)
{
	if (p->step && !behind(p, interval_ns))
		set_step(p, p->step - 1);
	p->brake_ns = MIN(MAX(p->brake_ns + p->brake_ns / 4, p->free_ns), slowest(p));
}

static void faster(struct pace *p)
{
	p->brake_ns -= p->brake_ns / 8;
	if (p->brake_ns < p->free_ns / 2)
		p->brake_ns = 0;
	if (!p->brake_ns && p->step + 1 < ARRAY_SIZE(steps) && ++p->good >= GOOD)
		set_step(p, p->step + 1);
}

static void adapt(struct pace *p, uint64_t interval_ns, uint64_t mean_ns)
{
	if (mean_ns > SLOWED(p->before_ns))
		slower(p, interval_ns);
	else
		faster(p);
	if (p->brake_ns && !p->bw_mbit && p->step < BEGIN && behind(p, interval_ns))
		set_step(p, p->step + 1);
}

/* The second moment is what counts; and any later one without a brake and without the guest. */
static void learn(struct pace *p, uint64_t interval_ns, bool alone)
{
	bool fastest = p->step == ARRAY_SIZE(steps) - 1 && !p->brake_ns, first = !p->began;

	p->began = true;
	if (first || (p->free_ns && !(fastest && alone)))
		return;
	p->free_ns = MAX(p->alone ? MIN(interval_ns, p->free_ns) : interval_ns, 1ull);
	p->alone = alone;
}

/* How many requests of the guest's end, of those that did before. */
static void note_kept(struct pace *p, uint64_t took_ns, uint64_t n)
{
	uint64_t of = p->every_ns ? mul_div64(n * WHOLE, p->every_ns, took_ns) : WHOLE;

	p->kept = (p->kept * 7 + MIN(of, 2ull * WHOLE)) / 8;
}

static void note(struct pace *p, uint64_t now_ns, uint64_t requests, uint64_t busy_ns)
{
	p->looked_ns = now_ns;
	p->looked_bytes = p->bytes;
	p->looked_zeros = p->zeros;
	p->requests = requests;
	p->busy_ns = busy_ns;
}

/*
 * Mostly holes: neither is the copy as fast as that, nor does the guest bear more of it. One that
 * is slowed down even so is heard.
 */
static bool is_unlike(struct pace *p, uint64_t bytes, uint64_t zeros, uint64_t n, uint64_t mean_ns)
{
	if (zeros * ZEROS_SHARE <= bytes || (!p->free_ns && p->unlike++ >= UNLIKE_MOST))
		return false;
	if (p->free_ns && n && p->before_ns && mean_ns > SLOWED(p->before_ns))
		slower(p, 0);
	return true;
}

void pace_pass(struct pace *p)
{
	p->looked_ns = 0;
}

void pace_look(struct pace *p, uint64_t now_ns, uint64_t requests, uint64_t busy_ns)
{
	uint64_t n = requests - p->requests, bytes = p->bytes - p->looked_bytes, interval;
	uint64_t took = now_ns - p->looked_ns, mean = n ? (busy_ns - p->busy_ns) / n : 0;
	uint64_t zeros = MIN(p->zeros - p->looked_zeros, bytes);
	bool known = p->free_ns;

	if (p->hurry)
		return;
	if (!p->looked_ns) {
		note(p, now_ns, requests, busy_ns);
		return;
	}
	if (took < (known ? PACE_EVERY_NS : LEARN_NS) || !bytes)
		return;
	if (((n && n < ENOUGH) || bytes < ENOUGH * UNIT) && took < 10 * PACE_EVERY_NS)
		return; /* more of it is to be seen */
	note_kept(p, took, n);
	if (is_unlike(p, bytes, zeros, n, mean)) {
		note(p, now_ns, requests, busy_ns);
		return;
	}
	interval = mul_div64(took, UNIT, MAX(bytes - zeros, 1ull));
	learn(p, interval, !n);
	if (n && !p->before_ns)
		p->before_ns = mean; /* it was idle before: the first that is known */
	else if (known)
		adapt(p, interval, mean);
	note(p, now_ns, requests, busy_ns);
}

uint64_t pace_at(const struct pace *p)
{
	return MAX(p->limit_at_ns, p->brake_at_ns);
}

void pace_hurry(struct pace *p)
{
	set_step(p, ARRAY_SIZE(steps) - 1);
	p->piece_bytes = PACE_PIECE_MAX;
	p->brake_ns = p->brake_at_ns = 0;
	p->hurry = true;
}

void pace_zeros(struct pace *p, uint64_t bytes)
{
	p->zeros += bytes;
}

void pace_begun(struct pace *p, uint64_t now_ns, uint64_t bytes)
{
	p->bytes += bytes;
	if (p->bw_mbit)
		p->limit_at_ns = MAX(p->limit_at_ns, now_ns) + bytes * 8000 / p->bw_mbit;
	p->brake_at_ns = p->brake_ns ? now_ns + mul_div64(p->brake_ns, bytes, UNIT) : 0;
}
