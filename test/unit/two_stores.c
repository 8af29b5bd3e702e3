/* SPDX-License-Identifier: BSD-2-Clause */
/* Two datastores (two_stores.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/unit/two_stores.h"

const char *const store[2] = { "old", "new" };
struct fake_disk disk[2];
struct datastore *ds[2];

static const struct ds_host host = { .id = { 1 }, .name = "a" };
static uint8_t *kept[2];

/* What the datastores' worlds would do meanwhile. */
static void idle(void)
{
	for (unsigned i = 0; i < 2; i++)
		if (ds[i])
			ds_grow_run(ds[i]);
}

void store_mount(unsigned i)
{
	assert_int_equal(ds_mount(&disk[i].dev, &host, DS_MOUNT_WRITE, &ds[i]), 0);
}

void store_unmount(unsigned i)
{
	struct ds_check c = { .say = NULL };

	assert_int_equal(ds_unmount(ds[i]), 0); /* nothing is held open */
	ds[i] = NULL;
	assert_int_equal(ds_check(&disk[i].dev, &c), 0);
	assert_int_equal(c.found, 0);
}

void stores_mount(void)
{
	for (unsigned i = 0; i < 2; i++)
		if (!ds[i])
			store_mount(i);
}

void stores_unmount(void)
{
	for (unsigned i = 0; i < 2; i++)
		if (ds[i])
			store_unmount(i);
}

void *stores_shared(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

int stores_begin(void **state)
{
	fake_idle = idle;
	ds_host_set(&host);
	for (unsigned i = 0; i < 2; i++) {
		struct ds_format_options o = { .table_blocks = 96,
					       .nr_slots = 4,
					       .beat_ms = 100,
					       .lease_ms = 400,
					       .io_timeout_ms = 200,
					       .host = host };

		fake_disk_init(&disk[i], STORE_BYTES, 512);
		free(disk[i].bytes);
		disk[i].bytes = stores_shared(STORE_BYTES);
		strcpy(o.name, store[i]);
		assert_int_equal(ds_format(&disk[i].dev, &o), 0);
	}
	stores_mount();
	return 0;
}

int stores_end(void **state)
{
	stores_unmount();
	for (unsigned i = 0; i < 2; i++) {
		munmap(disk[i].bytes, STORE_BYTES);
		disk[i].bytes = NULL;
		fake_disk_fini(&disk[i]);
		free(kept[i]);
		kept[i] = NULL;
	}
	return 0;
}

/* ---- files ---- */

bool store_has(unsigned i, const char *name)
{
	struct ds_entry e;

	return !ds_stat(ds[i], name, &e) && !(e.flags & DS_FILE_UNFINISHED);
}

unsigned store_count(unsigned i)
{
	uint32_t cursor = 0;
	unsigned n = 0;
	struct ds_entry e;

	while (!ds_list(ds[i], &cursor, &e))
		n++;
	return n;
}

static int filled(void *user, uint64_t at, size_t n, void *buf)
{
	memset(buf, *(const uint8_t *)user, n);
	return 0;
}

void store_make(unsigned i, const char *name, enum ds_kind kind, uint64_t size, uint8_t fill)
{
	const struct ds_source from = { .size = size, .read = filled, .user = &fill };

	assert_int_equal(ds_import(ds[i], name, kind, &from), 0);
}

int store_make_unfinished(unsigned i, const char *name, enum ds_kind kind, uint64_t size,
			  uint8_t fill)
{
	const struct ds_source from = { .size = size, .read = filled, .user = &fill };

	return ds_import_unfinished(ds[i], name, kind, &from);
}

/* ---- crashes ---- */

void stores_keep(void)
{
	for (unsigned i = 0; i < 2; i++) {
		if (!kept[i])
			kept[i] = malloc(STORE_BYTES);
		memcpy(kept[i], disk[i].bytes, STORE_BYTES);
	}
}

void stores_put_back(void)
{
	for (unsigned i = 0; i < 2; i++)
		memcpy(disk[i].bytes, kept[i], STORE_BYTES);
}

static void crashing_submit(struct blkdev *dev, struct blk_req *r)
{
	if (stores_strike(r))
		_exit(1);
	store_submit(dev, r);
}

static const struct blk_ops crashing = { .submit = crashing_submit };

static bool crashes_at(unsigned write, int (*move)(void))
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child) {
		stores_mount();
		stores_strike_after(write);
		for (unsigned i = 0; i < 2; i++)
			store_meddle(i, &crashing);
		_exit(move() ? 2 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_not_equal(WEXITSTATUS(status), 2);
	return WEXITSTATUS(status) == 1;
}

void stores_crash(int (*move)(void), void (*look)(void))
{
	stores_unmount();
	stores_keep();
	for (unsigned n = 0; crashes_at(n, move); n++) {
		stores_mount();
		look();
		stores_unmount();
		stores_put_back();
	}
	stores_mount();
}

/* ---- requests that fail ---- */

static const struct blk_ops *own;
static unsigned writes_left;
static bool struck;

void store_meddle(unsigned i, const struct blk_ops *ops)
{
	if (!own)
		own = disk[i].dev.ops; /* both are of a kind */
	disk[i].dev.ops = ops ? ops : own;
}

void store_submit(struct blkdev *dev, struct blk_req *r)
{
	own->submit(dev, r);
}

bool store_is_write(const struct blk_req *r)
{
	return r->op != BLK_READ && r->op != BLK_FLUSH;
}

void stores_strike_after(unsigned writes)
{
	writes_left = writes;
	struck = false;
}

bool stores_strike(const struct blk_req *r)
{
	if (struck || !store_is_write(r) || writes_left--)
		return false;
	struck = true;
	return true;
}

bool stores_struck(void)
{
	return struck;
}
