/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of blk_send.h: blk_send.c takes requests into the buffer, blk_send_net.c has the two
 * worlds that send and that hear, blk_send_wait.c puts what has no contents between the writes, and
 * waits. Whoever submits takes the next slot under the lock and fills it without it; the slots go
 * out in turn, and come back in turn with their pages.
 *
 * Invariants: acked <= sent <= taken <= acked + SEND_SLOTS, all counted from 1; requests wait
 * only while there is a slot that will be given back.
 */
#ifndef MIG_BLK_SEND_INT_H
#define MIG_BLK_SEND_INT_H

#include <tern/world.h>

#include "blk_send.h"
#include "page_ring.h"

#define SEND_SLOTS 256u

struct send_slot {
	struct wire_blocks b; /* filled by who took it, constant once ready */
	hpa_t *page;
	unsigned pages;
	bool ready; /* [lock] */
};

struct remote_disk {
	struct blkdev dev;
	struct blk_sender *sender; /* [const] */
	uint32_t index;		   /* [const] */
};

struct blk_sender {
	struct peer *peer; /* [own] sending: sender; receiving: ears */
	uint64_t credit;   /* [const] */
	uint64_t hold;	   /* [lock] bytes that may be buffered */
	uint16_t version;  /* [const] */
	struct world *sender, *ears;
	struct spinlock lock;
	struct waitq changed;		   /* anything below */
	int error;			   /* [lock] sticky */
	struct wire_text words;		   /* [lock] the other host's, with -ECONNABORTED */
	uint64_t taken, sent, acked;	   /* [lock] numbers of slots */
	uint64_t progress_ns;		   /* [lock] of the latest sign of it */
	uint64_t repeats;		   /* [lock] of the number acked, as such signs */
	uint64_t under_way;		   /* [lock] bytes sent and not acknowledged */
	struct page_ring ring;		   /* [lock] */
	struct blk_req *waiting, *last;	   /* [lock] for a slot, in order */
	struct blk_sender_stats stats;	   /* [lock] */
	struct send_slot slot[SEND_SLOTS]; /* by number modulo */
	unsigned nr_disks;		   /* [const] */
	struct remote_disk disk[];
};

static inline struct send_slot *send_slot_at(struct blk_sender *s, uint64_t seq)
{
	return &s->slot[seq % SEND_SLOTS];
}

static inline uint64_t send_slot_bytes(const struct send_slot *slot)
{
	return (uint64_t)slot->pages * PAGE_SIZE;
}

/* blk_send.c */
/* The next slot, with pages for so many bytes; NULL when there is none now. */
struct send_slot *blk_send_take_locked(struct blk_sender *s, uint64_t bytes);
/* Sets the error, the first that comes; whoever waits fails. */
void blk_send_fail(struct blk_sender *s, int err, const struct wire_text *words);
/* Takes in those that waited, as far as there is room now. */
void blk_send_serve(struct blk_sender *s);

/* blk_send_net.c: worlds, until the error is set. */
void blk_send_world(void *arg);
void blk_send_ears(void *arg);

#endif
