/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How fast a disk's copy may go: as fast as it can while the guest's own requests take
 * about as long as they did before, at least a third of that in any case; and never faster than the
 * user's limit.
 *
 * pace_init; pace_look now and then, with the guest's counters; window and pace_at before a
 * piece is begun, pace_begun when it is.
 */
#ifndef MIG_PACE_H
#define MIG_PACE_H

#include <tern/types.h>

#define PACE_WINDOW_MAX 8u
#define PACE_EVERY_NS 20000000ull

struct pace {
	uint64_t before_ns;   /* a request of the guest's, on average; 0: not known */
	uint32_t bw_mbit;     /* 0: no limit */
	unsigned window;      /* pieces at a time */
	uint64_t gap_ns;      /* between the begins of two, when it is one at a time */
	uint64_t free_ns;     /* from piece to piece as it went without a brake; 0: not known yet */
	uint64_t limit_at_ns; /* none is begun before this */
	uint64_t gap_at_ns;   /* nor this */
	uint64_t pieces;      /* begun */
	uint64_t looked_ns, looked_pieces, requests, busy_ns; /* at the last look */
};

void pace_init(struct pace *p, uint64_t before_ns, uint32_t bw_mbit);
/* The guest's requests so far, and the sum of their times. */
void pace_look(struct pace *p, uint64_t now_ns, uint64_t requests, uint64_t busy_ns);
uint64_t pace_at(const struct pace *p); /* when the next may begin */
void pace_begun(struct pace *p, uint64_t now_ns, uint64_t bytes);

#endif
