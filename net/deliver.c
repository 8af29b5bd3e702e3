/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A frame on its last step into a guest's queue: what the guest's driver does not take
 * as it is (uncut TCP, checksums left open) is done for it here. All of it runs in the
 * owner world.
 */
#include "net/headers.h"
#include "net/vswitch_int.h"

/* What came large from the wire is described as if it had been sent so. */
static bool describe_large(struct vport *p, struct vframe *f)
{
	uint32_t mtu = vport_mtu(p);
	struct l4 l;

	if (f->tx.gso_size || f->len <= mtu + ETH_HLEN)
		return true;
	if (!l4_find(vframe_head(f), f->tx.seg[0].len, &l) || l.proto != PROTO_TCP ||
	    l.hdr_len - ETH_HLEN >= mtu)
		return false;
	l4_put_pseudo(vframe_head(f), &l, f->len);
	f->tx.csum = true;
	f->tx.csum_start = l.start;
	f->tx.csum_offset = l.csum_offset;
	f->tx.ipv6 = l.ipv6;
	f->tx.hdr_len = l.hdr_len;
	f->tx.gso_size = (uint16_t)(mtu - (l.hdr_len - ETH_HLEN));
	return true;
}

/* For a guest that takes no large frames. What no memory is found for is lost, as on a wire. */
static void deliver_cut(struct vport *p, struct vframe *f)
{
	uint32_t len = f->len;

	f = gso_cut(f);
	vport_count(p, VPORT_CUT_FRAMES, 1);
	vport_count(p, VPORT_COPIED_BYTES, len);
	while (f) {
		struct vframe *next = f->next;

		rate_give(p, f);
		f = next;
	}
}

void vport_deliver(struct vport *p, struct vframe *f)
{
	unsigned takes = __atomic_load_n(&p->accepts, __ATOMIC_ACQUIRE);

	if (!describe_large(p, f)) {
		vport_drop_rx(p, VPORT_RX_TOO_LARGE, f);
		return;
	}
	if (f->tx.gso_size && !(takes & (f->tx.ipv6 ? VPORT_TSO6 : VPORT_TSO4))) {
		deliver_cut(p, f);
		return;
	}
	if (!(takes & VPORT_CSUM) && csum_settle(f))
		vport_count(p, VPORT_SUMMED, 1);
	rate_give(p, f);
}

void vport_deliver_copy(struct vport *p, const struct nic_tx *t, bool csum_ok)
{
	struct vframe *copy = vframe_copy_of(t);

	if (!copy) {
		vport_count(p, VPORT_RX_NO_MEMORY, 1);
		return;
	}
	vport_count(p, VPORT_COPIED_BYTES, copy->len);
	copy->csum_ok = csum_ok;
	vport_deliver(p, copy);
}

void network_flood(struct network *n, const struct nic_tx *t, bool csum_ok, const struct vport *but)
{
	for (struct vport *p = n->ports; p; p = p->next)
		if (p != but)
			vport_deliver_copy(p, t, csum_ok);
}
