/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A new file with contents from somewhere else: a file beside it, the user's Linux, the
 * network. It is unfinished until all is there and flushed; when that fails it is removed,
 * and what a crash leaves of it goes at the next mount.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>

#include "kernel/store/ds_int.h"

#define COPY_BLOCKS 64u
#define COPY_BYTES (COPY_BLOCKS * DS_BLOCK)

bool ds_all_zero(const void *buf, size_t bytes)
{
	const uint8_t *p = buf;

	return !bytes || (!p[0] && !memcmp(p, p + 1, bytes - 1));
}

/* A new file reads as zeros already. */
static int copy_piece(struct blkdev *d, uint64_t at, size_t bytes, uint8_t *buf)
{
	size_t whole = ALIGN_UP(bytes, d->geo.block_bytes);

	memset(buf + bytes, 0, whole - bytes);
	if (ds_all_zero(buf, bytes))
		return 0;
	return blk_transfer(d, BLK_WRITE, at / d->geo.block_bytes, whole / d->geo.block_bytes, buf);
}

static int copy(struct ds_file *f, const struct ds_source *from)
{
	struct blkdev *d = ds_file_blk(f);
	struct blk_req flush = { .op = BLK_FLUSH };
	uint8_t *buf = ds_block_alloc(COPY_BLOCKS);
	int err = buf ? 0 : -ENOMEM;

	for (uint64_t at = 0, n; at < from->size && !err; at += n) {
		n = MIN(from->size - at, (uint64_t)COPY_BYTES);
		err = from->read(from->user, at, (size_t)n, buf);
		if (!err)
			err = copy_piece(d, at, (size_t)n, buf);
	}
	free(buf);
	return err ? err : blk_wait(d, &flush);
}

static void remove_unfinished(struct datastore *ds, const char *name)
{
	if (ds_remove(ds, name))
		log_warn("store", "%s: %s is left unfinished until the next mount", ds->super.name,
			 name);
}

int ds_import_unfinished(struct datastore *ds, const char *name, enum ds_kind kind,
			 const struct ds_source *from)
{
	struct ds_file *f;
	int err = ds_create(ds, name, kind, from->size, DS_FILE_UNFINISHED);

	if (err)
		return err;
	err = ds_open(ds, name, DS_OPEN_WRITE, &f);
	if (!err) {
		err = copy(f, from);
		ds_close(f);
	}
	if (err)
		remove_unfinished(ds, name);
	return err;
}

int ds_import(struct datastore *ds, const char *name, enum ds_kind kind,
	      const struct ds_source *from)
{
	int err = ds_import_unfinished(ds, name, kind, from);

	if (err)
		return err;
	err = ds_finish(ds, name);
	if (err)
		remove_unfinished(ds, name);
	return err;
}
