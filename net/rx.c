/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames out of the NIC into lwIP. The NIC's pages become a chain of custom pbufs
 * as they are; the page goes back to the allocator when lwIP, and then the
 * stream's reader, are done with it. Small frames (ACKs, ARP) are copied, so that
 * they do not hold a page. The pool of pbufs bounds what can be held.
 */
#include <string.h>

#include "lwip/ethip6.h"
#include "lwip/ip4.h"
#include "lwip/ip6.h"
#include "lwip/prot/ethernet.h"
#include "net/headers.h"
#include "net/net_int.h"
#include "net/vswitch_int.h"
#include "netif/ethernet.h"

#define RX_BUFS 4096u /* pages held at most: 16 MiB */
#define COPY_BELOW 256u

struct rx_buf {
	struct pbuf_custom pc; /* first */
	hpa_t page;
	struct rx_buf *next;
};

static struct rx_buf *rx_free; /* [own] */
static unsigned rx_held;       /* [own] */

int net_rx_init(void)
{
	unsigned order = 0;
	struct rx_buf *b;
	hpa_t a;
	int err;

	while ((PAGE_SIZE << order) < RX_BUFS * sizeof(*b))
		order++;
	err = page_alloc(order, PAGE_ZERO, FRAME_NET, &a);
	if (err)
		return err;
	b = hpa_ptr(a);
	for (unsigned n = 0; n < RX_BUFS; n++) {
		b[n].next = rx_free;
		rx_free = &b[n];
	}
	return 0;
}

uint64_t net_rx_held(void)
{
	return rx_held * PAGE_SIZE;
}

static void release(struct pbuf *p)
{
	struct rx_buf *b = (struct rx_buf *)p;

	page_put(b->page);
	b->next = rx_free;
	rx_free = b;
	rx_held--;
}

static struct pbuf *wrap(void *bytes, uint32_t len)
{
	struct rx_buf *b = rx_free;

	rx_free = b->next;
	rx_held++;
	b->page = page_of(bytes);
	b->pc.custom_free_function = release;
	return pbuf_alloced_custom(PBUF_RAW, (u16_t)len, PBUF_REF, &b->pc, bytes, (u16_t)len);
}

/* The frame from offset skip on, in place. Its pages are the chain's from here on. */
static struct pbuf *take(struct nic_rx *f, unsigned skip)
{
	struct pbuf *head = NULL;

	if (rx_held + f->nr_segs > RX_BUFS) {
		NET_COUNT(pool_exhausted, 1);
		return NULL;
	}
	for (unsigned n = f->nr_segs; n-- > 0;) {
		unsigned off = n == 0 ? skip : 0;
		struct pbuf *p =
			wrap((uint8_t *)hpa_ptr(f->seg[n].addr) + off, f->seg[n].len - off);

		if (head) {
			p->tot_len = (u16_t)(p->len + head->tot_len);
			p->next = head;
		}
		head = p;
	}
	f->taken = true;
	return head;
}

static struct pbuf *copy(const struct nic_rx *f, unsigned skip)
{
	struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)(f->len - skip), PBUF_RAM);
	uint32_t at = 0;

	if (!p) {
		NET_COUNT(pool_exhausted, 1);
		return NULL;
	}
	for (unsigned n = 0; n < f->nr_segs; n++) {
		unsigned off = n == 0 ? skip : 0;

		memcpy((uint8_t *)p->payload + at, (uint8_t *)hpa_ptr(f->seg[n].addr) + off,
		       f->seg[n].len - off);
		at += f->seg[n].len - off;
	}
	NET_COUNT(rx_copied_bytes, at);
	return p;
}

/* The card's verdict on this frame stands in for lwIP's own check. */
static void set_checks(struct netif *n, bool csum_ok)
{
	unsigned check = NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP;

	if (csum_ok)
		n->chksum_flags = (u16_t)(n->chksum_flags & ~check);
	else
		n->chksum_flags = (u16_t)(n->chksum_flags | check);
}

void net_rx_loopback(void)
{
	struct netif *n;

	NETIF_FOREACH(n)
	if (n->loop_first)
		set_checks(n, true);
	netif_poll_all();
}

static void mark_group(struct pbuf *p, const uint8_t *frame)
{
	static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	if (frame[0] & 1)
		p->flags |= memcmp(frame, broadcast, 6) ? PBUF_FLAG_LLMCAST : PBUF_FLAG_LLBCAST;
}

static bool for_us(const struct net_if *i, const uint8_t *frame)
{
	return (frame[0] & 1) || memcmp(frame, i->nic->mac, 6) == 0;
}

void net_rx(struct nic *nic, struct nic_rx *f)
{
	struct net_if *i = nic->net;

	if (f->seg[0].len <= ETH_HLEN || f->len - ETH_HLEN > UINT16_MAX) {
		nic->rx_dropped++;
		return;
	}
	if (vswitch_from_nic(i, f))
		return;
	net_rx_host(i, f);
}

void net_rx_host(struct net_if *i, struct nic_rx *f)
{
	const uint8_t *frame = hpa_ptr(f->seg[0].addr);
	struct nic *nic = i->nic;
	unsigned type, skip;
	struct pbuf *p;

	if (!for_us(i, frame)) {
		nic->rx_dropped++;
		return;
	}
	type = be16(frame + ETH_TYPE);
	/* IP goes straight to its layer: with its Ethernet header a frame of 64 KiB overflows a
	 * pbuf's length. */
	skip = type == ETH_IPV4 || type == ETH_IPV6 ? ETH_HLEN : 0;
	if (!skip && f->len > PAGE_SIZE) {
		nic->rx_dropped++;
		return;
	}
	p = f->len <= COPY_BELOW || !skip ? copy(f, skip) : take(f, skip);
	if (!p) {
		nic->rx_dropped++;
		return;
	}
	p->if_idx = netif_get_index(&i->lwip);
	mark_group(p, frame);
	set_checks(&i->lwip, f->csum_ok);
	if (type == ETH_IPV4)
		ip4_input(p, &i->lwip);
	else if (type == ETH_IPV6)
		ip6_input(p, &i->lwip);
	else if (ethernet_input(p, &i->lwip) != ERR_OK)
		pbuf_free(p);
}
