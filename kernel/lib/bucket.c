/* SPDX-License-Identifier: BSD-2-Clause */
/* The token bucket (bucket.h). */
#include "bucket.h"

bool bucket_ready(const struct bucket *b, uint64_t depth_ns, uint64_t now_ns)
{
	return now_ns >= bucket_when(b, depth_ns);
}

uint64_t bucket_when(const struct bucket *b, uint64_t depth_ns)
{
	return b->full_ns > depth_ns ? b->full_ns - depth_ns : 0;
}

void bucket_take(struct bucket *b, uint32_t rate, uint64_t now_ns, uint64_t cost_ns)
{
	uint64_t from = b->full_ns;

	if (from <= now_ns) {
		from = now_ns; /* it was full: what was left over is given up */
		b->rest = 0;
	}
	cost_ns += b->rest % rate; /* of another rate, when that has changed */
	b->rest = cost_ns % rate;
	b->full_ns = from + cost_ns / rate;
	if (b->full_ns < from)
		b->full_ns = UINT64_MAX;
}
