/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A token bucket, kept as the time at which it will be full again: what is taken
 * moves that time on, and more may be taken while it is at most the bucket's depth away. What is
 * taken is never divided: the last may go into debt, which is paid before the next.
 * Exact: what a division leaves over is carried. Pure.
 *
 * The user's unit is its own: whatever is taken costs so many nanoseconds at a rate of 1.
 */
#ifndef KERNEL_LIB_BUCKET_H
#define KERNEL_LIB_BUCKET_H

#include <tern/types.h>

struct bucket {
	uint64_t full_ns; /* of time_ns(); 0: full now */
	uint64_t rest;	  /* of the last division, below the rate */
};

/* May something be taken, of one that is so deep? */
bool bucket_ready(const struct bucket *b, uint64_t depth_ns, uint64_t now_ns);
/* From when on. */
uint64_t bucket_when(const struct bucket *b, uint64_t depth_ns);
/* Takes, ready or not, what costs so much at a rate of 1, at this rate, which is not 0. */
void bucket_take(struct bucket *b, uint32_t rate, uint64_t now_ns, uint64_t cost_ns);

#endif
