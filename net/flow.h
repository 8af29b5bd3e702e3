/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which of a guest's queues a frame is for. One flow stays on one queue: the queue that the
 * guest itself sends it from, as far as that was seen, else one by the hash of its
 * addresses and ports. Both directions of a flow have the same hash. Pure.
 */
#ifndef NET_FLOW_H
#define NET_FLOW_H

#include <tern/types.h>

#define FLOWS 256u /* remembered of a port; a power of two */

struct flow_table {
	uint32_t hash[FLOWS];
	uint8_t queue[FLOWS];
	bool known[FLOWS];
};

/* Of an Ethernet frame with len bytes of headers; 0 for what is not IP. */
uint32_t flow_hash(const uint8_t *frame, uint32_t len);
/* The guest sent this from there. */
void flow_sent(struct flow_table *t, uint32_t hash, unsigned queue);
/* One of `queues`, at least 1. */
unsigned flow_queue(const struct flow_table *t, uint32_t hash, unsigned queues);

#endif
