/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of a guest's network device travels (vnet.h): the transport's record, and the
 * addresses that the guest was seen to use, for the next host to announce.
 */
#include <errno.h>
#include <string.h>

#include "vnet.h"

#define VNET_REC_VERSION 2
#define FLAG_ANY_SOURCE 1u

/* What is known of a device; version 1 had the addresses only. */
struct vnet_image {
	unsigned nr_addrs;
	struct net_addr addr[VPORT_ADDRS];
	bool more; /* what follows */
	struct vport_rules rules;
	unsigned pairs;
	uint8_t mac[6];
};

/*
 * REC_VNET version 2, instance = PCI slot; REC_VIRTIO goes before it:
 *   0  u32  addresses, at most VPORT_ADDRS; in version 1 u32 zero and then the addresses
 *   4  u32  rate in Mbit/s, 0 = none
 *   8  u16  bit 0: frames from other addresses than its own pass; u16 queue pairs in use
 *  12  its address, 6 bytes; 6 bytes zero
 *  24  each, 24 bytes: u32 family, 4 or 6; 16 bytes address; u32 zero
 */
void vnet_save(struct vdev *d, struct rec_writer *w)
{
	struct vnet_dev *dev = vnet_of(d);
	struct net_addr a[VPORT_ADDRS];
	struct vport_rules rules = { 0 };
	unsigned n = vport_addrs(dev->port, a);

	virtio_save(d, w);
	vport_get_rules(dev->port, &rules);
	rec_begin(w, REC_VNET, VNET_REC_VERSION, 0, d->instance);
	rec_u32(w, n);
	rec_u32(w, rules.rate_mbit);
	rec_u16(w, rules.any_source ? FLAG_ANY_SOURCE : 0);
	rec_u16(w, (uint16_t)dev->pairs);
	rec_bytes(w, dev->config.mac, sizeof(dev->config.mac));
	rec_u16(w, 0);
	rec_u32(w, 0);
	while (n-- > 0) { /* the oldest first: learned in this order */
		rec_u32(w, a[n].family);
		rec_bytes(w, a[n].ip, sizeof(a[n].ip));
		rec_u32(w, 0);
	}
	rec_end(w);
}

static bool one_station(const uint8_t mac[6])
{
	static const uint8_t none[6];

	return !(mac[0] & 1) && memcmp(mac, none, sizeof(none));
}

/* From where version 2 has more. */
static bool parse_more(const struct vnet_dev *dev, struct rec_reader *r, struct vnet_image *m)
{
	uint16_t flags;

	m->rules.rate_mbit = rec_get_u32(r);
	if (r->head.version == 1)
		return m->rules.rate_mbit == 0;
	m->more = true;
	flags = rec_get_u16(r);
	m->rules.any_source = flags & FLAG_ANY_SOURCE;
	m->pairs = rec_get_u16(r);
	rec_get_bytes(r, m->mac, sizeof(m->mac));
	return !rec_get_u16(r) && !rec_get_u32(r) && !(flags & ~FLAG_ANY_SOURCE) &&
	       one_station(m->mac) && m->rules.rate_mbit <= VPORT_RATE_MAX && m->pairs &&
	       m->pairs <= dev->config.max_pairs;
}

static int parse(const struct vnet_dev *dev, struct rec_reader *r, struct vnet_image *m)
{
	memset(m, 0, sizeof(*m));
	if (r->head.type != REC_VNET || !r->head.version || r->head.version > VNET_REC_VERSION)
		return -EBADMSG;
	m->nr_addrs = rec_get_u32(r);
	if (!parse_more(dev, r, m) || m->nr_addrs > VPORT_ADDRS)
		return -EBADMSG;
	for (unsigned i = 0; i < m->nr_addrs; i++) {
		uint32_t family = rec_get_u32(r);

		rec_get_bytes(r, m->addr[i].ip, sizeof(m->addr[i].ip));
		if ((family != 4 && family != 6) || rec_get_u32(r))
			return -EBADMSG;
		m->addr[i].family = (uint8_t)family;
	}
	return rec_done(r);
}

int vnet_check(struct vdev *d, struct rec_reader *r)
{
	struct vnet_image m;

	return r->head.type == REC_VIRTIO ? virtio_check(d, r) : parse(vnet_of(d), r, &m);
}

static int load_transport(struct vnet_dev *n, struct rec_reader *r)
{
	int rc = virtio_load(&n->v.d, r);

	if (rc)
		return rc;
	vnet_tell_port(n);
	vnet_use_pairs(n, 1); /* its own record says how many, if there is one */
	return 0;
}

static int load_more(struct vnet_dev *n, const struct vnet_image *m)
{
	vport_set_rules(n->port, &m->rules);
	vnet_use_pairs(n, n->v.features & VNET_F_MQ ? m->pairs : 1);
	return vnet_set_mac(n, m->mac, false);
}

int vnet_load(struct vdev *d, struct rec_reader *r)
{
	struct vnet_dev *n = vnet_of(d);
	struct vnet_image m;
	int rc;

	if (r->head.type == REC_VIRTIO)
		return load_transport(n, r);
	rc = parse(n, r, &m);
	if (!rc && m.more)
		rc = load_more(n, &m);
	for (unsigned i = 0; !rc && i < m.nr_addrs; i++)
		vport_learn(n->port, &m.addr[i]);
	return rc;
}
