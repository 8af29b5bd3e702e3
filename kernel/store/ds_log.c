/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transactions over an intent log of two halves (docs/datastore.md "How metadata is
 * changed"): ds_begin; ds_get, ds_edit (ds_cache.c); ds_commit or ds_abort.
 *
 * Invariant: a half is written over only when the blocks of its old record are in
 * place and flushed. The flush in a commit covers those of the commit before.
 *
 * A commit that fails in the middle leaves the datastore as it was, or the change
 * done; which of them, the next ds_begin finds out from the log.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/lib/crc32c.h"
#include "kernel/store/ds_int.h"

static uint64_t half(const struct datastore *ds, uint64_t sequence)
{
	return ds->super.log_block + (sequence & 1 ? ds->super.log_blocks : 0);
}

/* A whole record in buf? Its sequence, else 0. */
static uint64_t whole(const struct datastore *ds, const uint8_t *buf, uint64_t at)
{
	const struct ds_log *log = (const struct ds_log *)buf;

	if (!ds_sealed(ds, log, DS_MAGIC_LOG, at, DS_BLOCK) || !log->count ||
	    log->count >= ds->super.log_blocks || half(ds, log->head.sequence) != at)
		return 0;
	for (uint32_t i = 0; i < log->count; i++) {
		uint64_t block = log->entry[i].block;

		if (block < ds->super.root_block || block - ds->super.root_block >= ds->nr_cache ||
		    crc32c(0, buf + (size_t)(i + 1) * DS_BLOCK, DS_BLOCK) != log->entry[i].crc)
			return 0;
	}
	return log->head.sequence;
}

/* ---- recovery ---- */

static bool has_block(const struct ds_log *log, uint64_t block)
{
	for (uint32_t i = 0; log && i < log->count; i++)
		if (log->entry[i].block == block)
			return true;
	return false;
}

/*
 * Blocks that `newer` has as well stay as they are: they may be in place in its form, and whoever
 * breaks off here must not have set them back.
 */
static int apply(struct datastore *ds, uint8_t *buf, const struct ds_log *newer)
{
	const struct ds_log *log = (const struct ds_log *)buf;
	int err = 0;

	for (uint32_t i = 0; i < log->count && !err; i++)
		if (!has_block(newer, log->entry[i].block))
			err = ds_write_blocks(ds, ds->txn_epoch, log->entry[i].block, 1,
					      buf + (size_t)(i + 1) * DS_BLOCK);
	return err;
}

static uint64_t most_applied(struct datastore *ds)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < ds->super.nr_slots; i++)
		n = MAX(n, ds_slot_in(ds->slots, i)->applied);
	return n;
}

static int read_half(struct datastore *ds, unsigned odd, uint8_t *buf, uint64_t *sequence)
{
	uint64_t at = half(ds, odd);
	int err = ds_read_blocks(ds, at, ds->super.log_blocks, buf);

	*sequence = err ? 0 : whole(ds, buf, at);
	return err;
}

/* What the log holds, the older record first: to disk and flushed, or only to the cache. */
static int replay(struct datastore *ds, uint8_t *buf[2], const uint64_t sequence[2], bool to_disk)
{
	unsigned newer = sequence[0] < sequence[1] ? 1 : 0;
	const struct ds_log *last = (const struct ds_log *)buf[newer];
	int err = 0;

	for (unsigned i = 0; i < 2 && !err; i++) {
		unsigned which = i ? newer : !newer;

		if (!sequence[which])
			continue;
		if (to_disk)
			err = apply(ds, buf[which], i ? NULL : last);
		else
			err = ds_cache_take(ds, buf[which], ((struct ds_log *)buf[which])->count);
	}
	return err || !to_disk ? err : ds_flush(ds);
}

static int recover(struct datastore *ds, bool always, bool to_disk)
{
	uint8_t *buf[2] = { ds_block_alloc(ds->super.log_blocks),
			    ds_block_alloc(ds->super.log_blocks) };
	uint64_t sequence[2] = { 0, 0 }, newest;
	int err = buf[0] && buf[1] ? 0 : -ENOMEM;

	for (unsigned odd = 0; odd < 2 && !err; odd++)
		err = read_half(ds, odd, buf[odd], &sequence[odd]);
	newest = MAX(sequence[0], sequence[1]);
	ds_cache_drop_all(ds);
	if (!err && newest && (always || ds->failed || newest > most_applied(ds)))
		err = replay(ds, buf, sequence, to_disk);
	if (!err) {
		ds->sequence = MAX(newest, most_applied(ds));
		ds->failed = false;
	}
	free(buf[0]);
	free(buf[1]);
	return err;
}

int ds_log_recover(struct datastore *ds, bool at_mount)
{
	return recover(ds, at_mount, true);
}

int ds_log_overlay(struct datastore *ds)
{
	return recover(ds, true, false);
}

/* ---- beginning ---- */

/* Both descriptors, whether their records are whole or not; what is none has sequence 0. */
static int read_descriptors(struct datastore *ds, const struct ds_log *log[2])
{
	int err = 0;

	for (unsigned odd = 0; odd < 2 && !err; odd++) {
		uint64_t at = half(ds, odd);
		uint8_t *b = ds->record + odd * DS_BLOCK; /* free between transactions */

		err = ds_read_blocks(ds, at, 1, b);
		log[odd] = (const struct ds_log *)b;
		if (!err && (!ds_sealed(ds, b, DS_MAGIC_LOG, at, DS_BLOCK) ||
			     log[odd]->count >= ds->super.log_blocks))
			memset(b, 0, DS_BLOCK);
	}
	return err;
}

/*
 * Others have committed up to `newest`, and all of it is in place: what of the cache is old say
 * the descriptors, when these are the last two records and no more came.
 */
static void forget_changed(struct datastore *ds, const struct ds_log *log[2], uint64_t newest)
{
	bool all = !ds->sequence || newest - ds->sequence > 2;

	for (uint64_t s = ds->sequence + 1; s <= newest && !all; s++) {
		const struct ds_log *l = log[s & 1];

		all = l->head.sequence != s;
		for (uint32_t i = 0; i < l->count && !all; i++)
			ds_cache_drop(ds, l->entry[i].block);
	}
	if (all)
		ds_cache_drop_all(ds);
	ds->sequence = newest;
}

/* The lock is held, so the slots say what is in place. Only what is not is read and applied. */
static int catch_up(struct datastore *ds)
{
	const struct ds_log *log[2];
	uint64_t newest;
	int err = ds->failed ? 0 : read_descriptors(ds, log);

	if (err)
		return err;
	if (ds->failed)
		return ds_log_recover(ds, false);
	newest = MAX(log[0]->head.sequence, log[1]->head.sequence);
	if (newest == ds->sequence && newest)
		return 0;
	if (newest < ds->sequence || newest != most_applied(ds))
		return ds_log_recover(ds, false);
	forget_changed(ds, log, newest);
	return 0;
}

static int lock_and_catch_up(struct datastore *ds)
{
	int err = ds_cluster_lock(ds);

	if (err)
		return err;
	err = catch_up(ds);
	if (err)
		ds_cluster_unlock(ds);
	return err;
}

/* A reader: what is there now, with what the log says over it. */
static int look(struct datastore *ds)
{
	int err = ds_slots_read(ds, ds->slots);

	return err ? err : ds_log_overlay(ds);
}

int ds_begin(struct datastore *ds)
{
	int err;

	ds_turn_take(&ds->turn);
	ds->nr_dirty = 0;
	err = ds->mode == DS_MOUNT_READ ? look(ds) : lock_and_catch_up(ds);
	if (err)
		ds_turn_end(&ds->turn);
	return err;
}

void ds_abort(struct datastore *ds)
{
	ds->nr_dirty = 0;
	if (ds->mode != DS_MOUNT_READ)
		ds_cluster_unlock(ds);
	ds_turn_end(&ds->turn);
}

/* ---- commit ---- */

static void seal_record(struct datastore *ds, uint64_t sequence)
{
	struct ds_log *log = (struct ds_log *)ds->record;

	for (uint32_t i = 0; i < ds->nr_dirty; i++) {
		uint8_t *b = ds->record + (size_t)(i + 1) * DS_BLOCK;

		ds_seal(ds, b, ((struct ds_head *)b)->magic, log->entry[i].block, sequence,
			DS_BLOCK);
		log->entry[i].crc = crc32c(0, b, DS_BLOCK);
		log->entry[i].zero = 0;
	}
	memset(&log->entry[ds->nr_dirty], 0,
	       sizeof(log->entry) - ds->nr_dirty * sizeof(log->entry[0]));
	log->count = ds->nr_dirty;
	log->zero = 0;
	ds_seal(ds, log, DS_MAGIC_LOG, half(ds, sequence), sequence, DS_BLOCK);
}

static int write_record(struct datastore *ds)
{
	uint64_t sequence = ds->sequence + 1;
	int err;

	seal_record(ds, sequence);
	err = ds_write_blocks(ds, ds->txn_epoch, half(ds, sequence), 1 + ds->nr_dirty, ds->record);
	if (!err)
		err = ds_flush(ds);
	if (!err)
		err = apply(ds, ds->record, NULL);
	if (!err)
		ds->sequence = sequence;
	return err;
}

int ds_commit(struct datastore *ds)
{
	int err = ds->nr_dirty ? write_record(ds) : 0;

	if (err)
		ds->failed = true;
	else
		(void)ds_cache_take(ds, ds->record, ds->nr_dirty);
	ds_abort(ds);
	return err;
}
