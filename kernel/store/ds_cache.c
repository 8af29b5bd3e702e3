/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Metadata as a transaction sees it: blocks of the record being made, over a cache
 * of what is on disk. The cache holds for as long as no other host commits; whoever
 * begins a transaction finds that out from the log (ds_log.c) and drops what changed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/store/ds_int.h"

#define READ_AHEAD 16u /* blocks */
#define READER_TRIES 8u

static uint8_t *in_record(const struct datastore *ds, uint64_t block)
{
	const struct ds_log *log = (const struct ds_log *)ds->record;

	for (uint32_t i = 0; i < ds->nr_dirty; i++)
		if (log->entry[i].block == block)
			return ds->record + (size_t)(i + 1) * DS_BLOCK;
	return NULL;
}

static uint8_t **cached(const struct datastore *ds, uint64_t block)
{
	if (block < ds->super.root_block || block - ds->super.root_block >= ds->nr_cache)
		return NULL;
	return &ds->cache[block - ds->super.root_block];
}

void ds_cache_drop(struct datastore *ds, uint64_t block)
{
	uint8_t **at = cached(ds, block);

	if (at) {
		free(*at);
		*at = NULL;
	}
}

void ds_cache_drop_all(struct datastore *ds)
{
	for (uint64_t i = 0; i < ds->nr_cache; i++)
		ds_cache_drop(ds, ds->super.root_block + i);
}

/* Blocks behind the one that is missing come along; those that are no good stay out. */
static int fill(struct datastore *ds, uint64_t block)
{
	uint64_t end = ds->super.root_block + ds->nr_cache;
	uint64_t count = MIN((uint64_t)READ_AHEAD, end - block);
	uint8_t *buf = ds_block_alloc((unsigned)count);
	int err = buf ? ds_read_blocks(ds, block, count, buf) : -ENOMEM;

	for (uint64_t i = 0; i < count && !err; i++) {
		const struct ds_head *h = (const struct ds_head *)(buf + i * DS_BLOCK);
		uint8_t **at = cached(ds, block + i);

		if (*at || !ds_sealed(ds, h, h->magic, block + i, DS_BLOCK))
			continue;
		*at = ds_block_alloc(1);
		if (!*at)
			err = -ENOMEM;
		else
			memcpy(*at, h, DS_BLOCK);
	}
	free(buf);
	return err;
}

const void *ds_get_any(struct datastore *ds, uint64_t block, int *err)
{
	uint8_t *dirty = in_record(ds, block), **at = cached(ds, block);
	/* A reader may meet a write; who has the lock cannot. */
	unsigned tries = ds->mode == DS_MOUNT_READ ? READER_TRIES : 1;

	*err = at ? 0 : -EBADMSG;
	if (dirty || *err)
		return dirty;
	for (; !*err && !*at && tries; tries--)
		*err = fill(ds, block);
	if (!*err && !*at)
		*err = -EBADMSG;
	return *err ? NULL : *at;
}

const void *ds_get(struct datastore *ds, uint64_t block, enum ds_magic magic, int *err)
{
	const struct ds_head *h = ds_get_any(ds, block, err);

	if (h && h->magic != magic)
		*err = -EBADMSG;
	return *err ? NULL : h;
}

unsigned ds_room(const struct datastore *ds)
{
	return ds->super.log_blocks - 1 - ds->nr_dirty;
}

static uint8_t *add(struct datastore *ds, uint64_t block, int *err)
{
	struct ds_log *log = (struct ds_log *)ds->record;

	*err = cached(ds, block) ? 0 : -EBADMSG;
	if (!*err && !ds_room(ds))
		*err = -ENOBUFS;
	if (*err)
		return NULL;
	log->entry[ds->nr_dirty].block = block;
	return ds->record + (size_t)++ds->nr_dirty * DS_BLOCK;
}

void *ds_edit(struct datastore *ds, uint64_t block, enum ds_magic magic, int *err)
{
	const void *now = ds_get(ds, block, magic, err);
	uint8_t *dirty = in_record(ds, block);

	if (!now)
		return NULL;
	if (!dirty) {
		dirty = add(ds, block, err);
		if (dirty)
			memcpy(dirty, now, DS_BLOCK);
	}
	return dirty;
}

void *ds_edit_new(struct datastore *ds, uint64_t block, enum ds_magic magic, int *err)
{
	uint8_t *dirty = in_record(ds, block);

	*err = 0;
	if (!dirty)
		dirty = add(ds, block, err);
	if (!dirty)
		return NULL;
	memset(dirty, 0, DS_BLOCK);
	((struct ds_head *)dirty)->magic = magic;
	return dirty;
}

/* What the record holds is what the cache says from now on. -ENOMEM: some of it is not there. */
int ds_cache_take(struct datastore *ds, const uint8_t *record, uint32_t count)
{
	const struct ds_log *log = (const struct ds_log *)record;
	int err = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint8_t **at = cached(ds, log->entry[i].block);

		if (!*at)
			*at = ds_block_alloc(1);
		if (*at)
			memcpy(*at, record + (size_t)(i + 1) * DS_BLOCK, DS_BLOCK);
		else
			err = -ENOMEM;
	}
	return err;
}
