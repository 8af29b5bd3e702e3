/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vmknics: each NIC becomes an lwIP interface of the hypervisor's own. What the
 * NIC can do (checksums, segmentation) is taken from lwIP here, for good.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/log.h>

#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "net/net_int.h"

#define MTU_DEFAULT 1500u

static struct net_if ifs[NET_MAX_IFS];
static unsigned nr_ifs; /* [const] after net_init */

struct net_if *net_if_get(unsigned index)
{
	return index < nr_ifs ? &ifs[index] : NULL;
}

static void on_notify(struct nic *n)
{
	(void)n;
	net_wake();
}

static uint16_t checksum_flags(const struct nic *n)
{
	unsigned flags = NETIF_CHECKSUM_ENABLE_ALL;

	if (n->caps & NIC_CAP_TX_CSUM)
		flags &= ~(unsigned)NETIF_CHECKSUM_GEN_TCP;
	return (uint16_t)flags;
}

static err_t set_up(struct netif *n)
{
	struct net_if *i = n->state;

	n->name[0] = 'v';
	n->name[1] = 'm';
	n->hwaddr_len = 6;
	memcpy(n->hwaddr, i->nic->mac, 6);
	n->mtu = (uint16_t)MIN(MTU_DEFAULT, i->nic->mtu_max);
	n->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
	n->output = etharp_output;
	n->output_ip6 = ethip6_output;
	n->linkoutput = net_tx;
	NETIF_SET_CHECKSUM_CTRL(n, checksum_flags(i->nic));
	return ERR_OK;
}

static int add(unsigned index, struct nic *nic)
{
	struct net_if *i = &ifs[index];
	int err;

	i->nic = nic;
	i->index = index;
	nic->net = i;
	nic->notify = on_notify;
	nic->rx = net_rx;
	err = net_tx_init(i);
	if (err)
		return err;
	if (!netif_add_noaddr(&i->lwip, i, set_up, netif_input))
		return -ENOMEM;
	if (index == 0)
		netif_set_default(&i->lwip);
	netif_set_up(&i->lwip);
	net_if_configure(i);
	return 0;
}

int net_ifs_init(void)
{
	struct nic *nic;

	for (; nr_ifs < NET_MAX_IFS && (nic = nic_at(nr_ifs)); nr_ifs++) {
		int err = add(nr_ifs, nic);

		if (err)
			return err;
	}
	if (!nr_ifs)
		log_warn("net", "no network card");
	return 0;
}

static void follow_link(struct net_if *i)
{
	if (i->link_up == i->nic->link_up)
		return;
	i->link_up = i->nic->link_up;
	log_info("net", "net%u: link %s", i->index, i->link_up ? "up" : "down");
	if (i->link_up)
		netif_set_link_up(&i->lwip);
	else
		netif_set_link_down(&i->lwip);
}

unsigned net_ifs_poll(unsigned budget)
{
	unsigned done = 0;

	for (unsigned n = 0; n < nr_ifs; n++) {
		done += ifs[n].nic->ops->poll(ifs[n].nic, budget);
		follow_link(&ifs[n]);
	}
	return done;
}

void net_ifs_flush(void)
{
	for (unsigned n = 0; n < nr_ifs; n++)
		ifs[n].nic->ops->flush(ifs[n].nic);
}

bool net_ifs_arm(void)
{
	bool ready = false;

	for (unsigned n = 0; n < nr_ifs; n++)
		ready |= ifs[n].nic->ops->arm(ifs[n].nic);
	return ready;
}

bool net_if_tso(const struct netif *n, bool ipv6)
{
	for (unsigned k = 0; k < nr_ifs; k++)
		if (n == &ifs[k].lwip)
			return ifs[k].nic->caps & (ipv6 ? NIC_CAP_TSO6 : NIC_CAP_TSO4);
	return false;
}

struct info_call {
	unsigned index;
	struct net_if_info *out;
};

static unsigned mask_bits(const ip4_addr_t *mask)
{
	return (unsigned)__builtin_popcount(ip4_addr_get_u32(mask));
}

/* The configured address where there is one, else the link-local. */
static void fill_addr6(struct net_if *i, struct net_if_info *out)
{
	for (int k = LWIP_IPV6_NUM_ADDRESSES - 1; k >= 0 && !out->addr6.family; k--)
		if (ip6_addr_isvalid(netif_ip6_addr_state(&i->lwip, k))) {
			net_addr_from_lwip(&i->lwip.ip6_addr[k], &out->addr6);
			out->prefix6 = k ? i->prefix6 : 64;
		}
}

void net_if_fill_addr4(const struct net_if *i, struct net_if_info *out)
{
	if (ip4_addr_isany(netif_ip4_addr(&i->lwip)))
		return;
	net_addr_from_lwip(netif_ip_addr4(&i->lwip), &out->addr);
	out->prefix = mask_bits(netif_ip4_netmask(&i->lwip));
	if (!ip4_addr_isany(netif_ip4_gw(&i->lwip)))
		net_addr_from_lwip(netif_ip_gw4(&i->lwip), &out->router);
}

static int fill_info(void *arg)
{
	struct info_call *c = arg;
	struct net_if *i = net_if_get(c->index);
	struct net_if_info *out = c->out;

	memset(out, 0, sizeof(*out));
	snprintf(out->name, sizeof(out->name), "net%u", i->index);
	snprintf(out->driver, sizeof(out->driver), "%s", i->nic->driver);
	memcpy(out->mac, i->nic->mac, 6);
	out->mtu = i->lwip.mtu;
	out->up = netif_is_up(&i->lwip) && netif_is_link_up(&i->lwip);
	out->caps = i->nic->caps;
	net_if_fill_addr4(i, out);
	net_dhcp_info(i, out);
	fill_addr6(i, out);
	out->tx_packets = i->nic->tx_packets;
	out->tx_bytes = i->nic->tx_bytes;
	out->rx_packets = i->nic->rx_packets;
	out->rx_bytes = i->nic->rx_bytes;
	out->dropped = i->nic->rx_dropped;
	return 0;
}

bool net_if_at(unsigned index, struct net_if_info *out)
{
	struct info_call c = { .index = index, .out = out };

	return index < nr_ifs && net_call(fill_info, &c) == 0;
}
