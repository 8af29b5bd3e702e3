/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The disks of an arriving VM (blk_recv.h): order, answers, life.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blk_recv_int.h"
#include "kernel/lib/crc32c.h"
#include "phase.h"

/* ---- order ---- */

static bool overlaps_locked(struct blk_receiver *r, const struct wire_blocks *b)
{
	for (uint64_t i = r->done + 1; i <= r->taken; i++) {
		const struct recv_slot *s = recv_slot_at(r, i);

		if (!s->over && s->disk == b->disk && b->offset < s->to &&
		    s->from < b->offset + b->bytes)
			return true;
	}
	return false;
}

/* All before it comes first. A snapshot is over before anything else is taken. */
static bool is_barrier(const struct wire_blocks *b)
{
	return b->op == BLOCKS_FLUSH || b->op == BLOCKS_SNAPSHOT;
}

static bool must_wait_locked(struct blk_receiver *r, const struct wire_blocks *b, unsigned pages)
{
	if (r->taken - r->done == RECV_SLOTS ||
	    pages > r->ring.nr - (r->ring.taken - r->ring.given))
		return true;
	return is_barrier(b) ? r->under_way > 0 : overlaps_locked(r, b);
}

static uint64_t end_of(const struct blk_recv_disk *d)
{
	return d->dev->geo.blocks * d->dev->geo.block_bytes;
}

/* What is there is what was sent, not what the datastore had there before. */
static bool is_own_locked(const struct blk_receiver *r, uint32_t disk, uint64_t from, uint64_t to)
{
	return !r->state[disk].bare || spans_have(&r->state[disk].written, from, to);
}

static bool is_all_own_locked(const struct blk_receiver *r, uint32_t disk)
{
	return is_own_locked(r, disk, 0, end_of(&r->disk[disk]));
}

/* The slot is about a disk's contents, and all before it that touch them are over. */
static int may_see(struct blk_receiver *r, const struct recv_slot *s)
{
	unsigned long f = spin_lock(&r->lock);
	bool may = s->op == BLOCKS_CHECK      ? is_own_locked(r, s->disk, s->from, s->to)
		   : s->op == BLOCKS_SNAPSHOT ? is_all_own_locked(r, s->disk)
					      : true;

	spin_unlock(&r->lock, f);
	return may ? 0 : -EBADMSG;
}

/* What comes of it now stands on what came, and shows nothing else. */
static int next_snapshot(struct blk_receiver *r, uint32_t disk)
{
	int err = r->disk[disk].snapshot(r->disk[disk].user);
	unsigned long f = spin_lock(&r->lock);

	if (!err)
		r->state[disk].bare = false;
	spin_unlock(&r->lock, f);
	return err;
}

/* A slot whose turn it is to be filled; NULL after an error of a disk. */
static struct recv_slot *take(struct blk_receiver *r, const struct wire_blocks *b, unsigned pages)
{
	unsigned long f = spin_lock(&r->lock);
	struct recv_slot *s = NULL;

	while (!r->error && must_wait_locked(r, b, pages))
		(void)waitq_sleep(&r->changed, &r->lock, &f, NEVER_NS); /* disks have time-outs */
	if (!r->error && !r->closed) {
		r->taking = true;
		s = recv_slot_at(r, r->taken + 1);
		s->page = pages ? page_ring_take(&r->ring, pages) : NULL;
		s->pages = pages;
		s->over = false;
		s->disk = b->disk;
		s->op = b->op;
		s->sum = b->sum;
		s->unmap = b->flags & BLOCKS_UNMAP;
		s->at = s->from = b->offset;
		s->to = MIN(b->offset + b->bytes, end_of(&r->disk[b->disk]));
		s->left = b->op == BLOCKS_FLUSH ? r->nr_disks : s->to - s->from;
	}
	spin_unlock(&r->lock, f);
	return s;
}

static int read_payload(struct peer *p, const struct recv_slot *s)
{
	int err = 0;

	for (unsigned i = 0, n; !err && i < s->pages; i += n) {
		for (n = 1; i + n < s->pages && s->page[i + n].v == s->page[i].v + n * PAGE_SIZE;
		     n++)
			;
		err = peer_read(p, hpa_ptr(s->page[i]), n * PAGE_SIZE);
	}
	return err;
}

static bool fits(const struct blk_receiver *r, const struct wire_blocks *b)
{
	const struct blk_recv_disk *d;
	uint64_t end;
	uint32_t block;

	if (wire_blocks_check(b, r->peer->payload) || b->seq != r->taken + 1)
		return false;
	if (b->op == BLOCKS_FLUSH)
		return true;
	if (b->disk >= r->nr_disks)
		return false;
	d = &r->disk[b->disk];
	if (b->op == BLOCKS_SNAPSHOT)
		return d->snapshot;
	end = end_of(d);
	block = d->dev->geo.block_bytes;
	return b->offset % block == 0 && b->bytes % block == 0 && b->offset < end &&
	       b->offset + b->bytes <= (d->file ? ALIGN_UP(end, WIRE_FILE_BLOCK) : end);
}

/* For what it brings, or for what is read back. */
static unsigned pages_for(const struct wire_blocks *b)
{
	return b->op == BLOCKS_WRITE || b->op == BLOCKS_CHECK
		       ? (unsigned)((b->bytes + PAGE_MASK) / PAGE_SIZE)
		       : 0;
}

int blk_receiver_take(struct blk_receiver *r, const struct wire_blocks *b)
{
	struct recv_slot *s;
	unsigned long f;
	int err = 0;

	if (!fits(r, b))
		return -EBADMSG;
	s = take(r, b, pages_for(b));
	if (!s)
		return r->error ? r->error : -EBADMSG;
	if (b->op == BLOCKS_WRITE)
		err = read_payload(r->peer, s);
	f = spin_lock(&r->lock);
	r->taken++;
	r->under_way++;
	r->taking = false;
	spin_unlock(&r->lock, f);
	if (!err)
		err = may_see(r, s);
	if (!err && b->op == BLOCKS_SNAPSHOT)
		err = next_snapshot(r, b->disk);
	if (err || b->op == BLOCKS_SNAPSHOT)
		recv_slot_over(s, err); /* after an error nothing follows */
	else
		recv_slot_go(s);
	return err;
}

/* ---- answers ---- */

static uint32_t sum_of(const struct recv_slot *s)
{
	uint64_t left = s->to - s->from;
	uint32_t sum = 0;

	for (unsigned i = 0; i < s->pages; i++, left -= MIN(left, PAGE_SIZE))
		sum = crc32c(sum, hpa_ptr(s->page[i]), MIN(left, PAGE_SIZE));
	return sum;
}

/* The slot stays as it is until it counts as done, which is ours to say. */
static void check_locked(struct blk_receiver *r, const struct recv_slot *s, unsigned long *f)
{
	bool same;

	spin_unlock(&r->lock, *f);
	same = sum_of(s) == s->sum;
	*f = spin_lock(&r->lock);
	if (same || r->error)
		return;
	r->error = -EILSEQ;
	r->error_disk = s->disk;
	r->error_at = s->from;
}

/* Gives back what is done; the number of the last, when the source does not know it yet. */
static bool settle_locked(struct blk_receiver *r, unsigned long *f, uint64_t *seq)
{
	while (r->done < r->taken && recv_slot_at(r, r->done + 1)->over && !r->error) {
		const struct recv_slot *s = recv_slot_at(r, r->done + 1);

		if (s->op == BLOCKS_CHECK)
			check_locked(r, s, f);
		if (r->error)
			break;
		page_ring_give(&r->ring, s->pages);
		r->done++;
	}
	*seq = r->done;
	return r->done > r->told;
}

static bool is_malformed(int error)
{
	return error == -EBADMSG || error == -E2BIG;
}

static void say_error(struct blk_receiver *r, int error)
{
	const char *code = error == -ENOSPC	 ? "no-space"
			   : error == -EILSEQ	 ? "differs"
			   : error == -EEXIST	 ? "exists"
			   : is_malformed(error) ? "bad-stream"
						 : "disk-error";
	const struct blk_recv_disk *d = &r->disk[r->error_disk];
	char disk[16], text[WIRE_TEXT];
	const char *what = d->file ? d->file : disk;

	snprintf(disk, sizeof(disk), "disk %u", d->number);
	if (error == -EILSEQ)
		snprintf(text, sizeof(text),
			 "%.90s there is not what was written to it, near byte %llu", what,
			 (unsigned long long)r->error_at);
	else
		snprintf(text, sizeof(text), "%s there: %s", what,
			 error == -ENOSPC   ? "its datastore is full"
			 : error == -ESTALE ? "its lease was lost: mount its datastore there again"
			 : error == -EEXIST ? "the name of one of its snapshots is taken"
			 : is_malformed(error) ? "not all of it was sent, or in no order"
					       : "it failed a request, see 'log' there");
	peer_send_text(r->peer, WIRE_ABORT, code, text);
}

static int say(struct blk_receiver *r, uint64_t seq, bool news, int error)
{
	struct wire_blocks_done done = { .seq = seq };

	if (error) {
		say_error(r, error);
		return error;
	}
	return news ? peer_send(r->peer, WIRE_BLOCKS_DONE, &done, sizeof(done))
		    : peer_send(r->peer, WIRE_ALIVE, NULL, 0);
}

static void acker_world(void *arg)
{
	struct blk_receiver *r = arg;
	unsigned long f = spin_lock(&r->lock);
	bool news = false, ended = false;
	uint64_t seq;
	int err;

	while (!ended) {
		while (!(news = settle_locked(r, &f, &seq)) && !r->ending && !r->error &&
		       !r->asked && !r->comes)
			(void)waitq_sleep(&r->changed, &r->lock, &f, NEVER_NS);
		ended = r->error || (r->ending && !news);
		if (ended && !r->error)
			break;
		news |= r->comes;
		r->asked = r->comes = false;
		r->told = seq;
		err = r->error;
		spin_unlock(&r->lock, f);
		waitq_wake_all(&r->changed); /* there is room again */
		err = say(r, seq, news, err);
		f = spin_lock(&r->lock);
		/* The reader may be waiting for room, which nobody makes from now on. */
		if (err && !r->error)
			r->error = err;
		ended |= err != 0;
	}
	spin_unlock(&r->lock, f);
	waitq_wake_all(&r->changed);
}

void blk_receiver_alive(struct blk_receiver *r)
{
	unsigned long f = spin_lock(&r->lock);

	r->asked = true;
	spin_unlock(&r->lock, f);
	waitq_wake_all(&r->changed);
}

/* To whom ALIVE says nothing of whether we get on, the same number once more does. */
static int still_comes(void *arg)
{
	struct blk_receiver *r = arg;
	unsigned long f = spin_lock(&r->lock);

	r->comes = true;
	spin_unlock(&r->lock, f);
	waitq_wake_all(&r->changed);
	return 0;
}

/* ---- life ---- */

int blk_receiver_new(struct peer *p, const struct blk_recv_disk *disks, unsigned nr,
		     uint64_t credit, struct blk_receiver **out)
{
	struct world_opts o = { .name = "disks-ack", .prio = WORLD_NORMAL, .cpu = -1 };
	struct blk_receiver *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	r->peer = p;
	r->disk = disks;
	r->nr_disks = nr;
	r->state = calloc(nr, sizeof(*r->state));
	for (unsigned i = 0; r->state && i < nr; i++)
		r->state[i] = (struct recv_state){ .changed = true, .bare = disks[i].bare };
	spin_init(&r->lock, LOCK_MIG_DISKS, "disks in");
	waitq_init(&r->changed, "disks in");
	for (unsigned i = 0; i < RECV_SLOTS; i++)
		r->slot[i].receiver = r;
	err = r->state ? page_ring_init(&r->ring, (unsigned)(credit / PAGE_SIZE)) : -ENOMEM;
	if (!err)
		err = world_create(&r->acker, &o, acker_world, r);
	if (err) {
		page_ring_fini(&r->ring);
		free(r->state);
		free(r);
		return err;
	}
	peer_while_slow(p, still_comes, r);
	*out = r;
	return 0;
}

void blk_receiver_free(struct blk_receiver *r)
{
	unsigned long f = spin_lock(&r->lock);

	while (r->under_way)
		(void)waitq_sleep(&r->changed, &r->lock, &f, NEVER_NS);
	r->ending = true;
	spin_unlock(&r->lock, f);
	waitq_wake_all(&r->changed);
	world_join(r->acker);
	peer_while_slow(r->peer, NULL, NULL);
	page_ring_fini(&r->ring);
	free(r->state);
	free(r);
}

static bool all_own_locked(const struct blk_receiver *r)
{
	for (unsigned i = 0; i < r->nr_disks; i++)
		if (!is_all_own_locked(r, i))
			return false;
	return true;
}

bool blk_receiver_close(struct blk_receiver *r)
{
	unsigned long f = spin_lock(&r->lock);

	r->closed = !r->error && r->done == r->taken && !r->taking && r->taken &&
		    recv_slot_at(r, r->taken)->op == BLOCKS_FLUSH && all_own_locked(r);
	spin_unlock(&r->lock, f);
	return r->closed;
}

uint64_t blk_receiver_bytes(struct blk_receiver *r)
{
	unsigned long f = spin_lock(&r->lock);
	uint64_t bytes = r->bytes;

	spin_unlock(&r->lock, f);
	return bytes;
}
