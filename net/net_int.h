/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of the net room. One world, the owner (owner.c), runs lwIP and drives
 * the NICs; all that is marked [own] is touched by it alone. Other worlds reach it
 * in two ways: net_call() runs a short function there and waits for its end; a
 * stream with something to do is put on the owner's list of work (stream_int.h).
 */
#ifndef NET_NET_INT_H
#define NET_NET_INT_H

#include <tern/net.h>
#include <tern/nic.h>
#include <tern/page.h>
#include <tern/world.h>

#include "lwip/ip_addr.h"
#include "lwip/netif.h"
#include "net/count.h"

#define NET_MAX_IFS 4u
#define NET_BENCH_PORT 7801u

/* owner.c */
int net_owner_start(void);
/* Runs fn(arg) in the owner world; returns its result. At most NET_MAX_CALLS wait at a time, others
 * queue. */
int net_call(int (*fn)(void *arg), void *arg);
void net_wake(void); /* any context: there is something to do */
bool net_is_owner(void);

/* netif.c: a vmknic is a NIC with lwIP's interface over it. */
struct tx_slot;
struct net_if {
	struct netif lwip;	 /* [own] */
	struct nic *nic;	 /* [const] */
	unsigned index;		 /* [const] */
	struct tx_slot *tx_free; /* [own] */
	bool tx_stalled;	 /* [own] a send met a full ring */
	bool link_up;		 /* [own] as lwIP was told */
	unsigned prefix6;	 /* [own] */
	bool dhcp;		 /* [own] its IPv4 address comes by DHCP */
	uint32_t leased;	 /* [own] that address, 0 = none now */
};
/* Makes a vmknic of each NIC; before the owner runs. */
int net_ifs_init(void);
unsigned net_ifs_poll(unsigned budget); /* [own] */
void net_ifs_flush(void);		/* [own] */
bool net_ifs_arm(void);			/* [own] true: there is something already */
struct net_if *net_if_get(unsigned index);
/* True when segments of TCP_MSS may be given to this interface. */
bool net_if_tso(const struct netif *n, bool ipv6);

/* Address, prefix and router. */
void net_if_fill_addr4(const struct net_if *i, struct net_if_info *out);

/* dhcp.c, all [own]. An interface that is up; its address comes later, or never. -ENOBUFS. */
int net_dhcp_start(struct net_if *i);
void net_dhcp_stop(struct net_if *i); /* gives the lease back; the address is gone */
void net_dhcp_info(const struct net_if *i, struct net_if_info *out);

/* config.c: addresses from tern.conf. */
void net_if_configure(struct net_if *i);
int net_if_apply(struct net_if *i, const struct net_addr *a, unsigned prefix);

/* tx.c, rx.c: frames between lwIP and the NIC. */
int net_tx_init(struct net_if *i);
err_t net_tx(struct netif *n, struct pbuf *p); /* lwIP's linkoutput */
int net_rx_init(void);
void net_rx(struct nic *n, struct nic_rx *f);
/* A frame for the host's own stack, from the NIC or from a guest of this host. */
void net_rx_host(struct net_if *i, struct nic_rx *f);
/* Packets to ourselves: no NIC has summed them, none needs to. */
void net_rx_loopback(void); /* [own] */
uint64_t net_rx_held(void); /* bytes of NIC buffers that lwIP and streams hold */

/* addr_lwip.c */
void net_addr_to_lwip(const struct net_addr *a, ip_addr_t *out);
void net_addr_from_lwip(const ip_addr_t *a, struct net_addr *out);
int net_err(err_t e); /* lwIP's error as -E... */

/* [own] Nobody answers there: -EHOSTUNREACH when it is the host on our own link that is missing,
 * else -ETIMEDOUT. */
int net_silent(const struct net_addr *to);

/* network.c: before the owner runs. */
void networks_init(void);

/* ping.c, bench.c */
int net_ping_init(void); /* [own] */
int net_bench_start(void);

static inline hpa_t page_of(const void *p)
{
	return HPA(ptr_hpa(p).v & ~PAGE_MASK);
}

static inline bool in_direct_map(const void *p)
{
	return (uint64_t)p >= DIRECT_MAP && (uint64_t)p < KERNEL_BASE;
}

#endif
