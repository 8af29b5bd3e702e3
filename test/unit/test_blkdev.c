/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The layer over disk drivers: what it lets through, what it holds, what it
 * counts. The driver here keeps requests until a test, or a world that would
 * sleep, lets it end them.
 */
// SOURCES: drivers/blkdev.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include <tern/blkdev.h>
#include <tern/timer.h>

#define DONE_NOT_CALLED 77

static struct blk_req *at_driver[16];
static unsigned nr_at_driver, nr_wakes;
static uint64_t clock_ns;

static void take(struct blkdev *d, struct blk_req *r)
{
	at_driver[nr_at_driver++] = r;
}

static const struct blk_ops ops = { .submit = take };
static struct blkdev disk;

/* The driver ends all it has, in order. */
static void end_all(int status)
{
	unsigned n = nr_at_driver;

	nr_at_driver = 0;
	for (unsigned i = 0; i < n; i++)
		blk_complete(at_driver[i], status);
}

uint64_t time_ns(void)
{
	return clock_ns += 100;
}

int waitq_sleep(struct waitq *q, struct spinlock *l, unsigned long *flags, uint64_t deadline_ns)
{
	spin_unlock(l, *flags);
	assert_true(nr_at_driver > 0); /* else it would sleep for ever */
	end_all(0);
	*flags = spin_lock(l);
	return 0;
}

void waitq_wake_all(struct waitq *q)
{
	nr_wakes++;
}

static int wait_status;

int event_wait(struct event *e, uint64_t deadline_ns)
{
	if (!e->set)
		end_all(wait_status);
	assert_true(e->set);
	return 0;
}

static int fresh(void **state)
{
	memset(&disk, 0, sizeof(disk));
	disk.ops = &ops;
	disk.driver = "test";
	disk.geo = (struct blk_geometry){ .blocks = 1000,
					  .block_bytes = 512,
					  .physical_bytes = 512,
					  .max_segs = 4,
					  .max_bytes = 8 * 512,
					  .max_discard_blocks = 100,
					  .volatile_cache = true };
	blk_setup(&disk);
	nr_at_driver = nr_wakes = 0;
	wait_status = 0;
	return 0;
}

static unsigned nr_done;

static void done(struct blk_req *r)
{
	nr_done++;
}

static struct blk_seg page = { .addr = { 0x1000 }, .len = 512 };

static struct blk_req request(enum blk_op op, uint64_t block, uint64_t blocks)
{
	return (struct blk_req){ .op = op,
				 .block = block,
				 .blocks = blocks,
				 .segs = &page,
				 .nr_segs = 1,
				 .done = done,
				 .status = DONE_NOT_CALLED };
}

/* What becomes of it, the driver's part being well done. */
static int fate(struct blk_req r)
{
	blk_submit(&disk, &r);
	end_all(0);
	return r.status;
}

static void test_range(void **state)
{
	assert_int_equal(fate(request(BLK_READ, 999, 1)), 0);
	assert_int_equal(fate(request(BLK_READ, 1000, 1)), -EINVAL);
	assert_int_equal(fate(request(BLK_READ, 0, 0)), -EINVAL);
	assert_int_equal(fate(request(BLK_WRITE, UINT64_MAX, 1)), -EINVAL);
	assert_int_equal(fate(request(BLK_DISCARD, 950, 50)), 0);
	assert_int_equal(fate(request(BLK_DISCARD, 950, 51)), -EINVAL);
	assert_int_equal(fate(request(BLK_DISCARD, 0, 101)), -EINVAL);
	assert_int_equal(fate(request(BLK_DISCARD, 1, UINT64_MAX)), -EINVAL);
	assert_int_equal(fate(request(BLK_WRITE_ZEROES, 0, 1)), -ENOTSUP);
	assert_int_equal(fate(request(BLK_OPS, 0, 1)), -ENOTSUP);
}

static void test_list(void **state)
{
	struct blk_seg segs[5] = {
		{ { 1 }, 500 }, { { 9 }, 12 }, { { 0x1000 }, 511 }, { { 2 }, 1 }, { { 3 }, 512 }
	};
	struct blk_req r = request(BLK_READ, 0, 2);

	r.segs = segs;
	r.nr_segs = 4;
	assert_int_equal(fate(r), 0);
	r.blocks = 3;
	assert_int_equal(fate(r), -EINVAL); /* the bytes are not the blocks' */
	r.nr_segs = 5;
	assert_int_equal(fate(r), -EINVAL); /* more segments than the limit */
	r.nr_segs = 0;
	assert_int_equal(fate(r), -EINVAL);
	segs[0].len = 9 * 512;
	r.nr_segs = 1;
	r.blocks = 9;
	assert_int_equal(fate(r), -EINVAL); /* more bytes than the limit */
	segs[0].len = 0;
	segs[1].len = 512;
	r.nr_segs = 2;
	r.blocks = 1;
	assert_int_equal(fate(r), -EINVAL);
}

static void test_read_only(void **state)
{
	disk.geo.read_only = true;
	assert_int_equal(fate(request(BLK_WRITE, 0, 1)), -EROFS);
	assert_int_equal(fate(request(BLK_DISCARD, 0, 1)), -EROFS);
	assert_int_equal(fate(request(BLK_READ, 0, 1)), 0);
}

static void test_flush(void **state)
{
	struct blk_req r = request(BLK_FLUSH, 0, 0);

	blk_submit(&disk, &r);
	assert_int_equal(nr_at_driver, 1);
	end_all(0);
	disk.geo.volatile_cache = false;
	r.status = DONE_NOT_CALLED;
	blk_submit(&disk, &r); /* nothing to do, and nobody asked */
	assert_int_equal(r.status, 0);
	assert_int_equal(nr_at_driver, 0);
}

static void test_quiesce_waits_and_holds(void **state)
{
	struct blk_req before = request(BLK_READ, 0, 1), a = request(BLK_READ, 1, 1),
		       b = request(BLK_WRITE, 2, 1);

	blk_submit(&disk, &before);
	blk_quiesce(&disk);
	assert_int_equal(before.status, 0);
	blk_quiesce(&disk);
	blk_submit(&disk, &a);
	blk_submit(&disk, &b);
	assert_int_equal(nr_at_driver, 0);
	blk_resume(&disk);
	assert_int_equal(nr_at_driver, 0); /* they nest */
	blk_resume(&disk);
	assert_int_equal(nr_at_driver, 2);
	assert_ptr_equal(at_driver[0], &a);
	assert_ptr_equal(at_driver[1], &b);
	end_all(-EIO);
	assert_int_equal(a.status, -EIO);
	blk_quiesce(&disk); /* nothing is in flight: at once */
	blk_resume(&disk);
}

static struct blk_req again;

static void done_submits(struct blk_req *r)
{
	blk_submit(&disk, &again);
}

static void test_done_may_submit_while_another_quiesces(void **state)
{
	struct blk_req first = request(BLK_READ, 0, 1);

	again = request(BLK_READ, 1, 1);
	first.done = done_submits;
	blk_submit(&disk, &first);
	blk_quiesce(&disk);
	assert_int_equal(nr_at_driver, 0);
	assert_int_equal(again.status, 0); /* accepted, and held */
	blk_resume(&disk);
	assert_int_equal(nr_at_driver, 1);
	end_all(0);
}

static void test_counters(void **state)
{
	struct blk_req r = request(BLK_WRITE, 0, 1);
	struct blk_stats s;

	nr_done = 0;
	blk_submit(&disk, &r);
	end_all(0);
	blk_submit(&disk, &r);
	end_all(-EIO);
	blk_stats(&disk, &s);
	assert_int_equal(nr_done, 2);
	assert_int_equal(s.requests[BLK_WRITE], 2);
	assert_int_equal(s.bytes[BLK_WRITE], 512);
	assert_int_equal(s.errors, 1);
	assert_true(s.busy_ns[BLK_WRITE] >= 200);
}

static void test_transfer_is_cut_to_the_limit(void **state)
{
	static char buf[20 * 512];
	struct blk_stats s;

	assert_int_equal(blk_transfer(&disk, BLK_READ, 5, 20, buf), 0);
	blk_stats(&disk, &s);
	assert_int_equal(s.requests[BLK_READ], 3);
	assert_int_equal(s.bytes[BLK_READ], 20 * 512);
	wait_status = -EIO;
	assert_int_equal(blk_transfer(&disk, BLK_READ, 5, 20, buf), -EIO);
	blk_stats(&disk, &s);
	assert_int_equal(s.requests[BLK_READ], 4); /* the first error ends it */
	assert_int_equal(blk_transfer(&disk, BLK_READ, 990, 11, buf), -EIO);
}

static void test_names(void **state)
{
	static struct blkdev other;

	other = disk;
	assert_int_equal(blk_register(&disk), 0);
	assert_int_equal(blk_register(&other), 0);
	assert_ptr_equal(blk_find("disk0"), &disk);
	assert_ptr_equal(blk_find("disk1"), &other);
	assert_null(blk_find("disk2"));
	assert_ptr_equal(blk_at(1), &other);
	assert_null(blk_at(2));
}

static void test_one_writes_or_many_read(void **state)
{
	char who[BLK_OWNER];

	blk_owner(&disk, who);
	assert_string_equal(who, "");
	assert_int_equal(blk_claim(&disk, "datastore a", true), 0);
	assert_int_equal(blk_claim(&disk, "VM b", true), -EBUSY);
	assert_int_equal(blk_claim(&disk, "VM b", false), -EBUSY);
	blk_owner(&disk, who);
	assert_string_equal(who, "datastore a");
	blk_disclaim(&disk);
	assert_int_equal(blk_claim(&disk, "VM b", false), 0);
	assert_int_equal(blk_claim(&disk, "VM c", false), 0);
	blk_disclaim(&disk);
	assert_int_equal(blk_claim(&disk, "disk test", true), -EBUSY);
	blk_disclaim(&disk);
	assert_int_equal(blk_claim(&disk, "disk test", true), 0);
	blk_disclaim(&disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_range, fresh),
		cmocka_unit_test_setup(test_list, fresh),
		cmocka_unit_test_setup(test_read_only, fresh),
		cmocka_unit_test_setup(test_flush, fresh),
		cmocka_unit_test_setup(test_quiesce_waits_and_holds, fresh),
		cmocka_unit_test_setup(test_done_may_submit_while_another_quiesces, fresh),
		cmocka_unit_test_setup(test_counters, fresh),
		cmocka_unit_test_setup(test_transfer_is_cut_to_the_limit, fresh),
		cmocka_unit_test_setup(test_names, fresh),
		cmocka_unit_test_setup(test_one_writes_or_many_read, fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
