/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual switch as a guest's network device sees it: networks with names,
 * one port for each device, frames in host pages that change hands.
 *
 * In order of use: vport_open; then vframe_new, fill, vport_send while
 * vport_room says so; vport_recv of each queue until NULL; wake() is called, in any context
 * but an interrupt handler's, when frames or room came after there were none.
 * vport_hurry and vport_mute at a stun, vport_announce after an arrival, vport_close.
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
	uint8_t queue;	  /* of the port that sent it */
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
#define VPORT_QUEUES_MAX 8u
#define VPORT_RATE_MAX 100000u /* Mbit/s */

/* What an operator says of a port; it moves with the VM. */
struct vport_rules {
	uint32_t rate_mbit; /* in each direction; 0: as fast as it goes */
	bool any_source;    /* frames from other addresses than its own pass */
};

/* "tx" is from the guest, "rx" to it. All but the last group is dropped for that reason. */
enum vport_counter {
	VPORT_TX_FRAMES,
	VPORT_TX_BYTES,
	VPORT_RX_FRAMES,
	VPORT_RX_BYTES,
	VPORT_TX_SPOOFED,   /* another's source address */
	VPORT_TX_TAGGED,    /* its network says which VLAN it is on */
	VPORT_TX_MALFORMED, /* too short or too long, or its header asks for nonsense */
	VPORT_TX_NO_MEMORY,
	VPORT_RX_FULL, /* the guest does not take them fast enough */
	VPORT_RX_MUTED,
	VPORT_RX_OVER_RATE,
	VPORT_RX_TOO_LARGE, /* for the wire, or for all of the guest's buffers together */
	VPORT_RX_NO_MEMORY,
	VPORT_CUT_FRAMES, /* TCP frames cut in software */
	VPORT_SUMMED,	  /* checksums in software, but those of what was cut */
	VPORT_COPIED_BYTES,
	VPORT_COUNTERS
};
const char *vport_counter_name(enum vport_counter c); /* "tx_frames" */

struct vport;
struct vport_config {
	const char *network, *owner; /* copied */
	uint8_t mac[6];
	unsigned index;	 /* of the owner's ports */
	unsigned queues; /* 1 to VPORT_QUEUES_MAX */
	struct vport_rules rules;
	void (*wake)(void *arg);
	void *arg;
};

struct vport_stats {
	char network[NETWORK_NAME_MAX];
	char owner[64];
	unsigned index;
	uint8_t mac[6];
	bool muted;
	struct vport_rules rules;
	unsigned queues;   /* in use */
	unsigned nr_addrs; /* seen in use, the newest first */
	struct net_addr addr[VPORT_ADDRS];
	uint64_t count[VPORT_COUNTERS];
	struct vport_queue_stats {
		uint64_t tx_frames, rx_frames;
	} queue[VPORT_QUEUES_MAX];
};

/* Muted at first, one queue in use. -ENOENT: no such network; -EEXIST: the address is in use there;
 * -ENOMEM; -ENETDOWN. */
MUST_CHECK int vport_open(const struct vport_config *c, struct vport **out);
void vport_close(struct vport *p);
void vport_accepts(struct vport *p, unsigned flags);
/* So many queues are in use; what waits for others is dropped. */
void vport_use_queues(struct vport *p, unsigned queues);
bool vport_room(struct vport *p);
void vport_send(struct vport *p, unsigned queue, struct vframe *f);
struct vframe *vport_recv(struct vport *p, unsigned queue);
void vport_count(struct vport *p, enum vport_counter c, uint64_t n);
/* Muted: what comes for the guest is dropped; what it has sent still goes out. */
void vport_mute(struct vport *p, bool muted);
/* What it has sent goes out now, whatever its rate; until it is unmuted. */
void vport_hurry(struct vport *p);
bool vport_sent_all(const struct vport *p); /* the switch has taken every frame */
/* Tells switches and neighbours where the guest is now, repeated with back-off. */
void vport_announce(struct vport *p);
/* Addresses that the guest was seen to use, the newest first: they move with it. */
unsigned vport_addrs(struct vport *p, struct net_addr out[VPORT_ADDRS]);
void vport_learn(struct vport *p, const struct net_addr *a);
unsigned vport_mtu(const struct vport *p);
/* By the guest's own wish, or as it was on another host; told to others when it runs. -EPERM: the
 * rules forbid that wish; -EEXIST; -EINVAL: not one station's address. */
MUST_CHECK int vport_set_mac(struct vport *p, const uint8_t mac[6], bool by_guest);
void vport_get_rules(struct vport *p, struct vport_rules *out);
void vport_set_rules(struct vport *p, const struct vport_rules *r);

bool vport_at(unsigned index, struct vport_stats *out);
/* The rules of an owner's port: what `set` says, unless it is NULL; then in *now. -ENOENT. */
MUST_CHECK int vport_rules_of(const char *owner, unsigned index, const struct vport_rules *set,
			      struct vport_rules *now);

struct network_info {
	char name[NETWORK_NAME_MAX];
	unsigned uplink; /* index of the interface: netN */
	unsigned vlan;	 /* 802.1Q tag on the uplink, 0 = none */
	unsigned ports;
};
bool network_at(unsigned index, struct network_info *out);

#endif
