/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two hosts on one datastore: slots and heartbeats, and what a host that was shut out of it may do
 * no more once its fence opens again, or another has taken its place.
 */
// SOURCES: drivers/blkdev.c kernel/lib/crc32c.c kernel/store/ds_*.c
// SOURCES: test/unit/fake_disk.c test/unit/ds_fixture.c
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

#include "test/unit/ds_fixture.h"

static uint64_t bytes_read(void)
{
	struct blk_stats s;

	blk_stats(&disk.dev, &s);
	return s.bytes[BLK_READ];
}

/* Who begins after another's commit reads the descriptors and what changed, not the log's halves.
 */
static void anothers_commit_costs_little(void **state)
{
	struct datastore *b = dsf_other();
	const uint64_t log_bytes = 2ull * ds->super.log_blocks * DS_BLOCK;
	char name[8];
	struct ds_entry e;

	for (unsigned i = 0; i < 12; i++) {
		uint64_t before;

		/* One, two or three commits are seen at once. */
		for (unsigned k = 0; k <= i % 3; k++) {
			snprintf(name, sizeof(name), "%u.%u", i, k);
			assert_int_equal(ds_create(ds, name, DS_KIND_THIN, 1 << 20, 0), 0);
		}
		before = bytes_read();
		assert_int_equal(ds_stat(b, name, &e), 0);
		if (i % 3 < 2)
			assert_true(bytes_read() - before < log_bytes / 2);
		assert_int_equal(ds_rename(b, name, "moved"), 0);
		assert_int_equal(ds_stat(ds, name, &e), -ENOENT);
		assert_int_equal(ds_remove(ds, "moved"), 0);
		assert_int_equal(ds_stat(b, "moved", &e), -ENOENT);
	}
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
	struct datastore *b = dsf_other();
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

/* Nobody who waits for a write waits for ever on a disk that is gone. */
static void a_write_ends_when_the_heartbeat_fails(void **state)
{
	struct ds_file *f;
	uint8_t buf[512] = { 1 };
	struct blk_seg seg;
	struct blk_req r;

	assert_int_equal(ds_create(ds, "d", DS_KIND_FLAT, 1 << 20, 0), 0);
	assert_int_equal(ds_open(ds, "d", DS_OPEN_WRITE, &f), 0);
	disk.fail_after = 0;
	fake_now_ns += 1000 * 1000000;
	nr_ended = 0;
	r = write_to(f, &seg, buf);
	blk_submit(ds_file_blk(f), &r);
	assert_int_equal(nr_ended, 0);
	ds_beat(ds);
	assert_int_equal(nr_ended, 1);
	assert_int_equal(r.status, -EIO);
	disk.fail_after = -1;
	ds_beat(ds);
	ds_grow_run(ds);
	assert_int_equal(blk_transfer(ds_file_blk(f), BLK_WRITE, 0, 1, buf), 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(anothers_commit_costs_little),
		test(a_dead_hosts_lease_is_taken_and_it_writes_no_more),
		test(a_write_ends_when_the_heartbeat_fails),
		test(a_transaction_does_not_outlive_the_fence),
		test(an_identity_is_used_once),
		test(slots_run_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
