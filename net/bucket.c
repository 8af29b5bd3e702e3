/* SPDX-License-Identifier: BSD-2-Clause */
/* The token bucket (bucket.h). */
#include "net/bucket.h"

/* Nanoseconds for a byte, times the rate in Mbit/s. */
#define BYTE_NS_MBIT 8000u

bool bucket_ready(const struct bucket *b, uint64_t now_ns)
{
	return now_ns >= bucket_when(b);
}

uint64_t bucket_when(const struct bucket *b)
{
	return b->full_ns > BUCKET_DEPTH_NS ? b->full_ns - BUCKET_DEPTH_NS : 0;
}

void bucket_take(struct bucket *b, uint32_t mbit, uint64_t now_ns, uint32_t bytes)
{
	uint64_t owed = (uint64_t)bytes * BYTE_NS_MBIT, from = b->full_ns;

	if (from <= now_ns) {
		from = now_ns; /* it was full: what was left over is given up */
		b->rest = 0;
	}
	owed += b->rest % mbit; /* of another rate, when that has changed */
	b->rest = owed % mbit;
	b->full_ns = from + owed / mbit;
	if (b->full_ns < from)
		b->full_ns = UINT64_MAX;
}
