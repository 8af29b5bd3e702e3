/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blocks of metadata: their sums, reading and writing them, and the fence before
 * every write of this host.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tern/timer.h>

#include "kernel/lib/crc32c.h"
#include "kernel/store/ds_int.h"

void *ds_block_alloc(unsigned blocks)
{
	return calloc(blocks, DS_BLOCK);
}

static uint32_t sum(const void *block, size_t bytes)
{
	static const uint32_t no_crc;
	const uint8_t *p = block;
	size_t at = offsetof(struct ds_head, crc), behind = at + sizeof(no_crc);

	return crc32c(crc32c(crc32c(0, p, at), &no_crc, sizeof(no_crc)), p + behind,
		      bytes - behind);
}

void ds_seal(const struct datastore *ds, void *block, enum ds_magic magic, uint64_t at,
	     uint64_t sequence, size_t bytes)
{
	struct ds_head *h = block;

	h->magic = magic;
	h->block = at;
	memcpy(h->ds, ds->super.head.ds, sizeof(h->ds));
	h->sequence = sequence;
	h->crc = sum(block, bytes);
}

bool ds_sealed(const struct datastore *ds, const void *block, enum ds_magic magic, uint64_t at,
	       size_t bytes)
{
	const struct ds_head *h = block;

	return h->magic == magic && h->block == at &&
	       !memcmp(h->ds, ds->super.head.ds, sizeof(h->ds)) && h->crc == sum(block, bytes);
}

static uint64_t sectors(const struct datastore *ds, uint64_t blocks)
{
	return blocks * (DS_BLOCK / ds->dev->geo.block_bytes);
}

int ds_read_blocks(struct datastore *ds, uint64_t at, uint64_t blocks, void *buf)
{
	return blk_transfer(ds->dev, BLK_READ, sectors(ds, at), sectors(ds, blocks), buf);
}

bool ds_may_write(struct datastore *ds, uint64_t epoch)
{
	unsigned long flags = spin_lock(&ds->lock);
	bool may = ds->mode == DS_MOUNT_WRITE && !ds->lost && epoch == ds->epoch &&
		   time_ns() < ds->fence_ns;

	spin_unlock(&ds->lock, flags);
	return may;
}

uint64_t ds_epoch(struct datastore *ds)
{
	unsigned long flags = spin_lock(&ds->lock);
	uint64_t epoch = ds->epoch;

	spin_unlock(&ds->lock, flags);
	return epoch;
}

/*
 * One request after the other, each behind the fence: a long write whose
 * first half took the lease's time does not hand over the second.
 */
int ds_write_blocks(struct datastore *ds, uint64_t epoch, uint64_t at, uint64_t blocks, void *buf)
{
	uint64_t most = MAX(ds->dev->geo.max_bytes / DS_BLOCK, 1);
	uint8_t *p = buf;

	for (uint64_t n; blocks; at += n, blocks -= n, p += n * DS_BLOCK) {
		int err;

		n = MIN(blocks, most);
		if (!ds_may_write(ds, epoch))
			return -ESTALE;
		err = blk_transfer(ds->dev, BLK_WRITE, sectors(ds, at), sectors(ds, n), p);
		if (err)
			return err;
	}
	return 0;
}

int ds_put_block(struct datastore *ds, void *block, enum ds_magic magic, uint64_t at, size_t bytes)
{
	ds_seal(ds, block, magic, at, 0, bytes);
	return ds_write_blocks(ds, ds->txn_epoch, at, 1, block);
}

int ds_flush(struct datastore *ds)
{
	struct blk_req r = { .op = BLK_FLUSH };

	return blk_wait(ds->dev, &r);
}
