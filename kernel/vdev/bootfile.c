/* SPDX-License-Identifier: BSD-2-Clause */
/* Files that a VM is started from (bootfile.h). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/bootinfo.h>
#include <tern/gmem.h>
#include <tern/page.h>

#include "bootfile.h"

#define CHUNK_ORDER 7u
#define CHUNK (PAGE_SIZE << CHUNK_ORDER) /* 512 KiB: between two of them the world may yield */

/* ---- opening ---- */

static int open_boot(struct bootfile *f, const char *path, char *why, size_t why_len)
{
	const struct boot_file *b = bootfs_find(path);

	if (!b) {
		snprintf(why, why_len, "%s: no such file", path);
		return -ENOENT;
	}
	f->name = path;
	f->size = b->size;
	f->whole = hpa_ptr(HPA(b->start));
	return 0;
}

static int say(const struct bootfile *f, int err, char *why, size_t why_len)
{
	snprintf(why, why_len, "%s: %s", f->name, ds_error_text(err));
	return err;
}

static int open_ds(struct bootfile *f, struct datastore *ds, const char *file, char *why,
		   size_t why_len)
{
	hpa_t buf;
	int err = page_alloc(CHUNK_ORDER, 0, FRAME_VM, &buf);

	if (err)
		return say(f, err, why, why_len);
	err = ds_open(ds, file, DS_OPEN_READ, &f->file);
	if (err) {
		page_put(buf);
		f->file = NULL;
		return say(f, err, why, why_len);
	}
	f->buf = hpa_ptr(buf);
	f->size = ds_file_size(f->file);
	return 0;
}

int bootfile_open(struct bootfile *f, const char *path, char *why, size_t why_len)
{
	struct datastore *ds;
	const char *file;
	int err = ds_path(path, &ds, &file);

	*f = (struct bootfile){ .name = path };
	if (err == -EINVAL)
		err = open_boot(f, path, why, why_len);
	else if (err)
		snprintf(why, why_len, "%s: its datastore is not mounted here: 'datastore list'",
			 path);
	else
		err = open_ds(f, ds, file, why, why_len);
	if (err)
		f->name = NULL;
	return err;
}

void bootfile_close(struct bootfile *f)
{
	if (f->file)
		ds_close(f->file);
	if (f->buf)
		page_put(ptr_hpa(f->buf));
	if (f->loaded)
		page_put(ptr_hpa(f->loaded));
	*f = (struct bootfile){ .name = NULL };
}

/* ---- reading ---- */

/* Whole blocks, the last of which reaches beyond the file's end. */
static int read_blocks(struct bootfile *f, uint64_t block, uint64_t bytes, void *buf)
{
	struct blkdev *d = ds_file_blk(f->file);
	uint32_t size = d->geo.block_bytes;

	return blk_transfer(d, BLK_READ, block, ALIGN_UP(bytes, size) / size, buf);
}

/* Up to *n bytes at from, in f->buf or in place; *n becomes how many. */
static int piece(struct bootfile *f, uint64_t from, uint64_t *n, const uint8_t **at)
{
	uint32_t block, skip;
	int err;

	if (f->whole) {
		*n = MIN(*n, (uint64_t)CHUNK);
		*at = f->whole + from;
		return 0;
	}
	block = ds_file_blk(f->file)->geo.block_bytes;
	skip = (uint32_t)(from % block);
	*n = MIN(*n, (uint64_t)CHUNK - skip);
	err = read_blocks(f, from / block, skip + *n, f->buf);
	*at = (const uint8_t *)f->buf + skip;
	return err;
}

int bootfile_copy(struct vm *vm, gpa_t to, struct bootfile *f, uint64_t from, uint64_t len,
		  char *why, size_t why_len)
{
	for (uint64_t n; len; from += n, to.v += n, len -= n) {
		const uint8_t *at;
		int err;

		n = len;
		err = piece(f, from, &n, &at);
		if (err)
			return say(f, err, why, why_len);
		err = gmem_write(vm->mem, to, at, (size_t)n);
		if (err) {
			snprintf(why, why_len, "%s: host memory ran out while loading", f->name);
			return err;
		}
		if (world_should_yield())
			world_yield();
	}
	return 0;
}

/* Memory that is promised to VMs is not taken for it. */
static int room_for(uint64_t size, hpa_t *out)
{
	unsigned order = CHUNK_ORDER;
	int err;

	while ((PAGE_SIZE << order) < size)
		order++;
	err = page_promise(PAGE_SIZE << order);
	if (err)
		return err;
	err = page_alloc(order, 0, FRAME_VM, out);
	page_unpromise(PAGE_SIZE << order);
	return err;
}

int bootfile_load(struct bootfile *f, char *why, size_t why_len)
{
	hpa_t room;
	int err;

	if (f->whole)
		return 0;
	if (f->size > BOOTFILE_LOAD_MAX) {
		snprintf(why, why_len, "%s is larger than %u MiB: no kernel", f->name,
			 (unsigned)(BOOTFILE_LOAD_MAX >> 20));
		return -EINVAL;
	}
	err = room_for(f->size, &room);
	if (err)
		return say(f, err, why, why_len);
	err = read_blocks(f, 0, f->size, hpa_ptr(room));
	if (err) {
		page_put(room);
		return say(f, err, why, why_len);
	}
	f->loaded = hpa_ptr(room);
	f->whole = f->loaded;
	return 0;
}
