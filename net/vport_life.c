/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a port comes, changes and goes (vswitch.h). Each of these is called by the port's
 * device or by the console, and done by the owner world, which has the networks' lists.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/vswitch_int.h"

static const char *const counter_names[VPORT_COUNTERS] = {
	[VPORT_TX_FRAMES] = "tx_frames",
	[VPORT_TX_BYTES] = "tx_bytes",
	[VPORT_RX_FRAMES] = "rx_frames",
	[VPORT_RX_BYTES] = "rx_bytes",
	[VPORT_TX_SPOOFED] = "spoofed",
	[VPORT_TX_TAGGED] = "tagged",
	[VPORT_TX_MALFORMED] = "tx_malformed",
	[VPORT_TX_NO_MEMORY] = "tx_no_memory",
	[VPORT_RX_FULL] = "rx_full",
	[VPORT_RX_MUTED] = "rx_muted",
	[VPORT_RX_OVER_RATE] = "rx_over_rate",
	[VPORT_RX_TOO_LARGE] = "rx_too_large",
	[VPORT_RX_NO_MEMORY] = "rx_no_memory",
	[VPORT_CUT_FRAMES] = "cut_frames",
	[VPORT_SUMMED] = "summed",
	[VPORT_COPIED_BYTES] = "copied_bytes",
};

const char *vport_counter_name(enum vport_counter c)
{
	return counter_names[c];
}

/* ---- its address ---- */

/*
 * An address is one port's; but for two instances of a VM, which have one name: of these only one
 * has a port that is not muted.
 */
static bool takes_over(const struct vport *p, const struct vport *q)
{
	return (vport_muted(p) || vport_muted(q)) && !strcmp(p->owner, q->owner);
}

static bool taken(const struct vport *p, const uint8_t *mac)
{
	if (!memcmp(mac, p->net->uplink->nic->mac, MAC_LEN))
		return true;
	for (const struct vport *q = p->net->ports; q; q = q->next)
		if (q != p && !memcmp(mac, q->mac, MAC_LEN) && !takes_over(p, q))
			return true;
	return false;
}

struct mac_call {
	struct vport *p;
	const uint8_t *mac;
	bool by_guest;
};

static int set_mac(void *arg)
{
	struct mac_call *c = arg;
	struct vport *p = c->p;

	if (!memcmp(p->mac, c->mac, MAC_LEN))
		return 0;
	if (c->by_guest && !p->rules.any_source && memcmp(p->first_mac, c->mac, MAC_LEN))
		return -EPERM;
	if (taken(p, c->mac))
		return -EEXIST;
	memcpy(p->mac, c->mac, MAC_LEN);
	network_filter(p->net->uplink);
	if (!vport_muted(p) && p->count[VPORT_TX_FRAMES])
		announce_start(p);
	return 0;
}

int vport_set_mac(struct vport *p, const uint8_t mac[6], bool by_guest)
{
	static const uint8_t none[MAC_LEN];
	struct mac_call c = { .p = p, .mac = mac, .by_guest = by_guest };

	if (mac[0] & 1 || !memcmp(mac, none, MAC_LEN))
		return -EINVAL;
	return net_call(set_mac, &c);
}

/* ---- coming and going ---- */

static int link_port(void *arg)
{
	struct vport *p = arg;

	if (taken(p, p->mac))
		return -EEXIST;
	p->next = p->net->ports;
	p->net->ports = p;
	return 0;
}

static int unlink_port(void *arg)
{
	struct vport *p = arg, **at = &p->net->ports;

	announce_stop(p);
	rate_stop(p);
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	network_filter(p->net->uplink);
	return 0;
}

static struct vport *make(const struct vport_config *c, struct network *n)
{
	struct vport *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->net = n;
	memcpy(p->mac, c->mac, MAC_LEN);
	memcpy(p->first_mac, c->mac, MAC_LEN);
	snprintf(p->owner, sizeof(p->owner), "%s", c->owner);
	p->index = c->index;
	p->rules = c->rules;
	p->wake = c->wake;
	p->arg = c->arg;
	p->muted = 1;
	vport_init_queues(p);
	rate_init(p);
	return p;
}

int vport_open(const struct vport_config *c, struct vport **out)
{
	struct network *n = network_named(c->network);
	struct vport *p;
	int err;

	if (!n)
		return -ENOENT;
	p = make(c, n);
	if (!p)
		return -ENOMEM;
	err = vframe_pool_join();
	if (err)
		goto free;
	err = net_call(link_port, p);
	if (err)
		goto leave;
	*out = p;
	return 0;
leave:
	vframe_pool_leave();
free:
	free(p);
	return err;
}

void vport_close(struct vport *p)
{
	(void)net_call(unlink_port, p); /* after this only we have it */
	vport_drop_all(p);
	vframe_pool_leave();
	free(p);
}

unsigned vport_mtu(const struct vport *p)
{
	return p->net->uplink->lwip.mtu;
}

/* ---- changing ---- */

static int announce(void *arg)
{
	announce_start(arg);
	return 0;
}

void vport_announce(struct vport *p)
{
	(void)net_call(announce, p);
}

static int changed(void *arg)
{
	struct vport *p = arg;

	network_filter(p->net->uplink);
	return 0;
}

void vport_mute(struct vport *p, bool muted)
{
	if (!muted)
		__atomic_store_n(&p->hurried, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&p->muted, muted, __ATOMIC_SEQ_CST);
	(void)net_call(changed, p);
}

void vport_hurry(struct vport *p)
{
	__atomic_store_n(&p->hurried, 1, __ATOMIC_SEQ_CST);
	net_wake();
}

struct queues_call {
	struct vport *p;
	unsigned queues;
};

static int set_queues(void *arg)
{
	struct queues_call *c = arg;

	vport_set_queues(c->p, c->queues);
	return 0;
}

void vport_use_queues(struct vport *p, unsigned queues)
{
	struct queues_call c = { .p = p, .queues = queues };

	(void)net_call(set_queues, &c);
}

struct addr_call {
	struct vport *p;
	struct net_addr *addr;
};

static int copy_addrs(void *arg)
{
	struct addr_call *c = arg;

	memcpy(c->addr, c->p->addr, sizeof(c->p->addr));
	return (int)c->p->nr_addrs;
}

unsigned vport_addrs(struct vport *p, struct net_addr out[VPORT_ADDRS])
{
	struct addr_call c = { .p = p, .addr = out };
	int n = net_call(copy_addrs, &c);

	return n > 0 ? (unsigned)n : 0;
}

static int learn(void *arg)
{
	struct addr_call *c = arg;

	announce_learn(c->p, c->addr);
	return 0;
}

void vport_learn(struct vport *p, const struct net_addr *a)
{
	struct net_addr copy = *a;
	struct addr_call c = { .p = p, .addr = &copy };

	(void)net_call(learn, &c);
}
