/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How fast a disk's copy may go: as fast as it can while the guest's own requests take about as
 * long as they did before; however slow they are, with three eighths of the rate that it has alone.
 * Where only its rate beside the guest is known, with five sixths of that as long as the guest gets
 * through about as many requests as before, else with a third. And never faster than the user's
 * limit.
 *
 * pace_init; pace_pass before each pass; pace_look now and then, with the guest's counters; window,
 * piece_bytes and pace_at before a piece is begun, pace_begun when it is.
 */
#ifndef MIG_PACE_H
#define MIG_PACE_H

#include <tern/types.h>

#define PACE_WINDOW_MAX 8u
#define PACE_PIECE_MIN (128u << 10)
#define PACE_PIECE_GUEST (256u << 10) /* beside one: what it writes to a piece waits */
#define PACE_PIECE_MAX (512u << 10)   /* when it stands still */
#define PACE_EVERY_NS 20000000ull

/* The guest's requests in a time. */
struct pace_guest {
	uint64_t ns, requests, busy_ns; /* busy_ns: the sum of their times */
};

struct pace {
	uint64_t before_ns;   /* a request of the guest's, on average; 0: not known */
	uint64_t every_ns;    /* from one's end to the next one's before; 0: not known */
	uint64_t kept;	      /* of that rate, in 1024ths, lately */
	uint32_t bw_mbit;     /* 0: no limit */
	unsigned window;      /* pieces at a time */
	uint32_t piece_bytes; /* and so many bytes in one */
	unsigned step;	      /* which of them: 0 is the slowest */
	bool hurry;	      /* the guest stands still */
	bool began;	      /* the first moment is over */
	unsigned good;	      /* looks in a row at which it could have been faster */
	uint64_t brake_ns;    /* for 64 KiB, not faster; 0: as fast as it goes */
	uint64_t free_ns;     /* for 64 KiB as it went without a brake; 0: not known yet */
	bool alone;	      /* the guest asked for nothing meanwhile */
	uint64_t limit_at_ns; /* none is begun before this */
	uint64_t brake_at_ns; /* nor this */
	uint64_t bytes;	      /* begun */
	uint64_t zeros;	      /* of these it is known by now: read, perhaps, but not written */
	uint64_t looked_ns, looked_bytes, looked_zeros, requests, busy_ns; /* at the last look */
	unsigned unlike; /* looks at mostly zeros, while free_ns is not known */
};

/* before: without a copy; no requests: nothing is known. */
void pace_init(struct pace *p, const struct pace_guest *before, uint32_t bw_mbit);
/* A pass begins: the time since the one before, in which others were copied, is no measure. */
void pace_pass(struct pace *p);
/* The guest's requests so far, and the sum of their times. */
void pace_look(struct pace *p, uint64_t now_ns, uint64_t requests, uint64_t busy_ns);
/* From now on without a brake, and in the largest pieces: the guest stands still. */
void pace_hurry(struct pace *p);
uint64_t pace_at(const struct pace *p); /* when the next may begin */
void pace_begun(struct pace *p, uint64_t now_ns, uint64_t bytes);
/* So many of what was begun are zeros, which cost less, or more: they say nothing of the rate. */
void pace_zeros(struct pace *p, uint64_t bytes);

#endif
