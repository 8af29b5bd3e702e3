/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The superblock: where the areas are. Read once at mount, from its copy at the
 * device's end when the first is damaged; it is believed only when all of it fits
 * together and the device.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/store/ds_int.h"

static bool geometry_fits(const struct ds_super *s, const struct blk_geometry *g)
{
	return s->nr_extents >= 2 && s->nr_extents < DS_NONE &&
	       s->nr_extents <= g->blocks / (DS_EXTENT / g->block_bytes);
}

/* In order, without overlap; sums cannot wrap because counts have 32 bits. */
static bool areas_fit(const struct ds_super *s)
{
	uint64_t end = (uint64_t)s->first_extent * DS_BLOCKS_PER_EXTENT;

	return s->slot_block > DS_SUPER_BLOCK && s->slot_block <= end && s->log_block <= end &&
	       s->root_block <= end && s->map_block <= end && s->table_block <= end &&
	       s->slot_block + s->nr_slots <= s->log_block &&
	       s->log_block + 2ull * s->log_blocks <= s->root_block &&
	       s->root_block < s->map_block && s->map_block + s->map_blocks <= s->table_block &&
	       s->table_block + s->table_blocks <= end && s->first_extent < s->nr_extents;
}

static bool counts_fit(const struct ds_super *s)
{
	return s->nr_slots >= 1 && s->nr_slots <= DS_MAX_SLOTS &&
	       s->log_blocks >= DS_MIN_LOG_BLOCKS && s->log_blocks <= DS_MAX_LOG_BLOCKS &&
	       s->map_blocks == (s->nr_extents + DS_MAP_EXTENTS - 1) / DS_MAP_EXTENTS &&
	       s->table_blocks >= 1 && s->table_blocks < DS_NONE;
}

static bool times_fit(const struct ds_super *s)
{
	return s->beat_ms && s->io_timeout_ms && s->lease_ms < 1u << 24 &&
	       s->io_timeout_ms < 1u << 24 && s->lease_ms / 3 >= s->beat_ms;
}

int ds_super_check(const struct ds_super *s, const struct blk_geometry *g)
{
	if (s->min_version > DS_VERSION || g->block_bytes > s->sector_bytes)
		return -EPROTO;
	if (s->version < s->min_version || !memchr(s->name, 0, sizeof(s->name)) ||
	    !geometry_fits(s, g) || !counts_fit(s) || !areas_fit(s) || !times_fit(s))
		return -EBADMSG;
	return 0;
}

/* 0, -ENOENT it is something else, -EBADMSG it is damaged. */
static int read_at(struct datastore *ds, uint64_t block, uint8_t *buf)
{
	struct ds_super *s = (struct ds_super *)buf;
	int err = ds_read_blocks(ds, block, 1, buf);

	if (err)
		return err;
	if (s->head.magic != DS_MAGIC_SUPER)
		return -ENOENT;
	ds->super = *s; /* its identity is what the sum is checked with */
	if (!ds_sealed(ds, s, DS_MAGIC_SUPER, block, DS_SECTOR))
		return -EBADMSG;
	return ds_super_check(s, &ds->dev->geo);
}

int ds_super_read(struct datastore *ds)
{
	uint64_t extents = ds->dev->geo.blocks / (DS_EXTENT / ds->dev->geo.block_bytes);
	uint8_t *buf;
	int err;

	if (extents < 2)
		return -ENOENT;
	buf = ds_block_alloc(1);
	if (!buf)
		return -ENOMEM;
	err = read_at(ds, DS_SUPER_BLOCK, buf);
	if (err && err != -EPROTO && err != -ENOENT) {
		int copy = read_at(ds, extents * DS_BLOCKS_PER_EXTENT - 1, buf);

		err = copy ? err : 0;
	}
	free(buf);
	return err;
}
