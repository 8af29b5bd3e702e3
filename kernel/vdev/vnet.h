/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-net: a guest's network device on a port of the virtual switch. A world of
 * its own moves frames, of each pair of queues in turn, so that neither a vCPU nor the
 * network's owner waits for guest memory: vnet_tx.c out of the guest, vnet_rx.c into
 * it, vnet_ctrl.c what the driver commands, vnet_state.c what travels, vnet.c the rest.
 *
 * Locks: the device's mutex is held around each burst; the port's queues have
 * their own. [virtio 1.2 5.1 "Network Device"]
 */
#ifndef KERNEL_VDEV_VNET_H
#define KERNEL_VDEV_VNET_H

#include <tern/vswitch.h>

#include "virtio.h"

/* Queues: receive and transmit of each pair, then control, if the driver knows of it. */
#define VNET_RX(pair) (2u * (pair))
#define VNET_TX(pair) (2u * (pair) + 1u)
#define VNET_QUEUES (2u * VPORT_QUEUES_MAX + 1u)
#define VNET_FEW 4u /* frames that a vCPU moves itself, of so many bytes at most */
#define VNET_FEW_BYTES 2048u
#define VNET_BURST 64u /* frames in each direction between two looks at everything else */

#define VNET_F_CSUM BIT(0)
#define VNET_F_GUEST_CSUM BIT(1)
#define VNET_F_MTU BIT(3)
#define VNET_F_MAC BIT(5)
#define VNET_F_GUEST_TSO4 BIT(7)
#define VNET_F_GUEST_TSO6 BIT(8)
#define VNET_F_HOST_TSO4 BIT(11)
#define VNET_F_HOST_TSO6 BIT(12)
#define VNET_F_MRG_RXBUF BIT(15)
#define VNET_F_STATUS BIT(16)
#define VNET_F_CTRL_VQ BIT(17)
#define VNET_F_CTRL_RX BIT(18)
#define VNET_F_MQ BIT(22)
#define VNET_F_CTRL_MAC_ADDR BIT(23)
#define VNET_F_CONTROL (VNET_F_CTRL_VQ | VNET_F_CTRL_RX | VNET_F_CTRL_MAC_ADDR)

/* [virtio 1.2 5.1.6 "Device Operation"] */
struct vnet_header {
	uint8_t flags;	      /* 0 */
	uint8_t gso_type;     /* 1 */
	uint16_t hdr_len;     /* 2 */
	uint16_t gso_size;    /* 4 */
	uint16_t csum_start;  /* 6 */
	uint16_t csum_offset; /* 8 */
	uint16_t num_buffers; /* 10 */
};
_Static_assert(sizeof(struct vnet_header) == 12, "virtio-net header");

#define VNET_HDR_NEEDS_CSUM 1u
#define VNET_HDR_DATA_VALID 2u
#define VNET_GSO_NONE 0u
#define VNET_GSO_TCPV4 1u
#define VNET_GSO_TCPV6 4u
#define VNET_GSO_ECN 0x80u

/* [virtio 1.2 5.1.4 "Device configuration layout"] */
struct vnet_config {
	uint8_t mac[6];	    /* 0 */
	uint16_t status;    /* 6 */
	uint16_t max_pairs; /* 8 */
	uint16_t mtu;	    /* 10 */
};
_Static_assert(sizeof(struct vnet_config) == 12, "virtio-net configuration");

struct vnet_dev {
	struct virtio v;
	struct vnet_config config; /* [v.d.lock] */
	struct vport *port;	   /* [const] */
	struct world *world;	   /* [const] */
	struct event ev;	   /* something to do */
	uint32_t ending;	   /* [atom] */
	bool live;		   /* [v.d.lock] may touch the guest's memory */
	unsigned pairs;		   /* [v.d.lock] in use */
	uint8_t first_mac[6];	   /* [const] as configured */
	/* [v.d.lock] For the guest, by pair, which had no buffer for it. */
	struct vframe *held[VPORT_QUEUES_MAX];
	struct virtq_chain first; /* [v.d.lock] where the frame's header goes */
};

MUST_CHECK int vnet_create(struct vm *vm, struct pci_bus *bus, unsigned slot,
			   const struct vm_nic *nic);

static inline struct vnet_dev *vnet_of(struct vdev *d)
{
	return container_of(container_of(d, struct virtio, d), struct vnet_dev, v);
}

/* vnet.c; the device's mutex is held. Which features the driver has accepted, as the switch says
 * it. */
void vnet_tell_port(struct vnet_dev *n);
/* So many pairs are in use. */
void vnet_use_pairs(struct vnet_dev *n, unsigned pairs);
/* The address: by the driver's wish, or as it was on another host. -EPERM, -EEXIST, -EINVAL. */
MUST_CHECK int vnet_set_mac(struct vnet_dev *n, const uint8_t mac[6], bool by_guest);

/* vnet_ctrl.c: is this the control queue? */
bool vnet_is_control(const struct vnet_dev *n, unsigned queue);
/* One command, for virtio_drain. */
int64_t vnet_control(struct virtio *v, struct virtq_chain *c);

/* vnet_state.c: of vdev_ops. */
void vnet_save(struct vdev *d, struct rec_writer *w);
int vnet_check(struct vdev *d, struct rec_reader *r);
int vnet_load(struct vdev *d, struct rec_reader *r);

/* Moves up to VNET_BURST frames of a pair; how many, or the guest's error. The device's mutex is
 * held. */
MUST_CHECK int vnet_transmit(struct vnet_dev *n, unsigned pair);
/* The vCPU's: 1 when the ring is empty, 0 when the device's world has to go on, or the error. */
MUST_CHECK int vnet_transmit_few(struct vnet_dev *n, unsigned pair);
MUST_CHECK int vnet_receive(struct vnet_dev *n, unsigned pair);
/* The next chain, to n->v.chain: 1, 0 when there is none and the driver will notify, or -E. */
MUST_CHECK int vnet_next_chain(struct vnet_dev *n, struct virtq *q);

/* vnet_tx.c, pure: what the guest's header asks, into f; false: nonsense. */
bool vnet_describe(const struct vnet_header *h, uint64_t features, struct vframe *f);

#endif
