/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of the virtual switch: vframe.h frames, vport.c a port's queues, vport_life.c how
 * it comes, changes and goes, flow.h which queue, rate.c how fast, network.c networks and who
 * is on them, vswitch.c who gets a frame, deliver.c how, announce.c where an address is. All
 * forwarding happens in the owner world.
 */
#ifndef NET_VSWITCH_INT_H
#define NET_VSWITCH_INT_H

#include <tern/timer.h>
#include <tern/vswitch.h>

#include "kernel/lib/packet.h"
#include "kernel/lib/bucket.h"
#include "net/flow.h"
#include "net/net_int.h"
#include "net/vframe.h"

/* What waits from a guest, for it, and for its rate's sake; in frames and in their pages. */
#define VPORT_TX_QUEUE 256u
#define VPORT_TX_PAGES 512u
#define VPORT_RX_QUEUE 384u
#define VPORT_RX_PAGES 1280u
#define VPORT_LATE_QUEUE 128u
#define VPORT_LATE_PAGES 128u
_Static_assert(VPORT_TX_QUEUE + VPORT_RX_QUEUE + VPORT_LATE_QUEUE <= VFRAME_SHARE / 4 * 3 &&
		       VPORT_TX_PAGES + VPORT_RX_PAGES + VPORT_LATE_PAGES <= VFRAME_PAGES / 16 * 15,
	       "a port's queues leave some of its share");

struct vqueue {
	struct spinlock lock; /* guards first, last */
	struct vframe *first, *last;
	uint32_t n, pages; /* [atom] */
	uint64_t passed;   /* [own] frames, ever */
};

struct network {
	char name[NETWORK_NAME_MAX]; /* [const] */
	struct net_if *uplink;	     /* [const] */
	unsigned vlan;		     /* [const] 802.1Q tag on the uplink, 0 = none */
	struct vport *ports;	     /* [own] */
};

struct vport {
	struct network *net;		      /* [const] */
	uint8_t mac[MAC_LEN];		      /* [own] */
	uint8_t first_mac[MAC_LEN];	      /* [const] as configured */
	char owner[64];			      /* [const] */
	unsigned index;			      /* [const] of the owner's ports */
	void (*wake)(void *arg);	      /* [const] */
	void *arg;			      /* [const] */
	struct vqueue tx;		      /* from the guest */
	struct vqueue rx[VPORT_QUEUES_MAX];   /* to the guest */
	uint32_t rx_n, rx_pages;	      /* [atom] in all of these */
	uint32_t queues;		      /* [atom] in use */
	uint32_t accepts;		      /* [atom] VPORT_* */
	uint32_t muted;			      /* [atom] */
	uint32_t hurried;		      /* [atom] */
	uint32_t starved;		      /* [atom] the guest's side met a full tx queue */
	struct vport_rules rules;	      /* [own] */
	struct bucket tx_bucket, rx_bucket;   /* [own] */
	struct vqueue late;		      /* [own] for the guest, when its rate allows */
	struct timer due;		      /* [own] the next that the rate holds back */
	struct flow_table flows;	      /* [own] */
	uint64_t tx_passed[VPORT_QUEUES_MAX]; /* [own] frames */
	unsigned announce_left;		      /* [own] */
	unsigned nr_addrs;		      /* [own] */
	struct net_addr addr[VPORT_ADDRS];    /* [own] that the guest was seen to use */
	uint64_t count[VPORT_COUNTERS];	      /* [atom] */
	struct vport *next;		      /* [own] */
};

static inline bool vport_muted(const struct vport *p)
{
	return __atomic_load_n(&p->muted, __ATOMIC_ACQUIRE);
}

/* vport.c. Owner and guest's side. */
bool vqueue_put(struct vqueue *q, struct vframe *f); /* true: it was empty */
struct vframe *vqueue_take(struct vqueue *q);
void vport_init_queues(struct vport *p);
void vport_drop_all(struct vport *p); /* nobody else has it any more */
/* [own] */
struct vframe *vport_take_tx(struct vport *p);
void vport_untake_tx(struct vport *p, struct vframe *f);       /* to the front again */
void vport_give(struct vport *p, struct vframe *f);	       /* f is the port's, or dropped */
void vport_note_flow(struct vport *p, const struct vframe *f); /* the guest has sent it */
void vport_set_queues(struct vport *p, unsigned queues);
void vport_drop_rx(struct vport *p, enum vport_counter why, struct vframe *f);

/* rate.c; [own]: a port's rate, in each direction by itself. */
#define RATE_DEPTH_NS (4ull * 1000 * 1000)
void rate_init(struct vport *p);
bool rate_may_send(struct vport *p);
void rate_sent(struct vport *p, uint32_t bytes);
void rate_give(struct vport *p, struct vframe *f); /* to the guest, now or later */
/* What has become due; asks for a turn of the owner when more will. */
unsigned rate_run(struct vport *p);
void rate_stop(struct vport *p);

/* network.c; [own] */
struct network *network_next(const struct network *n); /* after n, or the first; NULL at the end */
struct network *network_with_ports(const struct net_if *uplink, unsigned vlan);
struct network *network_named(const char *name); /* any world */
void network_filter(struct net_if *uplink);	 /* what its card must hear has changed */

/* deliver.c; [own] */
void vport_deliver(struct vport *p, struct vframe *f); /* takes f */
void vport_deliver_copy(struct vport *p, const struct nic_tx *t, bool csum_ok);
/* A copy to each port of the network but one; csum_ok as of the copies. */
void network_flood(struct network *n, const struct nic_tx *t, bool csum_ok,
		   const struct vport *but);

/* vswitch.c; [own] */
/* The port that has this address now: a muted one is not here, or not yet. */
struct vport *network_port(const struct network *n, const uint8_t *mac);
unsigned vswitch_run(void);
/* From the NIC: true when it was for guests alone and f is settled. */
bool vswitch_from_nic(struct net_if *i, struct nic_rx *f);
/* From the host's own stack: true when it stays in this host. */
bool vswitch_from_host(struct net_if *i, const struct nic_tx *t);
/* To everybody on the port's network but itself; takes f. */
void vswitch_flood(struct vport *from, struct vframe *f);

/* announce.c; [own] */
void announce_start(struct vport *p);
void announce_stop(struct vport *p);
void announce_learn(struct vport *p, const struct net_addr *a);
void announce_snoop(struct vport *p, const struct vframe *f); /* from the guest */

#endif
