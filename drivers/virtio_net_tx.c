/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-net send: the header says which checksum to fill in and at what size to
 * cut, the segments are the packet's own pages: nothing is copied here.
 * [virtio 1.2 5.1.6.2 "Packet Transmission"]
 */
#include <errno.h>

#include <tern/page.h>

#include "drivers/virtio_net.h"

_Static_assert(VNET_TX_SEGS <= VRING_MAX_SEGS, "a packet and its header fit one table");

int vnet_tx_init(struct vnet_pair *q)
{
	hpa_t a;
	int err = page_alloc(ORDER_4K, PAGE_ZERO, FRAME_NET, &a);

	_Static_assert(VNET_TX_RING * sizeof(struct vnet_hdr) <= PAGE_SIZE, "headers fit a page");
	if (!err)
		q->tx_hdr = hpa_ptr(a);
	return err;
}

static void fill_header(struct vnet_hdr *h, const struct nic_tx *t)
{
	*h = (struct vnet_hdr){ .gso_type = VNET_GSO_NONE };
	if (t->csum) {
		h->flags = VNET_HDR_NEEDS_CSUM;
		h->csum_start = t->csum_start;
		h->csum_offset = t->csum_offset;
	}
	if (t->gso_size) {
		h->gso_type = t->ipv6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4;
		h->gso_size = t->gso_size;
		h->hdr_len = t->hdr_len;
	}
}

int vnet_send(struct nic *n, struct nic_tx *t)
{
	struct vnet *d = (struct vnet *)n;
	struct vnet_pair *q = &d->pair[0];
	struct vnet_hdr *h = &q->tx_hdr[q->tx.free_head & (VNET_TX_RING - 1)];
	struct vring_seg seg[VNET_TX_SEGS];
	uint32_t bytes = 0;

	if (vring_full(&q->tx) || q->tx.nr_free < (q->tx.indirect ? 1u : t->nr_segs + 1u)) {
		n->tx_stalls++;
		return -EAGAIN;
	}
	fill_header(h, t);
	seg[0] = (struct vring_seg){ .addr = ptr_hpa(h), .len = sizeof(*h) };
	for (unsigned i = 0; i < t->nr_segs; i++) {
		seg[i + 1] = (struct vring_seg){ .addr = t->seg[i].addr, .len = t->seg[i].len };
		bytes += t->seg[i].len;
	}
	if (vring_add(&q->tx, seg, t->nr_segs + 1u, 0, t))
		return -EAGAIN;
	n->tx_packets++;
	n->tx_bytes += bytes;
	return 0;
}

void vnet_flush(struct nic *n)
{
	struct vnet *d = (struct vnet *)n;

	for (unsigned i = 0; i < d->nr_pairs; i++)
		vring_kick(&d->pair[i].tx);
}

unsigned vnet_tx_complete(struct vnet_pair *q)
{
	struct nic_tx *t;
	unsigned done = 0;
	uint32_t len;

	while ((t = vring_get(&q->tx, &len))) {
		t->done(t);
		done++;
	}
	return done;
}
