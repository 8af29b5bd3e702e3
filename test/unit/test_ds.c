/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The datastore on a disk in memory: files and their contents, leases between two
 * hosts, what the check finds, and every state that a power cut can leave.
 */
// SOURCES: drivers/blkdev.c kernel/lib/crc32c.c test/unit/fake_disk.c
// SOURCES: kernel/store/ds_turn.c kernel/store/ds_block.c kernel/store/ds_super.c
// SOURCES: kernel/store/ds_slot.c kernel/store/ds_claim.c kernel/store/ds_beat.c
// SOURCES: kernel/store/ds_lock.c kernel/store/ds_cache.c kernel/store/ds_log.c
// SOURCES: kernel/store/ds_map.c kernel/store/ds_table.c kernel/store/ds_inode.c
// SOURCES: kernel/store/ds_space.c kernel/store/ds_lease.c kernel/store/ds_dir.c
// SOURCES: kernel/store/ds_file.c kernel/store/ds_io.c kernel/store/ds_grow.c
// SOURCES: kernel/store/ds_mkfs.c kernel/store/ds_mount.c kernel/store/ds_mounts.c
// SOURCES: kernel/store/ds_check.c kernel/store/ds_fence.c kernel/store/ds_open.c
// SOURCES: kernel/store/ds_snap.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include <tern/page.h>

#include "kernel/lib/crc32c.h"
#include "kernel/store/ds_int.h"
#include "test/unit/fake_disk.h"

#define DISK_BYTES (24u << 20)

static struct fake_disk disk;
static struct datastore *ds;
static const struct ds_host host_a = { .id = { 1 }, .name = "a" };
static const struct ds_host host_b = { .id = { 2 }, .name = "b" };

static const struct ds_format_options options = { .name = "ds1",
						  .nr_slots = 4,
						  .table_blocks = 32,
						  .beat_ms = 100,
						  .lease_ms = 400,
						  .io_timeout_ms = 200 };

/* What the datastore's worlds would do meanwhile. */
static void idle(void)
{
	if (ds)
		ds_grow_run(ds);
}

static int fresh(void **state)
{
	fake_disk_init(&disk, DISK_BYTES, 512);
	fake_idle = idle;
	assert_int_equal(ds_format(&disk.dev, &options), 0);
	assert_int_equal(ds_mount(&disk.dev, &host_a, DS_MOUNT_WRITE, &ds), 0);
	return 0;
}

static void unmount(void)
{
	if (ds)
		assert_int_equal(ds_unmount(ds), 0);
	ds = NULL;
}

static void say(struct ds_check *c, const char *text)
{
	print_message("check: %s\n", text);
}

static unsigned findings(void)
{
	struct ds_check c = { .say = say };

	assert_int_equal(ds_check(&disk.dev, &c), 0);
	return c.found;
}

static int end(void **state)
{
	unmount();
	assert_int_equal(findings(), 0);
	fake_disk_fini(&disk);
	return 0;
}

static void again(void)
{
	unmount();
	assert_int_equal(ds_mount(&disk.dev, &host_a, DS_MOUNT_WRITE, &ds), 0);
}

/* Contents that say where they belong. */
static void fill(uint8_t *buf, size_t bytes, uint64_t seed)
{
	for (size_t i = 0; i < bytes; i += 8)
		*(uint64_t *)(buf + i) = (seed + i) * 0x9e3779b97f4a7c15ull;
}

static int file_write(const char *name, uint64_t at, size_t bytes, uint64_t seed)
{
	uint8_t *buf = malloc(bytes);
	struct ds_file *f;
	int err;

	fill(buf, bytes, seed);
	assert_int_equal(ds_open(ds, name, DS_OPEN_WRITE, &f), 0);
	err = blk_transfer(ds_file_blk(f), BLK_WRITE, at / 512, bytes / 512, buf);
	ds_close(f);
	free(buf);
	return err;
}

static bool file_has(const char *name, uint64_t at, size_t bytes, uint64_t seed)
{
	uint8_t *buf = malloc(bytes), *want = calloc(1, bytes);
	struct ds_file *f;
	bool same;

	if (seed)
		fill(want, bytes, seed);
	assert_int_equal(ds_open(ds, name, DS_OPEN_READ, &f), 0);
	assert_int_equal(blk_transfer(ds_file_blk(f), BLK_READ, at / 512, bytes / 512, buf), 0);
	same = !memcmp(buf, want, bytes);
	ds_close(f);
	free(buf);
	free(want);
	return same;
}

static uint64_t free_bytes(void)
{
	struct ds_info i;

	assert_int_equal(ds_info(ds, &i), 0);
	return i.free_bytes;
}

/* ---- sums ---- */

static void crc_is_the_known_one(void **state)
{
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

/* ---- files ---- */

static void names(void **state)
{
	assert_true(ds_name_ok("vm/root.disk"));
	assert_true(ds_name_ok("a"));
	assert_false(ds_name_ok(""));
	assert_false(ds_name_ok("/a"));
	assert_false(ds_name_ok("a/"));
	assert_false(ds_name_ok("a//b"));
	assert_false(ds_name_ok("a/../b"));
	assert_false(ds_name_ok(".hidden"));
	assert_false(ds_name_ok("a b"));
}

static void flat_file_keeps_its_contents(void **state)
{
	uint64_t before = free_bytes();

	assert_int_equal(ds_create(ds, "vm/root.disk", DS_KIND_FLAT, 3 << 20, 0), 0);
	assert_int_equal(before - free_bytes(), 3 << 20);
	assert_true(file_has("vm/root.disk", 0, 3 << 20, 0));
	/* across two extents, more than a request takes */
	assert_int_equal(file_write("vm/root.disk", (1 << 20) - 4096, 1 << 20, 7), 0);
	again();
	assert_true(file_has("vm/root.disk", (1 << 20) - 4096, 1 << 20, 7));
	assert_true(file_has("vm/root.disk", 0, (1 << 20) - 4096, 0));
	assert_int_equal(ds_create(ds, "vm/root.disk", DS_KIND_FLAT, 1, 0), -EEXIST);
	assert_int_equal(ds_remove(ds, "vm/root.disk"), 0);
	assert_int_equal(free_bytes(), before);
	assert_int_equal(ds_remove(ds, "vm/root.disk"), -ENOENT);
}

static void thin_file_grows_where_it_is_written(void **state)
{
	struct ds_entry e;

	assert_int_equal(ds_create(ds, "t", DS_KIND_THIN, 100ull << 20, 0), 0);
	assert_true(file_has("t", 50 << 20, 1 << 20, 0));
	assert_int_equal(ds_stat(ds, "t", &e), 0);
	assert_int_equal(e.backed_bytes, 0);
	assert_int_equal(file_write("t", (50 << 20) + 512, 512, 9), 0);
	assert_int_equal(ds_stat(ds, "t", &e), 0);
	assert_int_equal(e.backed_bytes, 1 << 20);
	again();
	assert_true(file_has("t", (50 << 20) + 512, 512, 9));
	assert_true(file_has("t", 50 << 20, 512, 0));
	assert_true(file_has("t", (50 << 20) + 1024, (1 << 20) - 1024, 0));
}

static void extents_are_zeroed_before_others_see_them(void **state)
{
	assert_int_equal(ds_create(ds, "old", DS_KIND_FLAT, 15 << 20, 0), 0);
	assert_int_equal(file_write("old", 0, 15 << 20, 5), 0);
	assert_int_equal(ds_remove(ds, "old"), 0);
	assert_int_equal(ds_create(ds, "new", DS_KIND_THIN, 30 << 20, 0), 0);
	for (uint64_t i = 0; i < 15; i++) {
		assert_int_equal(file_write("new", i * 2 << 20, 512, 3), 0);
		assert_true(file_has("new", (i * 2 << 20) + 512, (1 << 20) - 512, 0));
	}
}

static void a_full_datastore_fails_the_write_alone(void **state)
{
	assert_int_equal(ds_create(ds, "t", DS_KIND_THIN, 100ull << 20, 0), 0);
	for (uint64_t i = 0; free_bytes(); i += 2)
		assert_int_equal(file_write("t", i << 20, 512, 1), 0);
	assert_int_equal(file_write("t", 99 << 20, 512, 1), -ENOSPC);
	assert_true(file_has("t", 0, 512, 1));
	assert_int_equal(ds_create(ds, "f", DS_KIND_FLAT, 1 << 20, 0), -ENOSPC);
	assert_int_equal(ds_create(ds, "p", DS_KIND_PLAIN, 1 << 20, 0), 0);
}

/* Every other extent: more runs than the file's own block has. */
static void many_runs(void **state)
{
	struct ds_runs r = { .run = NULL };
	const struct ds_inode *n;
	uint32_t index, physical, count;
	int err;

	assert_int_equal(ds_create(ds, "t", DS_KIND_THIN, 4000ull << 20, 0), 0);
	assert_int_equal(ds_begin(ds), 0);
	n = ds_lookup(ds, "t", &index, &err);
	assert_non_null(n);
	for (uint32_t i = 0; i < 700;
	     i++) /* not taken from the map: this looks at the chain alone */
		assert_int_equal(ds_runs_add(&r, 2 * i, ds->super.first_extent + i % 8, 1), 0);
	assert_int_equal(ds_runs_store(ds, index, &r), 0);
	ds_runs_fini(&r);
	n = ds_lookup(ds, "t", &index, &err);
	assert_int_equal(ds_runs_load(ds, n, &r), 0);
	assert_int_equal(r.nr, 700);
	assert_true(ds_runs_find(&r, 1398, &physical, &count));
	assert_int_equal(physical, ds->super.first_extent + 699 % 8);
	assert_false(ds_runs_find(&r, 1397, &physical, &count));
	assert_int_equal(count, 1);
	r.nr = 3;
	assert_int_equal(ds_runs_store(ds, index, &r), 0);
	ds_runs_fini(&r);
	n = ds_lookup(ds, "t", &index, &err);
	assert_int_equal(n->next, DS_NONE);
	ds_abort(ds);
}

static void resize(void **state)
{
	struct ds_file *f;

	assert_int_equal(ds_create(ds, "t", DS_KIND_THIN, 4 << 20, 0), 0);
	assert_int_equal(file_write("t", 0, 4 << 20, 4), 0);
	assert_int_equal(ds_open(ds, "t", DS_OPEN_WRITE, &f), 0);
	assert_int_equal(ds_resize(f, (1 << 20) + 4096), 0);
	assert_int_equal(ds_file_blk(f)->geo.blocks, ((1 << 20) + 4096) / 512);
	assert_int_equal(ds_resize(f, 4 << 20), 0);
	ds_close(f);
	assert_true(file_has("t", 0, (1 << 20) + 4096, 4));
	assert_true(file_has("t", (1 << 20) + 4096, (3 << 20) - 4096, 0));
}

static void rename_keeps_names_apart(void **state)
{
	assert_int_equal(ds_create(ds, "x", DS_KIND_PLAIN, 4096, 0), 0);
	assert_int_equal(ds_create(ds, "y", DS_KIND_PLAIN, 4096, 0), 0);
	assert_int_equal(ds_rename(ds, "x", "y"), -EEXIST);
	assert_int_equal(ds_rename(ds, "z", "w"), -ENOENT);
	assert_int_equal(ds_rename(ds, "x", "vm/x"), 0);
	again();
	assert_int_equal(ds_rename(ds, "vm/x", "x"), 0);
}

/* ---- snapshots ---- */

static uint64_t backed(const char *name)
{
	struct ds_entry e;

	assert_int_equal(ds_stat(ds, name, &e), 0);
	return e.backed_bytes >> 20;
}

static void a_snapshot_stays_as_it_was(void **state)
{
	struct ds_file *f;
	uint64_t before;

	assert_int_equal(ds_create(ds, "d", DS_KIND_THIN, 8 << 20, 0), 0);
	assert_int_equal(file_write("d", 0, 2 << 20, 1), 0);
	before = free_bytes();
	assert_int_equal(ds_snapshot(ds, "d", "d.one"), 0);
	assert_int_equal(free_bytes(), before);
	assert_true(file_has("d", 0, 2 << 20, 1));
	assert_int_equal(file_write("d", 4096, 4096, 2), 0);
	assert_int_equal(backed("d"), 1);
	assert_true(file_has("d", 4096, 4096, 2));
	assert_true(file_has("d", 0, 4096, 1)); /* of the same extent, copied */
	assert_true(file_has("d.one", 0, 2 << 20, 1));
	again();
	assert_true(file_has("d", 4096, 4096, 2));
	assert_true(file_has("d", 8192, 1024, 1 + 8192)); /* fill() goes on in its seed */
	assert_int_equal(ds_open(ds, "d.one", DS_OPEN_WRITE, &f), -EBUSY);
	assert_int_equal(ds_remove(ds, "d.one"), -EBUSY);
	assert_int_equal(ds_snapshot(ds, "d", "d.one"), -EEXIST);
	assert_int_equal(ds_snapshot(ds, "nothing", "x"), -ENOENT);
	assert_int_equal(ds_snapshot(ds, "d", "../x"), -EINVAL);
}

static void reverting_brings_it_back(void **state)
{
	struct ds_file *f;

	assert_int_equal(ds_create(ds, "d", DS_KIND_FLAT, 2 << 20, 0), 0);
	assert_int_equal(file_write("d", 0, 1 << 20, 1), 0);
	assert_int_equal(ds_snapshot(ds, "d", "s"), 0);
	assert_int_equal(file_write("d", 0, 2 << 20, 2), 0);
	assert_int_equal(ds_open(ds, "d", DS_OPEN_WRITE, &f), 0);
	assert_int_equal(ds_snapshot_revert(ds, "d", "s"), -EBUSY);
	ds_close(f);
	assert_int_equal(ds_snapshot_revert(ds, "d", "s"), 0);
	assert_true(file_has("d", 0, 1 << 20, 1));
	assert_true(file_has("d", 1 << 20, 1 << 20, 0));
	assert_int_equal(backed("d"), 0);
	assert_int_equal(ds_snapshot_revert(ds, "d", "d"), -EBUSY);
}

static void deleting_copies_nothing(void **state)
{
	uint64_t before;

	assert_int_equal(ds_create(ds, "d", DS_KIND_THIN, 8 << 20, 0), 0);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(file_write("d", i << 20, 1 << 20, 1 + i), 0);
	assert_int_equal(ds_snapshot(ds, "d", "s1"), 0);
	assert_int_equal(file_write("d", 1 << 20, 1 << 20, 7), 0);
	assert_int_equal(ds_snapshot(ds, "d", "s2"), 0);
	assert_int_equal(file_write("d", 2 << 20, 1 << 20, 9), 0);
	before = free_bytes();
	fake_disk_record(&disk);
	assert_int_equal(ds_snapshot_delete(ds, "s1"), 0);
	disk.recording = false;
	for (uint32_t i = 0; i < disk.nr_log; i++)
		assert_true(disk.log[i].block / 2048 < ds->super.first_extent); /* metadata alone */
	assert_int_equal(free_bytes(), before + (1 << 20)); /* what s2 had written anew */
	assert_true(file_has("s2", 0, 1 << 20, 1));
	assert_true(file_has("s2", 1 << 20, 1 << 20, 7));
	assert_true(file_has("s2", 2 << 20, 1 << 20, 3));
	assert_int_equal(ds_snapshot_delete(ds, "s2"), 0);
	assert_true(file_has("d", 0, 1 << 20, 1));
	assert_true(file_has("d", 1 << 20, 1 << 20, 7));
	assert_true(file_has("d", 2 << 20, 1 << 20, 9));
	assert_int_equal(ds_snapshot_delete(ds, "d"), -ENOTSUP);
	assert_int_equal(backed("d"), 5); /* 3, and what writing in a row had taken */
}

/* While it is written here: the open file goes on, over all three. */
static void snapshots_of_an_open_file(void **state)
{
	uint8_t *buf = malloc(1 << 20), *back = malloc(1 << 20);
	struct ds_file *f;
	struct blkdev *d;

	assert_int_equal(ds_create(ds, "d", DS_KIND_FLAT, 2 << 20, 0), 0);
	assert_int_equal(ds_open(ds, "d", DS_OPEN_WRITE, &f), 0);
	d = ds_file_blk(f);
	fill(buf, 1 << 20, 5);
	assert_int_equal(blk_transfer(d, BLK_WRITE, 0, 2048, buf), 0);
	assert_int_equal(ds_snapshot(ds, "d", "s1"), 0);
	fill(buf, 512, 6);
	assert_int_equal(blk_transfer(d, BLK_WRITE, 0, 1, buf), 0);
	assert_int_equal(ds_snapshot(ds, "d", "s2"), 0);
	assert_int_equal(blk_transfer(d, BLK_READ, 0, 2048, back), 0);
	assert_memory_equal(buf, back, 1 << 20);
	assert_true(file_has("s1", 0, 1 << 20, 5));
	assert_int_equal(ds_snapshot_delete(ds, "s1"), -EBUSY); /* f reads s2 over it */
	assert_int_equal(ds_snapshot_delete(ds, "s2"), 0);
	assert_int_equal(ds_snapshot_delete(ds, "s1"), 0);
	assert_int_equal(blk_transfer(d, BLK_READ, 0, 2048, back), 0);
	assert_memory_equal(buf, back, 1 << 20);
	fill(buf, 512, 8);
	assert_int_equal(blk_transfer(d, BLK_WRITE, 2048, 1, buf), 0);
	ds_close(f);
	again();
	assert_true(file_has("d", 1 << 20, 512, 8));
	assert_int_equal(backed("d"), 2);
	free(buf);
	free(back);
}

static bool snapshots_agree(void)
{
	struct ds_entry e;

	if (ds_stat(ds, "d", &e) || !file_has("d", 0, 1 << 20, 1))
		return false;
	return ds_stat(ds, "s", &e) || file_has("s", 0, 1 << 20, 1);
}

/* ---- two hosts ---- */

static struct datastore *other(void)
{
	struct datastore *b;

	assert_int_equal(ds_attach(&disk.dev, &host_b, DS_MOUNT_WRITE, &b), 0);
	return b;
}

static void a_lease_keeps_the_other_out(void **state)
{
	struct datastore *b = other();
	struct ds_file *f, *g;
	struct ds_entry e;

	assert_int_equal(ds_create(ds, "d", DS_KIND_FLAT, 1 << 20, 0), 0);
	ds_beat(ds);
	assert_int_equal(ds_open(ds, "d", DS_OPEN_WRITE, &f), 0);
	assert_int_equal(ds_open(b, "d", DS_OPEN_WRITE, &g), -EBUSY);
	assert_int_equal(ds_remove(b, "d"), -EBUSY);
	assert_int_equal(ds_stat(b, "d", &e), 0);
	assert_int_equal(e.lease, DS_LEASE_OTHER);
	assert_string_equal(e.holder, "a");
	ds_close(f);
	ds_beat(b);
	assert_int_equal(ds_open(b, "d", DS_OPEN_WRITE, &g), 0);
	ds_close(g);
	ds_detach(b);
}

static unsigned nr_ended;

static void ended(struct blk_req *r)
{
	nr_ended++;
}

static struct blk_req write_to(struct ds_file *f, struct blk_seg *seg, uint8_t *buf)
{
	struct blk_req r = {
		.op = BLK_WRITE, .blocks = 1, .segs = seg, .nr_segs = 1, .done = ended
	};

	*seg = (struct blk_seg){ .addr = ptr_hpa(buf), .len = 512 };
	return r;
}

/* a stops beating: b may take over, and not before a has stopped writing; nor does a write after.
 */
static void a_dead_hosts_lease_is_taken_and_it_writes_no_more(void **state)
{
	struct datastore *b = other();
	struct ds_file *f, *g, *kept;
	uint8_t buf[512] = { 1 };
	struct blk_seg seg[2];
	struct blk_req late, late_kept;
	unsigned wrote = 0;
	int err;

	assert_int_equal(ds_create(ds, "d", DS_KIND_FLAT, 1 << 20, 0), 0);
	assert_int_equal(ds_create(ds, "kept", DS_KIND_FLAT, 1 << 20, 0), 0);
	ds_beat(ds);
	assert_int_equal(ds_open(ds, "d", DS_OPEN_WRITE, &f), 0);
	assert_int_equal(ds_open(ds, "kept", DS_OPEN_WRITE, &kept), 0);
	for (unsigned i = 0; i < 100; i++) {
		if (ds_may_write(ds, ds->epoch)) {
			assert_int_equal(blk_transfer(ds_file_blk(f), BLK_WRITE, 0, 1, buf), 0);
			wrote++;
		}
		ds_beat(b);
		err = ds_open(b, "d", DS_OPEN_WRITE, &g);
		if (!err)
			break;
		assert_int_equal(err, -EBUSY);
		fake_now_ns += 20 * 1000000;
	}
	assert_int_equal(err, 0);
	assert_true(wrote > 0);
	assert_false(ds_may_write(ds, ds->epoch));
	/* a write now waits; when a wakes, it ends as the lease says */
	nr_ended = 0;
	late = write_to(f, &seg[0], buf);
	late_kept = write_to(kept, &seg[1], buf);
	blk_submit(ds_file_blk(f), &late);
	blk_submit(ds_file_blk(kept), &late_kept);
	assert_int_equal(nr_ended, 0);
	ds_beat(ds);
	ds_grow_run(ds);
	assert_int_equal(nr_ended, 2);
	assert_int_equal(late.status, -ESTALE);
	assert_int_equal(late_kept.status, 0);
	ds_close(g);
	ds_detach(b);
	ds_close(kept);
	ds_close(f);
}

/* A transaction that slept past the fence writes nothing, though the heartbeat goes on meanwhile.
 */
static void a_transaction_does_not_outlive_the_fence(void **state)
{
	struct ds_entry e;
	struct ds_inode *n;
	uint32_t index;
	int err;

	assert_int_equal(ds_create(ds, "x", DS_KIND_PLAIN, 4096, 0), 0);
	assert_int_equal(ds_begin(ds), 0);
	assert_non_null(ds_lookup(ds, "x", &index, &err));
	n = ds_edit(ds, ds_index_block(ds, index), DS_MAGIC_FILE, &err);
	assert_non_null(n);
	n->size = 1;
	fake_now_ns += 1000 * 1000000;
	ds_beat(ds);
	assert_int_equal(ds_commit(ds), -ESTALE);
	assert_int_equal(ds_stat(ds, "x", &e), 0);
	assert_int_equal(e.size, 4096);
}

static void a_lease_is_handed_over(void **state)
{
	struct datastore *b = other();
	struct ds_file *f, *g;
	uint8_t buf[512] = { 1 };
	static const uint8_t nobody[16] = { 9 };

	assert_int_equal(ds_create(ds, "d", DS_KIND_FLAT, 1 << 20, 0), 0);
	ds_beat(ds);
	assert_int_equal(ds_open(ds, "d", DS_OPEN_WRITE, &f), 0);
	ds_beat(b);
	assert_int_equal(ds_lease_give(f, host_b.id), 0);
	assert_int_equal(blk_transfer(ds_file_blk(f), BLK_WRITE, 0, 1, buf), -ESTALE);
	assert_int_equal(ds_open(b, "d", DS_OPEN_WRITE, &g), 0);
	assert_int_equal(blk_transfer(ds_file_blk(g), BLK_WRITE, 0, 1, buf), 0);
	assert_int_equal(ds_lease_give(g, nobody), -ENOENT);
	ds_close(g);
	ds_close(f);
	ds_detach(b);
}

static void an_identity_is_used_once(void **state)
{
	struct datastore *twin;

	/* the first sleeps, the second watches and finds it still; then the first wakes */
	fake_now_ns += 1000 * 1000000;
	assert_int_equal(ds_attach(&disk.dev, &host_a, DS_MOUNT_WRITE, &twin), 0);
	ds_beat(ds);
	assert_false(ds_may_write(ds, ds->epoch));
	assert_int_equal(ds_create(ds, "x", DS_KIND_PLAIN, 1, 0), -ESTALE);
	ds_detach(twin);
}

static void slots_run_out(void **state)
{
	struct datastore *more[4];
	struct ds_host h = host_a;

	for (uint8_t i = 0; i < 4; i++) {
		h.id[0] = 10 + i;
		assert_int_equal(ds_attach(&disk.dev, &h, DS_MOUNT_WRITE, &more[i]),
				 i < 3 ? 0 : -ENFILE);
	}
	for (unsigned i = 0; i < 3; i++)
		ds_detach(more[i]);
	h.id[0] = 11; /* has its slot for ever */
	assert_int_equal(ds_attach(&disk.dev, &h, DS_MOUNT_WRITE, &more[0]), 0);
	ds_detach(more[0]);
}

/* ---- power cuts ---- */

/* The disk as it would be; swapped for the real one, and back. */
static unsigned check_image(uint8_t *image, bool (*agrees)(void))
{
	struct datastore *live = ds;
	uint8_t *real = disk.bytes;
	bool recording = disk.recording;
	unsigned bad;

	disk.bytes = image;
	disk.recording = false;
	bad = findings();
	assert_int_equal(ds_attach(&disk.dev, &host_a, DS_MOUNT_WRITE, &ds), 0);
	if (!bad && !agrees())
		bad = 1000;
	ds_detach(ds);
	if (!bad)
		bad = findings();
	disk.bytes = real;
	disk.recording = recording;
	ds = live;
	return bad;
}

static uint8_t *copy_of(const uint8_t *image)
{
	uint8_t *c = malloc(DISK_BYTES);

	memcpy(c, image, DISK_BYTES);
	return c;
}

/* Every prefix, cut at every sector. */
static void check_prefixes(const uint8_t *start, bool (*agrees)(void))
{
	uint8_t *image = copy_of(start);

	for (uint32_t w = 0; w < disk.nr_log; w++)
		for (uint32_t s = 0; s < disk.log[w].blocks; s++) {
			uint8_t *cut;

			fake_disk_apply(&disk, image, w, s);
			/* long writes of contents are sampled */
			if (s > 8 && s % 97 && s + 1 < disk.log[w].blocks)
				continue;
			cut = copy_of(image);
			if (check_image(cut, agrees))
				fail_msg("cut in write %u of %u, after its sector %u", w,
					 disk.nr_log, s);
			free(cut);
		}
	free(image);
}

/* Up to the last flush all; of those since, each sector or not. */
static void check_reordered(const uint8_t *start, bool (*agrees)(void), unsigned samples)
{
	uint64_t dice = 12345;

	for (unsigned i = 0; i < samples; i++) {
		uint32_t upto, flushed = 0;
		uint8_t *image = copy_of(start);

		dice = dice * 6364136223846793005ull + 1442695040888963407ull;
		upto = (uint32_t)(dice >> 33) % (disk.nr_log + 1);
		for (uint32_t w = 0; w < upto; w++)
			if (disk.log[w].flush)
				flushed = w;
		for (uint32_t w = 0; w < upto; w++)
			for (uint32_t s = 0; s < disk.log[w].blocks; s++) {
				dice = dice * 6364136223846793005ull + 1442695040888963407ull;
				if (w < flushed || dice >> 63)
					fake_disk_apply(&disk, image, w, s);
			}
		if (check_image(image, agrees))
			fail_msg("sample %u: %u writes, flushed up to %u", i, upto, flushed);
		free(image);
	}
}

static bool workload_agrees(void)
{
	struct ds_entry e;
	int kept = ds_stat(ds, "kept", &e);

	/* what was there before is untouched, what is there now is whole */
	if (kept || !file_has("kept", 0, 1 << 20, 11))
		return false;
	if (!ds_stat(ds, "thin", &e) && !file_has("thin", 0, 512, 3) &&
	    !file_has("thin", 0, 512, 0))
		return false;
	if (!ds_stat(ds, "flat", &e) && e.backed_bytes != 2 << 20)
		return false;
	return true;
}

static void nothing_is_lost_at_any_cut(void **state)
{
	uint8_t *start;

	assert_int_equal(ds_create(ds, "kept", DS_KIND_FLAT, 1 << 20, 0), 0);
	assert_int_equal(file_write("kept", 0, 1 << 20, 11), 0);
	assert_int_equal(ds_create(ds, "gone", DS_KIND_FLAT, 2 << 20, 0), 0);
	start = copy_of(disk.bytes);
	fake_disk_record(&disk);
	assert_int_equal(ds_create(ds, "thin", DS_KIND_THIN, 64 << 20, 0), 0);
	assert_int_equal(file_write("thin", 0, 512, 3), 0);
	assert_int_equal(ds_create(ds, "flat", DS_KIND_FLAT, 2 << 20, 0), 0);
	assert_int_equal(ds_rename(ds, "thin", "thin2"), 0);
	assert_int_equal(ds_rename(ds, "thin2", "thin"), 0);
	assert_int_equal(ds_remove(ds, "gone"), 0);
	disk.recording = false;
	assert_true(disk.nr_log > 40);
	check_prefixes(start, workload_agrees);
	check_reordered(start, workload_agrees, 150);
	free(start);
}

static void snapshots_survive_any_cut(void **state)
{
	uint8_t *start;

	assert_int_equal(ds_create(ds, "d", DS_KIND_THIN, 4 << 20, 0), 0);
	assert_int_equal(file_write("d", 0, 1 << 20, 1), 0);
	start = copy_of(disk.bytes);
	fake_disk_record(&disk);
	assert_int_equal(ds_snapshot(ds, "d", "s"), 0);
	assert_int_equal(file_write("d", 2 << 20, 512, 4), 0);
	assert_int_equal(ds_snapshot_revert(ds, "d", "s"), 0);
	assert_int_equal(file_write("d", 2 << 20, 512, 4), 0);
	assert_int_equal(ds_snapshot_delete(ds, "s"), 0);
	disk.recording = false;
	check_reordered(start, snapshots_agree, 100);
	free(start);
}

/* ---- errors and damage ---- */

static void a_failing_disk_leaves_old_or_new(void **state)
{
	struct ds_entry e;

	for (int n = 0; n < 40; n++) {
		int err;

		disk.fail_after = n;
		err = ds_create(ds, "x", DS_KIND_PLAIN, 4096, 0);
		disk.fail_after = -1;
		ds_beat(ds);
		if (ds_stat(ds, "x", &e) == 0)
			assert_int_equal(ds_remove(ds, "x"), 0);
		else
			assert_int_not_equal(err, 0);
	}
}

static void repair_mends_what_it_finds(void **state)
{
	struct ds_check c = { .repair = true };
	uint64_t root, map, log;

	assert_int_equal(ds_create(ds, "f", DS_KIND_FLAT, 2 << 20, 0), 0);
	assert_int_equal(file_write("f", 0, 2 << 20, 6), 0);
	root = ds->super.root_block * DS_BLOCK;
	map = ds->super.map_block * DS_BLOCK;
	log = ds->super.log_block * DS_BLOCK;
	unmount();
	/* the log would put them back */
	memset(disk.bytes + log, 0, 2 * DS_MAX_LOG_BLOCKS * DS_BLOCK);
	disk.bytes[root + 100] ^= 1;
	disk.bytes[map + 200] ^= 1;
	disk.bytes[DS_SUPER_BLOCK * DS_BLOCK + 60] ^= 1;
	assert_true(findings() >= 3);
	assert_int_equal(ds_check(&disk.dev, &c), 0);
	assert_true(c.mended >= 3);
	assert_int_equal(findings(), 0);
	assert_int_equal(ds_mount(&disk.dev, &host_a, DS_MOUNT_WRITE, &ds), 0);
	assert_true(file_has("f", 0, 2 << 20, 6));
}

static void debris_goes_at_the_next_mount(void **state)
{
	struct ds_entry e;
	uint64_t before = free_bytes();

	assert_int_equal(ds_create(ds, "half", DS_KIND_FLAT, 2 << 20, DS_FILE_UNFINISHED), 0);
	assert_int_equal(ds_stat(ds, "half", &e), 0);
	again();
	assert_int_equal(ds_stat(ds, "half", &e), -ENOENT);
	assert_int_equal(free_bytes(), before);
	assert_int_equal(ds_create(ds, "whole", DS_KIND_FLAT, 2 << 20, DS_FILE_UNFINISHED), 0);
	assert_int_equal(ds_finish(ds, "whole"), 0);
	again();
	assert_int_equal(ds_stat(ds, "whole", &e), 0);
}

static void what_is_no_datastore(void **state)
{
	struct datastore *x;
	char name[32];

	unmount();
	assert_int_equal(ds_probe(&disk.dev, name), 0);
	assert_string_equal(name, "ds1");
	disk.bytes[DS_SUPER_BLOCK * DS_BLOCK + 42] = 9; /* a later version, badly summed */
	assert_int_equal(ds_probe(&disk.dev, name), 0); /* by its copy */
	memset(disk.bytes + DS_SUPER_BLOCK * DS_BLOCK, 0, DS_BLOCK);
	assert_int_equal(ds_probe(&disk.dev, name), -ENOENT);
	assert_int_equal(ds_mount(&disk.dev, &host_a, DS_MOUNT_WRITE, &x), -ENOENT);
	assert_int_equal(ds_format(&disk.dev, &options), 0);
}

#define test(f) cmocka_unit_test_setup_teardown(f, fresh, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc_is_the_known_one),
		cmocka_unit_test(names),
		test(flat_file_keeps_its_contents),
		test(thin_file_grows_where_it_is_written),
		test(extents_are_zeroed_before_others_see_them),
		test(a_full_datastore_fails_the_write_alone),
		test(many_runs),
		test(resize),
		test(rename_keeps_names_apart),
		test(a_snapshot_stays_as_it_was),
		test(reverting_brings_it_back),
		test(deleting_copies_nothing),
		test(snapshots_of_an_open_file),
		test(snapshots_survive_any_cut),
		test(a_lease_keeps_the_other_out),
		test(a_dead_hosts_lease_is_taken_and_it_writes_no_more),
		test(a_transaction_does_not_outlive_the_fence),
		test(a_lease_is_handed_over),
		test(an_identity_is_used_once),
		test(slots_run_out),
		test(nothing_is_lost_at_any_cut),
		test(a_failing_disk_leaves_old_or_new),
		test(repair_mends_what_it_finds),
		test(debris_goes_at_the_next_mount),
		test(what_is_no_datastore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
