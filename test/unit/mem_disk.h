/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks in memory whose requests stay under way until the test ends one, any of them: what
 * they move is moved then. And the base of a world that runs alone: where it would sleep,
 * mem_idle makes something happen.
 */
#ifndef TEST_MEM_DISK_H
#define TEST_MEM_DISK_H

#include <tern/blkdev.h>

#define MEM_PENDING 256u

struct mem_disk {
	struct blkdev dev;
	uint8_t *bytes;
	struct blk_req *pending[MEM_PENDING];
	unsigned nr;
	unsigned seen[BLK_OPS], unmaps; /* the latter of the zeroes */
	uint8_t junk;			/* what a discard leaves, and a failed write too */
	/* NULL: all succeed. What the request ends with. */
	int (*verdict)(struct mem_disk *d, const struct blk_req *r);
};

extern uint64_t mem_now_ns;
extern void (*mem_idle)(void);
extern uint64_t mem_pages;	/* allocated */
extern unsigned mem_most_order; /* there is no memory in larger blocks */

void mem_disk_init(struct mem_disk *d, uint64_t blocks, uint32_t block_bytes, uint32_t max_bytes);
void mem_disk_fini(struct mem_disk *d);
void mem_disk_end(struct mem_disk *d, unsigned which);

#endif
