/* SPDX-License-Identifier: BSD-2-Clause */
/* A connection between two threads of a test (fake_pipe.h). */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tern/timer.h>

#include "fake_pipe.h"

#define ROOM (64u << 10)
#define BLOCK_BYTES (64u << 10) /* references may be to pages within; larger blocks: as a whole */

/* ---- pages ---- */

uint32_t fake_pipe_pages;

/* In front of each block, which is aligned to its size: its references. */
static uint32_t *refs_of(hpa_t a)
{
	return (uint32_t *)((a.v & ~(uint64_t)(BLOCK_BYTES - 1)) + DIRECT_MAP - BLOCK_BYTES);
}

int page_alloc(unsigned order, unsigned flags, enum frame_owner owner, hpa_t *out)
{
	size_t bytes = BLOCK_BYTES + MAX((size_t)PAGE_SIZE << order, (size_t)BLOCK_BYTES);
	char *at = aligned_alloc(BLOCK_BYTES, bytes);

	if (!at)
		abort();
	memset(at, 0xa5, bytes);
	*out = ptr_hpa(at + BLOCK_BYTES);
	*refs_of(*out) = 1;
	__atomic_add_fetch(&fake_pipe_pages, 1, __ATOMIC_RELAXED);
	return 0;
}

void page_get(hpa_t a)
{
	__atomic_add_fetch(refs_of(a), 1, __ATOMIC_RELAXED);
}

void page_put(hpa_t a)
{
	if (__atomic_sub_fetch(refs_of(a), 1, __ATOMIC_ACQ_REL))
		return;
	__atomic_sub_fetch(&fake_pipe_pages, 1, __ATOMIC_RELAXED);
	free(refs_of(a));
}

/* ---- the connection ---- */

struct queue {
	uint8_t at[ROOM];
	size_t head, tail; /* read, written: bytes ever */
};

struct pipe {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct queue q[2];
	bool cut;
	unsigned ends;
};

struct stream {
	struct pipe *p;
	unsigned side;
	bool aborted;
};

void fake_pipe(struct stream **a, struct stream **b)
{
	struct pipe *p = calloc(1, sizeof(*p));
	struct stream **end[2] = { a, b };
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, &attr);
	p->ends = 2;
	for (unsigned i = 0; i < 2; i++) {
		*end[i] = calloc(1, sizeof(**end[i]));
		(*end[i])->p = p;
		(*end[i])->side = i;
	}
}

void fake_pipe_cut(struct stream *s)
{
	pthread_mutex_lock(&s->p->lock);
	s->p->cut = true;
	pthread_cond_broadcast(&s->p->changed);
	pthread_mutex_unlock(&s->p->lock);
}

static int why_not(const struct stream *s)
{
	return s->aborted ? -ECANCELED : s->p->cut ? -ECONNRESET : 0;
}

/* The pipe's lock is held. */
static int wait_change(struct pipe *p, uint64_t deadline_ns)
{
	struct timespec t = { .tv_sec = (time_t)(deadline_ns / NSEC_PER_SEC),
			      .tv_nsec = (long)(deadline_ns % NSEC_PER_SEC) };

	return -pthread_cond_timedwait(&p->changed, &p->lock, &t);
}

static int move(struct stream *s, struct queue *q, bool in, uint8_t *buf, size_t len,
		uint64_t deadline_ns)
{
	struct pipe *p = s->p;
	int err = 0;

	pthread_mutex_lock(&p->lock);
	while (len && !(err = why_not(s))) {
		size_t some = in ? q->tail - q->head : ROOM - (q->tail - q->head);

		if (!some) {
			err = wait_change(p, deadline_ns);
			if (err)
				break;
			continue;
		}
		some = MIN(some, len);
		for (size_t i = 0; i < some; i++) {
			uint8_t *at = &q->at[(in ? q->head++ : q->tail++) % ROOM];

			if (in)
				buf[i] = *at;
			else
				*at = buf[i];
		}
		buf += some;
		len -= some;
		pthread_cond_broadcast(&p->changed);
	}
	pthread_mutex_unlock(&p->lock);
	return err;
}

int stream_write(struct stream *s, const void *buf, size_t len, uint64_t deadline_ns)
{
	return move(s, &s->p->q[s->side], false, (uint8_t *)(uintptr_t)buf, len, deadline_ns);
}

int stream_write_pages(struct stream *s, const hpa_t *pages, unsigned count, uint64_t deadline_ns)
{
	int err = 0;

	for (unsigned i = 0; !err && i < count; i++)
		err = stream_write(s, hpa_ptr(pages[i]), PAGE_SIZE, deadline_ns);
	return err;
}

int stream_await_room(struct stream *s, unsigned pages, uint64_t deadline_ns)
{
	return 0;
}

int stream_read_all(struct stream *s, void *buf, size_t len, uint64_t deadline_ns)
{
	return move(s, &s->p->q[!s->side], true, buf, len, deadline_ns);
}

void stream_flush(struct stream *s)
{
}

int stream_drain(struct stream *s, uint64_t deadline_ns)
{
	struct queue *q = &s->p->q[s->side];
	int err = 0;

	pthread_mutex_lock(&s->p->lock);
	while (!err && q->head != q->tail && !(err = why_not(s)))
		err = wait_change(s->p, deadline_ns);
	pthread_mutex_unlock(&s->p->lock);
	return err;
}

void stream_abort(struct stream *s)
{
	pthread_mutex_lock(&s->p->lock);
	s->aborted = true;
	pthread_cond_broadcast(&s->p->changed);
	pthread_mutex_unlock(&s->p->lock);
}

void stream_close(struct stream *s)
{
	struct pipe *p = s->p;

	fake_pipe_cut(s);
	pthread_mutex_lock(&p->lock);
	p->ends--;
	pthread_mutex_unlock(&p->lock);
	if (!p->ends)
		free(p);
	free(s);
}
