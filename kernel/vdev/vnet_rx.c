/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames into the guest (vnet.h): one copy, into as many of its buffers as the frame
 * takes when they are mergeable. The buffers are shown to the driver together, after
 * the header that counts them; when there are too few the frame waits for more.
 */
#include <errno.h>
#include <string.h>

#include "vnet.h"

#define BUFFERS_MAX 64u /* of one frame */

static void fill_header(const struct vframe *f, struct vnet_header *h)
{
	memset(h, 0, sizeof(*h));
	h->num_buffers = 1;
	if (f->tx.csum) {
		h->flags = VNET_HDR_NEEDS_CSUM;
		h->csum_start = f->tx.csum_start;
		h->csum_offset = f->tx.csum_offset;
	} else if (f->csum_ok) {
		h->flags = VNET_HDR_DATA_VALID;
	}
	if (f->tx.gso_size) {
		h->gso_type = f->tx.ipv6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4;
		h->gso_size = f->tx.gso_size;
		h->hdr_len = f->tx.hdr_len;
	}
}

/* Frame bytes [from, from + len) to offset off of the chain. */
static int put_bytes(struct vnet_dev *n, const struct vframe *f, uint32_t from, uint64_t off,
		     uint32_t len)
{
	struct vframe_walk w = vframe_walk(f, from, len);

	while (vframe_step(&w)) {
		int rc = virtq_put(&n->v.chain, n->v.d.vm->mem, off, w.bytes, w.len);

		if (rc)
			return rc;
		off += w.len;
	}
	return 0;
}

int vnet_next_chain(struct vnet_dev *n, struct virtq *q)
{
	struct gmem *g = n->v.d.vm->mem;
	int rc = virtq_pop(q, g, &n->v.chain);

	if (rc == 0 && virtq_arm(q, g) == 1)
		rc = virtq_pop(q, g, &n->v.chain);
	return rc;
}

/* May the driver still add a chain like the last one, with so many descriptors in hand already? */
static bool more_may_come(const struct vnet_dev *n, const struct virtq *q, uint32_t descs)
{
	return descs + n->v.chain.nr_descs <= q->size;
}

/* Puts one frame's bytes into chains; how many these are, 0 when there are too few, -EMSGSIZE when
 * all that the ring can hold are too small for it, or the driver's error. */
static int put_frame(struct vnet_dev *n, struct virtq *q, const struct vframe *f)
{
	struct gmem *g = n->v.d.vm->mem;
	bool merge = n->v.features & VNET_F_MRG_RXBUF;
	uint32_t at = 0, descs = 0;
	uint16_t k = 0;

	do {
		uint32_t skip = k ? 0 : (uint32_t)sizeof(struct vnet_header), part;
		int rc = vnet_next_chain(n, q);

		if (rc == 0)
			virtq_unpop(q, k);
		if (rc == 0 && k && !more_may_come(n, q, descs))
			return -EMSGSIZE;
		if (rc <= 0)
			return rc;
		descs += n->v.chain.nr_descs;
		if (n->v.chain.in_len <= skip)
			return -EPROTO;
		part = (uint32_t)MIN(n->v.chain.in_len - skip, (uint64_t)(f->len - at));
		if (!k)
			n->first = n->v.chain;
		rc = put_bytes(n, f, at, skip, part);
		if (!rc)
			rc = virtq_push_at(q, g, n->v.chain.head, part + skip, k);
		if (rc)
			return rc;
		at += part;
		k++;
	} while (at < f->len && merge && k < BUFFERS_MAX);
	if (at == f->len)
		return k;
	virtq_unpop(q, k);
	return -EMSGSIZE;
}

static int receive_one(struct vnet_dev *n, struct virtq *q, const struct vframe *f)
{
	struct gmem *g = n->v.d.vm->mem;
	struct vnet_header h;
	int count = put_frame(n, q, f), rc;

	if (count <= 0)
		return count;
	fill_header(f, &h);
	h.num_buffers = (uint16_t)count;
	rc = virtq_put(&n->first, g, 0, &h, sizeof(h));
	if (!rc)
		rc = virtq_publish(q, g, (uint16_t)count);
	vport_count(n->port, VPORT_COPIED_BYTES, f->len);
	return rc ? rc : count;
}

int vnet_receive(struct vnet_dev *n, unsigned pair)
{
	struct virtq *q = &n->v.q[VNET_RX(pair)];
	struct vframe **held = &n->held[pair];
	unsigned done = 0;
	int rc = 1;

	while (done < VNET_BURST && rc > 0) {
		if (!*held)
			*held = vport_recv(n->port, pair);
		if (!*held)
			break;
		rc = receive_one(n, q, *held);
		if (rc == 0)
			break; /* the guest will tell when it has buffers */
		if (rc == -EMSGSIZE) {
			vport_count(n->port, VPORT_RX_TOO_LARGE, 1);
			rc = 1;
		}
		vframe_free(*held);
		*held = NULL;
		done++;
	}
	if (rc >= 0)
		rc = virtio_signal(&n->v, VNET_RX(pair));
	return rc < 0 ? rc : (int)done;
}
