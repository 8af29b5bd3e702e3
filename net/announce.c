/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Telling the network where a guest's address is now, after it has moved here: a
 * broadcast from that address makes every switch on the way learn the new port.
 * RARP is what needs no IP address of the guest's [RFC 903]. Repeated with growing
 * distance, because a frame may be lost and a switch may be slow.
 */
#include <string.h>

#include "lwip/timeouts.h"
#include "net/headers.h"
#include "net/vswitch_int.h"

#define RARP_BYTES 60u /* with padding to Ethernet's least */
#define RARP_BODY 28u
#define RARP_REQUEST 3u
#define HW_ETHERNET 1u

/* Milliseconds to wait after each; the last ends it. */
static const uint16_t wait_ms[] = { 50, 100, 200, 400, 800, 1600 };

static struct vframe *rarp(const struct vport *p)
{
	uint8_t b[RARP_BYTES] = { 0 }, *body = b + ETH_HLEN;
	struct vframe *f = vframe_new(sizeof(b));

	if (!f)
		return NULL;
	memset(b, 0xff, MAC_LEN);
	memcpy(b + MAC_LEN, p->mac, MAC_LEN);
	put_be16(b + ETH_TYPE, ETH_RARP);
	put_be16(body, HW_ETHERNET);
	put_be16(body + 2, ETH_IPV4);
	body[4] = MAC_LEN;
	body[5] = 4;
	put_be16(body + 6, RARP_REQUEST);
	memcpy(body + 8, p->mac, MAC_LEN);
	memcpy(body + 18, p->mac, MAC_LEN);
	vframe_write(f, 0, b, sizeof(b));
	return f;
}
_Static_assert(ETH_HLEN + RARP_BODY <= RARP_BYTES, "RARP");

static void step(void *arg)
{
	struct vport *p = arg;
	struct vframe *f = rarp(p);

	if (f)
		vswitch_flood(p, f);
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
