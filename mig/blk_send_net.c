/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes to another host's disks (blk_send_int.h): a world sends the slots in turn, another one
 * hears how far the other host is, gives slots and pages back and serves who waits for them.
 */
#include <errno.h>

#include "blk_send_int.h"
#include "phase.h"

/* Above what a disk there may take for one request, its resets included. */
#define STALL_NS (2 * LINK_TIMEOUT_NS)

/* ---- the world that sends ---- */

/* The other host has room for it, which it always has for one. */
static bool may_go_locked(const struct blk_sender *s, const struct send_slot *slot)
{
	return slot->ready && s->under_way + send_slot_bytes(slot) <= s->credit;
}

/* What to send next; NULL after a second of nothing. An error: the end. */
static int next_slot(struct blk_sender *s, struct send_slot **out)
{
	uint64_t deadline = time_ns() + ALIVE_EVERY_NS;
	unsigned long f = spin_lock(&s->lock);
	struct send_slot *slot = send_slot_at(s, s->sent + 1);
	int err = 0;

	*out = NULL;
	while (!s->error && err != -ETIMEDOUT && (s->sent == s->taken || !may_go_locked(s, slot)))
		err = waitq_sleep(&s->changed, &s->lock, &f, deadline);
	err = s->error;
	if (!err && s->sent < s->taken && may_go_locked(s, slot)) {
		if (s->sent == s->acked)
			s->progress_ns = time_ns();
		s->sent++;
		s->under_way += send_slot_bytes(slot);
		s->stats.under_way_most = MAX(s->stats.under_way_most, s->under_way);
		*out = slot;
	}
	spin_unlock(&s->lock, f);
	return err;
}

static int send_slot(struct blk_sender *s, const struct send_slot *slot)
{
	for (unsigned i = 0; i < slot->pages; i++)
		page_get(slot->page[i]); /* sending takes one over */
	return peer_send_pages(s->peer, WIRE_BLOCKS, &slot->b, wire_blocks_bytes(s->version),
			       slot->page, slot->pages);
}

void blk_send_world(void *arg)
{
	struct blk_sender *s = arg;
	struct send_slot *slot;
	int err;

	while (!(err = next_slot(s, &slot))) {
		err = slot ? send_slot(s, slot) : peer_send(s->peer, WIRE_ALIVE, NULL, 0);
		if (err)
			blk_send_fail(s, err, NULL);
	}
}

/* ---- the world that hears ---- */

/* So often at most the number of before is said while the other host has the slot in hand: between
 * two pieces of it on its way, and between two disks that are flushed. */
static uint64_t slot_repeats(const struct blk_sender *s, const struct send_slot *slot)
{
	return slot->b.op == BLOCKS_FLUSH ? s->nr_disks : 1 + send_slot_bytes(slot) / LINK_PIECE;
}

/* A new number is progress; the same one for ever is not. */
static bool gets_on_locked(struct blk_sender *s, uint64_t seq)
{
	uint64_t most = 0;

	if (seq > s->acked) {
		s->repeats = 0;
		return true;
	}
	for (uint64_t i = s->acked + 1; i <= s->sent; i++)
		most += slot_repeats(s, send_slot_at(s, i));
	if (s->repeats >= most)
		return false;
	s->repeats++;
	return true;
}

static int stalls_locked(const struct blk_sender *s)
{
	bool stalls = s->sent > s->acked && time_ns() - s->progress_ns > STALL_NS;

	return stalls ? -ETIMEDOUT : 0;
}

static int heard_done(struct blk_sender *s, uint64_t seq)
{
	unsigned long f = spin_lock(&s->lock);
	int err = seq < s->acked || seq > s->sent ? -EBADMSG : 0;

	if (!err && gets_on_locked(s, seq))
		s->progress_ns = time_ns();
	while (!err && s->acked < seq) {
		struct send_slot *slot = send_slot_at(s, ++s->acked);

		s->under_way -= send_slot_bytes(slot);
		s->stats.acked_bytes += send_slot_bytes(slot);
		page_ring_give(&s->ring, slot->pages);
	}
	if (!err)
		err = stalls_locked(s);
	spin_unlock(&s->lock, f);
	waitq_wake_all(&s->changed);
	blk_send_serve(s);
	return err;
}

/* It is alive, but does it work? A guest may be waiting for room. */
static int heard_alive(struct blk_sender *s)
{
	unsigned long f = spin_lock(&s->lock);
	int err = stalls_locked(s);

	spin_unlock(&s->lock, f);
	return err;
}

static int heard(struct blk_sender *s, const struct wire_head *h, const void *body)
{
	const struct wire_text *words;
	int err = peer_last_words(h, body, &words);

	if (err == -ECONNABORTED)
		blk_send_fail(s, err, words);
	if (err)
		return err;
	switch (h->type) {
	case WIRE_ALIVE:
		return heard_alive(s);
	case WIRE_BLOCKS_DONE:
		return heard_done(s, ((const struct wire_blocks_done *)body)->seq);
	default:
		return -EBADMSG;
	}
}

void blk_send_ears(void *arg)
{
	struct blk_sender *s = arg;
	union { /* what is larger is not for us, and is refused */
		struct wire_text text;
		struct wire_blocks_done done;
		uint64_t align;
	} buf;
	struct wire_head h;
	void *body;
	int err;

	do {
		err = peer_recv(s->peer, &h, &buf, sizeof(buf), &body, time_ns() + LINK_TIMEOUT_NS);
		if (err)
			break;
		err = heard(s, &h, body);
		peer_body_free(&buf, body);
	} while (!err);
	blk_send_fail(s, err, NULL);
}
