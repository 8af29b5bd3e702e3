/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A home that goes to another datastore while hosts and disks fail: after a crash at any write of
 * any of the two disks, and after any write that fails, there is exactly one description that
 * counts, with all that it names; what a boot then finds of the other one goes. A datastore that
 * vanishes leaves the VM in doubt until it is back, or somebody says what counts.
 */
// SOURCES: kernel/home/home.c kernel/home/home_carry.c kernel/home/home_carry_end.c
// SOURCES: kernel/home/home_former.c kernel/home/home_parts.c kernel/home/home_file.c
// SOURCES: kernel/home/home_settle.c kernel/home/home_work.c kernel/home/desc*.c
// SOURCES: kernel/lib/text.c
// SOURCES: kernel/lib/name.c kernel/vm/trouble.c drivers/blkdev.c kernel/lib/crc32c.c
// SOURCES: kernel/store/ds_*.c test/unit/fake_disk.c test/unit/fake_home.c
// SOURCES: test/unit/two_stores.c test/unit/carry_fixture.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "test/unit/carry_fixture.h"

/* ---- crashes ---- */

static unsigned counts[2]; /* of the descriptions that counted then */

static void has_one_that_counts(void)
{
	unsigned at = carry_whole(1);

	assert_int_equal(carry_whole(0) + at, 1);
	counts[at]++;
	carry_boot();
	assert_true(carry_whole(at));
	assert_int_equal(store_count(1 - at), at ? 1 : 0); /* the notes, which are not the VM's */
}

static void a_crash_at_any_write(void **state)
{
	memset(counts, 0, sizeof(counts));
	stores_crash(carry_move, has_one_that_counts);
	assert_true(counts[0] > 20 && counts[1] > 5);
}

/* ---- a write that fails ---- */

static void failing_submit(struct blkdev *dev, struct blk_req *r)
{
	if (stores_strike(r))
		blk_complete(r, -EIO);
	else
		store_submit(dev, r);
}

static const struct blk_ops failing = { .submit = failing_submit };

/* From the beginning, on disks as they were then. False: it does not write so often. */
static bool fails_at(unsigned write, bool *gone)
{
	struct vm_desc d;
	uint64_t file;

	stores_mount();
	vm_desc_init(&d);
	strcpy(d.cfg.name, "g");
	strcpy(d.cfg.home, "old");
	assert_int_equal(home_load(&d, &file, why, sizeof(why)), 0);
	home_note(home_find("g"), &d, file);
	stores_strike_after(write);
	for (unsigned i = 0; i < 2; i++)
		store_meddle(i, &failing);
	*gone = !carry_move();
	for (unsigned i = 0; i < 2; i++)
		store_meddle(i, NULL);
	return stores_struck();
}

/* A transaction whose last writes fail is done all the same: what is said of it must be so. */
static void any_write_fails(void **state)
{
	unsigned n = 0;
	bool gone;

	memset(counts, 0, sizeof(counts));
	stores_unmount();
	stores_keep();
	while (fails_at(n++, &gone)) {
		assert_true(carry_whole(gone) && !carry_whole(!gone));
		carry_boot();
		assert_true(carry_whole(gone));
		counts[gone]++;
		stores_unmount();
		stores_put_back();
	}
	assert_true(counts[0] > 20 && counts[1] > 5);
}

/* ---- a datastore that is not there any more ---- */

static void vanishing_submit(struct blkdev *dev, struct blk_req *r)
{
	if (stores_strike(r) || stores_struck())
		blk_complete(r, -EIO);
	else
		store_submit(dev, r);
}

static const struct blk_ops vanishing = { .submit = vanishing_submit };

/* The new one, at a write of the switch. */
static int switch_vanishing(struct home_carry *c, unsigned write)
{
	const char *also[] = { "g/root.disk" };
	int err;

	stores_strike_after(write);
	store_meddle(1, &vanishing);
	err = home_carry_switch(c, also, 1, NULL, why, sizeof(why));
	assert_true(!err || err == -EINPROGRESS); /* else the VM would go on */
	return err;
}

static void come_back(void)
{
	store_meddle(1, NULL);
}

/* Does it count there, once the datastore says so? */
static bool found_out(struct home_carry *c, int err)
{
	if (!err) {
		come_back();
		return true;
	}
	assert_int_equal(home_carry_look(c, why, sizeof(why)), -EINPROGRESS);
	assert_non_null(strstr(why, "datastore new"));
	come_back();
	err = home_carry_look(c, why, sizeof(why));
	assert_true(err != -EINPROGRESS);
	assert_int_equal(!err, store_has(1, "g/g.vm"));
	return !err;
}

/* Either description may count then, so nobody says that one does; and both are held. */
static void it_vanishes_in_the_switch(void **state)
{
	struct home_carry *c;
	struct ds_entry e;
	unsigned n = 0;
	bool moved;

	memset(counts, 0, sizeof(counts));
	stores_unmount();
	stores_keep();
	do {
		stores_mount();
		strcpy(home_find("g")->store, "old");
		assert_int_equal(ds_stat(ds[0], "g/g.vm", &e), 0);
		home_find("g")->file = e.id;
		c = carry_prepared();
		moved = found_out(c, switch_vanishing(c, n++));
		counts[moved]++;
		if (!moved)
			assert_int_equal(ds_remove(ds[1], "g/root.disk"), 0);
		assert_int_equal(ds_stat(ds[0], "g/root.disk", &e), 0);
		if (moved)
			assert_int_equal(ds_remove_file("/ds/old/g/root.disk", e.id), 0);
		home_carry_end(c, moved);
		assert_true(carry_whole(moved) && !carry_whole(!moved));
		stores_unmount();
		stores_put_back();
	} while (stores_struck());
	assert_true(counts[0] > 2 && counts[1] > 2);
	stores_mount();
}

/* After so many writes, for so many requests. */
static unsigned writes_left, gone_for;

static void away_submit(struct blkdev *dev, struct blk_req *r)
{
	bool fails = !writes_left && gone_for;

	if (fails)
		gone_for--;
	else if (writes_left && store_is_write(r))
		writes_left--;
	if (fails)
		blk_complete(r, -EIO);
	else
		store_submit(dev, r);
}

static const struct blk_ops away = { .submit = away_submit };

/* A change of a VM that is on: whichever description has the name then is leased by this host. */
static void it_is_away_in_a_change(void **state)
{
	struct home *h = home_find("g");
	struct vm_desc d;
	struct ds_entry e;

	mutex_lock(&h->lock);
	assert_int_equal(home_hold_locked(h, why, sizeof(why)), 0);
	mutex_unlock(&h->lock);
	for (unsigned n = 0; n < 60; n++)
		for (unsigned m = 1; m < 9; m++) {
			assert_int_equal(carry_load(0, &d), 0);
			d.autostart = 1 + m;
			writes_left = n;
			gone_for = m;
			store_meddle(0, &away);
			(void)!home_save(h, &d, why, sizeof(why));
			store_meddle(0, NULL);
			assert_int_equal(ds_stat(ds[0], "g/g.vm", &e), 0);
			assert_int_equal(e.lease, DS_LEASE_MINE);
		}
	assert_int_equal(carry_load(0, &d), 0);
	d.autostart = 3;
	assert_int_equal(home_save(h, &d, why, sizeof(why)), 0);
	home_let_go(h);
	assert_true(carry_whole(0));
	assert_int_equal(store_count(0), 5);
}

#define RECORD_WRITES 4u /* of the switch: then it is done, though nobody hears so */

/* The operator says that it is lost, and it was not: no host takes both of them as right. */
static void it_stays_by_word(void **state)
{
	struct home_carry *c = carry_prepared();
	struct vm_desc d;

	assert_int_equal(switch_vanishing(c, RECORD_WRITES), -EINPROGRESS);
	assert_int_equal(home_carry_stay(c, why, sizeof(why)), 0);
	assert_true(carry_holds_what_counts());
	come_back();
	assert_true(carry_whole(0)); /* what the VM writes from now on is not lost in a crash */
	assert_true(store_has(1, "g/g.vm"));
	assert_int_equal(carry_load(1, &d), -EAGAIN);
	assert_non_null(strstr(why, "/ds/old/g/g.vm"));
	home_carry_end(c, false);
	assert_int_equal(carry_load(1, &d), -ENOENT);
	assert_true(carry_whole(0));
	(void)!ds_remove(ds[1], "g/root.disk");
}

#define test(f) cmocka_unit_test_setup_teardown(f, carry_begin, carry_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_crash_at_any_write),	 test(any_write_fails),
		test(it_vanishes_in_the_switch), test(it_is_away_in_a_change),
		test(it_stays_by_word),
	};

	return cmocka_run_group_tests_name("home_carry_fail", tests, NULL, NULL);
}
