/* SPDX-License-Identifier: BSD-2-Clause */
/* The room's counters. They may be read while they move. */
#include "net/net_int.h"

struct net_stats net_counters; /* [atom] */

void net_stats(struct net_stats *out)
{
	*out = net_counters;
	out->rx_held_bytes = net_rx_held();
}
