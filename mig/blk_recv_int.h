/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of blk_recv.h: blk_recv.c takes requests off the stream in order and answers,
 * blk_recv_req.c brings one to its disk, in parts as large as that takes. The stream's world reads
 * and submits; requests end in the disks' contexts; a world of its own says to the source how
 * far everything is done, because the first may sleep in a read just then.
 *
 * Invariants: done <= taken <= done + RECV_SLOTS; a request is not submitted while one that
 * overlaps it is under way; a flush is submitted when nothing is, and nothing before it is done; so
 * is a snapshot taken, by the stream's world.
 */
#ifndef MIG_BLK_RECV_INT_H
#define MIG_BLK_RECV_INT_H

#include <tern/world.h>

#include "blk_recv.h"
#include "page_ring.h"
#include "spans.h"

#define RECV_SLOTS 32u
#define RECV_SEGS (WIRE_BLOCKS_MAX / PAGE_SIZE)

/* Who goes on when a part ends: recv_slot_go, which has it in hand still, or part_done. */
enum part_state { PART_GOES, PART_PENDS, PART_ENDED };

struct recv_slot {
	struct blk_req r;
	struct blk_receiver *receiver; /* [const] */
	uint32_t disk, op, sum;	       /* of wire_blocks */
	bool unmap;
	uint64_t at, left; /* what is still to be handed over: bytes of the disk */
	uint64_t from, to; /* all of it */
	hpa_t *page;
	unsigned pages;
	uint32_t part; /* [atom] enum part_state */
	bool over;     /* [lock] */
	struct blk_seg seg[RECV_SEGS];
};

/* What is known of a disk's contents. */
struct recv_state {
	bool changed; /* since its last flush, or there was none */
	bool bare;    /* still; then what of it is its own by now */
	struct spans written;
};

struct blk_receiver {
	struct peer *peer; /* receiving: the caller; sending: acker */
	const struct blk_recv_disk *disk;
	unsigned nr_disks;
	struct recv_state *state; /* [lock] one for each disk */
	struct world *acker;
	struct spinlock lock;
	struct waitq changed;	    /* anything below */
	uint64_t taken, done, told; /* [lock] numbers of requests */
	uint32_t under_way;	    /* [lock] */
	int error;		    /* [lock] of a disk, sticky */
	uint32_t error_disk;	    /* [lock] */
	uint64_t error_at;	    /* [lock] byte of it, with -EILSEQ */
	bool taking, closed;	    /* [lock] one is being taken; no more are */
	bool ending, asked;	    /* [lock] asked: the source wants a sign of life */
	bool comes;		    /* [lock] a payload or a flush gets on, slowly */
	uint64_t bytes;		    /* [lock] written */
	struct page_ring ring;	    /* [lock] */
	struct recv_slot slot[RECV_SLOTS];
};

static inline struct recv_slot *recv_slot_at(struct blk_receiver *r, uint64_t seq)
{
	return &r->slot[seq % RECV_SLOTS];
}

/* blk_recv_req.c. The slot is filled and its payload here: to the disk with it. */
void recv_slot_go(struct recv_slot *s);
void recv_slot_over(struct recv_slot *s, int err);

#endif
