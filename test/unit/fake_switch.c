/* SPDX-License-Identifier: BSD-2-Clause */
/* Fakes of the switch's face (fake_switch.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "test/unit/fake_switch.h"

struct net_stats net_counters;
struct fake_port fake_port;

static struct vframe *pop(struct vframe **first)
{
	struct vframe *f = *first;

	if (f)
		*first = f->next;
	return f;
}

static void push(struct vframe **first, struct vframe *f)
{
	while (*first)
		first = &(*first)->next;
	f->next = NULL;
	*first = f;
}

void fake_switch_clear(void)
{
	struct vframe *f;

	while ((f = pop(&fake_port.sent)))
		vframe_free(f);
	for (unsigned i = 0; i < VPORT_QUEUES_MAX; i++)
		while ((f = pop(&fake_port.waiting[i])))
			vframe_free(f);
	memset(&fake_port, 0, sizeof(fake_port));
	fake_port.room = 1000;
}

int vport_open(const struct vport_config *c, struct vport **out)
{
	fake_switch_clear();
	if (vframe_pool_join())
		abort();
	fake_port.rules = c->rules;
	fake_port.queues_max = c->queues;
	memcpy(fake_port.mac, c->mac, sizeof(fake_port.mac));
	memcpy(fake_port.first_mac, c->mac, sizeof(fake_port.mac));
	*out = (struct vport *)&fake_port;
	return 0;
}

void vport_close(struct vport *p)
{
	fake_switch_clear();
	vframe_pool_leave();
}

void vport_accepts(struct vport *p, unsigned flags)
{
	fake_port.accepts = flags;
}

bool vport_room(struct vport *p)
{
	return fake_port.room > 0;
}

void vport_use_queues(struct vport *p, unsigned queues)
{
	if (queues < 1 || queues > fake_port.queues_max)
		abort();
	fake_port.queues = queues;
}

void vport_count(struct vport *p, enum vport_counter c, uint64_t n)
{
	fake_port.count[c] += n;
}

void vport_hurry(struct vport *p)
{
}

int vport_set_mac(struct vport *p, const uint8_t mac[6], bool by_guest)
{
	static const uint8_t none[6];

	if (mac[0] & 1 || !memcmp(mac, none, sizeof(none)))
		return -EINVAL;
	if (by_guest && !fake_port.rules.any_source && memcmp(mac, fake_port.first_mac, 6))
		return -EPERM;
	memcpy(fake_port.mac, mac, 6);
	return 0;
}

void vport_get_rules(struct vport *p, struct vport_rules *out)
{
	*out = fake_port.rules;
}

void vport_set_rules(struct vport *p, const struct vport_rules *r)
{
	fake_port.rules = *r;
}

void vport_send(struct vport *p, unsigned queue, struct vframe *f)
{
	f->queue = (uint8_t)queue;
	fake_port.room--;
	push(&fake_port.sent, f);
}

bool vport_sent_all(const struct vport *p)
{
	return true;
}

struct vframe *vport_recv(struct vport *p, unsigned queue)
{
	return pop(&fake_port.waiting[queue]);
}

void fake_arrive_at(unsigned queue, struct vframe *f)
{
	push(&fake_port.waiting[queue], f);
}

void fake_arrive(struct vframe *f)
{
	fake_arrive_at(0, f);
}

struct vframe *fake_departed(void)
{
	return pop(&fake_port.sent);
}

void vport_mute(struct vport *p, bool muted)
{
	fake_port.muted = muted;
}

void vport_announce(struct vport *p)
{
	fake_port.announced++;
}

unsigned vport_addrs(struct vport *p, struct net_addr out[VPORT_ADDRS])
{
	memcpy(out, fake_port.addr, sizeof(fake_port.addr));
	return fake_port.nr_addrs;
}

void vport_learn(struct vport *p, const struct net_addr *a)
{
	fake_port.addr[fake_port.nr_addrs++ % VPORT_ADDRS] = *a;
}

unsigned vport_mtu(const struct vport *p)
{
	return 1500;
}

int world_create(struct world **out, const struct world_opts *o, void (*fn)(void *), void *arg)
{
	*out = NULL; /* the test moves the frames itself */
	return 0;
}

void world_join(struct world *w)
{
}

void world_sleep_ns(uint64_t ns)
{
}

void world_wakes_here(bool on)
{
}

void world_share(void)
{
}

void event_signal(struct event *e)
{
	fake_port.wakes++;
}

int event_wait(struct event *e, uint64_t deadline_ns)
{
	return 0;
}
