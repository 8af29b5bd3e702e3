/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Space of files: extents for holes, zeroed before anybody can read them, and
 * the way back. In transactions; what does not fit into one is done in several, from the
 * end of the file, so that a crash between two leaves a shorter file and no leak.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/store/ds_int.h"

#define ZERO_BUFFER_BLOCKS 64u
#define COPY_BLOCKS 64u
#define COPY_BYTES (COPY_BLOCKS * DS_BLOCK)

/* ---- zeroes ---- */

static int zero_by_command(struct datastore *ds, uint64_t epoch, uint64_t block, uint64_t blocks)
{
	while (blocks) {
		uint64_t n = MIN(blocks, ds->dev->geo.max_zeroes_blocks);
		struct blk_req r = { .op = BLK_WRITE_ZEROES, .block = block, .blocks = n };
		int err = ds_may_write(ds, epoch) ? blk_wait(ds->dev, &r) : -ESTALE;

		if (err)
			return err;
		block += n;
		blocks -= n;
	}
	return 0;
}

static int zero_by_writes(struct datastore *ds, uint64_t epoch, uint64_t at, uint64_t blocks)
{
	uint8_t *zeros = ds_block_alloc(ZERO_BUFFER_BLOCKS);
	int err = zeros ? 0 : -ENOMEM;

	for (uint64_t n; blocks && !err; at += n, blocks -= n) {
		n = MIN(blocks, (uint64_t)ZERO_BUFFER_BLOCKS);
		err = ds_write_blocks(ds, epoch, at, n, zeros);
	}
	free(zeros);
	return err;
}

int ds_zero_blocks(struct datastore *ds, uint64_t epoch, uint64_t at, uint64_t blocks)
{
	uint64_t per_block = DS_BLOCK / ds->dev->geo.block_bytes;
	int err = -ENOTSUP;

	if (ds->dev->geo.max_zeroes_blocks)
		err = zero_by_command(ds, epoch, at * per_block, blocks * per_block);
	return err == -ENOTSUP ? zero_by_writes(ds, epoch, at, blocks) : err;
}

int ds_zero_extents(struct datastore *ds, uint64_t epoch, uint32_t first, uint32_t count)
{
	return ds_zero_blocks(ds, epoch, (uint64_t)first * DS_BLOCKS_PER_EXTENT,
			      (uint64_t)count * DS_BLOCKS_PER_EXTENT);
}

/* ---- filling ---- */

/* What a delta's hole shows, to the extents that it gets; behind the parent's end are zeros. */
static int copy_below(struct ds_file *f, uint32_t logical, uint32_t first, uint32_t count)
{
	struct blkdev *from = &f->below->blk;
	uint32_t sector = from->geo.block_bytes;
	uint8_t *buf = ds_block_alloc(COPY_BLOCKS);
	int err = buf ? 0 : -ENOMEM;

	for (uint64_t at = 0; at < (uint64_t)count * DS_EXTENT && !err; at += COPY_BYTES) {
		uint64_t block = ((uint64_t)logical * DS_EXTENT + at) / sector;
		uint64_t there = block < from->geo.blocks ? from->geo.blocks - block : 0;

		there = MIN(there, (uint64_t)COPY_BYTES / sector);
		if (there)
			err = blk_transfer(from, BLK_READ, block, there, buf);
		memset(buf + there * sector, 0, COPY_BYTES - there * sector);
		if (!err)
			err = ds_write_blocks(f->ds, f->ds->txn_epoch,
					      ((uint64_t)first * DS_EXTENT + at) / DS_BLOCK,
					      COPY_BLOCKS, buf);
	}
	free(buf);
	return err;
}

int ds_fill_hole(struct datastore *ds, uint32_t index, struct ds_runs *r, uint32_t logical,
		 uint32_t count, struct ds_file *f, uint32_t *filled)
{
	uint32_t first = 0, got = 0, none, row;
	bool zeros = ds_runs_find(r, logical, &none, &row); /* hide what is below */
	int err = ds_extents_take(ds, count, &first, &got);

	if (!err && f && f->below && !zeros)
		err = copy_below(f, logical, first, got);
	else if (!err && f)
		err = ds_zero_extents(ds, ds->txn_epoch, first, got);
	if (!err && f)
		err = ds_flush(ds); /* durable before a record can show them */
	if (!err && zeros)
		err = ds_runs_cut_out(r, logical, got);
	if (!err)
		err = ds_runs_add(r, logical, first, got);
	if (!err)
		err = ds_runs_store(ds, index, r);
	*filled = got;
	return err;
}

/* ---- freeing ---- */

/* Blocks that writing nr runs takes at most, the file's own and the root included. */
static uint32_t blocks_for(uint32_t nr)
{
	return 2 + (nr > DS_FILE_RUNS ? (nr - DS_FILE_RUNS + DS_MORE_RUNS - 1) / DS_MORE_RUNS : 0);
}

/* Maps that freeing this many extents changes at most. */
static uint32_t maps_for(uint32_t count)
{
	return count / DS_MAP_EXTENTS + 2;
}

uint32_t ds_room_for(uint32_t nr_runs, uint32_t extents)
{
	return blocks_for(nr_runs) + maps_for(extents);
}

int ds_cut(struct datastore *ds, uint32_t index, struct ds_runs *r, uint32_t keep)
{
	uint32_t need = blocks_for(r->nr), had = r->nr;
	uint32_t last_had = had ? r->run[had - 1].count : 0;
	int err = 0;

	while (r->nr && !err) {
		struct ds_run *last = &r->run[r->nr - 1];
		uint32_t from = MAX(last->logical, keep), count;

		if (last->logical + last->count <= keep)
			break;
		count = last->logical + last->count - from;
		if (ds_room(ds) < need + maps_for(count)) {
			if (ds_room(ds) < need + 2)
				break;
			count = MIN(count, DS_MAP_EXTENTS);
		}
		last->count -= count;
		if (last->physical)
			err = ds_extents_give(ds, last->physical + last->count, count);
		if (!last->count)
			r->nr--;
	}
	if (!err && had && r->nr == had && r->run[had - 1].count == last_had &&
	    r->run[had - 1].logical + last_had > keep)
		return -EFBIG; /* the record has no room for the chain and a map */
	if (!err)
		err = ds_runs_store(ds, index, r);
	if (!err && r->nr && r->run[r->nr - 1].logical + r->run[r->nr - 1].count > keep)
		err = -EAGAIN;
	return err;
}
