/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blocks of a disk that have to be copied (again), or looked at: a bit for each granule, or
 * for more on a disk so large that the bits would take more than 2 MiB. Marks come from
 * completions, in any context; one world takes them.
 *
 * cbt_init, cbt_mark, cbt_take until it finds nothing, cbt_fini.
 */
#ifndef MIG_CBT_H
#define MIG_CBT_H

#include <tern/types.h>

struct cbt {
	uint64_t blocks;   /* [const] of the disk */
	unsigned shift;	   /* [const] a granule is 1 << shift blocks */
	uint64_t words;	   /* [const] */
	uint64_t *bits;	   /* [atom] */
	uint64_t granules; /* [atom] bits that are set */
};

#define CBT_GRANULE (64u << 10)

/* granule is in bytes, a power of two. -ENOMEM. */
MUST_CHECK int cbt_init(struct cbt *c, uint64_t blocks, uint32_t block_bytes, uint32_t granule);
/* Of things that have numbers instead, a bit for each of them, however many. -ENOMEM. */
MUST_CHECK int cbt_init_each(struct cbt *c, uint64_t things);
void cbt_fini(struct cbt *c);
/* Blocks [from, to), to > from. */
void cbt_mark(struct cbt *c, uint64_t from, uint64_t to);
/* The granules that lie wholly in them. */
void cbt_unmark(struct cbt *c, uint64_t from, uint64_t to);
/*
 * The next marked blocks at or behind *at, in a row, at most `most` (a granule at least): unmarked,
 * then *from and *to. False: there are none from *at to the end. *at goes behind them.
 */
bool cbt_take(struct cbt *c, uint64_t *at, uint64_t most, uint64_t *from, uint64_t *to);
bool cbt_marks(const struct cbt *c, uint64_t block);
void cbt_clear(struct cbt *c, uint64_t block); /* its granule */
uint64_t cbt_marked(const struct cbt *c);      /* blocks, a granule counted whole */

#endif
