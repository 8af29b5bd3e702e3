/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The destination's clock minus the source's, from probes that go there and come
 * back (CLOCK, CLOCK_REPLY):
 *
 *   gap_probe(&g, sent, there, came);  ...  gap_ns(&g)
 *
 * A probe says that the gap lies between there - came and there - sent. What an
 * older one said is widened by the drift that clocks may have and narrows it. A
 * newer probe that contradicts the older ones shows that the clocks drift more
 * than that: then it alone counts. So a long migration does not end with the gap
 * of its beginning, and a slow probe does not spoil a better one's work.
 *
 * The owner serializes calls.
 */
#ifndef MIG_GAP_H
#define MIG_GAP_H

#include <stdint.h>

/* One part in so many that two hosts' clocks may drift apart: 100 ppm. */
#define GAP_DRIFT_SHARE 10000u
/* A larger gap is no clock. Sums of two stay within 64 bits. */
#define GAP_MAX_NS (1ll << 61)

struct gap {
	int64_t low_ns, high_ns; /* the gap's bounds at at_ns */
	uint64_t at_ns;		 /* our clock at the last probe; 0: none yet */
};

/* sent_ns and came_ns are of our clock, sent_ns <= came_ns. */
void gap_probe(struct gap *g, uint64_t sent_ns, uint64_t there_ns, uint64_t came_ns);
int64_t gap_ns(const struct gap *g);

#endif
