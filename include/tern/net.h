/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's network: one world owns lwIP; others ask it through queues.
 * vmknics (Tern's own interfaces) are configured by tern.conf keys net0.addr
 * (a.b.c.d/len, or dhcp), net0.addr6, net0.gateway, net0.mtu.
 */
#ifndef TERN_NET_H
#define TERN_NET_H

#include <tern/types.h>

/* IPv4 or IPv6 address, network byte order. */
struct net_addr {
	uint8_t family; /* 4 or 6, 0 = none */
	uint8_t ip[16];
};
MUST_CHECK int net_addr_parse(const char *text, struct net_addr *out); /* -EINVAL */
/* "ADDR/LEN"; without a length that of one link, 24 or 64. -EINVAL. */
MUST_CHECK int net_addr_parse_prefix(const char *text, struct net_addr *out, unsigned *prefix);
/* Can an interface have it? Not loopback, multicast, the network's own or its broadcast address. */
bool net_addr_is_host(const struct net_addr *a, unsigned prefix);
/* Of this host, whatever its network is: 127.0.0.1; and is it one of these, 127.x or ::1? */
void net_addr_loopback(struct net_addr *out);
bool net_addr_is_loopback(const struct net_addr *a);
void net_addr_format(const struct net_addr *a, char *buf, size_t len); /* 48 bytes suffice */

/* What an error of this room means, for people; never NULL. */
struct net_fault {
	int err;
	const char *code, *text;
	bool here; /* the trouble is this host's own, whoever is at the other end */
};
const struct net_fault *net_fault(int err);

/* Self-tests "net" of the list (see selftest.h). */
void net_selftest(const char *list);
void net_init(void); /* owner world, interfaces from the configuration */

struct net_if_info {
	char name[16];
	uint8_t mac[6];
	uint16_t mtu;
	bool up;
	struct net_addr addr, addr6;
	unsigned prefix, prefix6;
	struct net_addr router;
	bool dhcp; /* addr comes by DHCP: what follows is set while there is one */
	struct net_addr dhcp_server;
	uint32_t lease_s, lease_left_s; /* UINT32_MAX = unlimited */
	char driver[16];
	uint64_t tx_packets, tx_bytes, rx_packets, rx_bytes, dropped;
	uint32_t caps;
};
bool net_if_at(unsigned index, struct net_if_info *out);
MUST_CHECK int net_if_set_addr(unsigned index, const struct net_addr *a, unsigned prefix);
/* Asks for an IPv4 address from now on, and returns at once. */
MUST_CHECK int net_if_set_dhcp(unsigned index);

/* One echo; round trip in *rtt_ns. -ETIMEDOUT, -EHOSTUNREACH, -EMSGSIZE when payload exceeds the
 * MTU. */
MUST_CHECK int net_ping(const struct net_addr *to, unsigned payload, uint64_t timeout_ns,
			uint64_t *rtt_ns);

struct net_bench_result {
	uint64_t bytes, ns;
	unsigned streams;
};
/* Raw TCP to another Tern's bench port for some seconds. */
MUST_CHECK int net_bench(const struct net_addr *to, unsigned streams, uint64_t duration_ns,
			 struct net_bench_result *out);

struct net_stats {
	uint64_t tcp_segs_out, tcp_segs_in, tcp_rexmit, tx_copied_bytes, tx_zero_copy_bytes,
		rx_copied_bytes;
	/* Guests' ports: all bytes in and out, and those copied for it, from and to guests' memory
	 * too. */
	uint64_t switch_moved_bytes, switch_copied_bytes;
	uint64_t queue_waits, owner_wakes, pool_exhausted;
	uint64_t rx_held_bytes; /* in NIC buffers that nobody has read yet */
};
void net_stats(struct net_stats *out);

/* What the network has a fixed number of. refused: how often one was wanted and none was left. */
struct net_pool {
	const char *name;
	uint64_t used, most, size, refused;
};
bool net_pool_at(unsigned index, struct net_pool *out); /* false past the end */

#endif
