/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses and errors between the net room's faces and lwIP. */
#include <errno.h>
#include <string.h>

#include "lwip/etharp.h"
#include "lwip/ip.h"
#include "net/net_int.h"

/* A link-local address is taken to be on the first interface. */
void net_addr_to_lwip(const struct net_addr *a, ip_addr_t *out)
{
	memset(out, 0, sizeof(*out));
	if (a->family == 6) {
		IP_SET_TYPE_VAL(*out, IPADDR_TYPE_V6);
		memcpy(ip_2_ip6(out)->addr, a->ip, 16);
		if (ip6_addr_islinklocal(ip_2_ip6(out)) && netif_default)
			ip6_addr_assign_zone(ip_2_ip6(out), IP6_UNICAST, netif_default);
	} else {
		IP_SET_TYPE_VAL(*out, IPADDR_TYPE_V4);
		memcpy(&ip_2_ip4(out)->addr, a->ip, 4);
	}
}

void net_addr_from_lwip(const ip_addr_t *a, struct net_addr *out)
{
	memset(out, 0, sizeof(*out));
	if (IP_IS_V6_VAL(*a)) {
		out->family = 6;
		memcpy(out->ip, ip_2_ip6(a)->addr, 16);
	} else {
		out->family = 4;
		memcpy(out->ip, &ip_2_ip4(a)->addr, 4);
	}
}

int net_err(err_t e)
{
	switch (e) {
	case ERR_OK:
		return 0;
	case ERR_MEM: /* of its pools, or of a card's ring: not the host's memory */
	case ERR_BUF:
		return -ENOBUFS;
	case ERR_TIMEOUT:
		return -ETIMEDOUT;
	case ERR_RTE:
	case ERR_IF:
		return -EHOSTUNREACH;
	case ERR_USE:
		return -EADDRINUSE;
	case ERR_ABRT: /* lwIP gave up after its last retransmission */
		return -ETIMEDOUT;
	case ERR_RST:
	case ERR_CLSD:
		return -ECONNRESET;
	case ERR_CONN:
		return -ENOTCONN;
	default:
		return -EIO;
	}
}

int net_silent(const struct net_addr *to)
{
	struct eth_addr *mac;
	const ip4_addr_t *known;
	struct netif *n;
	ip_addr_t ip;

	net_addr_to_lwip(to, &ip);
	if (!IP_IS_V4_VAL(ip))
		return -ETIMEDOUT;
	n = ip4_route(ip_2_ip4(&ip));
	if (!n || !ip4_addr_netcmp(ip_2_ip4(&ip), netif_ip4_addr(n), netif_ip4_netmask(n)))
		return -ETIMEDOUT;
	return etharp_find_addr(n, ip_2_ip4(&ip), &mac, &known) < 0 ? -EHOSTUNREACH : -ETIMEDOUT;
}
