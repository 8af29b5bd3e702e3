/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mirror: a filter under a guest's disk while that moves. It is a struct blkdev, with
 * the disk (the source) and what becomes of it (the target) behind it, which may be any
 * struct blkdev too. bulk.h copies beside it.
 *
 * Interface in order of use: mirror_new, then the guest's requests go to m->front;
 * mirror_claim and mirror_release around each piece that is copied; mirror_both where marks
 * alone do not converge; mirror_free when nothing is in flight and nobody uses m->front any more.
 *
 * Invariants:
 *  - A write behind the cursor, which is where the copy has been, goes to both sides. What is
 *    ahead of it goes to the source alone. In a piece that is being copied it waits until that is
 *    done, and a piece is not read before the writes in it have ended.
 *  - What goes to both sides is copied first, and both are given the copy: the guest may change its
 *    buffer meanwhile, and is read once. Writes that touch one another go one after the other,
 *    in the guest's order: else the sides might take them in different ones.
 *  - A failing target never fails the guest's request: it is given nothing more, and m->error
 *    says why. Where the source fails a write, the blocks are marked to be copied again.
 *  - In the mode MIRROR_MARK writes go to the source alone and are marked when they have ended.
 *  - A discard makes no promise about what is read afterwards, so the sides may differ there.
 *
 * Requests that wait hold no CPU: each is in a list, and whoever ends what it waits for starts it.
 * There are MIRROR_OPS at a time; more wait in order. Nothing is allocated on the way.
 */
#ifndef MIG_MIRROR_H
#define MIG_MIRROR_H

#include <tern/blkdev.h>

#include "cbt.h"

#define MIRROR_OPS 32u
#define MIRROR_ORDER 5u /* pages of an op's copy */
#define MIRROR_BYTES (4096u << MIRROR_ORDER)

enum mirror_mode { MIRROR_BOTH, MIRROR_MARK };

struct mirror;

/* Blocks [from, to) that are being copied. */
struct mirror_range {
	uint64_t from, to;
	bool clear;		   /* [m->lock] no write that began before is under way in it */
	struct mirror_range *next; /* [m->lock] */
};

struct mirror_op {
	struct mirror *m; /* [const] */
	void *buf;	  /* [const] MIRROR_BYTES */
	struct blk_req *guest;
	struct mirror_op *next; /* [m->lock] */
	uint64_t from, to;	/* blocks; to is from for what changes none */
	uint64_t target_to;	/* what of them goes to the target: [from, target_to) */
	bool active;		/* [m->lock] handed over, else it waits */
	bool mark;		/* to be copied again when it has ended */
	bool waited;		/* for a copy or another request */
	bool flush_target;
	uint8_t sides;	    /* [m->lock] not done */
	int status;	    /* of the source */
	uint64_t target_at; /* bytes of it that the target has */
	struct blk_req source, target;
	struct blk_seg source_seg, target_seg;
};

/* Since the mirror was made. */
struct mirror_figures {
	uint64_t requests, busy_ns; /* the guest's reads and writes, and their times' sum */
	uint64_t mirrored_bytes;    /* that went to both sides */
	uint64_t copied_bytes;	    /* of the guest's memory, to be given to both */
	uint64_t held, held_ns;	    /* requests that waited for a copy or another request */
};

struct mirror {
	struct blkdev front;
	struct blkdev *source, *target; /* [const] */
	struct cbt *cbt;		/* [const] */
	/* Any context; of blocks that may differ from what was seen before, at the request's begin
	 * and at its end. NULL: nobody. */
	void (*touched)(struct mirror *m, enum blk_op op, uint64_t from, uint64_t to);
	void *user;
	struct event changed; /* a range became clear, or the target failed */
	struct spinlock lock;
	enum mirror_mode mode;			 /* [lock] */
	uint64_t cursor;			 /* [lock] */
	int error;				 /* [lock] the target's first */
	struct mirror_range *ranges;		 /* [lock] */
	struct mirror_op *first, **last;	 /* [lock] in the guest's order */
	struct mirror_op *free;			 /* [lock] */
	unsigned held;				 /* [lock] of the list, not active */
	bool starting;				 /* [lock] somebody starts what may go */
	struct blk_req *waiting, **waiting_last; /* [lock] for an op */
	struct mirror_figures fig;		 /* [lock] */
	struct mirror_op op[MIRROR_OPS];
};

/* -ENOMEM; -EINVAL: the target is smaller, or its blocks are larger. cbt is for source's blocks. */
MUST_CHECK int mirror_new(struct blkdev *source, struct blkdev *target, struct cbt *cbt,
			  enum mirror_mode mode, struct mirror **out);
void mirror_free(struct mirror *m);
/*
 * The piece is copied from now on: the cursor is behind it, and writes to it wait (not in the mode
 * MIRROR_MARK). It may be read when r->clear, which m->changed tells.
 */
void mirror_claim(struct mirror *m, struct mirror_range *r);
bool mirror_clear(struct mirror *m, const struct mirror_range *r);
void mirror_release(struct mirror *m, struct mirror_range *r);
/* From now on all that is written goes to both sides. */
void mirror_both(struct mirror *m);
int mirror_error(struct mirror *m); /* of the target, 0: none */
void mirror_figures(struct mirror *m, struct mirror_figures *out);

/* mirror_op.c: one request. Hands an active op over; it ends by mirror_end, in any context. */
void mirror_start(struct mirror_op *op);
/* mirror.c */
void mirror_end(struct mirror_op *op);
void mirror_fail(struct mirror *m, int err);

#endif
