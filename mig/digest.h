/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Are a disk's two sides the same (--verify)? Of each piece that is copied the CRC32C of what was
 * read from the source is kept, 4 bytes for 128 KiB. The target's is read back and compared;
 * where the guest has written since, both sides are read. A write while a piece is compared waits
 * for it, as for a copy; one after that makes it unverified again. What the guest has discarded
 * is left out until it is written, or copied, once more: the sides may differ there.
 *
 * A target that cannot be read here is told what it should have (check); where it has something
 * else it fails, sooner or later.
 *
 * digest_init, then digest_copied and digest_touched from bulk's and the mirror's hooks;
 * digest_verify when nothing is marked as changed and all is mirrored; digest_fini.
 */
#ifndef MIG_DIGEST_H
#define MIG_DIGEST_H

#include "bulk.h"

struct digest {
	struct bulk *b;	       /* [const] whose pieces and buffers these are */
	uint64_t piece_blocks; /* [const] */
	uint32_t *sum;	       /* [own] of each piece, where known */
	struct cbt unknown;    /* pieces without a sum that holds */
	struct cbt todo;       /* and those that are not compared */
	struct cbt undefined;  /* blocks that were discarded */
	uint64_t compared_bytes;
	/* [in] With the bulk's user. NULL: the target is read. */
	int (*check)(void *user, uint64_t block, uint64_t blocks, uint32_t sum);
};

MUST_CHECK int digest_init(struct digest *d, struct bulk *b);
void digest_fini(struct digest *d);
/* buf NULL: they are zeros. */
void digest_copied(struct digest *d, uint64_t block, const void *buf, uint64_t bytes);
/* Any context; op: a change. */
void digest_touched(struct digest *d, enum blk_op op, uint64_t from, uint64_t to);
/* Once over what is not compared. -EILSEQ: *at is where the sides differ; or an I/O error. */
MUST_CHECK int digest_verify(struct digest *d, uint64_t *at);
uint64_t digest_left(const struct digest *d); /* blocks */

#endif
