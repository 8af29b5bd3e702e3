/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vmknic's addresses: from tern.conf at boot (net0.addr = a.b.c.d/len or dhcp,
 * net0.addr6, net0.gateway, net0.mtu) and from "net set" later. Every interface
 * has an IPv6 link-local address besides.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/bootinfo.h>
#include <tern/log.h>

#include "lwip/etharp.h"
#include "lwip/nd6.h"
#include "net/net_int.h"

#define MTU_MIN 1280u  /* [RFC 8200 5 "Packet Size Issues"] */
#define STATIC_ADDR6 1 /* slot 0 is the link-local address */

int net_if_apply(struct net_if *i, const struct net_addr *a, unsigned prefix)
{
	ip_addr_t ip;
	ip4_addr_t mask;

	if (!net_addr_is_host(a, prefix))
		return -EADDRNOTAVAIL;
	net_addr_to_lwip(a, &ip);
	if (a->family == 6) {
		if (prefix == 0 || prefix > 128)
			return -EINVAL;
		ip6_addr_assign_zone(ip_2_ip6(&ip), IP6_UNICAST, &i->lwip);
		netif_ip6_addr_set(&i->lwip, STATIC_ADDR6, ip_2_ip6(&ip));
		netif_ip6_addr_set_state(&i->lwip, STATIC_ADDR6, IP6_ADDR_PREFERRED);
		i->prefix6 = prefix;
		return 0;
	}
	if (a->family != 4 || prefix == 0 || prefix > 32)
		return -EINVAL;
	net_dhcp_stop(i);
	ip4_addr_set_u32(&mask, lwip_htonl(UINT32_MAX << (32 - prefix)));
	netif_set_addr(&i->lwip, ip_2_ip4(&ip), &mask, netif_ip4_gw(&i->lwip));
	return 0;
}

static const char *key_value(const struct net_if *i, const char *what, char *key, size_t len)
{
	snprintf(key, len, "net%u.%s", i->index, what);
	return config_get(key);
}

static void configure_addr(struct net_if *i, const char *what)
{
	char key[32];
	const char *text = key_value(i, what, key, sizeof(key));
	struct net_addr a;
	unsigned prefix;

	if (!text)
		return;
	if (strcmp(what, "addr") == 0 && strcmp(text, "dhcp") == 0) {
		if (net_dhcp_start(i))
			log_warn("net", "net%u: DHCP did not start", i->index);
		return;
	}
	if (net_addr_parse_prefix(text, &a, &prefix) || net_if_apply(i, &a, prefix))
		log_warn("net", "tern.conf: %s: \"%s\" is not a host's address", key, text);
	else
		log_info("net", "net%u: %s", i->index, text);
}

static void configure_gateway(struct net_if *i)
{
	char key[32];
	const char *text = key_value(i, "gateway", key, sizeof(key));
	struct net_addr a;
	ip_addr_t ip;

	if (!text)
		return;
	if (i->dhcp) {
		log_warn("net", "tern.conf: %s is not used: the router comes by DHCP", key);
		return;
	}
	if (net_addr_parse(text, &a) || a.family != 4) {
		log_warn("net", "tern.conf: %s: \"%s\" is not an IPv4 address", key, text);
		return;
	}
	net_addr_to_lwip(&a, &ip);
	netif_set_gw(&i->lwip, ip_2_ip4(&ip));
}

static void configure_mtu(struct net_if *i)
{
	char key[32], *end;
	const char *text = key_value(i, "mtu", key, sizeof(key));
	unsigned long v;

	if (!text)
		return;
	v = strtoul(text, &end, 10);
	if (*end || v < MTU_MIN || v > i->nic->mtu_max) {
		log_warn("net", "tern.conf: %s: \"%s\" is not within %u and %u", key, text, MTU_MIN,
			 i->nic->mtu_max);
		return;
	}
	i->lwip.mtu = (uint16_t)v;
	i->lwip.mtu6 = (uint16_t)v;
}

void net_if_configure(struct net_if *i)
{
	configure_mtu(i);
	netif_create_ip6_linklocal_address(&i->lwip, 1);
	configure_addr(i, "addr");
	configure_addr(i, "addr6");
	configure_gateway(i);
}

struct set_call {
	struct net_if *i;
	const struct net_addr *a;
	unsigned prefix;
};

static int set_addr(void *arg)
{
	struct set_call *c = arg;

	return net_if_apply(c->i, c->a, c->prefix);
}

int net_if_set_addr(unsigned index, const struct net_addr *a, unsigned prefix)
{
	struct set_call c = { .i = net_if_get(index), .a = a, .prefix = prefix };

	return c.i ? net_call(set_addr, &c) : -ENODEV;
}

static int set_dhcp(void *arg)
{
	return net_dhcp_start(arg);
}

int net_if_set_dhcp(unsigned index)
{
	struct net_if *i = net_if_get(index);

	return i ? net_call(set_dhcp, i) : -ENODEV;
}
