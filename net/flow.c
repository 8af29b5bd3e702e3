/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flows and queues (flow.h). Each end of a flow, address and port, is hashed by itself and the
 * two are added, so that it does not matter which of them sends. Fragments have no
 * ports to be seen: all of them go by their addresses.
 */
#include "net/flow.h"
#include "net/headers.h"

static uint32_t mix(uint32_t h, uint32_t v)
{
	h = (h ^ v) * 0x9e3779b1u; /* 2^32 divided by the golden ratio */
	return h ^ h >> 15;
}

static uint32_t end_hash(const uint8_t *addr, unsigned len, uint32_t port)
{
	uint32_t h = mix(len, port);

	for (unsigned i = 0; i < len; i += 2)
		h = mix(h, be16(addr + i));
	return h;
}

uint32_t flow_hash(const uint8_t *f, uint32_t len)
{
	uint32_t from = 0, to = 0, type = len < ETH_HLEN ? 0 : be16(f + ETH_TYPE);
	const uint8_t *ip = f + ETH_HLEN;
	struct l4 l;

	if (l4_find(f, len, &l)) {
		from = be16(f + l.start);
		to = be16(f + l.start + 2);
	}
	if (type == ETH_IPV4 && len >= ETH_HLEN + IP4_HEADER_MIN)
		return end_hash(ip + IP4_SRC, 4, from) + end_hash(ip + IP4_SRC + 4, 4, to);
	if (type == ETH_IPV6 && len >= ETH_HLEN + IP6_HEADER_LEN)
		return end_hash(ip + IP6_SRC, 16, from) + end_hash(ip + IP6_DST, 16, to);
	return 0;
}

void flow_sent(struct flow_table *t, uint32_t hash, unsigned queue)
{
	unsigned i = hash % FLOWS;

	t->hash[i] = hash;
	t->queue[i] = (uint8_t)queue;
	t->known[i] = true;
}

unsigned flow_queue(const struct flow_table *t, uint32_t hash, unsigned queues)
{
	unsigned i = hash % FLOWS;

	if (t->known[i] && t->hash[i] == hash && t->queue[i] < queues)
		return t->queue[i];
	return (hash >> 16) % queues;
}
