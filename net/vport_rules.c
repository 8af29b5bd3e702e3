/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports as an operator sees them: their counters, and the rules that they are under. All of
 * it is done by the owner world.
 */
#include <errno.h>
#include <string.h>

#include "net/vswitch_int.h"

struct rules_call {
	struct vport *p;
	const char *owner;
	unsigned index;
	const struct vport_rules *set; /* or NULL */
	struct vport_rules *now;       /* or NULL */
};

/* Another rate begins with full buckets. */
static int apply(void *arg)
{
	struct rules_call *c = arg;
	struct vport *p = c->p;

	if (c->set && c->set->rate_mbit != p->rules.rate_mbit)
		p->tx_bucket = p->rx_bucket = (struct bucket){ 0 };
	if (c->set)
		p->rules = *c->set;
	if (c->now)
		*c->now = p->rules;
	return 0;
}

void vport_get_rules(struct vport *p, struct vport_rules *out)
{
	struct rules_call c = { .p = p, .now = out };

	(void)net_call(apply, &c);
}

void vport_set_rules(struct vport *p, const struct vport_rules *r)
{
	struct rules_call c = { .p = p, .set = r };

	(void)net_call(apply, &c);
}

/* Of a suspended VM and its heir, which have one name, it is the one that runs. */
static int apply_by_name(void *arg)
{
	struct rules_call *c = arg;
	struct network *n = NULL;

	while ((n = network_next(n)))
		for (struct vport *p = n->ports; p; p = p->next)
			if (!strcmp(p->owner, c->owner) && p->index == c->index &&
			    (!c->p || !vport_muted(p)))
				c->p = p;
	return c->p ? apply(c) : -ENOENT;
}

int vport_rules_of(const char *owner, unsigned index, const struct vport_rules *set,
		   struct vport_rules *now)
{
	struct rules_call c = { .owner = owner, .index = index, .set = set, .now = now };

	return net_call(apply_by_name, &c);
}

struct at_call {
	unsigned index;
	struct vport_stats *out;
};

static void copy_stats(const struct vport *p, struct vport_stats *s)
{
	memset(s, 0, sizeof(*s));
	memcpy(s->network, p->net->name, sizeof(s->network));
	memcpy(s->owner, p->owner, sizeof(s->owner));
	memcpy(s->mac, p->mac, MAC_LEN);
	s->index = p->index;
	s->muted = p->muted;
	s->rules = p->rules;
	s->queues = p->queues;
	s->nr_addrs = p->nr_addrs;
	memcpy(s->addr, p->addr, sizeof(s->addr));
	for (unsigned i = 0; i < VPORT_COUNTERS; i++)
		s->count[i] = __atomic_load_n(&p->count[i], __ATOMIC_RELAXED);
	for (unsigned i = 0; i < VPORT_QUEUES_MAX; i++) {
		s->queue[i].tx_frames = p->tx_passed[i];
		s->queue[i].rx_frames = p->rx[i].passed;
	}
}

static int copy_port(void *arg)
{
	struct at_call *c = arg;
	struct network *n = NULL;

	while ((n = network_next(n)))
		for (struct vport *p = n->ports; p; p = p->next)
			if (!c->index--) {
				copy_stats(p, c->out);
				return 0;
			}
	return -ENOENT;
}

bool vport_at(unsigned index, struct vport_stats *out)
{
	struct at_call c = { .index = index, .out = out };

	return net_call(copy_port, &c) == 0;
}
