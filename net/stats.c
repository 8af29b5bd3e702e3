/* SPDX-License-Identifier: BSD-2-Clause */
/* The room's counters, and how full lwIP's pools are. They may be read while they move. */
#include "lwip/memp.h"
#include "lwip/stats.h"
#include "net/net_int.h"

struct net_stats net_counters; /* [atom] */

void net_stats(struct net_stats *out)
{
	*out = net_counters;
	out->rx_held_bytes = net_rx_held();
}

static const struct {
	const char *name;
	const struct stats_mem *of; /* NULL: one of memp */
	memp_t memp;
} pools[] = {
	{ .name = "connections", .memp = MEMP_TCP_PCB },
	{ .name = "listeners", .memp = MEMP_TCP_PCB_LISTEN },
	{ .name = "segments", .memp = MEMP_TCP_SEG },
	{ .name = "packet_parts", .memp = MEMP_PBUF },
	{ .name = "timers", .memp = MEMP_SYS_TIMEOUT },
	{ .name = "header_bytes", .of = &lwip_stats.mem },
};

bool net_pool_at(unsigned index, struct net_pool *out)
{
	const struct stats_mem *s;

	if (index >= ARRAY_SIZE(pools))
		return false;
	*out = (struct net_pool){ .name = pools[index].name };
	s = pools[index].of ? pools[index].of : lwip_stats.memp[pools[index].memp];
	if (!s) /* the network is not up */
		return true;
	out->used = s->used;
	out->most = s->max;
	out->size = s->avail;
	out->refused = s->err;
	return true;
}
