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
#define BULK_ORDER (MIRROR_ORDER + 1) /* pages of a piece */

enum bulk_state { PIECE_FREE, PIECE_CLAIMED, PIECE_READING, PIECE_WRITING };

struct bulk_piece {
	struct bulk *b;
	void *buf;
	enum bulk_state state;
	struct mirror_range range;
	uint64_t at;   /* block: what is before it is copied */
	bool promised; /* nothing of it is skipped */
	struct blk_req req;
	struct blk_seg seg;
	bool ended; /* [m->lock] the request is complete */
};

/* Whose error ended the copy. */
enum bulk_fault { BULK_SOURCE, BULK_TARGET, BULK_ASKED };

struct bulk {
	struct mirror *m;
	struct pace pace;
	/*
	 * [in] What needs no copy in the linear pass, as holes: true, and how many blocks from
	 * there on are alike. NULL: all is copied.
	 */
	bool (*skip)(void *user, uint64_t block, uint64_t *blocks);
	/* [in] NULL: nobody. These blocks will all be written in this pass, zeros as well. */
	void (*promise)(void *user, uint64_t from, uint64_t to);
	/* [in] NULL: nobody. These blocks, at most piece_blocks, are on the target now. */
	void (*copied)(void *user, uint64_t block, const void *buf, uint64_t bytes);
	/* [in] Looked at now and then: an error ends the copy. May be NULL. */
	int (*asked)(void *user);
	void *user;    /* [in] */
	bool fresh;    /* [in] the target reads as zeros where nothing was written */
	uint64_t done; /* blocks of the linear pass that are behind it */
	uint64_t copied_bytes, skipped_bytes;
	enum bulk_fault fault;
	bool linear;
	uint64_t next;	       /* block: of the pass that is under way */
	uint64_t promised;     /* block: up to here */
	uint64_t piece_blocks; /* [const] pieces are so many blocks, or times that */
	uint64_t most_blocks;  /* [const] at most */
	struct bulk_piece piece[BULK_PIECES];
};

MUST_CHECK int bulk_init(struct bulk *b, struct mirror *m);
void bulk_fini(struct bulk *b);
/* All that is not skipped. The first error ends it, with nothing under way: b->fault. */
MUST_CHECK int bulk_linear(struct bulk *b);
/* What is marked, once over the disk. */
MUST_CHECK int bulk_marked(struct bulk *b);
MUST_CHECK int bulk_flush(struct bulk *b);
/* For skip: what disk, which is f's or, with f NULL, a whole one, has at the block. */
struct ds_file;
bool bulk_is_hole(struct ds_file *f, const struct blkdev *disk, uint64_t block, uint64_t *blocks);

#endif
