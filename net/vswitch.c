/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual switch: who gets a frame. A network is an uplink, with or without a
 * VLAN tag, and the ports of guests on it; the host's own interface of that uplink
 * is a port of its untagged network. Addresses come from the configuration, nothing is
 * learned and no NIC is asked for more than its guests' addresses.
 *
 *   from a guest   to its own port's network: another guest, the host, else the uplink
 *   from the NIC   by tag and address: a guest, else the host
 *   from the host  a guest on the untagged network, else the uplink
 *
 * Groups go to all of these, each with a copy. All of it runs in the owner world.
 */
#include <errno.h>
#include <string.h>

#include "net/headers.h"
#include "net/vswitch_int.h"

#define BURST 64u /* frames of one port in a turn */

static bool same_mac(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, MAC_LEN) == 0;
}

struct vport *network_port(const struct network *n, const uint8_t *mac)
{
	struct vport *p = n->ports;

	while (p && (vport_muted(p) || !same_mac(p->mac, mac)))
		p = p->next;
	return p;
}

/* ---- to the host and to the uplink ---- */

static bool for_host(const struct network *n, const uint8_t *dst)
{
	return !n->vlan && ((dst[0] & 1) || same_mac(dst, n->uplink->nic->mac));
}

static void to_host(struct network *n, const struct vframe *f)
{
	struct nic_rx r = { .nr_segs = f->tx.nr_segs, .len = f->len, .csum_ok = true };

	for (unsigned i = 0; i < f->tx.nr_segs; i++) {
		r.seg[i] = f->tx.seg[i];
		page_get(HPA(r.seg[i].addr.v & ~PAGE_MASK));
	}
	net_rx_host(n->uplink, &r);
	for (unsigned i = 0; i < r.nr_segs && !r.taken; i++)
		page_put(HPA(r.seg[i].addr.v & ~PAGE_MASK));
}

static void put_tag(struct vframe *f, unsigned vlan)
{
	struct nic_seg *s = &f->tx.seg[0];
	uint8_t *b = hpa_ptr(s->addr), *at = b - VLAN_LEN;

	memmove(at, b, 2 * MAC_LEN);
	put_be16(at + ETH_TYPE, ETH_VLAN);
	put_be16(at + ETH_TYPE + 2, vlan);
	s->addr.v -= VLAN_LEN;
	s->len += VLAN_LEN;
	f->len += VLAN_LEN;
	f->tx.csum_start = (uint16_t)(f->tx.csum_start + VLAN_LEN);
}

static bool nic_cuts(const struct nic *nic, const struct vframe *f)
{
	return nic->caps & (f->tx.ipv6 ? NIC_CAP_TSO6 : NIC_CAP_TSO4);
}

/* One frame that the NIC can take; -EAGAIN: its ring is full, f is still the caller's. */
static int send_one(struct vport *from, struct vframe *f)
{
	struct nic *nic = from->net->uplink->nic;

	if (!(nic->caps & NIC_CAP_TX_CSUM) && csum_fill(f))
		vport_count(from, VPORT_SUMMED, 1);
	return nic->ops->send(nic, &f->tx);
}

static struct vframe *cut(struct vport *from, struct vframe *f)
{
	vport_count(from, VPORT_CUT_FRAMES, 1);
	vport_count(from, VPORT_COPIED_BYTES, f->len);
	return gso_cut(f);
}

/* 0, or -EAGAIN: not now, f is as it was. Of what was cut or tagged the rest is lost, as on a wire.
 */
static int to_uplink(struct vport *from, struct vframe *f)
{
	struct network *n = from->net;
	struct vframe *next;

	if (!n->vlan && (!f->tx.gso_size || nic_cuts(n->uplink->nic, f)))
		return send_one(from, f);
	if (f->tx.gso_size)
		f = cut(from, f);
	else
		f->next = NULL;
	for (; f; f = next) {
		next = f->next;
		if (n->vlan)
			put_tag(f, n->vlan);
		if (send_one(from, f))
			vframe_free(f);
	}
	return 0;
}

/* ---- from a guest ---- */

/* Why it may not go; VPORT_COUNTERS: it may. */
static enum vport_counter refusal(struct vport *p, const struct vframe *f)
{
	uint32_t type;

	if (f->tx.seg[0].len < ETH_HLEN || (!f->tx.gso_size && f->len > vport_mtu(p) + ETH_HLEN))
		return VPORT_TX_MALFORMED;
	type = be16(vframe_head(f) + ETH_TYPE);
	if (type == ETH_VLAN || type == ETH_SERVICE_VLAN)
		return VPORT_TX_TAGGED;
	if (!p->rules.any_source && !same_mac(vframe_head(f) + MAC_LEN, p->mac))
		return VPORT_TX_SPOOFED;
	return VPORT_COUNTERS;
}

void vswitch_flood(struct vport *from, struct vframe *f)
{
	network_flood(from->net, &f->tx, true, from);
	if (for_host(from->net, vframe_head(f)))
		to_host(from->net, f);
	if (to_uplink(from, f))
		vframe_free(f);
}

/* Sends f on its way; -EAGAIN: not now. */
static int forward(struct vport *from, struct vframe *f)
{
	struct network *n = from->net;
	const uint8_t *dst = vframe_head(f);
	struct vport *to;

	announce_snoop(from, f);
	vport_note_flow(from, f);
	if (dst[0] & 1) {
		vswitch_flood(from, f);
		return 0;
	}
	to = network_port(n, dst);
	if (to) {
		f->csum_ok = true;
		vport_deliver(to, f);
		return 0;
	}
	if (!for_host(n, dst))
		return to_uplink(from, f);
	to_host(n, f);
	vframe_free(f);
	return 0;
}

static void sent(struct vport *p, unsigned queue, uint32_t len)
{
	rate_sent(p, len);
	vport_count(p, VPORT_TX_FRAMES, 1);
	vport_count(p, VPORT_TX_BYTES, len);
	p->tx_passed[queue]++;
}

static unsigned run_port(struct vport *p)
{
	unsigned done = rate_run(p);
	struct vframe *f;

	while (done < BURST && rate_may_send(p) && (f = vport_take_tx(p))) {
		enum vport_counter why = refusal(p, f);
		unsigned queue = f->queue;
		uint32_t len = f->len;

		if (why != VPORT_COUNTERS) {
			vport_count(p, why, 1);
			vframe_free(f);
		} else if (forward(p, f)) { /* the ring's completions bring us here again */
			vport_untake_tx(p, f);
			break;
		} else {
			sent(p, queue, len);
		}
		done++;
	}
	return done;
}

unsigned vswitch_run(void)
{
	unsigned done = 0;

	for (struct network *n = NULL; (n = network_next(n));)
		for (struct vport *p = n->ports; p; p = p->next)
			done += run_port(p);
	return done;
}

/* ---- from the NIC, from the host ---- */

/* The NIC's frame as ours, its pages with it; without its tag. */
static struct vframe *take_nic_frame(struct nic_rx *f, bool tagged)
{
	struct vframe *v = vframe_empty(f->nr_segs);

	if (!v)
		return NULL;
	v->tx.nr_segs = f->nr_segs;
	memcpy(v->tx.seg, f->seg, f->nr_segs * sizeof(f->seg[0]));
	v->len = f->len;
	v->csum_ok = f->csum_ok;
	f->taken = true;
	if (tagged) {
		uint8_t *b = hpa_ptr(v->tx.seg[0].addr);

		memmove(b + VLAN_LEN, b, 2 * MAC_LEN);
		v->tx.seg[0].addr.v += VLAN_LEN;
		v->tx.seg[0].len -= VLAN_LEN;
		v->len -= VLAN_LEN;
	}
	return v;
}

static void flood_nic_frame(struct network *n, const struct nic_rx *f)
{
	struct nic_tx t = { .nr_segs = f->nr_segs };

	memcpy(t.seg, f->seg, f->nr_segs * sizeof(f->seg[0]));
	network_flood(n, &t, f->csum_ok, NULL);
}

bool vswitch_from_nic(struct net_if *i, struct nic_rx *f)
{
	const uint8_t *frame = hpa_ptr(f->seg[0].addr);
	bool tagged = be16(frame + ETH_TYPE) == ETH_VLAN && f->seg[0].len > ETH_HLEN + VLAN_LEN;
	unsigned vlan = tagged ? be16(frame + ETH_TYPE + 2) & 0xfffu : 0;
	struct network *n = network_with_ports(i, vlan);
	struct vport *p;
	struct vframe *v;

	if (!n)
		return false;
	if (frame[0] & 1) {
		if (!tagged) {
			flood_nic_frame(n, f);
			return false;
		}
		v = take_nic_frame(f, true);
		if (v) {
			network_flood(n, &v->tx, v->csum_ok, NULL);
			vframe_free(v);
		}
		return true;
	}
	p = network_port(n, frame);
	if (!p)
		return false;
	v = take_nic_frame(f, tagged);
	if (v)
		vport_deliver(p, v);
	else
		vport_count(p, VPORT_RX_NO_MEMORY, 1);
	return true;
}

bool vswitch_from_host(struct net_if *i, const struct nic_tx *t)
{
	const uint8_t *frame = hpa_ptr(t->seg[0].addr);
	struct network *n = network_with_ports(i, 0);
	struct vport *p;

	if (!n)
		return false;
	if (frame[0] & 1) {
		network_flood(n, t, true, NULL);
		return false;
	}
	p = network_port(n, frame);
	if (!p)
		return false;
	vport_deliver_copy(p, t, true);
	return true;
}
