/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All streams, and those that want the owner's attention. A stream is on the list
 * of work at most once, so the list is bounded by the number of streams. One that
 * dies while it is listed is freed when the list comes to it.
 *
 * The owner frees a stream once it sees S_CLOSE, which it may while it serves that
 * stream for another reason. So S_CLOSE is set and the stream listed in one turn of the
 * list's lock, and whoever frees looks under it: the closer has let go by then.
 */
#include <string.h>

#include "net/stream_int.h"

static struct {
	struct spinlock lock;	     /* guards first, last */
	struct stream *first, *last; /* [lock] */
	struct stream *all;	     /* [own] */
} list;

#define STREAM_STRUCT_BYTES PAGE_SIZE
#define STREAM_ORDER 5u
_Static_assert(sizeof(struct stream) <= STREAM_STRUCT_BYTES, "struct stream fits a page");
_Static_assert(STREAM_STRUCT_BYTES +
			       (STREAM_TX_RING + STREAM_RX_RING) * sizeof(struct stream_piece) <=
		       (PAGE_SIZE << STREAM_ORDER),
	       "struct and rings fit the block");

void streams_init(void)
{
	spin_init(&list.lock, LOCK_NET, "streams");
}

static void append_locked(struct stream *s)
{
	tern_assert(spin_held(&list.lock));
	s->work_next = NULL;
	if (list.last)
		list.last->work_next = s;
	else
		list.first = s;
	list.last = s;
}

void stream_post(struct stream *s)
{
	unsigned long flags;

	if (__atomic_exchange_n(&s->posted, 1, __ATOMIC_ACQ_REL))
		return;
	flags = spin_lock(&list.lock);
	append_locked(s);
	spin_unlock(&list.lock, flags);
	net_wake();
}

void stream_post_last(struct stream *s)
{
	unsigned long flags = spin_lock(&list.lock);

	stream_set_flag(s, S_CLOSE | S_FLUSH);
	if (!__atomic_exchange_n(&s->posted, 1, __ATOMIC_ACQ_REL))
		append_locked(s);
	spin_unlock(&list.lock, flags);
	net_wake();
}

static bool is_posted(const struct stream *s)
{
	unsigned long flags = spin_lock(&list.lock);
	bool posted = STREAM_LOAD(s->posted);

	spin_unlock(&list.lock, flags);
	return posted;
}

static struct stream *take_all(void)
{
	unsigned long flags = spin_lock(&list.lock);
	struct stream *s = list.first;

	list.first = NULL;
	list.last = NULL;
	spin_unlock(&list.lock, flags);
	return s;
}

unsigned streams_run(void)
{
	struct stream *s, *next;
	unsigned done = 0;

	if (!STREAM_LOAD(list.first))
		return 0;
	for (s = take_all(); s; s = next) {
		next = s->work_next;
		__atomic_store_n(&s->posted, 0, __ATOMIC_SEQ_CST);
		done++;
		if (s->free_later)
			stream_free(s);
		else
			stream_service(s);
	}
	return done;
}

void streams_tx_resume(void)
{
	for (struct stream *s = list.all; s; s = s->all_next)
		if (s->pcb && s->pcb->unsent)
			stream_post(s);
}

struct stream *stream_new(void)
{
	struct stream *s;
	hpa_t block;

	if (page_alloc(STREAM_ORDER, 0, FRAME_NET, &block))
		return NULL;
	s = hpa_ptr(block);
	memset(s, 0, sizeof(*s));
	s->tx = (void *)((uint8_t *)s + STREAM_STRUCT_BYTES);
	s->rx = s->tx + STREAM_TX_RING;
	spin_init(&s->lock, LOCK_NET, "stream");
	waitq_init(&s->rd, "stream read");
	waitq_init(&s->wr, "stream write");
	return s;
}

void stream_list_add(struct stream *s)
{
	s->all_next = list.all;
	list.all = s;
}

void stream_discard(struct stream *s)
{
	page_put(ptr_hpa(s));
}

void stream_free(struct stream *s)
{
	struct stream **p;

	if (is_posted(s)) {
		s->free_later = true;
		return;
	}
	for (p = &list.all; *p; p = &(*p)->all_next)
		if (*p == s) {
			*p = s->all_next;
			break;
		}
	stream_rx_release(s);
	if (s->rx_fill)
		page_put(page_of(s->rx_fill));
	if (s->fill)
		page_put(page_of(s->fill));
	stream_discard(s);
}
