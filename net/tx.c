/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames out of lwIP into the NIC, without a copy: each pbuf's bytes become a
 * segment of the descriptor. Two things live until the NIC has read them: the
 * pbuf chain, by a reference on its head (which also keeps lwIP from sending the
 * segment again meanwhile), and pages that a stream gave by reference, by a page
 * reference each, because an ACK or a reset may make their owner drop his.
 *
 * What the NIC offers is asked of it here: the TCP checksum, and cutting segments
 * larger than the path's MSS. Only a chain of more than NIC_MAX_SEGS pieces, or
 * one outside of the direct map, is copied into one block first.
 */
#include <errno.h>
#include <string.h>

#include "lwip/pbuf.h"
#include "net/headers.h"
#include "net/net_int.h"
#include "net/stream_int.h"
#include "net/vswitch_int.h"

#define SLOTS 256u

struct tx_slot {
	struct nic_tx tx; /* first: done gets it */
	struct net_if *i;
	struct pbuf *p; /* chain that is referenced, or NULL */
	hpa_t copy;	/* block that was copied to, or 0 */
	struct tx_slot *next;
};

static unsigned order_for(uint64_t bytes)
{
	unsigned o = 0;

	while ((PAGE_SIZE << o) < bytes)
		o++;
	return o;
}

int net_tx_init(struct net_if *i)
{
	struct tx_slot *s;
	hpa_t a;
	int err = page_alloc(order_for(SLOTS * sizeof(*s)), PAGE_ZERO, FRAME_NET, &a);

	if (err)
		return err;
	s = hpa_ptr(a);
	for (unsigned n = 0; n < SLOTS; n++) {
		s[n].next = i->tx_free;
		i->tx_free = &s[n];
	}
	return 0;
}

static bool by_reference(const struct pbuf *q)
{
	return !(q->flags & PBUF_FLAG_IS_CUSTOM) && pbuf_match_allocsrc(q, PBUF_ROM);
}

/* One reference more, or less, on each page that a stream gave. */
static void hold_pages(const struct pbuf *p, void (*each)(hpa_t))
{
	for (const struct pbuf *q = p; q; q = q->next) {
		uint64_t at, end;

		if (!by_reference(q) || !q->len || !in_direct_map(q->payload))
			continue;
		end = ptr_hpa(q->payload).v + q->len;
		for (at = page_of(q->payload).v; at < end; at += PAGE_SIZE)
			each(HPA(at));
	}
}

static void done(struct nic_tx *t)
{
	struct tx_slot *s = (struct tx_slot *)t;

	if (s->p) {
		hold_pages(s->p, page_put);
		pbuf_free(s->p);
		s->p = NULL;
	}
	if (s->copy.v) {
		page_put(s->copy);
		s->copy.v = 0;
	}
	s->next = s->i->tx_free;
	s->i->tx_free = s;
	if (s->i->tx_stalled) {
		s->i->tx_stalled = false;
		streams_tx_resume();
	}
}

/* False when the chain does not fit the descriptor as it is. */
static bool gather(struct nic_tx *t, const struct pbuf *p)
{
	t->nr_segs = 0;
	for (const struct pbuf *q = p; q; q = q->next) {
		struct nic_seg *last = t->nr_segs ? &t->seg[t->nr_segs - 1] : NULL;

		if (!q->len)
			continue;
		if (!in_direct_map(q->payload))
			return false;
		if (last && last->addr.v + last->len == ptr_hpa(q->payload).v) {
			last->len += q->len;
			continue;
		}
		if (t->nr_segs == NIC_MAX_SEGS)
			return false;
		t->seg[t->nr_segs].addr = ptr_hpa(q->payload);
		t->seg[t->nr_segs++].len = q->len;
	}
	return true;
}

static int copy_chain(struct tx_slot *s, const struct pbuf *p)
{
	int err = page_alloc(order_for(p->tot_len), 0, FRAME_NET, &s->copy);

	if (err) {
		s->copy.v = 0;
		NET_COUNT(pool_exhausted, 1);
		return err;
	}
	pbuf_copy_partial(p, hpa_ptr(s->copy), p->tot_len, 0);
	s->tx.seg[0] = (struct nic_seg){ .addr = s->copy, .len = p->tot_len };
	s->tx.nr_segs = 1;
	s->i->nic->copies++;
	NET_COUNT(tx_copied_bytes, p->tot_len);
	return 0;
}

/* Sets up checksum and segmentation; false when the frame exceeds the link and nothing cuts it. */
static bool offload(struct net_if *i, struct nic_tx *t, struct pbuf *p)
{
	uint8_t *f = p->payload;
	struct l4 l;
	unsigned mss, payload;

	t->csum = false;
	t->gso_size = 0;
	if (!l4_find(f, p->len, &l) || l.proto != PROTO_TCP)
		return p->tot_len <= i->lwip.mtu + ETH_HLEN;
	t->ipv6 = l.ipv6;
	payload = p->tot_len - l.hdr_len;
	if (i->nic->caps & NIC_CAP_TX_CSUM) {
		t->csum = true;
		t->csum_start = l.start;
		t->csum_offset = l.csum_offset;
		l4_put_pseudo(f, &l, p->tot_len);
	}
	if (payload == 0)
		return true;
	mss = stream_path_mss(i->lwip.hints);
	if (!mss)
		mss = i->lwip.mtu - (l.hdr_len - ETH_HLEN);
	if (payload <= mss)
		return true;
	t->gso_size = (uint16_t)mss;
	t->hdr_len = l.hdr_len;
	return net_if_tso(&i->lwip, t->ipv6);
}

/* A segment that the card did not take is not sent yet: lwIP comes again with it. */
static void note_sent(const struct net_if *i, const struct pbuf *p)
{
	const uint8_t *f = p->payload;
	struct l4 l;

	if (!l4_find(f, p->len, &l) || l.proto != PROTO_TCP)
		return;
	NET_COUNT(tcp_segs_out, 1);
	if (p->tot_len > l.hdr_len)
		stream_note_send(i->lwip.hints, f + l.start, (unsigned)p->tot_len - l.hdr_len);
}

static int fill(struct tx_slot *s, struct pbuf *p)
{
	if (!gather(&s->tx, p))
		return copy_chain(s, p);
	s->p = p;
	return 0;
}

static void hold(struct tx_slot *s)
{
	if (!s->p)
		return;
	pbuf_ref(s->p);
	hold_pages(s->p, page_get);
	for (const struct pbuf *q = s->p; q; q = q->next)
		if (by_reference(q))
			NET_COUNT(tx_zero_copy_bytes, q->len);
}

err_t net_tx(struct netif *n, struct pbuf *p)
{
	struct net_if *i = n->state;
	struct tx_slot *s = i->tx_free;

	if (!s) {
		i->tx_stalled = true;
		return ERR_MEM;
	}
	i->tx_free = s->next;
	s->i = i;
	s->tx.done = done;
	if (!offload(i, &s->tx, p)) {
		s->next = i->tx_free;
		i->tx_free = s;
		return ERR_VAL;
	}
	if (fill(s, p)) {
		s->next = i->tx_free;
		i->tx_free = s;
		return ERR_MEM;
	}
	hold(s);
	if (vswitch_from_host(i, &s->tx)) {
		note_sent(i, p);
		done(&s->tx);
		return ERR_OK;
	}
	if (i->nic->ops->send(i->nic, &s->tx)) {
		done(&s->tx);
		i->tx_stalled = true;
		return ERR_MEM;
	}
	note_sent(i, p);
	return ERR_OK;
}
