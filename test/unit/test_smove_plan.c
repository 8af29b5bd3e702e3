/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which disks of a VM go where, by what they are and by what was asked for: their new paths, the
 * datastores that take part, and a code for each demand that cannot be met.
 */
// SOURCES: mig/smove_plan.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "mig/smove.h"

static struct mig_job job;
static struct vm vm;
static struct smove s;
static char code[24], why[160];

struct datastore *ds_find(const char *name)
{
	bool known = !strcmp(name, "one") || !strcmp(name, "two");

	return known ? (struct datastore *)&job : NULL;
}

static const char *there; /* the one file on all of them */

int ds_stat(struct datastore *ds, const char *name, struct ds_entry *out)
{
	assert_ptr_equal(ds, &job);
	return there && !strcmp(name, there) ? 0 : -ENOENT;
}

int home_carry_config(const struct home_carry *c, struct vm_config *cfg)
{
	strcpy(cfg->home, "two");
	return 0;
}

static struct vm_disk *disk(const char *path)
{
	struct vm_disk *d = &vm.cfg.disk[vm.cfg.disks++];

	snprintf(d->path, sizeof(d->path), "%s", path);
	return d;
}

static int plan(void)
{
	return smove_plan(&s, &vm.cfg, code, sizeof(code), why, sizeof(why));
}

static void to(unsigned i, const char *ds)
{
	snprintf(job.req.disks.to[i], sizeof(job.req.disks.to[0]), "%s", ds);
}

static void all_to(const char *ds)
{
	snprintf(job.req.disks.all, sizeof(job.req.disks.all), "%s", ds);
}

static void refused(int err, const char *expect)
{
	assert_int_equal(plan(), err);
	assert_string_equal(code, expect);
	assert_true(why[0]);
}

static int begin(void **state)
{
	memset(&job, 0, sizeof(job));
	memset(&vm, 0, sizeof(vm));
	memset(&s, 0, sizeof(s));
	code[0] = why[0] = '\0';
	strcpy(vm.cfg.name, "g");
	there = NULL;
	job.vm = &vm;
	s.j = &job;
	return 0;
}

static void test_split(void **state)
{
	const char *file;
	char ds[32] = "";

	assert_true(smove_split("/ds/one/g/root.disk", ds, &file));
	assert_string_equal(ds, "one");
	assert_string_equal(file, "g/root.disk");
	assert_false(smove_split("disk0", ds, &file));
	assert_false(smove_split("/ds/one", ds, &file));
	assert_false(smove_split("/ds/a-name-that-is-longer-than-any-is/f", ds, &file));
}

static void test_all_that_it_writes(void **state)
{
	disk("/ds/one/g/root.disk");
	disk("/ds/one/tools.iso")->read_only = true;
	disk("/ds/two/g/data.disk");
	disk("/ds/one/g/scratch.disk")->mode = VM_DISK_NONPERSISTENT;
	disk("disk3");
	disk("/ds/one/g/kept.disk")->mode = VM_DISK_INDEPENDENT;
	all_to("two");
	assert_int_equal(plan(), 0);
	assert_int_equal(s.nr, 3);
	assert_int_equal(s.disk[0].index, 0);
	assert_string_equal(s.disk[0].name, "g/root.disk");
	assert_string_equal(s.disk[0].to.path, "/ds/two/g/root.disk");
	assert_int_equal(s.disk[1].index, 4);
	assert_string_equal(s.disk[1].to.path, "/ds/two/g/disk3.disk");
	assert_int_equal(s.disk[2].index, 5);
	assert_int_equal(s.disk[2].to.mode, VM_DISK_INDEPENDENT);
}

/* With the home of a VM that has one, also where nothing else moves; single disks leave it. */
static void test_home_goes_with_the_whole(void **state)
{
	struct vm_config cfg;

	strcpy(vm.cfg.home, "one");
	disk("/ds/two/g/data.disk");
	all_to("two");
	assert_int_equal(plan(), 0);
	assert_int_equal(s.nr, 0);
	assert_true(s.home_goes);
	assert_int_equal(s.seat.nr, 2);
	s.home = (struct home_carry *)&job;
	assert_int_equal(smove_new_config(&s, &cfg), 0);
	assert_string_equal(cfg.home, "two");
	all_to("none");
	refused(-ENOENT, "not-found");
	all_to("");
	strcpy(job.req.disks.to[0], "one");
	assert_int_equal(plan(), 0);
	assert_false(s.home_goes);
}

/* Where a disk comes from takes part, and where it goes to; a whole disk is nobody's datastore. */
static void test_seats(void **state)
{
	disk("/ds/one/a");
	disk("disk3");
	all_to("two");
	assert_int_equal(plan(), 0);
	assert_int_equal(s.seat.nr, 3);
	assert_string_equal(s.seat.ds[0], "one");
	assert_string_equal(s.seat.ds[1], "two");
	assert_string_equal(s.seat.ds[2], "two");
}

static void test_each_to_its_own(void **state)
{
	disk("/ds/one/a");
	disk("/ds/one/b");
	disk("/ds/two/c");
	to(0, "two");
	to(2, "one");
	assert_int_equal(plan(), 0);
	assert_int_equal(s.nr, 2);
	assert_string_equal(s.disk[0].to.path, "/ds/two/a");
	assert_string_equal(s.disk[1].to.path, "/ds/one/c");
	assert_int_equal(s.disk[1].index, 2);
}

/* One that is named goes there, the others with all. */
static void test_one_apart_from_all(void **state)
{
	disk("/ds/two/a");
	disk("/ds/one/b");
	to(0, "one");
	all_to("two");
	assert_int_equal(plan(), 0);
	assert_int_equal(s.nr, 2);
	assert_string_equal(s.disk[0].to.path, "/ds/one/a");
	assert_string_equal(s.disk[1].to.path, "/ds/two/b");
}

/* On its own datastore a disk that is to be of another kind is another file. */
static void test_another_kind(void **state)
{
	disk("/ds/one/g/root.disk");
	job.req.disks.kind = MIG_DISK_FLAT;
	all_to("one");
	assert_int_equal(plan(), 0);
	assert_string_equal(s.disk[0].to.path, "/ds/one/g/root.disk-2");
	begin(state);
	disk("/ds/one/g/root.disk");
	job.req.disks.kind = MIG_DISK_THIN;
	to(0, "one");
	assert_int_equal(plan(), 0);
	assert_string_equal(s.disk[0].name, "g/root.disk-2");
	begin(state); /* and the next time has its old name */
	disk("/ds/one/g/root.disk-2");
	job.req.disks.kind = MIG_DISK_FLAT;
	to(0, "one");
	assert_int_equal(plan(), 0);
	assert_string_equal(s.disk[0].name, "g/root.disk");
	begin(state);
	disk("/ds/one/-2");
	job.req.disks.kind = MIG_DISK_FLAT;
	to(0, "one");
	assert_int_equal(plan(), 0);
	assert_string_equal(s.disk[0].name, "-2-2");
}

static void second_is_called(const char *file, const char *name)
{
	char path[VM_DISK_PATH_MAX];
	unsigned i = vm.cfg.disks;

	snprintf(path, sizeof(path), "/ds/one/%s", file);
	disk(path);
	job.req.disks.kind = MIG_DISK_THIN;
	to(i, "one");
	assert_int_equal(plan(), 0);
	assert_string_equal(s.disk[s.nr - 1].name, name);
	begin(NULL);
}

/* It has its old name again where that is one, and nobody else's: not of another disk, nor of one
 * that comes from elsewhere, nor of a file that is no disk of the VM. */
static void test_old_name_is_taken(void **state)
{
	disk("/ds/one/vm/disk");
	second_is_called("vm/disk-2", "vm/disk-2-2");
	disk("/ds/two/vm/disk");
	to(0, "one");
	second_is_called("vm/disk-2", "vm/disk-2-2");
	there = "vm/disk";
	second_is_called("vm/disk-2", "vm/disk-2-2");
	there = "vm/other";
	second_is_called("vm/disk-2", "vm/disk");
	second_is_called("vm/-2", "vm/-2-2");
}

/* So is the new name: no other disk's, no file's, and none that another of them is to have. */
static void test_new_name_is_taken(void **state)
{
	disk("/ds/one/d");
	disk("/ds/one/d-2");
	job.req.disks.kind = MIG_DISK_FLAT;
	all_to("one");
	assert_int_equal(plan(), 0);
	assert_int_equal(s.nr, 2);
	assert_string_equal(s.disk[0].name, "d-2-2");
	assert_string_equal(s.disk[1].name, "d-2-2-2");
	begin(state);
	disk("/ds/one/d-2");
	disk("/ds/two/d-2");
	job.req.disks.kind = MIG_DISK_FLAT;
	to(0, "one");
	to(1, "two");
	assert_int_equal(plan(), 0);
	assert_string_equal(s.disk[0].name, "d");
	assert_string_equal(s.disk[1].name, "d"); /* of another datastore */
	begin(state);
	there = "vm/disk-2";
	second_is_called("vm/disk", "vm/disk-2-2");
}

static void test_nothing_would_move(void **state)
{
	all_to("one");
	refused(-EINVAL, "invalid");
	assert_non_null(strstr(why, "g has no disks"));
	begin(state);
	disk("/ds/one/a");
	disk("/ds/two/b")->read_only = true;
	all_to("one");
	refused(-EINVAL, "invalid");
	assert_non_null(strstr(why, "is on one already"));
	begin(state);
	disk("/ds/one/a");
	refused(-EINVAL, "invalid"); /* nothing asked for */
}

static void test_no_such_disk(void **state)
{
	disk("/ds/one/a");
	to(1, "two");
	refused(-EINVAL, "invalid");
	assert_non_null(strstr(why, "g has no disk 1"));
}

static void test_there_already(void **state)
{
	disk("/ds/one/a");
	to(0, "one");
	refused(-EINVAL, "invalid");
	assert_non_null(strstr(why, "on one already"));
}

static void test_no_such_datastore(void **state)
{
	disk("/ds/one/a");
	all_to("three");
	refused(-ENOENT, "not-found");
	assert_non_null(strstr(why, "'three'"));
}

/* By name too: what others may read, and what no run keeps, stays. */
static void test_disks_that_stay(void **state)
{
	disk("/ds/one/a")->read_only = true;
	to(0, "two");
	refused(-ENOTSUP, "unsupported");
	begin(state);
	disk("/ds/one/a")->mode = VM_DISK_NONPERSISTENT;
	to(0, "two");
	refused(-ENOTSUP, "unsupported");
}

static void fill(char *path, const char *start, unsigned len)
{
	memset(path, 'x', len);
	memcpy(path, start, strlen(start));
	path[len] = '\0';
}

/* The longest path that there is, on a datastore with a longer name or with a longer file's. */
static void test_paths_that_get_too_long(void **state)
{
	char path[VM_DISK_PATH_MAX];

	fill(path, "/ds/a/", VM_DISK_PATH_MAX - 1);
	disk(path);
	to(0, "two");
	refused(-EINVAL, "invalid");
	assert_non_null(strstr(why, "disk 0 is too long"));
	begin(state);
	fill(path, "/ds/one/", VM_DISK_PATH_MAX - 2);
	disk(path);
	job.req.disks.kind = MIG_DISK_FLAT;
	to(0, "one");
	refused(-EINVAL, "invalid");
	begin(state);
	fill(path, "/ds/one/", VM_DISK_PATH_MAX - 1);
	disk(path);
	to(0, "two");
	assert_int_equal(plan(), 0); /* as long as it was */
}

static void test_as_they_will_be(void **state)
{
	struct vm_disk now[VM_DISKS_MAX];

	disk("/ds/one/a");
	disk("/ds/one/b");
	to(1, "two");
	assert_int_equal(plan(), 0);
	vm.cfg.disk[1].limit.iops = 500; /* changed while it moves */
	smove_new_disks(&s, now);
	assert_string_equal(now[0].path, "/ds/one/a");
	assert_string_equal(now[1].path, "/ds/two/b");
	assert_int_equal(now[1].limit.iops, 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_split, begin),
		cmocka_unit_test_setup(test_all_that_it_writes, begin),
		cmocka_unit_test_setup(test_home_goes_with_the_whole, begin),
		cmocka_unit_test_setup(test_seats, begin),
		cmocka_unit_test_setup(test_each_to_its_own, begin),
		cmocka_unit_test_setup(test_one_apart_from_all, begin),
		cmocka_unit_test_setup(test_another_kind, begin),
		cmocka_unit_test_setup(test_old_name_is_taken, begin),
		cmocka_unit_test_setup(test_new_name_is_taken, begin),
		cmocka_unit_test_setup(test_nothing_would_move, begin),
		cmocka_unit_test_setup(test_no_such_disk, begin),
		cmocka_unit_test_setup(test_there_already, begin),
		cmocka_unit_test_setup(test_no_such_datastore, begin),
		cmocka_unit_test_setup(test_disks_that_stay, begin),
		cmocka_unit_test_setup(test_paths_that_get_too_long, begin),
		cmocka_unit_test_setup(test_as_they_will_be, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
