/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Networks, and which ports are on them (vswitch.h). Each interface is an untagged
 * network of its own name, net0, net1 ...; tern.conf adds others:
 *
 *   networks = lan=net0 dmz=net0.100
 *
 * The list of networks is fixed at boot. Ports come and go in the owner world.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/bootinfo.h>
#include <tern/log.h>

#include "net/vswitch_int.h"

#define NETWORKS_MAX 16u
#define VLAN_MAX 4094u

static struct network networks[NETWORKS_MAX];
static unsigned nr_networks; /* [const] after networks_init */

struct network *network_next(const struct network *n)
{
	unsigned i = n ? (unsigned)(n - networks) + 1 : 0;

	return i < nr_networks ? &networks[i] : NULL;
}

struct network *network_with_ports(const struct net_if *uplink, unsigned vlan)
{
	struct network *n = NULL;

	while ((n = network_next(n)))
		if (n->uplink == uplink && n->vlan == vlan && n->ports)
			return n;
	return NULL;
}

static struct network *named(const char *name)
{
	struct network *n = NULL;

	while ((n = network_next(n)))
		if (!strcmp(n->name, name))
			return n;
	return NULL;
}

static void add(const char *name, size_t len, struct net_if *uplink, unsigned vlan)
{
	struct network *n = &networks[nr_networks];

	if (nr_networks == NETWORKS_MAX || !len || len >= NETWORK_NAME_MAX) {
		log_warn("net", "networks: at most %u, with names of 1 to %u characters",
			 NETWORKS_MAX, NETWORK_NAME_MAX - 1);
		return;
	}
	memcpy(n->name, name, len);
	n->uplink = uplink;
	n->vlan = vlan;
	nr_networks++;
}

/* One word, NAME=netN or NAME=netN.VLAN; false when it is not. */
static bool add_word(const char *word, size_t len)
{
	size_t name = strcspn(word, "= ");
	unsigned index = 0, vlan = 0;
	char *end;

	if (name >= len || strncmp(word + name, "=net", 4))
		return false;
	index = (unsigned)strtoul(word + name + 4, &end, 10);
	if (*end == '.')
		vlan = (unsigned)strtoul(end + 1, &end, 10);
	if (end != word + len || !net_if_get(index) || vlan > VLAN_MAX)
		return false;
	add(word, name, net_if_get(index), vlan);
	return true;
}

void networks_init(void)
{
	const char *text = config_get("networks");
	char name[8];

	for (unsigned i = 0; net_if_get(i); i++) {
		snprintf(name, sizeof(name), "net%u", i);
		add(name, strlen(name), net_if_get(i), 0);
	}
	while (text && *text) {
		size_t len = strcspn(text, " ");

		if (len && !add_word(text, len))
			log_warn("net",
				 "tern.conf: networks: \"%.*s\" is not NAME=netN or "
				 "NAME=netN.VLAN",
				 (int)len, text);
		text += len + (text[len] == ' ');
	}
}

/* What the card must hear for the guests that are here. */
static void set_filter(struct net_if *uplink)
{
	struct nic *nic = uplink->nic;
	struct network *n = NULL;

	nic->nr_also = 0;
	while ((n = network_next(n)))
		for (struct vport *p = n->ports; p; p = p->next)
			if (n->uplink == uplink && !vport_muted(p) && nic->nr_also < NIC_MAX_ALSO)
				memcpy(nic->also[nic->nr_also++], p->mac, MAC_LEN);
	if (nic->ops->filter)
		nic->ops->filter(nic);
}

/* An address is one port's; but for the heir of a suspended VM, which has its owner's name. */
static bool takes_over(const struct vport *p, const struct vport *q)
{
	return vport_muted(q) && !strcmp(p->owner, q->owner);
}

static int link_port(void *arg)
{
	struct vport *p = arg;

	if (!memcmp(p->mac, p->net->uplink->nic->mac, MAC_LEN))
		return -EEXIST;
	for (struct vport *q = p->net->ports; q; q = q->next)
		if (!memcmp(p->mac, q->mac, MAC_LEN) && !takes_over(p, q))
			return -EEXIST;
	p->next = p->net->ports;
	p->net->ports = p;
	return 0;
}

static int unlink_port(void *arg)
{
	struct vport *p = arg, **at = &p->net->ports;

	announce_stop(p);
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	set_filter(p->net->uplink);
	return 0;
}

int vport_open(const char *network, const uint8_t mac[6], const char *owner,
	       void (*wake)(void *arg), void *arg, struct vport **out)
{
	struct network *n = named(network);
	struct vport *p;
	int err;

	if (!n)
		return -ENOENT;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	err = vframe_pool_join();
	if (err) {
		free(p);
		return err;
	}
	p->net = n;
	memcpy(p->mac, mac, MAC_LEN);
	snprintf(p->owner, sizeof(p->owner), "%s", owner);
	p->wake = wake;
	p->arg = arg;
	p->muted = 1;
	spin_init(&p->tx.lock, LOCK_NET, "vport tx");
	spin_init(&p->rx.lock, LOCK_NET, "vport rx");
	err = net_call(link_port, p);
	if (err) {
		vframe_pool_leave();
		free(p);
		return err;
	}
	*out = p;
	return 0;
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

	set_filter(p->net->uplink);
	return 0;
}

void vport_mute(struct vport *p, bool muted)
{
	__atomic_store_n(&p->muted, muted, __ATOMIC_SEQ_CST);
	(void)net_call(changed, p);
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

struct at_call {
	unsigned index;
	void *out;
};

static int copy_port(void *arg)
{
	struct at_call *c = arg;
	struct network *n = NULL;

	while ((n = network_next(n)))
		for (struct vport *p = n->ports; p; p = p->next) {
			struct vport_stats *s = c->out;

			if (c->index--)
				continue;
			*s = p->st;
			memcpy(s->network, n->name, sizeof(s->network));
			memcpy(s->owner, p->owner, sizeof(s->owner));
			memcpy(s->mac, p->mac, MAC_LEN);
			s->muted = p->muted;
			s->nr_addrs = p->nr_addrs;
			memcpy(s->addr, p->addr, sizeof(s->addr));
			return 0;
		}
	return -ENOENT;
}

bool vport_at(unsigned index, struct vport_stats *out)
{
	struct at_call c = { .index = index, .out = out };

	return net_call(copy_port, &c) == 0;
}

static int copy_network(void *arg)
{
	struct at_call *c = arg;
	struct network_info *i = c->out;
	struct network *n = &networks[c->index];

	*i = (struct network_info){ .uplink = n->uplink->index, .vlan = n->vlan };
	memcpy(i->name, n->name, sizeof(i->name));
	for (struct vport *p = n->ports; p; p = p->next)
		i->ports++;
	return 0;
}

bool network_at(unsigned index, struct network_info *out)
{
	struct at_call c = { .index = index, .out = out };

	return index < nr_networks && net_call(copy_network, &c) == 0;
}
