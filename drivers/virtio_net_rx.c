/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-net receive: buffers of whole pages, which the device merges to hold
 * frames of up to 64 KiB [virtio 1.2 5.1.6.4 "Processing of Incoming Packets"].
 * The net room reads a frame in place or takes its pages; what was taken is
 * replaced by new pages, everything else goes back to the ring.
 */
#include <tern/page.h>

#include "drivers/virtio_net.h"

static void give(struct vnet_pair *q, void *buf)
{
	struct vring_seg seg = { .addr = ptr_hpa(buf), .len = VNET_RX_BYTES };

	if (vring_add(&q->rx, &seg, 0, 1, buf))
		page_put(ptr_hpa(buf)); /* cannot happen: a buffer left the ring for it */
}

static bool give_new(struct vnet_pair *q)
{
	hpa_t a;

	if (page_alloc(VNET_RX_ORDER, 0, FRAME_NET, &a))
		return false;
	give(q, hpa_ptr(a));
	return true;
}

void vnet_rx_fill(struct vnet_pair *q)
{
	while (!vring_full(&q->rx) && give_new(q))
		;
	vring_kick(&q->rx);
}

/* Collects the frame's buffers into f and buf; false when the device broke the rules and all went
 * back. */
static bool collect(struct vnet_pair *q, void **buf, struct nic_rx *f, uint32_t len)
{
	const struct vnet_hdr *h = buf[0];
	unsigned want = h->num_buffers;
	uint32_t got = 0;

	f->len = 0;
	f->nr_segs = 0;
	f->csum_ok = (h->flags & (VNET_HDR_NEEDS_CSUM | VNET_HDR_DATA_VALID)) != 0;
	f->taken = false;
	for (;;) {
		unsigned skip = got ? 0 : (unsigned)sizeof(*h);

		len = MIN(len, VNET_RX_BYTES);
		if (got < NIC_MAX_SEGS && len > skip) {
			f->seg[f->nr_segs].addr = HPA(ptr_hpa(buf[got]).v + skip);
			f->seg[f->nr_segs++].len = len - skip;
			f->len += len - skip;
		}
		if (++got >= want)
			return f->nr_segs == got;
		buf[MIN(got, NIC_MAX_SEGS)] = vring_get(&q->rx, &len);
		if (!buf[MIN(got, NIC_MAX_SEGS)])
			return false;
		if (got >= NIC_MAX_SEGS) { /* longer than any frame: drop what is above */
			give(q, buf[NIC_MAX_SEGS]);
			buf[NIC_MAX_SEGS] = NULL;
		}
	}
}

static void recycle(struct vnet_pair *q, void **buf, bool taken)
{
	for (unsigned i = 0; i < NIC_MAX_SEGS && buf[i]; i++)
		if (!taken)
			give(q, buf[i]);
}

unsigned vnet_rx_poll(struct vnet_pair *q, unsigned budget)
{
	struct nic *n = &q->dev->nic;
	struct nic_rx f;
	unsigned done = 0;
	uint32_t len;

	while (done < budget) {
		void *buf[NIC_MAX_SEGS + 1] = { vring_get(&q->rx, &len) };

		if (!buf[0])
			break;
		done++;
		if (collect(q, buf, &f, len)) {
			n->rx_packets++;
			n->rx_bytes += f.len;
			n->rx(n, &f);
		} else {
			n->rx_dropped++;
			f.taken = false;
		}
		recycle(q, buf, f.taken);
	}
	vnet_rx_fill(q); /* what was taken, and what memory was short of before */
	return done;
}
