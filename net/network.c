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

struct network *network_named(const char *name)
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
void network_filter(struct net_if *uplink)
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

struct at_call {
	unsigned index;
	void *out;
};

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
