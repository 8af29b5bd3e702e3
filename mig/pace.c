/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The copy's pace (pace.h). It begins without a brake, to learn what that gives. Then: half as
 * many pieces at a time when the guest is slowed down, at last pauses between single ones; and
 * step by step back when it is not. However slow the guest, the copy is not braked to less than a
 * third of its free rate: a disk that is busy anyway would never be copied.
 */
#include "pace.h"

#define SLOWED(before) ((before) + (before) / 4 + 50000) /* 50 us: what measuring is worth */
#define ENOUGH 4u	/* requests, for a mean that says something */
#define FREE_PIECES 24u /* at the begin */
#define SLOWEST 3u	/* times the free interval */

void pace_init(struct pace *p, uint64_t before_ns, uint32_t bw_mbit)
{
	*p = (struct pace){ .before_ns = before_ns, .bw_mbit = bw_mbit, .window = PACE_WINDOW_MAX };
}

static void slower(struct pace *p)
{
	if (p->window > 1)
		p->window /= 2;
	else
		p->gap_ns = MIN(MAX(p->gap_ns * 2, p->free_ns / 2), p->free_ns * SLOWEST);
}

static void faster(struct pace *p)
{
	if (p->gap_ns > p->free_ns / 4)
		p->gap_ns -= p->gap_ns / 4;
	else if (p->gap_ns)
		p->gap_ns = 0;
	else if (p->window < PACE_WINDOW_MAX)
		p->window++;
}

static void adapt(struct pace *p, uint64_t interval_ns, uint64_t mean_ns)
{
	bool slowest = interval_ns > p->free_ns * SLOWEST && !p->bw_mbit;

	if (mean_ns > SLOWED(p->before_ns) && !slowest)
		slower(p);
	else
		faster(p);
}

void pace_look(struct pace *p, uint64_t now_ns, uint64_t requests, uint64_t busy_ns)
{
	uint64_t n = requests - p->requests, pieces = p->pieces - p->looked_pieces;
	uint64_t took = now_ns - p->looked_ns, mean = n ? (busy_ns - p->busy_ns) / n : 0;

	if (!p->looked_ns) {
		p->looked_ns = now_ns;
		return;
	}
	if (took < PACE_EVERY_NS || !pieces)
		return;
	if (n && n < ENOUGH && took < 10 * PACE_EVERY_NS)
		return; /* more of it is to be seen */
	if (!p->free_ns && p->pieces < FREE_PIECES)
		return;
	if (!p->free_ns)
		p->free_ns = MAX(took / pieces, 1ull);
	else if (n && !p->before_ns)
		p->before_ns = mean; /* it was idle before: the first that is known */
	else
		adapt(p, took / pieces, mean);
	p->looked_ns = now_ns;
	p->looked_pieces = p->pieces;
	p->requests = requests;
	p->busy_ns = busy_ns;
}

uint64_t pace_at(const struct pace *p)
{
	return MAX(p->limit_at_ns, p->gap_at_ns);
}

void pace_begun(struct pace *p, uint64_t now_ns, uint64_t bytes)
{
	p->pieces++;
	if (p->bw_mbit)
		p->limit_at_ns = MAX(p->limit_at_ns, now_ns) + bytes * 8000 / p->bw_mbit;
	p->gap_at_ns = p->gap_ns ? now_ns + p->gap_ns : 0;
}
