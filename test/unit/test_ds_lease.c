/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two hosts on one datastore: a lease keeps the other out, is handed over and taken back, and is
 * lost with its host. Slots and fences are in test_ds_fence.c.
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

static void a_lease_keeps_the_other_out(void **state)
{
	struct datastore *b = dsf_other();
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

/* A file that a has open for writing, with b beside it. */
static struct ds_file *held(struct datastore **b, struct ds_lease *lease)
{
	struct ds_file *f;

	*b = dsf_other();
	assert_int_equal(ds_create(ds, "d", DS_KIND_THIN, 4 << 20, 0), 0);
	ds_beat(ds);
	ds_beat(*b);
	assert_int_equal(ds_open(ds, "d", DS_OPEN_WRITE, &f), 0);
	ds_file_lease(f, lease);
	return f;
}

static int put(struct ds_file *f, uint64_t at, uint8_t value)
{
	uint8_t buf[512];

	memset(buf, value, sizeof(buf));
	return blk_transfer(ds_file_blk(f), BLK_WRITE, at, 1, buf);
}

static uint8_t get(struct ds_file *f, uint64_t at)
{
	uint8_t buf[512];

	assert_int_equal(blk_transfer(ds_file_blk(f), BLK_READ, at, 1, buf), 0);
	return buf[0];
}

static void a_lease_is_handed_over(void **state)
{
	static const uint8_t nobody[16] = { 9 };
	struct datastore *b;
	struct ds_lease lease;
	struct ds_file *f = held(&b, &lease), *again, *g, *watched;

	assert_int_equal(ds_open(b, "d", DS_OPEN_READ, &watched), 0);
	assert_int_equal(put(f, 5, 1), 0); /* an extent that the other has not seen */
	assert_int_equal(ds_lease_accept(b, &lease, &g), -EAGAIN);
	assert_int_equal(ds_lease_give(f, host_b.id), 0);
	assert_int_equal(put(f, 5, 2), -ESTALE);
	assert_int_equal(ds_lease_accept(b, &lease, &g), 0);
	assert_int_equal(get(g, 5), 1);
	assert_int_equal(put(g, 5, 3), 0);
	assert_int_equal(ds_lease_take_back(f), -ESTALE);
	assert_int_equal(put(f, 5, 4), -ESTALE);
	assert_int_equal(ds_lease_accept(b, &lease, &again), -ESTALE); /* it is open here */
	assert_int_equal(ds_lease_give(g, nobody), -ENOENT);
	assert_int_equal(ds_lease_take_back(g), 0); /* it was not given */
	assert_int_equal(put(g, 5, 6), 0);
	ds_close(f); /* gives up nothing that is another's */
	assert_int_equal(put(g, 5, 7), 0);
	ds_close(g);
	ds_close(watched);
	ds_detach(b);
}

static void a_lease_is_taken_back(void **state)
{
	struct datastore *b;
	struct ds_lease lease, now;
	struct ds_file *f = held(&b, &lease), *g;

	for (unsigned round = 0; round < 3; round++) {
		assert_int_equal(ds_lease_give(f, host_b.id), 0);
		assert_int_equal(ds_lease_take_back(f), 0);
		assert_int_equal(ds_lease_take_back(f), 0);
		assert_int_equal(put(f, round, 7), 0);
		assert_int_equal(ds_lease_accept(b, &lease, &g), -ESTALE);
		ds_file_lease(f, &now);
		assert_int_equal(now.generation, lease.generation + 2);
		assert_int_equal(ds_lease_accept(b, &now, &g), -EAGAIN);
		lease = now;
	}
	ds_close(f);
	assert_int_equal(ds_lease_accept(b, &lease, &g), -ESTALE); /* given up, not given */
	ds_detach(b);
}

/* What was given to a host that came back without its memory is still the giver's to take. */
static void a_lease_outlives_who_it_was_given_to(void **state)
{
	struct datastore *b;
	struct ds_lease lease;
	struct ds_file *f = held(&b, &lease), *g;

	assert_int_equal(ds_lease_give(f, host_b.id), 0);
	ds_detach(b);
	b = dsf_other();
	assert_int_equal(ds_lease_accept(b, &lease, &g), -ESTALE); /* another life's */
	assert_int_equal(ds_lease_take_back(f), 0);
	assert_int_equal(put(f, 0, 1), 0);
	ds_close(f);
	ds_detach(b);
}

/* Whoever simply opens what was given to him has it for good. */
static void an_open_is_an_acceptance(void **state)
{
	struct datastore *b;
	struct ds_lease lease;
	struct ds_file *f = held(&b, &lease), *g, *other;

	assert_int_equal(ds_lease_give(f, host_b.id), 0);
	assert_int_equal(ds_open(b, "d", DS_OPEN_WRITE, &g), 0);
	assert_int_equal(ds_lease_take_back(f), -ESTALE);
	assert_int_equal(ds_lease_accept(b, &lease, &other), -ESTALE);
	ds_close(g);
	assert_int_equal(ds_lease_accept(b, &lease, &other), -ESTALE);
	assert_int_equal(ds_lease_take_back(f), -ESTALE);
	ds_close(f);
	ds_detach(b);
}

/* a dies before it gives: nothing comes any more; the file is whoever's opens it. */
static void a_dead_giver_gives_nothing(void **state)
{
	struct datastore *b;
	struct ds_lease lease;
	struct ds_file *f = held(&b, &lease), *g;
	int err;

	for (unsigned i = 0; i < 100; i++) {
		ds_beat(b);
		err = ds_lease_accept(b, &lease, &g);
		if (err != -EAGAIN)
			break;
		fake_now_ns += 20 * 1000000;
	}
	assert_int_equal(err, -ESTALE);
	assert_int_equal(ds_open(b, "d", DS_OPEN_WRITE, &g), 0);
	ds_beat(ds); /* and it was only asleep */
	assert_int_equal(ds_lease_give(f, host_b.id), -ESTALE);
	assert_int_equal(ds_lease_take_back(f), -ESTALE);
	ds_close(g);
	ds_close(f);
	ds_detach(b);
}

/* a sleeps past its fence, and b takes the file: whatever a does with it next, it finds that. */
static struct datastore *taken_from_a(void)
{
	struct datastore *b = dsf_other();
	struct ds_file *g;
	int err = -EBUSY;

	for (unsigned i = 0; i < 100 && err == -EBUSY; i++) {
		ds_beat(b);
		err = ds_open(b, "d", DS_OPEN_WRITE, &g);
		fake_now_ns += 20 * 1000000;
	}
	assert_int_equal(err, 0);
	ds_close(g); /* and nobody has it now */
	return b;
}

static void a_lease_that_was_lost_is_not_held(void **state)
{
	struct datastore *b;
	struct ds_file *f, *kept, *read;

	assert_int_equal(ds_create(ds, "d", DS_KIND_THIN, 4 << 20, 0), 0);
	assert_int_equal(ds_create(ds, "kept", DS_KIND_THIN, 4 << 20, 0), 0);
	assert_int_equal(ds_open(ds, "d", DS_OPEN_WRITE, &f), 0);
	assert_int_equal(ds_open(ds, "kept", DS_OPEN_WRITE, &kept), 0);
	assert_int_equal(ds_open(ds, "kept", DS_OPEN_READ, &read), 0);
	assert_int_equal(ds_lease_held(f), 0);
	b = taken_from_a();
	assert_int_equal(ds_lease_held(f), -ESTALE); /* no heartbeat has told it */
	assert_int_equal(ds_lease_held(f), -ESTALE);
	assert_int_equal(ds_lease_held(kept), 0);
	assert_int_equal(ds_lease_held(read), 0);
	ds_close(read);
	ds_close(kept);
	ds_close(f);
	ds_detach(b);
}

static void assert_nobody_opens(struct datastore *d, const char *name)
{
	struct ds_file *f;

	assert_int_equal(ds_open(d, name, DS_OPEN_READ, &f), -EBUSY);
	assert_int_equal(ds_open(d, name, DS_OPEN_WRITE, &f), -EBUSY);
	assert_int_equal(ds_open(d, name, DS_OPEN_SHARED, &f), -EBUSY);
}

/* What it shows may be other files': its maker alone opens it, also when he is dead. */
static void what_is_not_whole_is_its_makers(void **state)
{
	struct datastore *b = dsf_other();
	struct ds_entry e;
	struct ds_file *f;

	assert_int_equal(ds_create_bare(ds, "bare", 2 << 20), 0);
	assert_int_equal(ds_create_bare(ds, "done", 2 << 20), 0);
	ds_beat(ds);
	ds_beat(b);
	assert_nobody_opens(b, "bare");
	assert_int_equal(ds_open(ds, "bare", DS_OPEN_READ, &f), -EBUSY);
	assert_int_equal(ds_open(ds, "bare", DS_OPEN_SHARED, &f), -EBUSY);
	assert_int_equal(ds_open(ds, "bare", DS_OPEN_WRITE, &f), 0);
	assert_nobody_opens(ds, "bare");
	ds_close(f);
	assert_nobody_opens(b, "bare"); /* closed is not whole */
	assert_int_equal(ds_finish(ds, "done"), 0);
	assert_int_equal(ds_open(b, "done", DS_OPEN_READ, &f), 0);
	ds_close(f);
	assert_int_equal(ds_create_bare(ds, "left", 2 << 20), 0);
	for (unsigned i = 0; i < 100 && ds_remove(b, "bare") == -EBUSY; i++) {
		ds_beat(b);
		fake_now_ns += 20 * 1000000;
	}
	assert_int_equal(ds_stat(b, "left", &e), 0);
	assert_int_equal(e.lease, DS_LEASE_DEAD);
	assert_nobody_opens(b, "left");
	ds_detach(b);
}

/* As one whose maker is dead goes, when a file comes that takes its place. */
static struct datastore *made_debris_by_b(void)
{
	const char *by = "by";
	struct datastore *b = dsf_other();
	int err = -EBUSY;

	assert_int_equal(ds_create(b, by, DS_KIND_THIN, 4 << 20, DS_FILE_UNFINISHED), 0);
	for (unsigned i = 0; i < 100 && err == -EBUSY; i++) {
		ds_beat(b);
		err = ds_finish_all(b, &by, 1, NULL, "d");
		fake_now_ns += 20 * 1000000;
	}
	assert_int_equal(err, 0);
	return b;
}

static void a_file_that_was_lost_is_not_finished(void **state)
{
	struct datastore *b;
	struct ds_entry e;
	struct ds_file *f;

	assert_int_equal(ds_create(ds, "d", DS_KIND_THIN, 4 << 20, DS_FILE_UNFINISHED), 0);
	assert_int_equal(ds_open(ds, "d", DS_OPEN_WRITE, &f), 0);
	b = made_debris_by_b();
	assert_int_equal(ds_finish(ds, "d"), -ESTALE);
	assert_int_equal(ds_stat(b, "d", &e), 0);
	assert_true(e.flags & DS_FILE_UNFINISHED);
	ds_close(f);
	ds_detach(b);
}

static struct datastore *other;

/* The next requests of the disk fail, from the nth on; then it works again. */
static int with_failure(int n, int (*act)(struct ds_file **f, struct ds_lease *l),
			struct ds_file **f, struct ds_lease *l)
{
	int err;

	disk.fail_after = n;
	err = act(f, l);
	disk.fail_after = -1;
	ds_beat(ds);
	ds_beat(other);
	return err;
}

static int do_give(struct ds_file **f, struct ds_lease *l)
{
	return ds_lease_give(*f, host_b.id);
}

static int do_accept(struct ds_file **f, struct ds_lease *l)
{
	return ds_lease_accept(other, l, f);
}

static int do_take_back(struct ds_file **f, struct ds_lease *l)
{
	return ds_lease_take_back(*f);
}

/* Whatever request fails, afterwards one of the two has the file, and who asks again hears it. */
static void a_step_that_breaks_off_is_repeated(void **state)
{
	struct ds_lease lease;
	struct ds_file *f = held(&other, &lease), *g;
	int n, err;

	for (n = 0, err = -EIO; err; n++) {
		ds_file_lease(f, &lease);
		err = with_failure(n, do_give, &f, &lease);
		assert_int_equal(ds_lease_take_back(f), 0);
		assert_int_not_equal(ds_lease_accept(other, &lease, &g), 0);
		assert_int_equal(put(f, 0, 1), 0);
	}
	assert_in_range(n, 5, 99);
	for (n = 0, err = -EIO; err; n++) {
		assert_int_equal(ds_lease_give(f, host_b.id), 0);
		err = with_failure(n, do_take_back, &f, &lease);
		ds_file_lease(f, &lease);
		assert_int_equal(ds_lease_take_back(f), 0);
		assert_int_not_equal(ds_lease_accept(other, &lease, &g), 0);
		assert_int_equal(put(f, 0, 1), 0);
	}
	assert_in_range(n, 5, 99);
	for (n = 0, err = -EIO; err; n++) {
		ds_file_lease(f, &lease);
		assert_int_equal(ds_lease_give(f, host_b.id), 0);
		err = with_failure(n, do_accept, &g, &lease);
		if (err)
			assert_int_equal(ds_lease_accept(other, &lease, &g), 0);
		assert_int_equal(ds_lease_take_back(f), -ESTALE);
		assert_int_equal(put(g, 0, 1), 0);
		ds_close(f);
		ds_close(g);
		assert_int_equal(ds_open(ds, "d", DS_OPEN_WRITE, &f), 0);
	}
	assert_in_range(n, 5, 99);
	ds_close(f);
	ds_detach(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_lease_keeps_the_other_out),
		test(a_lease_is_handed_over),
		test(a_lease_is_taken_back),
		test(a_lease_outlives_who_it_was_given_to),
		test(an_open_is_an_acceptance),
		test(a_dead_giver_gives_nothing),
		test(a_lease_that_was_lost_is_not_held),
		test(what_is_not_whole_is_its_makers),
		test(a_file_that_was_lost_is_not_finished),
		test(a_step_that_breaks_off_is_repeated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
