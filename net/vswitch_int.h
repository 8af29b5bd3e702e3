/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of the virtual switch: vframe.h frames, vport.c a port's two queues,
 * network.c networks and who is on them, vswitch.c who gets a frame, deliver.c how, announce.c
 * where an address is. All forwarding happens in the owner world.
 */
#ifndef NET_VSWITCH_INT_H
#define NET_VSWITCH_INT_H

#include <tern/vswitch.h>

#include "kernel/lib/packet.h"
#include "net/net_int.h"
#include "net/vframe.h"

#define VPORT_QUEUE 256u /* frames in each direction */
_Static_assert(2 * VPORT_QUEUE <= VFRAME_SHARE / 2, "a port's queues leave half of its share");

struct vqueue {
	struct spinlock lock; /* guards first, last */
	struct vframe *first, *last;
	uint32_t n; /* [atom] */
};

struct network {
	char name[NETWORK_NAME_MAX]; /* [const] */
	struct net_if *uplink;	     /* [const] */
	unsigned vlan;		     /* [const] 802.1Q tag on the uplink, 0 = none */
	struct vport *ports;	     /* [own] */
};

struct vport {
	struct network *net;		   /* [const] */
	uint8_t mac[MAC_LEN];		   /* [const] */
	char owner[64];			   /* [const] for people */
	void (*wake)(void *arg);	   /* [const] */
	void *arg;			   /* [const] */
	struct vqueue tx, rx;		   /* from and to the guest */
	uint32_t accepts;		   /* [atom] VPORT_* */
	uint32_t muted;			   /* [atom] */
	uint32_t starved;		   /* [atom] the guest's side met a full tx queue */
	unsigned announce_left;		   /* [own] */
	unsigned nr_addrs;		   /* [own] */
	struct net_addr addr[VPORT_ADDRS]; /* [own] that the guest was seen to use */
	struct vport_stats st;		   /* [own] but for reading */
	struct vport *next;		   /* [own] */
};

static inline bool vport_muted(const struct vport *p)
{
	return __atomic_load_n(&p->muted, __ATOMIC_ACQUIRE);
}

/* vport.c; [own] */
struct vframe *vport_take_tx(struct vport *p);
void vport_untake_tx(struct vport *p, struct vframe *f); /* to the front again */
void vport_drop_all(struct vport *p);			 /* nobody else has it any more */
void vport_give(struct vport *p, struct vframe *f);	 /* f is the port's, or dropped */

/* network.c; [own] */
struct network *network_next(const struct network *n); /* after n, or the first; NULL at the end */
struct network *network_with_ports(const struct net_if *uplink, unsigned vlan);

/* deliver.c; [own] */
void vport_deliver(struct vport *p, struct vframe *f); /* takes f */
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
