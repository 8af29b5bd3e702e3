/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual switch as a guest's network device sees it: networks with names,
 * one port for each device, frames in host pages that change hands.
 *
 * In order of use: vport_open; then vframe_new, fill, vport_send while
 * vport_room says so; vport_recv until NULL; wake() is called, in any context
 * but an interrupt handler's, when frames or room came after there were none.
 * vport_mute at a stun, vport_announce after an arrival, vport_close.
 *
 * A frame belongs to whoever has the pointer. Nothing here waits but open and
 * close; what does not fit a queue is dropped and counted, as on a wire.
 */
#ifndef TERN_VSWITCH_H
#define TERN_VSWITCH_H

#include <tern/net.h>
#include <tern/nic.h>

#define NETWORK_NAME_MAX 16
#define VFRAME_MAX_BYTES (65535u + 14u) /* an Ethernet header and the largest IP packet */

/*
 * Bytes in pages of its own, one reference each; what a NIC would be asked to do
 * is in tx: csum means that the checksum is still to be filled in, gso_size that
 * the frame is to be cut. All headers lie in the first segment.
 */
struct vframe {
	struct nic_tx tx; /* first */
	uint32_t len;	  /* sum of the segments, at most VFRAME_MAX_BYTES */
	uint16_t pages;	  /* that the switch's pool counts for it */
	bool csum_ok;	  /* checked already, or never left this host */
	struct vframe *next;
};

/* A frame with room for len bytes, contents undefined; NULL without memory. */
struct vframe *vframe_new(uint32_t len);
void vframe_free(struct vframe *f);

/*
 * A walk over bytes [off, off + len) of a frame, as far as it has them: each step gives the
 * next run that lies together.
 */
struct vframe_walk {
	uint8_t *bytes; /* this step's */
	uint32_t len;
	const struct vframe *f;
	uint32_t seg, off, left; /* where the next step begins, and how much is to come */
};
struct vframe_walk vframe_walk(const struct vframe *f, uint32_t off, uint32_t len);
bool vframe_step(struct vframe_walk *w); /* false: that was all */

/* What a port's guest takes as it is; the rest is done for it in software. */
#define VPORT_CSUM 1u /* checksums not filled in */
#define VPORT_TSO4 2u /* uncut TCP over IPv4 */
#define VPORT_TSO6 4u

#define VPORT_ADDRS 8u

struct vport;
struct vport_stats {
	char network[NETWORK_NAME_MAX];
	char owner[64];
	uint8_t mac[6];
	bool muted;
	unsigned nr_addrs; /* seen in use, the newest first */
	struct net_addr addr[VPORT_ADDRS];
	uint64_t tx_frames, tx_bytes, tx_dropped; /* from the guest */
	uint64_t rx_frames, rx_bytes, rx_dropped; /* to the guest */
	uint64_t spoofed;			  /* of tx_dropped: another's source address */
};

/* Muted at first. -ENOENT: no such network; -EEXIST: the address is in use there; -ENOMEM;
 * -ENETDOWN. */
MUST_CHECK int vport_open(const char *network, const uint8_t mac[6], const char *owner,
			  void (*wake)(void *arg), void *arg, struct vport **out);
void vport_close(struct vport *p);
void vport_accepts(struct vport *p, unsigned flags);
bool vport_room(struct vport *p);
void vport_send(struct vport *p, struct vframe *f);
struct vframe *vport_recv(struct vport *p);
/* Muted: what comes for the guest is dropped; what it has sent still goes out. */
void vport_mute(struct vport *p, bool muted);
bool vport_sent_all(const struct vport *p); /* the switch has taken every frame */
/* Tells switches and neighbours where the guest is now, repeated with back-off. */
void vport_announce(struct vport *p);
/* Addresses that the guest was seen to use, the newest first: they move with it. */
unsigned vport_addrs(struct vport *p, struct net_addr out[VPORT_ADDRS]);
void vport_learn(struct vport *p, const struct net_addr *a);
unsigned vport_mtu(const struct vport *p);

bool vport_at(unsigned index, struct vport_stats *out);

struct network_info {
	char name[NETWORK_NAME_MAX];
	unsigned uplink; /* index of the interface: netN */
	unsigned vlan;	 /* 802.1Q tag on the uplink, 0 = none */
	unsigned ports;
};
bool network_at(unsigned index, struct network_info *out);

#endif
