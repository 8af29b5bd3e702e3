/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Echo requests, IPv4 and IPv6. A slot holds each that is under way; its index is
 * part of the sequence number, so that a late answer meets the wrong round and is
 * ignored. The owner stamps the time on both ends.
 */
#include <errno.h>
#include <string.h>

#include <tern/timer.h>

#include "lwip/icmp.h"
#include "lwip/inet_chksum.h"
#include "lwip/ip.h"
#include "lwip/prot/icmp6.h"
#include "lwip/raw.h"
#include "net/net_int.h"

#define SLOTS 16u
#define ECHO_HLEN 8u
#define CHECKSUM_OFFSET 2u
#define AGAIN_NS NSEC_PER_MSEC

struct ping {
	bool used, answered;
	uint16_t seq;
	uint64_t sent_ns, rtt_ns;
	struct event *done;
};

struct ping_call {
	const struct net_addr *to;
	unsigned payload;
	struct event done;
	struct ping *slot;
	uint64_t rtt_ns;
};

static struct ping slots[SLOTS];     /* [own] */
static struct raw_pcb *pcb4, *pcb6;  /* [own] */
static uint16_t ping_id, ping_round; /* [own] */

static struct ping *find(uint16_t seq)
{
	struct ping *p = &slots[seq % SLOTS];

	return p->used && p->seq == seq && !p->answered ? p : NULL;
}

/* Returns 1 when the packet was ours and is freed. */
static u8_t on_reply(struct pbuf *p, unsigned header, uint8_t type)
{
	uint8_t e[ECHO_HLEN];
	struct ping *slot;

	if (pbuf_copy_partial(p, e, ECHO_HLEN, (u16_t)header) != ECHO_HLEN || e[0] != type)
		return 0;
	if ((uint16_t)(e[4] << 8 | e[5]) != ping_id)
		return 0;
	slot = find((uint16_t)(e[6] << 8 | e[7]));
	if (slot) {
		slot->answered = true;
		slot->rtt_ns = time_ns() - slot->sent_ns;
		event_signal(slot->done);
	}
	pbuf_free(p);
	return 1;
}

static u8_t on_raw4(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *from)
{
	(void)arg;
	(void)pcb;
	(void)from;
	return on_reply(p, IPH_HL_BYTES((const struct ip_hdr *)p->payload), ICMP_ER);
}

static u8_t on_raw6(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *from)
{
	(void)arg;
	(void)pcb;
	(void)from;
	return on_reply(p, IP6_HLEN, ICMP6_TYPE_EREP);
}

int net_ping_init(void)
{
	ping_id = (uint16_t)LWIP_RAND();
	pcb4 = raw_new_ip_type(IPADDR_TYPE_V4, IP_PROTO_ICMP);
	pcb6 = raw_new_ip_type(IPADDR_TYPE_V6, IP6_NEXTH_ICMP6);
	if (!pcb4 || !pcb6)
		return -ENOBUFS;
	raw_recv(pcb4, on_raw4, NULL);
	raw_recv(pcb6, on_raw6, NULL);
	pcb6->chksum_reqd = 1;
	pcb6->chksum_offset = CHECKSUM_OFFSET;
	return 0;
}

static struct ping *claim(void)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (!slots[i].used) {
			slots[i] = (struct ping){ .used = true };
			slots[i].seq = (uint16_t)(ping_round++ * SLOTS + i);
			return &slots[i];
		}
	return NULL;
}

static struct pbuf *build(const struct ping *slot, unsigned payload, bool v6)
{
	struct pbuf *p = pbuf_alloc(PBUF_IP, (u16_t)(ECHO_HLEN + payload), PBUF_RAM);
	uint8_t *e;
	uint16_t sum;

	if (!p)
		return NULL;
	e = p->payload;
	e[0] = v6 ? ICMP6_TYPE_EREQ : ICMP_ECHO;
	e[1] = e[2] = e[3] = 0;
	e[4] = (uint8_t)(ping_id >> 8);
	e[5] = (uint8_t)ping_id;
	e[6] = (uint8_t)(slot->seq >> 8);
	e[7] = (uint8_t)slot->seq;
	for (unsigned i = 0; i < payload; i++)
		e[ECHO_HLEN + i] = (uint8_t)i;
	if (!v6) {
		sum = inet_chksum(e, (u16_t)(ECHO_HLEN + payload));
		memcpy(e + CHECKSUM_OFFSET, &sum, 2);
	}
	return p;
}

static int send(struct ping_call *c, const ip_addr_t *ip)
{
	bool v6 = IP_IS_V6(ip);
	struct pbuf *p = build(c->slot, c->payload, v6);
	err_t err;

	if (!p)
		return -ENOBUFS;
	c->slot->sent_ns = time_ns();
	err = raw_sendto(v6 ? pcb6 : pcb4, p, ip);
	pbuf_free(p);
	return net_err(err);
}

static int start(void *arg)
{
	struct ping_call *c = arg;
	const struct netif *n;
	ip_addr_t ip;
	int err;

	net_addr_to_lwip(c->to, &ip);
	n = ip_route(IP46_ADDR_ANY(IP_GET_TYPE(&ip)), &ip);
	if (!n)
		return -EHOSTUNREACH;
	if (n->mtu && c->payload + ECHO_HLEN + (IP_IS_V6_VAL(ip) ? IP6_HLEN : IP_HLEN) > n->mtu)
		return -EMSGSIZE;
	c->slot = claim();
	if (!c->slot)
		return -EBUSY;
	c->slot->done = &c->done;
	err = send(c, &ip);
	if (err)
		c->slot->used = false;
	return err;
}

static int finish(void *arg)
{
	struct ping_call *c = arg;
	bool answered = c->slot->answered;

	c->rtt_ns = c->slot->rtt_ns;
	c->slot->used = false;
	if (answered)
		return 0;
	return net_silent(c->to);
}

int net_ping(const struct net_addr *to, unsigned payload, uint64_t timeout_ns, uint64_t *rtt_ns)
{
	struct ping_call c = { .to = to, .payload = payload };
	uint64_t begin_ns = time_ns();
	int err;

	event_init(&c.done, "ping");
	/* A card's full ring has room in a moment; half of the time is the answer's. */
	while ((err = net_call(start, &c)) == -ENOBUFS && time_ns() < begin_ns + timeout_ns / 2)
		world_sleep_ns(AGAIN_NS);
	if (err)
		return err;
	(void)event_wait(&c.done, begin_ns + timeout_ns);
	err = net_call(finish, &c);
	if (!err)
		*rtt_ns = c.rtt_ns;
	return err;
}
