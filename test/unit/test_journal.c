/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a host finds of its migrations after a crash: the step that it noted last, whatever the
 * power cut left of the one after it; nothing of other hosts, nothing of what is settled, and no
 * belief in a damaged record.
 */
// SOURCES: mig/journal.c drivers/blkdev.c kernel/lib/crc32c.c kernel/store/ds_*.c
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

#include "mig/journal.h"
#include "test/unit/ds_fixture.h"

static struct journal_record record(uint8_t id)
{
	struct journal_record r = { .id = { id, 0xab },
				    .uuid = { 7 },
				    .vm = "deb",
				    .peer = { 4, { 10, 0, 0, 2 } },
				    .step = JOURNAL_NOTHING,
				    .incoming = true,
				    .disks = 2,
				    .disk = { "/ds/ds1/deb/root.disk", "/ds/ds1/deb/data.disk" } };

	return r;
}

static struct {
	unsigned records;
	struct journal_record last;
	bool end;
} seen;

static void see(const struct journal_record *r, struct journal *j, void *arg)
{
	seen.records++;
	seen.last = *r;
	if (seen.end)
		journal_end(j);
	else
		journal_keep(j);
}

static unsigned scan(void)
{
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(journal_scan(ds, true, see, NULL), 0);
	assert_int_equal(journal_scan(ds, false, see, NULL), 0);
	return seen.records;
}

static void a_record_comes_back_as_it_was(void **state)
{
	struct journal_record r = record(1);
	struct journal *j;

	ds_host_set(&host_a);
	assert_int_equal(scan(), 0);
	assert_int_equal(journal_create(ds, &r, &j), 0);
	assert_int_equal(journal_note(j, JOURNAL_GO), 0);
	journal_keep(j);
	dsf_again();
	assert_int_equal(scan(), 1);
	r.step = JOURNAL_GO;
	assert_memory_equal(&seen.last, &r, sizeof(r));
}

/* A description that is changed is another file. */
static void its_last_file_is_another_one(void **state)
{
	struct journal_record r = record(1);
	struct journal *j;

	ds_host_set(&host_a);
	assert_int_equal(journal_create(ds, &r, &j), 0);
	journal_last_file(j, 77);
	journal_keep(j);
	assert_int_equal(scan(), 1);
	assert_memory_equal(&seen.last, &r, sizeof(r)); /* until the next note */
	r = record(2);
	assert_int_equal(journal_create(ds, &r, &j), 0);
	journal_last_file(j, 77);
	assert_int_equal(journal_note(j, JOURNAL_GO), 0);
	journal_keep(j);
	assert_int_equal(scan(), 2);
	r.step = JOURNAL_GO;
	r.file[r.disks - 1] = 77;
	assert_memory_equal(&seen.last, &r, sizeof(r));
}

static void what_is_settled_is_gone(void **state)
{
	struct journal_record r = record(1), r2 = record(2);
	struct journal *j, *k;
	uint64_t free_bytes = dsf_free_bytes();

	ds_host_set(&host_a);
	assert_int_equal(journal_create(ds, &r, &j), 0);
	assert_int_equal(journal_create(ds, &r2, &k), 0);
	assert_int_equal(journal_create(ds, &r2, &k), -EEXIST);
	journal_end(j);
	journal_keep(k);
	assert_int_equal(scan(), 1);
	assert_int_equal(seen.last.id[0], 2);
	seen.end = true;
	assert_int_equal(journal_scan(ds, true, see, NULL), 0);
	assert_int_equal(scan(), 0);
	assert_int_equal(dsf_free_bytes(), free_bytes);
}

/* Its disk does not let it go just then: the next mount knows, whatever the step before was. */
static void what_is_settled_and_stays(void **state)
{
	struct journal_record r = record(1);
	struct ds_file *reader;
	struct journal *j;

	ds_host_set(&host_a);
	assert_int_equal(journal_create(ds, &r, &j), 0);
	assert_int_equal(journal_note(j, JOURNAL_OWNS), 0);
	assert_int_equal(ds_open(ds, journal_name(j), DS_OPEN_READ, &reader), 0);
	journal_end(j);
	ds_close(reader);
	dsf_again();
	assert_int_equal(scan(), 1);
	assert_int_equal(seen.last.step, JOURNAL_SETTLED);
	seen.end = true;
	assert_int_equal(journal_scan(ds, true, see, NULL), 0);
	assert_int_equal(scan(), 0);
}

/* One that host b has made. */
static struct journal_record anothers(void)
{
	struct journal_record r = record(1);
	struct journal *j;

	ds_host_set(&host_b);
	assert_int_equal(journal_create(ds, &r, &j), 0);
	journal_keep(j);
	ds_host_set(&host_a);
	return r;
}

static void others_are_left_alone(void **state)
{
	(void)anothers();
	assert_int_equal(scan(), 0);
	ds_host_set(&host_b);
	assert_int_equal(scan(), 1);
}

/* A move to the host itself, or over a datastore that both hosts have: two records of one id. */
static void both_sides_on_one_datastore(void **state)
{
	struct journal_record source = record(1), destination = record(1);
	struct journal *j, *k;

	ds_host_set(&host_a);
	destination.incoming = !source.incoming;
	assert_int_equal(journal_create(ds, &source, &j), 0);
	assert_int_equal(journal_create(ds, &destination, &k), 0);
	journal_keep(j);
	journal_keep(k);
	assert_int_equal(scan(), 2);
	assert_int_equal(journal_create(ds, &destination, &k), -EEXIST);
}

static bool yes(const struct journal_record *r)
{
	return true;
}

static bool no(const struct journal_record *r)
{
	return false;
}

/* Its disk does not let it go just then: it says that it is settled, and the next mount knows. */
static void what_is_forgotten_and_stays(void **state)
{
	struct journal_record r = record(1);
	char name[64];
	struct ds_file *reader;
	struct journal *j;

	ds_host_set(&host_a);
	assert_int_equal(journal_create(ds, &r, &j), 0);
	snprintf(name, sizeof(name), "%s", journal_name(j));
	assert_int_equal(journal_note(j, JOURNAL_OWNS), 0);
	journal_keep(j);
	journal_forget(r.id, no);
	assert_int_equal(scan(), 1);
	assert_int_equal(seen.last.step, JOURNAL_OWNS);
	assert_int_equal(ds_open(ds, name, DS_OPEN_READ, &reader), 0);
	journal_forget(r.id, yes);
	ds_close(reader);
	assert_int_equal(scan(), 1);
	assert_int_equal(seen.last.step, JOURNAL_SETTLED);
	journal_forget(r.id, yes);
	assert_int_equal(scan(), 0);
}

/* On a datastore that both hosts have: a record of this id may be another host's. */
static void anothers_is_not_forgotten(void **state)
{
	struct journal_record r = anothers();

	journal_forget(r.id, yes);
	ds_host_set(&host_b);
	assert_int_equal(scan(), 1);
}

static void forget(const struct journal_record *r, struct journal *j, void *arg)
{
	see(r, j, arg);
	journal_forget(r->id, yes);
}

/* The source's question may be answered, and the answer's record go, while a scan goes on. */
static void one_sides_scan_holds_none_of_the_others(void **state)
{
	struct journal_record source = record(1), destination = record(1);
	struct journal *j;

	ds_host_set(&host_a);
	source.incoming = false;
	assert_int_equal(journal_create(ds, &source, &j), 0);
	journal_keep(j);
	assert_int_equal(journal_create(ds, &destination, &j), 0);
	journal_keep(j);
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(journal_scan(ds, false, forget, NULL), 0);
	assert_int_equal(seen.records, 1);
	assert_false(seen.last.incoming);
	assert_int_equal(scan(), 1);
}

/* One that is in use, as by a migration that goes on, is no leftover. */
static void in_use(void **state)
{
	struct journal_record r = record(1);
	struct journal *j;

	ds_host_set(&host_a);
	assert_int_equal(journal_create(ds, &r, &j), 0);
	assert_int_equal(scan(), 0);
	journal_end(j);
}

static bool go_or_owns(void)
{
	return scan() == 1 && (seen.last.step == JOURNAL_GO || seen.last.step == JOURNAL_OWNS);
}

static bool nothing_or_none(void)
{
	return scan() == 0 || seen.last.step == JOURNAL_NOTHING;
}

static void a_power_cut_leaves_nothing_or_all(void **state)
{
	struct journal_record r = record(1);
	uint8_t *start = dsf_copy_of(disk.bytes);
	struct journal *j;

	ds_host_set(&host_a);
	fake_disk_record(&disk);
	assert_int_equal(journal_create(ds, &r, &j), 0);
	disk.recording = false;
	journal_keep(j);
	dsf_check_prefixes(start, nothing_or_none);
	dsf_check_reordered(start, nothing_or_none, 50);
	free(start);
}

static void a_power_cut_leaves_a_step(void **state)
{
	struct journal_record r = record(1);
	struct journal *j;
	uint8_t *start;

	ds_host_set(&host_a);
	assert_int_equal(journal_create(ds, &r, &j), 0);
	assert_int_equal(journal_note(j, JOURNAL_GO), 0);
	start = dsf_copy_of(disk.bytes);
	fake_disk_record(&disk);
	assert_int_equal(journal_note(j, JOURNAL_OWNS), 0);
	disk.recording = false;
	assert_true(disk.nr_log >= 2 && disk.log[disk.nr_log - 1].flush);
	journal_keep(j);
	assert_int_equal(scan(), 1);
	assert_int_equal(seen.last.step, JOURNAL_OWNS);
	dsf_check_prefixes(start, go_or_owns);
	dsf_check_reordered(start, go_or_owns, 50);
	free(start);
}

/* Every byte of the latest note that is wrong makes it none: the one before counts. */
static void a_damaged_note_is_none(void **state)
{
	struct journal_record r = record(1);
	struct journal *j;
	struct ds_file *f;
	uint8_t *place = calloc(1, 4096);
	struct ds_entry e;
	uint32_t cursor = 0;

	ds_host_set(&host_a);
	assert_int_equal(journal_create(ds, &r, &j), 0);  /* its sequence is 1: the second place */
	assert_int_equal(journal_note(j, JOURNAL_GO), 0); /* the first */
	journal_keep(j);
	assert_int_equal(ds_list(ds, &cursor, &e), 0);
	for (unsigned at = 0; at < 1200; at += 37) {
		assert_int_equal(ds_open(ds, e.name, DS_OPEN_WRITE, &f), 0);
		assert_int_equal(blk_transfer(ds_file_blk(f), BLK_READ, 0, 8, place), 0);
		place[at] ^= 0x40;
		assert_int_equal(blk_transfer(ds_file_blk(f), BLK_WRITE, 0, 8, place), 0);
		ds_close(f);
		assert_int_equal(scan(), 1);
		assert_int_equal(seen.last.step, JOURNAL_NOTHING);
		assert_int_equal(ds_open(ds, e.name, DS_OPEN_WRITE, &f), 0);
		place[at] ^= 0x40;
		assert_int_equal(blk_transfer(ds_file_blk(f), BLK_WRITE, 0, 8, place), 0);
		ds_close(f);
	}
	assert_int_equal(scan(), 1);
	assert_int_equal(seen.last.step, JOURNAL_GO);
	free(place);
}

/* Eight disks, and the files of a home that goes along. */
static void all_files_of_a_large_vm(void **state)
{
	struct journal_record r = record(1);
	struct journal *j;

	r.disks = JOURNAL_FILES_MAX;
	for (unsigned i = 0; i < r.disks; i++) {
		snprintf(r.disk[i], sizeof(r.disk[i]), "/ds/ds1/deb/%u.disk", i);
		r.file[i] = 1000 + i;
	}
	assert_int_equal(journal_create(ds, &r, &j), 0);
	journal_keep(j);
	dsf_again();
	assert_int_equal(scan(), 1);
	assert_memory_equal(&seen.last, &r, sizeof(r));
}

/* Its mount has removed what is debris; what is left is what the record names. */
static bool debris_or_named(void)
{
	struct ds_entry e;

	if (scan() != 1)
		return false;
	return ds_stat(ds, "deb/root.disk", &e) == -ENOENT || e.id == seen.last.file[0];
}

/* The disk's error, not that there is no such file. */
static void a_disk_that_fails_is_named(void **state)
{
	struct journal_record r = record(1);
	struct journal *j;

	ds_host_set(&host_a);
	r.disks = 1;
	assert_int_equal(ds_create(ds, "deb/root.disk", DS_KIND_THIN, 1 << 20, 0), 0);
	assert_int_equal(journal_create(ds, &r, &j), 0);
	disk.fail_after = 0;
	disk.fail_with = -EIO;
	assert_int_equal(journal_note_files(j, 1), -EIO);
	disk.fail_after = -1;
	assert_int_equal(journal_note_files(j, 1), 0);
	journal_end(j);
}

/* What arrives with snapshots is another file than the one that was made for it. */
static void a_power_cut_leaves_no_chain_that_nobody_knows(void **state)
{
	struct journal_record r = record(1);
	struct ds_snap s = { .name = "deb/root.disk", .as = "deb/root.disk.s", .part = true };
	struct ds_file *f;
	struct journal *j;
	unsigned failed;
	uint8_t *start;

	ds_host_set(&host_a);
	r.disks = 1;
	assert_int_equal(ds_create(ds, s.name, DS_KIND_THIN, 1 << 20, DS_FILE_UNFINISHED), 0);
	assert_int_equal(ds_open(ds, s.name, DS_OPEN_WRITE, &f), 0);
	assert_int_equal(journal_create(ds, &r, &j), 0);
	start = dsf_copy_of(disk.bytes);
	fake_disk_record(&disk);
	s.ds = ds;
	assert_int_equal(ds_snapshot_all(&s, 1, &failed), 0);
	assert_int_equal(journal_note_files(j, 1), 0);
	assert_int_equal(ds_finish(ds, s.name), 0);
	disk.recording = false;
	ds_close(f);
	journal_keep(j);
	assert_int_equal(scan(), 1);
	assert_int_equal(seen.last.step, JOURNAL_NOTHING);
	assert_int_equal(ds_remove_file(r.disk[0], seen.last.file[0]), 0);
	assert_int_equal(ds_remove(ds, "deb/root.disk.s"), -ENOENT);
	dsf_check_prefixes(start, debris_or_named);
	dsf_check_reordered(start, debris_or_named, 50);
	free(start);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_record_comes_back_as_it_was),
		test(all_files_of_a_large_vm),
		test(what_is_settled_is_gone),
		test(what_is_settled_and_stays),
		test(what_is_forgotten_and_stays),
		test(anothers_is_not_forgotten),
		test(others_are_left_alone),
		test(both_sides_on_one_datastore),
		test(its_last_file_is_another_one),
		test(one_sides_scan_holds_none_of_the_others),
		test(in_use),
		test(a_power_cut_leaves_nothing_or_all),
		test(a_power_cut_leaves_a_step),
		test(a_damaged_note_is_none),
		test(a_disk_that_fails_is_named),
		test(a_power_cut_leaves_no_chain_that_nobody_knows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
