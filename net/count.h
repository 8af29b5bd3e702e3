/* SPDX-License-Identifier: BSD-2-Clause */
/* The net room's counters (stats.c), for every file of it. */
#ifndef NET_COUNT_H
#define NET_COUNT_H

#include <tern/net.h>

extern struct net_stats net_counters; /* [atom] */
#define NET_COUNT(field, n) __atomic_fetch_add(&net_counters.field, (uint64_t)(n), __ATOMIC_RELAXED)

#endif
