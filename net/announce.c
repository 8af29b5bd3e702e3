/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Telling the network where a guest is now, after it has moved here. A broadcast from
 * its address makes every switch on the way learn the new port: RARP needs no IP
 * address for that [RFC 903]. Neighbours learn each address that the guest was seen
 * to use, here or on the host it came from. Repeated with growing distance, because a
 * frame may be lost and a switch may be slow.
 */
#include <string.h>

#include "lwip/timeouts.h"
#include "net/neighbour.h"
#include "net/vswitch_int.h"

/* Milliseconds to wait after each round; the last round ends it. */
static const uint16_t wait_ms[] = { 50, 100, 200, 400, 800, 1600 };

static void send(struct vport *p, const uint8_t *bytes, uint32_t len)
{
	struct vframe *f = vframe_new(len);

	if (!f)
		return;
	vframe_write(f, 0, bytes, len);
	vswitch_flood(p, f);
}

static void step(void *arg)
{
	uint8_t bytes[NEIGHBOUR_FRAME_MAX];
	struct vport *p = arg;

	send(p, bytes, neighbour_rarp(bytes, p->mac));
	for (unsigned i = 0; i < p->nr_addrs; i++)
		send(p, bytes, neighbour_here(bytes, p->mac, &p->addr[i]));
	p->announce_left--;
	if (p->announce_left)
		sys_timeout(wait_ms[ARRAY_SIZE(wait_ms) - 1 - p->announce_left], step, p);
}

void announce_start(struct vport *p)
{
	announce_stop(p);
	p->announce_left = ARRAY_SIZE(wait_ms);
	step(p);
}

void announce_stop(struct vport *p)
{
	if (p->announce_left)
		sys_untimeout(step, p);
	p->announce_left = 0;
}

/* The newest is first; the oldest gives way. */
void announce_learn(struct vport *p, const struct net_addr *a)
{
	unsigned i = 0;

	while (i < p->nr_addrs && memcmp(&p->addr[i], a, sizeof(*a)))
		i++;
	if (i == p->nr_addrs && p->nr_addrs < VPORT_ADDRS)
		p->nr_addrs++;
	i = MIN(i, VPORT_ADDRS - 1);
	memmove(&p->addr[1], &p->addr[0], i * sizeof(*a));
	p->addr[0] = *a;
}

void announce_snoop(struct vport *p, const struct vframe *f)
{
	struct net_addr a;

	if (neighbour_seen(vframe_head(f), f->tx.seg[0].len, &a))
		announce_learn(p, &a);
}
