/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of the virtio-net driver. Each queue pair is complete in itself; the
 * net room's owner world drives all of them through struct nic.
 */
#ifndef DRIVERS_VIRTIO_NET_H
#define DRIVERS_VIRTIO_NET_H

#include <tern/nic.h>

#include "drivers/virtio_pci.h"
#include "drivers/virtio_ring.h"

#define VNET_MAX_PAIRS 4u
#define VNET_TX_RING 256u
#define VNET_RX_RING 1024u
#define VNET_TX_SEGS (NIC_MAX_SEGS + 1u) /* of a packet, with its header */
#define VNET_RX_ORDER 0u
#define VNET_RX_BYTES ((uint32_t)(PAGE_SIZE << VNET_RX_ORDER))

/* [virtio 1.2 5.1.6 "Device Operation"]: before every frame, both ways. */
struct vnet_hdr {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t num_buffers;
};
_Static_assert(sizeof(struct vnet_hdr) == 12, "virtio-net header");
#define VNET_HDR_NEEDS_CSUM 1u
#define VNET_HDR_DATA_VALID 2u
#define VNET_GSO_NONE 0u
#define VNET_GSO_TCPV4 1u
#define VNET_GSO_TCPV6 4u

struct vnet;

struct vnet_pair {
	struct vnet *dev;	 /* [const] */
	struct vring rx, tx;	 /* [own] net's owner world */
	struct vnet_hdr *tx_hdr; /* [own] by head descriptor */
};

struct vnet {
	struct nic nic; /* first: the net room's face */
	struct virtio_pci v;
	unsigned nr_pairs;	 /* [const] pairs in use */
	uint32_t config_changed; /* [atom] set by the interrupt */
	struct vnet_pair pair[VNET_MAX_PAIRS];
};

/* virtio_net_rx.c */
void vnet_rx_fill(struct vnet_pair *q);
/* Hands up to budget frames to the net room; returns how many. */
unsigned vnet_rx_poll(struct vnet_pair *q, unsigned budget);
/* virtio_net_tx.c */
MUST_CHECK int vnet_tx_init(struct vnet_pair *q);
MUST_CHECK int vnet_send(struct nic *n, struct nic_tx *t);
void vnet_flush(struct nic *n);
unsigned vnet_tx_complete(struct vnet_pair *q);

#endif
