/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of a guest's network device travels (vnet.h): the transport's record, and the
 * addresses that the guest was seen to use, for the next host to announce.
 */
#include <errno.h>
#include <string.h>

#include "vnet.h"

#define VNET_REC_VERSION 1

/*
 * REC_VNET version 1, optional, instance = PCI slot; REC_VIRTIO goes before it:
 *   0  u32  addresses, at most VPORT_ADDRS; u32 zero
 *   8  each, 24 bytes: u32 family, 4 or 6; 16 bytes address; u32 zero
 */
void vnet_save(struct vdev *d, struct rec_writer *w)
{
	struct net_addr a[VPORT_ADDRS];
	unsigned n = vport_addrs(vnet_of(d)->port, a);

	virtio_save(d, w);
	rec_begin(w, REC_VNET, VNET_REC_VERSION, REC_OPTIONAL, d->instance);
	rec_u32(w, n);
	rec_u32(w, 0);
	while (n-- > 0) { /* the oldest first: learned in this order */
		rec_u32(w, a[n].family);
		rec_bytes(w, a[n].ip, sizeof(a[n].ip));
		rec_u32(w, 0);
	}
	rec_end(w);
}

static int parse_addrs(struct rec_reader *r, struct net_addr a[VPORT_ADDRS], unsigned *count)
{
	*count = rec_get_u32(r);
	if (r->head.version != VNET_REC_VERSION || rec_get_u32(r) || *count > VPORT_ADDRS)
		return -EBADMSG;
	memset(a, 0, VPORT_ADDRS * sizeof(*a));
	for (unsigned i = 0; i < *count; i++) {
		uint32_t family = rec_get_u32(r);

		rec_get_bytes(r, a[i].ip, sizeof(a[i].ip));
		if ((family != 4 && family != 6) || rec_get_u32(r))
			return -EBADMSG;
		a[i].family = (uint8_t)family;
	}
	return rec_done(r);
}

int vnet_check(struct vdev *d, struct rec_reader *r)
{
	struct net_addr a[VPORT_ADDRS];
	unsigned n;

	if (r->head.type == REC_VIRTIO)
		return virtio_check(d, r);
	return r->head.type == REC_VNET ? parse_addrs(r, a, &n) : -EBADMSG;
}

int vnet_load(struct vdev *d, struct rec_reader *r)
{
	struct net_addr a[VPORT_ADDRS];
	unsigned n;
	int rc;

	if (r->head.type == REC_VIRTIO)
		return virtio_load(d, r);
	rc = r->head.type == REC_VNET ? parse_addrs(r, a, &n) : -EBADMSG;
	for (unsigned i = 0; !rc && i < n; i++)
		vport_learn(vnet_of(d)->port, &a[i]);
	return rc;
}
