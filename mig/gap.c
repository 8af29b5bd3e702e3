/* SPDX-License-Identifier: BSD-2-Clause */
#include <tern/types.h>

#include "gap.h"

void gap_probe(struct gap *g, uint64_t sent_ns, uint64_t there_ns, uint64_t came_ns)
{
	int64_t low = (int64_t)(there_ns - came_ns), high = (int64_t)(there_ns - sent_ns);
	int64_t drift = (int64_t)((came_ns - g->at_ns) / GAP_DRIFT_SHARE) + 1;

	if (low < -GAP_MAX_NS || high > GAP_MAX_NS)
		return; /* a clock that is centuries off tells nothing */
	if (g->at_ns && g->low_ns - drift <= high && low <= g->high_ns + drift) {
		low = MAX(low, g->low_ns - drift);
		high = MIN(high, g->high_ns + drift);
	}
	*g = (struct gap){ .low_ns = low, .high_ns = high, .at_ns = came_ns };
}

int64_t gap_ns(const struct gap *g)
{
	return g->low_ns + (g->high_ns - g->low_ns) / 2;
}
