/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The load of disk_load.h. Each place in flight is a slot with a buffer of its own, whose
 * parts go to the device together; the last part to end hands the slot back through the
 * list that the command's world empties and submits again.
 */
#include <errno.h>
#include <stdlib.h>

#include <tern/page.h>
#include <tern/timer.h>

#include "disk_load.h"
#include "shell_int.h"

#define PATTERN 0x9e3779b97f4a7c15ull

struct slot;

struct part {
	struct blk_req r;
	struct blk_seg seg;
	struct slot *slot; /* [const] */
};

struct slot {
	struct load *load; /* [const] */
	hpa_t buffer;	   /* [const] */
	struct part *parts;
	unsigned flying;   /* [lock] parts */
	int status;	   /* [lock] the first error */
	struct slot *next; /* [lock] in the list of those that are done */
	uint64_t start_ns, took_ns;
};

struct load {
	const struct disk_load *what;
	struct disk_load_result *got;
	struct slot *slots;
	struct part *parts;
	unsigned nr_parts; /* of a slot */
	struct spinlock lock;
	struct slot *done; /* [lock] */
	struct event some_done;
	uint64_t next_place, seed;
	unsigned in_flight;
};

static void on_done(struct blk_req *r)
{
	struct slot *s = container_of(r, struct part, r)->slot;
	struct load *l = s->load;
	unsigned long flags = spin_lock(&l->lock);

	if (r->status && !s->status)
		s->status = r->status;
	if (--s->flying == 0) {
		s->took_ns = time_ns() - s->start_ns;
		s->next = l->done;
		l->done = s;
		event_signal(&l->some_done); /* under the lock: its release is the last touch */
	}
	spin_unlock(&l->lock, flags);
}

/* Whole requests only, so the disk's last blocks may be left out. */
static uint64_t pick_block(struct load *l, uint64_t blocks)
{
	uint64_t places = l->what->d->geo.blocks / blocks;

	if (!l->what->random)
		return l->next_place++ % places * blocks;
	l->seed = l->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (l->seed >> 20) % places * blocks;
}

static void submit(struct load *l, struct slot *s)
{
	uint32_t block_bytes = l->what->d->geo.block_bytes;
	uint64_t block = pick_block(l, l->what->bytes / block_bytes);

	s->flying = l->nr_parts;
	s->status = 0;
	s->start_ns = time_ns();
	l->in_flight++;
	for (unsigned i = 0; i < l->nr_parts; i++) {
		struct part *p = &s->parts[i];

		p->r.op = l->what->write ? BLK_WRITE : BLK_READ;
		p->r.block = block;
		p->r.blocks = p->seg.len / block_bytes;
		p->r.segs = &p->seg;
		p->r.nr_segs = 1;
		p->r.done = on_done;
		block += p->r.blocks;
		blk_submit(l->what->d, &p->r);
	}
}

static void account(struct load *l, const struct slot *s)
{
	l->in_flight--;
	if (s->status) {
		l->got->err = s->status;
		return;
	}
	l->got->requests++;
	l->got->sum_ns += s->took_ns;
	l->got->max_ns = MAX(l->got->max_ns, s->took_ns);
}

static struct slot *take_done(struct load *l)
{
	unsigned long flags = spin_lock(&l->lock);
	struct slot *s = l->done;

	l->done = NULL;
	spin_unlock(&l->lock, flags);
	return s;
}

static void run(struct shell *sh, struct load *l)
{
	uint64_t start = time_ns(), end = start + l->what->seconds * NSEC_PER_SEC;

	for (uint64_t i = 0; i < l->what->depth; i++)
		submit(l, &l->slots[i]);
	while (l->in_flight) {
		(void)event_wait(&l->some_done, NEVER_NS);
		for (struct slot *s = take_done(l), *next; s; s = next) {
			next = s->next;
			account(l, s);
			if (!l->got->err && time_ns() < end && !shell_interrupted(sh))
				submit(l, s);
		}
	}
	l->got->ns = time_ns() - start;
}

/* ---- memory ---- */

static unsigned order_of(uint64_t bytes)
{
	unsigned order = 0;

	while ((PAGE_SIZE << order) < bytes)
		order++;
	return order;
}

/* What is written is no one's memory of before. */
static void fill(hpa_t buffer, uint64_t bytes)
{
	uint64_t *word = hpa_ptr(buffer);

	for (uint64_t i = 0; i < bytes / sizeof(*word); i++)
		word[i] = i * PATTERN;
}

static bool make_slot(struct load *l, uint64_t n)
{
	struct slot *s = &l->slots[n];
	uint64_t left = l->what->bytes, at;

	if (page_alloc(order_of(left), 0, FRAME_KERNEL, &s->buffer))
		return false;
	if (l->what->write)
		fill(s->buffer, left);
	at = s->buffer.v;
	s->load = l;
	s->parts = l->parts + n * l->nr_parts;
	for (unsigned i = 0; i < l->nr_parts; i++) {
		uint32_t len = (uint32_t)MIN(left, l->what->d->geo.max_bytes);

		s->parts[i] = (struct part){ .seg = { HPA(at), len }, .slot = s };
		at += len;
		left -= len;
	}
	return true;
}

/* How many slots have a buffer. */
static uint64_t make_slots(struct load *l)
{
	uint64_t n = 0, depth = l->what->depth, most = l->what->d->geo.max_bytes;

	l->nr_parts = (unsigned)((l->what->bytes + most - 1) / most);
	l->slots = calloc((size_t)depth, sizeof(*l->slots));
	l->parts = calloc((size_t)depth * l->nr_parts, sizeof(*l->parts));
	while (l->slots && l->parts && n < depth && make_slot(l, n))
		n++;
	return n;
}

static void free_slots(struct load *l, uint64_t n)
{
	while (n--)
		page_put(l->slots[n].buffer);
	free(l->parts);
	free(l->slots);
}

int disk_load_run(struct shell *sh, const struct disk_load *what, struct disk_load_result *out)
{
	struct load l = { .what = what, .got = out, .seed = time_ns() };
	uint64_t slots;

	*out = (struct disk_load_result){ .err = 0 };
	spin_init(&l.lock, LOCK_DRIVER, "disk load");
	event_init(&l.some_done, "disk load");
	slots = make_slots(&l);
	if (slots == what->depth)
		run(sh, &l);
	free_slots(&l, slots);
	return slots == what->depth ? 0 : -ENOMEM;
}
