/* SPDX-License-Identifier: BSD-2-Clause */
/* How streams come to be: connecting to a peer, and accepting one that connects. */
#include <errno.h>
#include <stdlib.h>

#include <tern/timer.h>

#include "net/stream_int.h"

struct listener {
	struct spinlock lock; /* guards the rest but pcb */
	struct waitq wait;
	struct tcp_pcb *pcb;	     /* [own] */
	struct stream *first, *last; /* [lock] accepted by TCP, not yet by us */
	unsigned nr, max;	     /* [lock] */
	unsigned accepting;	     /* [lock] worlds in stream_accept */
	bool closed;		     /* [lock] */
};

struct connect_call {
	struct stream *s;
	const struct net_addr *to;
	uint16_t port;
	bool attached;
};

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct stream *s = arg;

	(void)pcb;
	(void)err; /* always ERR_OK: failures go to the error callback */
	stream_established(s);
	stream_wake_reader(s);
	return ERR_OK;
}

static int start_connect(void *arg)
{
	struct connect_call *c = arg;
	struct tcp_pcb *pcb;
	ip_addr_t ip;
	err_t err;

	net_addr_to_lwip(c->to, &ip);
	pcb = tcp_new_ip_type(IP_GET_TYPE(&ip));
	if (!pcb)
		return -ENOBUFS;
	stream_attach(c->s, pcb);
	c->attached = true;
	err = tcp_connect(pcb, &ip, c->port, on_connected);
	return net_err(err);
}

static bool settled(struct stream *s)
{
	return stream_error(s) || (stream_flags(s) & S_CONNECTED);
}

static int who_was_silent(void *arg)
{
	return net_silent(arg);
}

int stream_connect(const struct net_addr *to, uint16_t port, uint64_t timeout_ns,
		   struct stream **out)
{
	struct connect_call c = { .s = stream_new(), .to = to, .port = port };
	struct net_addr addr = *to;
	int err;

	if (!c.s)
		return -ENOMEM;
	err = net_call(start_connect, &c);
	if (err) {
		if (c.attached) /* the owner frees it */
			stream_close(c.s);
		else
			stream_discard(c.s);
		return err;
	}
	err = stream_wait(c.s, settled, &c.s->rd, &c.s->rd_waiting, time_ns() + timeout_ns);
	if (!err)
		err = stream_error(c.s);
	if (!err) {
		*out = c.s;
		return 0;
	}
	if (err == -ETIMEDOUT)
		err = net_call(who_was_silent, &addr);
	stream_abort(c.s);
	stream_close(c.s);
	return err;
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t err)
{
	struct listener *l = arg;
	struct stream *s;
	unsigned long flags;
	bool room;

	if (err != ERR_OK || !pcb)
		return ERR_VAL;
	flags = spin_lock(&l->lock);
	room = l->nr < l->max && !l->closed;
	spin_unlock(&l->lock, flags);
	s = room ? stream_new() : NULL;
	if (!s)
		return ERR_MEM;
	stream_attach(s, pcb);
	stream_established(s);
	flags = spin_lock(&l->lock);
	if (l->last)
		l->last->accept_next = s;
	else
		l->first = s;
	l->last = s;
	l->nr++;
	spin_unlock(&l->lock, flags);
	waitq_wake_one(&l->wait);
	return ERR_OK;
}

struct listen_call {
	struct listener *l;
	uint16_t port;
	unsigned backlog;
};

static int start_listen(void *arg)
{
	struct listen_call *c = arg;
	struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_ANY), *lpcb;
	err_t err;

	if (!pcb)
		return -ENOBUFS;
	ip_set_option(pcb, SOF_REUSEADDR);
	err = tcp_bind(pcb, IP_ANY_TYPE, c->port);
	if (err != ERR_OK) {
		tcp_abort(pcb);
		return net_err(err);
	}
	lpcb = tcp_listen_with_backlog_and_err(pcb, (u8_t)MIN(c->backlog, 255u), &err);
	if (!lpcb) {
		tcp_abort(pcb);
		return net_err(err);
	}
	c->l->pcb = lpcb;
	tcp_arg(lpcb, c->l);
	tcp_accept(lpcb, on_accept);
	return 0;
}

int stream_listen(uint16_t port, unsigned backlog, struct listener **out)
{
	struct listener *l = calloc(1, sizeof(*l));
	struct listen_call c = { .l = l, .port = port, .backlog = backlog };
	int err;

	if (!l)
		return -ENOMEM;
	spin_init(&l->lock, LOCK_NET, "listener");
	waitq_init(&l->wait, "accept");
	l->max = backlog ? backlog : 1;
	err = net_call(start_listen, &c);
	if (err) {
		free(l);
		return err;
	}
	*out = l;
	return 0;
}

static struct stream *pop_locked(struct listener *l)
{
	struct stream *s = l->first;

	tern_assert(spin_held(&l->lock));
	if (s) {
		l->first = s->accept_next;
		if (!l->first)
			l->last = NULL;
		l->nr--;
	}
	return s;
}

int stream_accept(struct listener *l, uint64_t deadline_ns, struct stream **out)
{
	unsigned long flags = spin_lock(&l->lock);
	int err = 0;

	l->accepting++;
	while (!l->first && !l->closed && !err)
		err = waitq_sleep(&l->wait, &l->lock, &flags, deadline_ns);
	if (l->first) {
		*out = pop_locked(l);
		err = 0;
	} else if (l->closed) {
		err = -ECANCELED;
	}
	l->accepting--;
	spin_unlock(&l->lock, flags);
	return err;
}

static int end_listen(void *arg)
{
	struct listener *l = arg;

	tcp_arg(l->pcb, NULL);
	tcp_close(l->pcb);
	return 0;
}

static bool is_accepting(struct listener *l)
{
	unsigned long flags = spin_lock(&l->lock);
	bool is = l->accepting != 0;

	spin_unlock(&l->lock, flags);
	return is;
}

/* A world that is in stream_accept gets what came before, then -ECANCELED. */
void listener_close(struct listener *l)
{
	unsigned long flags = spin_lock(&l->lock);
	struct stream *s;

	l->closed = true;
	spin_unlock(&l->lock, flags);
	waitq_wake_all(&l->wait);
	(void)net_call(end_listen, l);
	while (stream_accept(l, 0, &s) == 0) { /* those that waited, then -ECANCELED */
		stream_abort(s);
		stream_close(s);
	}
	while (is_accepting(l))
		world_sleep_ns(NSEC_PER_MSEC);
	free(l);
}
