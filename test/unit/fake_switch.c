/* SPDX-License-Identifier: BSD-2-Clause */
/* Fakes of the switch's face (fake_switch.h). */
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

	while ((f = pop(&fake_port.sent)) || (f = pop(&fake_port.waiting)))
		vframe_free(f);
	memset(&fake_port, 0, sizeof(fake_port));
	fake_port.room = 1000;
}

int vport_open(const char *network, const uint8_t mac[6], const char *owner,
	       void (*wake)(void *arg), void *arg, struct vport **out)
{
	fake_switch_clear();
	if (vframe_pool_join())
		abort();
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

void vport_send(struct vport *p, struct vframe *f)
{
	fake_port.room--;
	push(&fake_port.sent, f);
}

bool vport_sent_all(const struct vport *p)
{
	return true;
}

struct vframe *vport_recv(struct vport *p)
{
	return pop(&fake_port.waiting);
}

void fake_arrive(struct vframe *f)
{
	push(&fake_port.waiting, f);
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

void event_init(struct event *e, const char *name)
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
