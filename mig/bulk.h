/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The copy of a disk beside its mirror: one linear pass, then what is marked, in pieces, of which
 * several are under way at a time. In a world.
 *
 * Interface in order of use: bulk_init, fill in what is [in], bulk_linear, bulk_marked until little
 * is left, bulk_flush; bulk_fini.
 */
#ifndef MIG_BULK_H
#define MIG_BULK_H

#include "mirror.h"
#include "pace.h"

#define BULK_PIECES PACE_WINDOW_MAX
#define BULK_ORDER (MIRROR_ORDER + 2) /* pages of a piece, where there is memory in such blocks */

enum bulk_state { PIECE_FREE, PIECE_CLAIMED, PIECE_READING, PIECE_WRITING, PIECE_ZEROING };

struct bulk_piece {
	struct bulk *b;
	void *buf;
	enum bulk_state state;
	struct mirror_range range;
	uint64_t at;	 /* block: what is before it is copied */
	uint64_t blocks; /* in the part that is under way */
	bool promised;	 /* nothing of it is skipped */
	struct blk_req req;
	struct blk_seg seg;
	bool ended; /* [m->lock] the request is complete */
};

/* What is to be done with some blocks in the linear pass. */
enum bulk_need {
	BULK_COPY,
	BULK_SKIP,   /* the target has them already, as zeros or below it */
	BULK_ZEROES, /* the target has to have zeros there, which take no space */
};

/* Whose error ended the copy. */
enum bulk_fault { BULK_SOURCE, BULK_TARGET, BULK_ASKED };

struct bulk {
	struct mirror *m;
	struct pace pace;
	/*
	 * [in] What these need in the linear pass, and how many blocks from there on are alike; not
	 * set: all that are asked about. NULL: all are copied.
	 */
	enum bulk_need (*need)(void *user, uint64_t block, uint64_t *blocks);
	/* [in] NULL: nobody. These blocks will all be written in this pass, zeros as well. */
	void (*promise)(void *user, uint64_t from, uint64_t to);
	/* [in] NULL: nobody. These blocks, at most piece_blocks, are on the target now; buf NULL:
	 * as zeros, as many as there are. */
	void (*copied)(void *user, uint64_t block, const void *buf, uint64_t bytes);
	/* [in] Looked at now and then: an error ends the copy. May be NULL. */
	int (*asked)(void *user);
	void *user; /* [in] */
	bool fresh; /* [in] the target reads as zeros where nothing was written */
	bool bare;  /* [in] it has anything there: what is skipped elsewhere is zeroed */
	/*
	 * [in] Not NULL: the linear pass reads this, which nobody writes, and the mirror takes no
	 * notice: what the guest writes goes to the source alone.
	 */
	struct blkdev *cold;
	uint64_t done, passed; /* blocks that linear passes have behind them, and earlier ones */
	uint64_t copied_bytes, skipped_bytes;
	uint64_t requests, wakes; /* to the disks; of the world, by those or by the pace */
	enum bulk_fault fault;
	bool linear;
	uint64_t next;	       /* block: of the pass that is under way */
	uint64_t promised;     /* block: up to here */
	uint64_t piece_blocks; /* [const] pieces are so many blocks, or times that */
	uint64_t most_blocks;  /* [const] at most */
	uint64_t buffer_bytes; /* [const] of memory, for all pieces */
	struct bulk_piece piece[BULK_PIECES];
};

MUST_CHECK int bulk_init(struct bulk *b, struct mirror *m);
void bulk_fini(struct bulk *b);
/* All that is not skipped. The first error ends it, with nothing under way: b->fault. */
MUST_CHECK int bulk_linear(struct bulk *b);
/* What is marked, once over the disk. */
MUST_CHECK int bulk_marked(struct bulk *b);
MUST_CHECK int bulk_flush(struct bulk *b);
/* What ends the copy from outside: the target's error, or what b->asked says; b->fault tells. */
MUST_CHECK int bulk_ends(struct bulk *b);
/* Where the linear pass reads. */
static inline struct blkdev *bulk_from(const struct bulk *b)
{
	return b->cold ? b->cold : b->m->source;
}
/*
 * For need: what disk, which is f's or, with f NULL, a whole one, has itself at the block. fresh:
 * of the target.
 */
struct ds_file;
enum bulk_need bulk_need_of(struct ds_file *f, const struct blkdev *disk, bool fresh,
			    uint64_t block, uint64_t *blocks);

#endif
