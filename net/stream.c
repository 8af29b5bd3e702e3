/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams on their users' side: writing, waiting, ending. stream_rx.c reads,
 * stream_tcp.c is the other end of the rings, listen.c makes streams.
 *
 * Sleeping: the waiter announces itself, looks again, then sleeps under the
 * stream's lock; the waker changes the state first, and takes the lock only when
 * somebody is announced. So either the waiter sees the change or the waker the waiter.
 */
#include <errno.h>
#include <string.h>

#include <tern/timer.h>

#include "net/stream_int.h"

#define RUN_PAGES 15u /* of one entry: a segment's worth */

static void wake(struct stream *s, struct waitq *q, uint32_t *waiting)
{
	unsigned long flags;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!STREAM_LOAD(*waiting))
		return;
	flags = spin_lock(
		&s->lock); /* who is announced is asleep, or has looked after our change */
	spin_unlock(&s->lock, flags);
	waitq_wake_all(q);
}

void stream_wake_reader(struct stream *s)
{
	wake(s, &s->rd, &s->rd_waiting);
}

void stream_wake_writer(struct stream *s)
{
	wake(s, &s->wr, &s->wr_waiting);
}

int stream_wait(struct stream *s, bool (*ready)(struct stream *s), struct waitq *q,
		uint32_t *waiting, uint64_t deadline_ns)
{
	unsigned long flags = spin_lock(&s->lock);
	int err = 0;

	__atomic_store_n(waiting, 1, __ATOMIC_SEQ_CST);
	while (!ready(s) && !err)
		err = waitq_sleep(q, &s->lock, &flags, deadline_ns);
	STREAM_STORE(*waiting, 0);
	spin_unlock(&s->lock, flags);
	return ready(s) ? 0 : err;
}

void stream_set_error(struct stream *s, int err)
{
	int none = 0;

	__atomic_compare_exchange_n(&s->error, &none, err, false, __ATOMIC_ACQ_REL,
				    __ATOMIC_ACQUIRE);
	stream_wake_reader(s);
	stream_wake_writer(s);
}

static bool has_room(struct stream *s)
{
	uint32_t entries = s->tx_head - STREAM_LOAD(s->tx_tail) + s->more_pages;
	uint64_t bytes = s->queued - STREAM_LOAD(s->acked) + s->more_pages * PAGE_SIZE;

	return entries < STREAM_TX_RING && bytes < STREAM_TX_BYTES;
}

static bool can_write(struct stream *s)
{
	return has_room(s) || stream_error(s);
}

/* Room for one more entry, or the sticky error. */
static int wait_room(struct stream *s, uint64_t deadline_ns)
{
	int err = 0;

	if (!has_room(s)) {
		world_wakes_here(true); /* this world sleeps next */
		stream_post(s);
		world_wakes_here(false);
		NET_COUNT(queue_waits, 1);
		err = stream_wait(s, can_write, &s->wr, &s->wr_waiting, deadline_ns);
	}
	return stream_error(s) ? stream_error(s) : err;
}

int stream_await_room(struct stream *s, unsigned pages, uint64_t deadline_ns)
{
	int err;

	s->more_pages = pages - 1;
	err = wait_room(s, deadline_ns);
	s->more_pages = 0;
	return err;
}

/* The entry's page references are the ring's from here on. */
static void queue_entry(struct stream *s, uint8_t *bytes, uint32_t len)
{
	s->tx[s->tx_head % STREAM_TX_RING] = (struct stream_piece){ .bytes = bytes, .len = len };
	STREAM_STORE(s->queued, s->queued + len);
	STREAM_STORE(s->tx_head, s->tx_head + 1);
}

static int need_fill(struct stream *s)
{
	hpa_t a;
	int err;

	if (s->fill)
		return 0;
	err = page_alloc(ORDER_4K, 0, FRAME_NET, &a);
	if (err)
		return err;
	s->fill = hpa_ptr(a);
	s->fill_used = 0;
	return 0;
}

/* Copies what fits into the current page and queues it; returns how much. */
static size_t fill_page(struct stream *s, const uint8_t *from, size_t len)
{
	uint32_t n = (uint32_t)MIN(len, (size_t)(PAGE_SIZE - s->fill_used));
	uint8_t *to = s->fill + s->fill_used;

	memcpy(to, from, n);
	NET_COUNT(tx_copied_bytes, n);
	page_get(page_of(to));
	queue_entry(s, to, n);
	s->fill_used += n;
	if (s->fill_used == PAGE_SIZE) {
		page_put(page_of(s->fill));
		s->fill = NULL;
	}
	return n;
}

int stream_write(struct stream *s, const void *buf, size_t len, uint64_t deadline_ns)
{
	const uint8_t *at = buf;

	while (len) {
		size_t n;
		int err = wait_room(s, deadline_ns);

		if (!err)
			err = need_fill(s);
		if (err)
			return err;
		n = fill_page(s, at, len);
		at += n;
		len -= n;
	}
	stream_post(s);
	return stream_error(s);
}

/* Pages from the first on that follow each other in memory. */
static unsigned run_length(const hpa_t *pages, unsigned count)
{
	unsigned n = 1;

	while (n < count && n < RUN_PAGES && pages[n].v == pages[n - 1].v + PAGE_SIZE)
		n++;
	return n;
}

int stream_write_pages(struct stream *s, const hpa_t *pages, unsigned count, uint64_t deadline_ns)
{
	while (count) {
		unsigned n = run_length(pages, count);
		int err = wait_room(s, deadline_ns);

		if (err)
			return err;
		for (unsigned i = 0; i < n; i++)
			page_get(pages[i]);
		queue_entry(s, hpa_ptr(pages[0]), n * (uint32_t)PAGE_SIZE);
		pages += n;
		count -= n;
	}
	stream_post(s);
	return stream_error(s);
}

void stream_flush(struct stream *s)
{
	stream_set_flag(s, S_FLUSH);
	stream_post(s);
}

static bool drained(struct stream *s)
{
	return STREAM_LOAD(s->acked) == s->queued || stream_error(s);
}

int stream_drain(struct stream *s, uint64_t deadline_ns)
{
	int err = 0;

	if (!drained(s)) {
		stream_flush(s);
		err = stream_wait(s, drained, &s->wr, &s->wr_waiting, deadline_ns);
	}
	return stream_error(s) ? stream_error(s) : err;
}

void stream_abort(struct stream *s)
{
	stream_set_flag(s, S_ABORT);
	stream_set_error(s, -ECANCELED);
	stream_post(s);
}

void stream_close(struct stream *s)
{
	stream_post_last(s); /* s is the owner's after this */
}

struct info_call {
	struct stream *s;
	struct stream_info *out;
};

static int fill_info(void *arg)
{
	struct info_call *c = arg;
	struct stream *s = c->s;

	memset(c->out, 0, sizeof(*c->out));
	c->out->peer = s->peer;
	c->out->peer_port = s->peer_port;
	c->out->bytes_in = s->received;
	c->out->bytes_out = s->acked;
	c->out->unacked = STREAM_LOAD(s->queued) - s->acked;
	c->out->rtt_ns = s->rtt_ns;
	c->out->mss = s->path_mss;
	return 0;
}

void stream_info(struct stream *s, struct stream_info *out)
{
	struct info_call c = { .s = s, .out = out };

	(void)net_call(fill_info, &c);
}
