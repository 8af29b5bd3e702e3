/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Send: each segment of a packet becomes descriptors of up to 4 KiB that point at
 * the packet's own pages; a context descriptor before them says where the
 * checksums are and at what size to cut [8254x 3.3.6 "TCP/IP Context Transmit
 * Descriptor Format"]. The last descriptor asks for a report; when it is written
 * back, the whole packet is done. Places clean to next - 1 are in flight.
 *
 * Copied is only what a 32-bit part cannot reach, and headers that lie in pieces.
 */
#include <errno.h>
#include <string.h>

#include <tern/timer.h>

#include "drivers/e1000.h"

#define MASK (E1000_TX_RING - 1)
#define RING_ORDER 2u
#define SENT_ORDER 3u
_Static_assert((E1000_TX_RING & MASK) == 0, "a power of two");
_Static_assert(E1000_TX_RING * sizeof(struct e1000_tx_desc) <= PAGE_SIZE << RING_ORDER, "ring");
_Static_assert(E1000_TX_RING * sizeof(struct e1000_sent) <= PAGE_SIZE << SENT_ORDER, "sent");

#define ETH_HLEN 14u
#define ETH_TYPE 12u
#define VLAN_LEN 4u
#define IP4_CSUM 10u
#define TCP_CSUM 16u
#define LIMIT_32 (1ull << 32)
#define SENTINEL 4u /* bytes */

int e1000_tx_init(struct e1000 *d)
{
	hpa_t ring, sent;
	int err = page_alloc(RING_ORDER, PAGE_ZERO | PAGE_LOW4G, FRAME_NET, &ring);

	if (err)
		return err;
	err = page_alloc(SENT_ORDER, PAGE_ZERO, FRAME_NET, &sent);
	if (err) {
		page_put(ring);
		return err;
	}
	d->tx.desc = hpa_ptr(ring);
	d->tx.sent = hpa_ptr(sent);
	return 0;
}

unsigned e1000_tx_free(const struct e1000_tx *q)
{
	return MASK - (q->next - q->clean);
}

static uint32_t packet_bytes(const struct nic_tx *t)
{
	uint32_t bytes = 0;

	for (unsigned i = 0; i < t->nr_segs; i++)
		bytes += t->seg[i].len;
	return bytes;
}

static bool needs_copy(const struct e1000 *d, const struct nic_tx *t)
{
	if (t->gso_size && t->seg[0].len < t->hdr_len)
		return true;
	for (unsigned i = 0; (d->chip->flags & E1000_DMA_32) && i < t->nr_segs; i++)
		if (t->seg[i].addr.v + t->seg[i].len > LIMIT_32)
			return true;
	return false;
}

/* The packet in one piece, as *copy: t's own pages stay t's, whose sender gives them back. */
static int copy_packet(const struct nic_tx *t, uint32_t bytes, struct nic_tx *copy)
{
	unsigned order = 0;
	uint8_t *to;
	hpa_t block;
	int err;

	while ((PAGE_SIZE << order) < bytes)
		order++;
	err = page_alloc(order, PAGE_LOW4G, FRAME_NET, &block);
	if (err)
		return err;
	to = hpa_ptr(block);
	for (unsigned i = 0; i < t->nr_segs; i++) {
		memcpy(to, hpa_ptr(t->seg[i].addr), t->seg[i].len);
		to += t->seg[i].len;
	}
	*copy = *t;
	copy->seg[0] = (struct nic_seg){ .addr = block, .len = bytes };
	copy->nr_segs = 1;
	return 0;
}

/* A guest's frame may have a VLAN tag before the IP header. */
static unsigned ip_start(const struct nic_tx *t)
{
	const uint8_t *type = (const uint8_t *)hpa_ptr(t->seg[0].addr) + ETH_TYPE;

	return type[0] == 0x81 && type[1] == 0 ? ETH_HLEN + VLAN_LEN : ETH_HLEN;
}

/*
 * Where it cuts, the chip adds the length to the pseudo-header's sum by itself, and
 * sums the IPv4 header over a field that must be zero. [8254x 3.5.6 "IP/TCP/UDP
 * Header Updating"]. The headers are written anew for each attempt to send them.
 */
static void prepare_headers(const struct nic_tx *t, uint32_t bytes)
{
	uint8_t *frame = hpa_ptr(t->seg[0].addr), *at = frame + t->csum_start + t->csum_offset;
	uint32_t sum = (uint32_t)at[0] << 8 | at[1];

	sum += 0xffffu - (bytes - t->csum_start) % 0xffffu;
	while (sum >> 16)
		sum = (sum & 0xffffu) + (sum >> 16);
	at[0] = (uint8_t)(sum >> 8);
	at[1] = (uint8_t)sum;
	if (!t->ipv6)
		memset(frame + ip_start(t) + IP4_CSUM, 0, 2);
}

static struct e1000_tx_desc build_context(const struct nic_tx *t, uint32_t bytes)
{
	uint64_t ip = ip_start(t), tcp = t->csum_start;
	struct e1000_tx_desc c = { .cmd = TXD_EXTENDED };

	if (!t->ipv6)
		ip |= (ip + IP4_CSUM) << TXC_FIELD_SHIFT | (uint64_t)(t->csum_start - 1u)
								   << TXC_STOP_SHIFT;
	tcp |= (uint64_t)(t->csum_start + t->csum_offset) << TXC_FIELD_SHIFT;
	c.addr = ip | tcp << TXC_TCP_SHIFT;
	c.cmd |= (uint32_t)((t->ipv6 ? 0 : TXC_IPV4) | (t->csum_offset == TCP_CSUM ? TXC_TCP : 0));
	if (t->gso_size) {
		c.cmd |= (uint32_t)TXD_SEGMENT | (bytes - t->hdr_len);
		c.option = (uint32_t)t->hdr_len << TXC_HDRLEN_SHIFT | (uint32_t)t->gso_size
									      << TXC_MSS_SHIFT;
	}
	return c;
}

/* The chip keeps the last context: frames alike need no new one. */
static void put_context(struct e1000_tx *q, const struct nic_tx *t, uint32_t bytes)
{
	struct e1000_tx_desc c = build_context(t, bytes);

	if (memcmp(&c, &q->context, sizeof(c)) == 0)
		return;
	q->context = c;
	q->desc[q->next++ & MASK] = c;
}

static void put_piece(struct e1000_tx *q, uint64_t addr, uint32_t len, uint32_t cmd,
		      uint32_t option)
{
	q->desc[q->next++ & MASK] =
		(struct e1000_tx_desc){ .addr = addr, .cmd = cmd | len, .option = option };
}

/*
 * A PCI part may report a packet of one descriptor that follows a segmented one
 * before it has read it: such a packet's last bytes get a descriptor of their own.
 */
static void put_data(struct e1000 *d, const struct nic_tx *t)
{
	struct e1000_tx *q = &d->tx;
	uint32_t cmd = 0, option = 0, first = q->next, most = E1000_TX_PIECE;

	if (t->csum) {
		cmd = TXD_EXTENDED | TXD_DATA | (t->gso_size ? (uint32_t)TXD_SEGMENT : 0);
		option = TXD_TCP_SUM | (t->gso_size && !t->ipv6 ? (uint32_t)TXD_IP_SUM : 0);
	}
	if (!(d->chip->flags & E1000_PCIE) && t->nr_segs == 1 && t->seg[0].len > 2 * SENTINEL &&
	    t->seg[0].len <= most)
		most = t->seg[0].len - SENTINEL;
	for (unsigned i = 0; i < t->nr_segs; i++)
		for (uint32_t at = 0, len; at < t->seg[i].len; at += len) {
			len = MIN(t->seg[i].len - at, most);
			put_piece(q, t->seg[i].addr.v + at, len, cmd, option);
		}
	if (q->next != first)
		q->desc[(q->next - 1) & MASK].cmd |= TXD_END | TXD_INSERT_CRC | TXD_REPORT;
}

/* Descriptors that the packet takes at most. */
static unsigned places_for(const struct nic_tx *t)
{
	unsigned n = 2; /* context, sentinel */

	for (unsigned i = 0; i < t->nr_segs; i++)
		n += (t->seg[i].len + E1000_TX_PIECE - 1) / E1000_TX_PIECE;
	return n;
}

/* Puts t's descriptors into the ring, which has room for them. */
static void put_packet(struct e1000 *d, const struct nic_tx *t, uint32_t bytes)
{
	struct e1000_tx *q = &d->tx;

	if (q->next == q->clean)
		q->progress_ns = time_ns();
	if (t->gso_size)
		prepare_headers(t, bytes);
	if (t->csum)
		put_context(q, t, bytes);
	put_data(d, t);
}

int e1000_send(struct nic *n, struct nic_tx *t)
{
	struct e1000 *d = (struct e1000 *)n;
	struct e1000_tx *q = &d->tx;
	struct e1000_sent *s = &q->sent[q->next & MASK];
	uint32_t bytes = packet_bytes(t);
	const struct nic_tx *as = t;
	hpa_t bounce = { 0 };
	struct nic_tx copy;

	if (e1000_tx_free(q) < places_for(t)) {
		n->tx_stalls++;
		return -EAGAIN;
	}
	if (needs_copy(d, t)) {
		if (copy_packet(t, bytes, &copy))
			return -EAGAIN;
		bounce = copy.seg[0].addr;
		as = &copy;
		n->copies++;
	}
	put_packet(d, as, bytes);
	*s = (struct e1000_sent){ .t = t, .bounce = bounce, .last = (q->next - 1) & MASK };
	n->tx_packets++;
	n->tx_bytes += bytes;
	return 0;
}

/* The descriptors are in memory before the tail: x86 keeps the order of stores. */
void e1000_flush(struct nic *n)
{
	struct e1000 *d = (struct e1000 *)n;

	if (d->tx.rung == d->tx.next)
		return;
	d->tx.rung = d->tx.next;
	e1000_write(d, E1000_TDT, d->tx.next & MASK);
}

bool e1000_tx_done(const struct e1000_tx *q)
{
	const struct e1000_sent *s = &q->sent[q->clean & MASK];

	return q->clean != q->next &&
	       (__atomic_load_n(&q->desc[s->last].option, __ATOMIC_ACQUIRE) & TXD_DONE);
}

static void finish(struct e1000_tx *q)
{
	struct e1000_sent *s = &q->sent[q->clean & MASK];

	q->clean += ((s->last - q->clean) & MASK) + 1;
	if (s->bounce.v)
		page_put(s->bounce);
	s->t->done(s->t);
}

unsigned e1000_tx_complete(struct e1000 *d)
{
	unsigned done = 0;

	for (; e1000_tx_done(&d->tx); done++)
		finish(&d->tx);
	if (done)
		d->tx.progress_ns = time_ns();
	return done;
}

bool e1000_tx_hangs(struct e1000 *d)
{
	const struct e1000_tx *q = &d->tx;

	return q->clean != q->rung && time_ns() - q->progress_ns > E1000_HANG_NS;
}

void e1000_tx_drop(struct e1000 *d)
{
	struct e1000_tx *q = &d->tx;

	while (q->clean != q->next)
		finish(q);
	q->next = q->clean = q->rung = 0;
	memset(&q->context, 0, sizeof(q->context));
}
