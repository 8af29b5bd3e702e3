/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making a datastore: the areas are laid out one behind the other after the first
 * 64 KiB, written, flushed, and only then the superblock, so that what broke off in the
 * middle is no datastore.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/random.h>
#include <tern/timer.h>

#include "kernel/store/ds_int.h"

#define DEFAULT_SLOTS 16u
#define DEFAULT_BEAT_MS 2000u
#define DEFAULT_LEASE_MS 10000u
#define DEFAULT_IO_TIMEOUT_MS 5000u
#define TABLE_BLOCKS_MIN 64u
#define TABLE_BLOCKS_MAX 16384u
#define EXTENTS_PER_TABLE_BLOCK 4u

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
	return value ? value : otherwise;
}

static uint32_t table_for(uint64_t extents)
{
	uint64_t n = extents / EXTENTS_PER_TABLE_BLOCK;

	return (uint32_t)MIN(MAX(n, (uint64_t)TABLE_BLOCKS_MIN), (uint64_t)TABLE_BLOCKS_MAX);
}

int ds_super_plan(struct ds_super *s, const struct blk_geometry *g,
		  const struct ds_format_options *o)
{
	uint64_t end;

	memset(s, 0, sizeof(*s));
	s->version = s->min_version = DS_VERSION;
	s->sector_bytes = g->block_bytes;
	memcpy(s->name, o->name, sizeof(s->name));
	s->nr_extents = MIN(g->blocks / (DS_EXTENT / g->block_bytes), (uint64_t)DS_NONE - 1);
	s->nr_slots = or_default(o->nr_slots, DEFAULT_SLOTS);
	s->log_blocks = DS_MAX_LOG_BLOCKS;
	s->map_blocks = (uint32_t)((s->nr_extents + DS_MAP_EXTENTS - 1) / DS_MAP_EXTENTS);
	s->table_blocks = or_default(o->table_blocks, table_for(s->nr_extents));
	s->beat_ms = or_default(o->beat_ms, DEFAULT_BEAT_MS);
	s->lease_ms = or_default(o->lease_ms, DEFAULT_LEASE_MS);
	s->io_timeout_ms = or_default(o->io_timeout_ms, DEFAULT_IO_TIMEOUT_MS);
	s->slot_block = DS_SUPER_BLOCK + 1;
	s->log_block = s->slot_block + s->nr_slots;
	s->root_block = s->log_block + 2ull * s->log_blocks;
	s->map_block = s->root_block + 1;
	s->table_block = s->map_block + s->map_blocks;
	end = s->table_block + s->table_blocks;
	s->first_extent = (uint32_t)((end + DS_BLOCKS_PER_EXTENT - 1) / DS_BLOCKS_PER_EXTENT);
	s->created = wall_clock_s();
	if (s->first_extent + 2ull > s->nr_extents)
		return -ERANGE;
	return ds_super_check(s, g) ? -EINVAL : 0;
}

static int write_slots_and_logs(struct datastore *ds, uint8_t *b, const struct ds_host *first)
{
	const struct ds_super *s = &ds->super;
	struct ds_slot *slot = (struct ds_slot *)b;
	int err = 0;

	memset(b, 0, DS_BLOCK);
	memcpy(slot->host, first->id, sizeof(slot->host));
	snprintf(slot->name, sizeof(slot->name), "%s", first->name);
	for (uint32_t i = 0; i < s->nr_slots && !err; i++) {
		err = ds_put_block(ds, b, DS_MAGIC_SLOT, s->slot_block + i, DS_SECTOR);
		memset(b, 0, DS_BLOCK);
	}
	memset(b, 0, DS_BLOCK);
	for (uint32_t i = 0; i < 2 && !err; i++)
		err = ds_write_blocks(ds, ds->txn_epoch, s->log_block + i * s->log_blocks, 1, b);
	return err;
}

static int write_root(struct datastore *ds, uint8_t *b)
{
	struct ds_root *root = (struct ds_root *)b;

	memset(b, 0, DS_BLOCK);
	root->free_extents = ds->super.nr_extents - 1 - ds->super.first_extent;
	root->next_id = 1;
	return ds_put_block(ds, b, DS_MAGIC_ROOT, ds->super.root_block, DS_BLOCK);
}

static bool in_use(const struct ds_super *s, uint64_t extent)
{
	return extent < s->first_extent || extent == s->nr_extents - 1;
}

static int write_map(struct datastore *ds, uint8_t *b)
{
	const struct ds_super *s = &ds->super;
	struct ds_map *m = (struct ds_map *)b;
	int err = 0;

	for (uint32_t i = 0; i < s->map_blocks && !err; i++) {
		memset(b, 0, DS_BLOCK);
		m->first = (uint64_t)i * DS_MAP_EXTENTS;
		for (uint32_t bit = 0; bit < DS_MAP_EXTENTS; bit++)
			if (m->first + bit < s->nr_extents && in_use(s, m->first + bit))
				m->bits[bit / 8] |= (uint8_t)(1u << (bit % 8));
		err = ds_put_block(ds, b, DS_MAGIC_MAP, s->map_block + i, DS_BLOCK);
	}
	return err;
}

static int write_super(struct datastore *ds, uint8_t *b, uint64_t at)
{
	memset(b, 0, DS_BLOCK);
	memcpy(b, &ds->super, sizeof(ds->super));
	return ds_put_block(ds, b, DS_MAGIC_SUPER, at, DS_SECTOR);
}

static int write_all(struct datastore *ds, uint8_t *b, const struct ds_host *first)
{
	uint64_t copy = ds->super.nr_extents * DS_BLOCKS_PER_EXTENT - 1;
	int err;

	memset(b, 0, DS_BLOCK);
	err = ds_write_blocks(ds, ds->txn_epoch, DS_SUPER_BLOCK, 1, b); /* the old one goes first */
	if (!err)
		err = ds_write_blocks(ds, ds->txn_epoch, copy, 1, b);
	if (!err)
		err = ds_flush(ds);
	if (!err)
		err = write_slots_and_logs(ds, b, first);
	if (!err)
		err = write_root(ds, b);
	if (!err)
		err = write_map(ds, b);
	if (!err)
		err = write_super(ds, b, copy);
	if (!err)
		err = ds_flush(ds);
	if (!err)
		err = write_super(ds, b, DS_SUPER_BLOCK);
	return err ? err : ds_flush(ds);
}

static bool name_ok(const char name[DS_NAME])
{
	return memchr(name, 0, DS_NAME) && ds_name_ok(name) && !strchr(name, '/');
}

int ds_format(struct blkdev *dev, const struct ds_format_options *o)
{
	struct datastore *ds = calloc(1, sizeof(*ds));
	uint8_t *b = ds_block_alloc(1);
	int err = ds && b ? 0 : -ENOMEM;

	if (!err) {
		ds->dev = dev;
		ds->mode = DS_MOUNT_WRITE;
		ds->fence_ns = NEVER_NS; /* nobody else has it */
		spin_init(&ds->lock, LOCK_STORE, "datastore");
		err = name_ok(o->name) ? ds_super_plan(&ds->super, &dev->geo, o) : -EINVAL;
	}
	if (!err) {
		random_bytes(ds->super.head.ds, sizeof(ds->super.head.ds));
		err = write_all(ds, b, &o->host);
	}
	free(b);
	free(ds);
	return err;
}
