/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside of bulk.h: bulk.c chooses the pieces, bulk_piece.c has each read and written. */
#ifndef MIG_BULK_INT_H
#define MIG_BULK_INT_H

#include "bulk.h"

static inline uint64_t bulk_bytes(const struct bulk *b, uint64_t blocks)
{
	return blocks * b->m->source->geo.block_bytes;
}

/* What the pass has to do at the block, and in *n, which is given, how many are alike. */
enum bulk_need bulk_need(const struct bulk *b, uint64_t at, uint64_t *n);
/* Of a piece, as the pace is now. */
uint64_t bulk_blocks_now(const struct bulk *b);
/* A bit for each piece that can move on, or, when the copy ends, has no request under way. */
unsigned bulk_movable(struct bulk *b, bool ends);
/* One of them, which is moved on, or dropped as an error of its own drops it. */
MUST_CHECK int bulk_move(struct bulk *b, struct bulk_piece *p);
void bulk_release(struct bulk *b, struct bulk_piece *p);

#endif
