/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames out of the guest (vnet.h): copied once, from guest memory into the
 * frame's pages, and given back to the guest at once. A frame that makes no sense is
 * dropped and counted; a ring that makes none stops the device.
 *
 * A few short frames are moved by the vCPU that tells of them: to wake the device's world
 * on another CPU costs more than to copy them, and the guest has them back at once, with
 * their interrupt, instead of being called for it later.
 */
#include <errno.h>

#include "kernel/lib/packet.h"
#include "vnet.h"

/* What Linux never goes below (tcp_min_snd_mss): a frame is cut into 1,400 at most, not 65,000. */
#define SEGMENT_MIN 48u

static bool describe_csum(const struct vnet_header *h, struct vframe *f)
{
	uint32_t end = (uint32_t)h->csum_start + h->csum_offset + 2u;

	if (h->csum_start < ETH_HLEN || end > f->len || end > f->tx.seg[0].len)
		return false;
	f->tx.csum = true;
	f->tx.csum_start = h->csum_start;
	f->tx.csum_offset = h->csum_offset;
	return true;
}

/* Lengths are the frame's own: hdr_len of the header is a hint [virtio 1.2 5.1.6.2]. */
static bool describe_gso(const struct vnet_header *h, uint64_t features, struct vframe *f)
{
	const uint8_t *b = hpa_ptr(f->tx.seg[0].addr);
	unsigned type = h->gso_type & ~VNET_GSO_ECN, hdr;
	bool ipv6 = type == VNET_GSO_TCPV6;

	if (type != VNET_GSO_TCPV4 && !ipv6)
		return false;
	if (!(features & (ipv6 ? VNET_F_HOST_TSO6 : VNET_F_HOST_TSO4)) || !f->tx.csum ||
	    f->tx.csum_offset != TCP_CSUM || h->gso_size < SEGMENT_MIN)
		return false;
	if (be16(b + ETH_TYPE) != (ipv6 ? ETH_IPV6 : ETH_IPV4) ||
	    f->tx.csum_start + TCP_HEADER_MIN > f->tx.seg[0].len)
		return false;
	hdr = f->tx.csum_start + tcp_header_len(b + f->tx.csum_start);
	if (hdr < f->tx.csum_start + TCP_HEADER_MIN || hdr > HEADERS_MAX ||
	    hdr > f->tx.seg[0].len || hdr >= f->len)
		return false;
	f->tx.hdr_len = (uint16_t)hdr;
	f->tx.gso_size = h->gso_size;
	f->tx.ipv6 = ipv6;
	return true;
}

bool vnet_describe(const struct vnet_header *h, uint64_t features, struct vframe *f)
{
	if (f->len < ETH_HLEN || f->tx.seg[0].len < ETH_HLEN)
		return false;
	if (h->flags & VNET_HDR_NEEDS_CSUM) {
		if (!(features & VNET_F_CSUM) || !describe_csum(h, f))
			return false;
	}
	return h->gso_type == VNET_GSO_NONE || describe_gso(h, features, f);
}

static int copy_out(struct vnet_dev *n, struct vframe *f)
{
	struct vframe_walk w = vframe_walk(f, 0, f->len);
	uint64_t at = sizeof(struct vnet_header);

	while (vframe_step(&w)) {
		int rc = virtq_get(&n->v.chain, n->v.d.vm->mem, at, w.bytes, w.len);

		if (rc)
			return rc;
		at += w.len;
	}
	return 0;
}

/* Frame bytes of the chain; NULL: lost, and counted. */
static struct vframe *frame_for(struct vnet_dev *n, uint64_t len)
{
	struct vframe *f = len > VFRAME_MAX_BYTES ? NULL : vframe_new((uint32_t)len);

	if (!f)
		vport_count(n->port,
			    len > VFRAME_MAX_BYTES ? VPORT_TX_MALFORMED : VPORT_TX_NO_MEMORY, 1);
	return f;
}

/* The chain just popped, as a frame into the switch. */
static int send_one(struct vnet_dev *n, unsigned pair)
{
	struct virtq_chain *c = &n->v.chain;
	struct vnet_header h;
	struct vframe *f;
	int rc;

	if (c->out_len < sizeof(h))
		return -EPROTO;
	rc = virtq_get(c, n->v.d.vm->mem, 0, &h, sizeof(h));
	f = rc ? NULL : frame_for(n, c->out_len - sizeof(h));
	if (!f)
		return rc;
	rc = copy_out(n, f);
	vport_count(n->port, VPORT_COPIED_BYTES, f->len);
	if (!rc && vnet_describe(&h, n->v.features, f)) {
		vport_send(n->port, pair, f);
		return 0;
	}
	if (!rc)
		vport_count(n->port, VPORT_TX_MALFORMED, 1);
	vframe_free(f);
	return rc;
}

/* Up to max frames of up to longest bytes; how many, or the guest's error. *empty: the ring is. */
static int move(struct vnet_dev *n, unsigned pair, unsigned max, uint64_t longest, bool *empty)
{
	struct virtq *q = &n->v.q[VNET_TX(pair)];
	unsigned done = 0;
	int rc = 0;

	while (done < max && vport_room(n->port)) {
		rc = vnet_next_chain(n, q);
		*empty = rc == 0;
		if (rc <= 0)
			break;
		if (n->v.chain.out_len > longest) {
			virtq_unpop(q, 1);
			break;
		}
		rc = send_one(n, pair);
		if (!rc)
			rc = virtq_push(q, n->v.d.vm->mem, &n->v.chain, 0);
		if (rc)
			break;
		done++;
	}
	return rc < 0 ? rc : (int)done;
}

static int signalled(struct vnet_dev *n, unsigned pair, int done)
{
	int rc = done < 0 ? done : virtio_signal(&n->v, VNET_TX(pair));

	return rc < 0 ? rc : done;
}

int vnet_transmit(struct vnet_dev *n, unsigned pair)
{
	bool empty;

	return signalled(n, pair, move(n, pair, VNET_BURST, UINT64_MAX, &empty));
}

int vnet_transmit_few(struct vnet_dev *n, unsigned pair)
{
	bool empty = false;
	int rc;

	world_wakes_here(true); /* the owner, whose priority is higher: it runs here next */
	rc = move(n, pair, VNET_FEW, VNET_FEW_BYTES, &empty);
	world_wakes_here(false);
	rc = signalled(n, pair, rc);
	return rc < 0 ? rc : empty;
}
