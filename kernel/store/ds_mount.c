/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mounting: the superblock, a slot, the log's rest, debris of the dead; then the
 * heartbeat and the grower begin. Which datastores a host has mounted is in ds_mounts.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>
#include <tern/timer.h>

#include "kernel/store/ds_int.h"

/* ---- memory ---- */

int ds_setup(struct datastore *ds)
{
	const struct ds_super *s = &ds->super;

	ds->slot = DS_NONE;
	spin_init(&ds->lock, LOCK_STORE, "datastore");
	ds_turn_init(&ds->turn, "datastore turn");
	ds_turn_init(&ds->slot_turn, "datastore slot");
	ds->nr_cache = s->table_block + s->table_blocks - s->root_block;
	ds->cache = calloc(ds->nr_cache, sizeof(*ds->cache));
	ds->record = ds_block_alloc(s->log_blocks);
	ds->zeros = ds_block_alloc(1);
	ds->slots = ds_block_alloc(s->nr_slots);
	ds->slots_beat = ds_block_alloc(s->nr_slots);
	ds->mine = ds_block_alloc(1);
	ds->slot_buf = ds_block_alloc(1);
	return ds->cache && ds->record && ds->zeros && ds->slots && ds->slots_beat && ds->mine &&
			       ds->slot_buf
		       ? 0
		       : -ENOMEM;
}

void ds_teardown(struct datastore *ds)
{
	if (ds->cache)
		ds_cache_drop_all(ds);
	free(ds->cache);
	free(ds->record);
	free(ds->zeros);
	free(ds->slots);
	free(ds->slots_beat);
	free(ds->mine);
	free(ds->slot_buf);
	free(ds);
}

/* ---- mounting ---- */

static bool is_debris(const struct ds_entry *e)
{
	return (e->flags & DS_FILE_UNFINISHED) && e->lease == DS_LEASE_DEAD;
}

/* Files that nobody will finish; one on which another of them stands goes after that. */
static void sweep(struct datastore *ds)
{
	struct ds_entry e;
	unsigned gone;

	do {
		gone = 0;
		for (uint32_t cursor = 0; !ds_list(ds, &cursor, &e);) {
			if (!is_debris(&e) || ds_remove(ds, e.name))
				continue;
			gone++;
			log_info("store",
				 "%s: %s was left unfinished by a host that is gone: removed",
				 ds->super.name, e.name);
		}
	} while (gone);
	for (uint32_t cursor = 0; !ds_list(ds, &cursor, &e);)
		if (is_debris(&e))
			log_warn("store", "%s: %s, left unfinished, is not removed", ds->super.name,
				 e.name);
}

static int join(struct datastore *ds)
{
	int err = ds_slot_claim(ds);

	if (err)
		return err;
	err = ds_beat_start(ds);
	if (err)
		goto leave;
	err = ds_grow_start(ds);
	if (err)
		goto stop_beat;
	ds_turn_take(&ds->turn);
	err = ds_cluster_lock(ds);
	if (!err) {
		err = ds_log_recover(ds, true);
		ds_cluster_unlock(ds);
	}
	ds_turn_end(&ds->turn);
	if (err)
		goto stop_grower;
	sweep(ds);
	return 0;
stop_grower:
	ds_grow_stop(ds);
stop_beat:
	ds_beat_stop(ds);
leave:
	ds_slot_release(ds);
	return err;
}

int ds_attach(struct blkdev *dev, const struct ds_host *host, enum ds_mount_mode mode,
	      struct datastore **out)
{
	struct datastore *ds = calloc(1, sizeof(*ds));
	int err;

	if (!ds)
		return -ENOMEM;
	ds->dev = dev;
	ds->mode = mode;
	if (host)
		ds->host = *host;
	err = ds_super_read(ds);
	if (!err)
		err = ds_setup(ds);
	if (!err && mode == DS_MOUNT_WRITE)
		err = join(ds);
	if (err)
		ds_teardown(ds);
	else
		*out = ds;
	return err;
}

void ds_detach(struct datastore *ds)
{
	int err;

	if (ds->mode == DS_MOUNT_WRITE) {
		ds_grow_stop(ds);
		err = ds_flush(ds);
		if (err)
			log_error("store", "%s: the last flush failed: error %d", ds->super.name,
				  -err);
		ds_beat_stop(ds);
		ds_slot_release(ds);
	}
	ds_teardown(ds);
}

int ds_probe(struct blkdev *dev, char name[DS_NAME])
{
	struct datastore *ds = calloc(1, sizeof(*ds));
	int err;

	if (!ds)
		return -ENOMEM;
	ds->dev = dev;
	err = ds_super_read(ds);
	if (!err)
		memcpy(name, ds->super.name, DS_NAME);
	free(ds);
	return err;
}
