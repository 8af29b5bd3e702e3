/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses by DHCP: lwIP's client does it [RFC 2131 4.4 "DHCP client behavior"],
 * in the owner world; here is when it runs and what the log says of it. Nobody
 * waits for a lease: an interface without one has its IPv6 link-local address, and
 * the client asks on, at last once a minute.
 *
 * All of it is [own].
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/bootinfo.h>
#include <tern/log.h>

#include "lwip/dhcp.h"
#include "lwip/prot/dhcp.h"
#include "lwip/timeouts.h"
#include "net/net_int.h"

#define PATIENCE_MS 10000u
#define HOSTNAME_MAX 32u
#define UNLIMITED UINT32_MAX

static const struct dhcp *client(const struct net_if *i)
{
	return netif_dhcp_data(&i->lwip);
}

static void log_lease(const struct net_if *i)
{
	char addr[48], router[48], server[48], lease[16];
	struct net_if_info info = { .prefix = 0 };

	net_if_fill_addr4(i, &info);
	net_dhcp_info(i, &info);
	net_addr_format(&info.addr, addr, sizeof(addr));
	net_addr_format(&info.router, router, sizeof(router));
	net_addr_format(&info.dhcp_server, server, sizeof(server));
	snprintf(lease, sizeof(lease), "%u s", info.lease_s);
	log_info("net", "net%u: %s/%u by DHCP from %s, router %s, for %s", i->index, addr,
		 info.prefix, server, router, info.lease_s == UNLIMITED ? "good" : lease);
}

/* Says once that nobody answers, until there was a lease again. */
static void watch(void *arg)
{
	struct net_if *i = arg;

	if (!i->dhcp || i->leased)
		return;
	if (!netif_is_link_up(&i->lwip)) {
		sys_timeout(PATIENCE_MS, watch, i);
		return;
	}
	log_warn("net",
		 "net%u: no DHCP server answers, it is asked on; 'net set net%u ADDR/LEN' gives a "
		 "fixed address",
		 i->index, i->index);
}

static void watch_from_now(struct net_if *i)
{
	sys_untimeout(watch, i);
	sys_timeout(PATIENCE_MS, watch, i);
}

/* lwIP calls it whenever an address changes, of either family. */
static void on_status(struct netif *n)
{
	struct net_if *i = n->state;
	uint32_t now = ip4_addr_get_u32(netif_ip4_addr(n));

	if (!i->dhcp || now == i->leased)
		return;
	i->leased = now;
	if (now) {
		log_lease(i);
		return;
	}
	log_warn("net", "net%u: the lease is over", i->index);
	watch_from_now(i);
}

/* lwIP has room for so many characters in its messages, and asserts that they fit. */
static const char *short_hostname(void)
{
	const char *name = config_get("hostname");

	return name && strlen(name) <= HOSTNAME_MAX ? name : NULL;
}

int net_dhcp_start(struct net_if *i)
{
	if (i->dhcp)
		return 0;
	netif_set_addr(&i->lwip, IP4_ADDR_ANY4, IP4_ADDR_ANY4, IP4_ADDR_ANY4);
	netif_set_hostname(&i->lwip, short_hostname());
	netif_set_status_callback(&i->lwip, on_status);
	i->leased = 0;
	i->dhcp = true;
	if (dhcp_start(&i->lwip) != ERR_OK) {
		i->dhcp = false;
		return -ENOBUFS;
	}
	log_info("net", "net%u: address by DHCP", i->index);
	watch_from_now(i);
	return 0;
}

void net_dhcp_stop(struct net_if *i)
{
	if (!i->dhcp)
		return;
	i->dhcp = false;
	sys_untimeout(watch, i);
	dhcp_release_and_stop(&i->lwip);
	dhcp_cleanup(&i->lwip);
}

void net_dhcp_info(const struct net_if *i, struct net_if_info *out)
{
	const struct dhcp *c = client(i);

	out->dhcp = i->dhcp;
	if (!i->dhcp || !i->leased || !c)
		return;
	net_addr_from_lwip(&c->server_ip_addr, &out->dhcp_server);
	out->lease_s = c->offered_t0_lease;
	out->lease_left_s = UNLIMITED;
	if (c->offered_t0_lease != UNLIMITED)
		out->lease_left_s =
			c->offered_t0_lease -
			MIN(c->lease_used * (uint32_t)DHCP_COARSE_TIMER_SECS, c->offered_t0_lease);
}
