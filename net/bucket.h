/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A token bucket, kept as the time at which it will be full again: what is taken
 * moves that time on, and more may be taken while it is at most BUCKET_DEPTH_NS away. A
 * frame is never divided: the last one may go into debt, which is paid before the next.
 * Exact: what a division leaves over is carried. Pure.
 */
#ifndef NET_BUCKET_H
#define NET_BUCKET_H

#include <tern/types.h>

#define BUCKET_DEPTH_NS (4ull * 1000 * 1000)
#define BUCKET_RATE_MAX 100000u /* Mbit/s */

struct bucket {
	uint64_t full_ns; /* of time_ns(); 0: full now */
	uint64_t rest;	  /* of the last division, below the rate */
};

/* May something be taken? */
bool bucket_ready(const struct bucket *b, uint64_t now_ns);
/* From when on. */
uint64_t bucket_when(const struct bucket *b);
/* Takes, ready or not, at 1 to BUCKET_RATE_MAX Mbit/s. */
void bucket_take(struct bucket *b, uint32_t mbit, uint64_t now_ns, uint32_t bytes);

#endif
