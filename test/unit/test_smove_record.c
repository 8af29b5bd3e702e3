/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The new files of a Storage vMotion that go to two datastores, which no transaction spans: after a
 * crash at any write the VM has all of its old ones, or all of its new ones, and of the others none
 * is there once both are mounted.
 */
// SOURCES: mig/smove_switch.c mig/smove_record.c mig/journal.c mig/recover.c
// SOURCES: drivers/blkdev.c kernel/lib/crc32c.c kernel/store/ds_*.c test/unit/fake_disk.c
// SOURCES: test/unit/fake_smove.c test/unit/two_stores.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/mman.h>
#include <tern/home.h>

#include "mig/history.h"
#include "mig/journal.h"
#include "test/unit/fake_smove.h"
#include "test/unit/two_stores.h"

#define FILE_BYTES (1u << 20)

/* ---- what the sources take from elsewhere ---- */

int job_wait_locked(struct mig_job *j, unsigned long *flags, uint64_t deadline_ns)
{
	abort();
}

void job_over(struct mig_job *j, enum mig_phase p)
{
	abort();
}

void job_put(struct mig_job *j)
{
	abort();
}

struct mig_job *job_new(const struct mig_request *r, bool incoming, const uint8_t *id)
{
	abort();
}

void job_step(struct mig_job *j, enum mig_step step)
{
	abort();
}

void step_say(const uint8_t id[WIRE_ID_BYTES], bool incoming, enum mig_step step)
{
	abort(); /* it decides nothing of whose the VM is */
}

void settle_add(struct mig_job *j)
{
	abort();
}

void history_add(const struct wire_verdict *v)
{
	abort();
}

void home_gone(const char *name, const char *path, uint64_t file)
{
	abort();
}

bool home_remove_open(const char *path, struct ds_file *f, uint64_t id)
{
	abort();
}

struct vm *vm_find(const char *name)
{
	return NULL;
}

void job_mark_of(const struct net_addr *peer, const uint8_t id[WIRE_ID_BYTES],
		 struct home_mark *out)
{
	abort();
}

int home_settled(const char *path, const struct home_mark *m, enum home_end end)
{
	abort();
}

int home_carry_look(struct home_carry *c, char *why, size_t len)
{
	abort();
}

int home_carry_stay(struct home_carry *c, char *why, size_t len)
{
	abort();
}

/* A VM that is off has them from now on. */
static bool *switched; /* shared with those that crash */

int vm_set_files(struct vm *v, const struct vm_config *cfg)
{
	*switched = true;
	return 0;
}

static int setup(void **state)
{
	switched = stores_shared(PAGE_SIZE);
	return stores_begin(state);
}

static int teardown(void **state)
{
	munmap(switched, PAGE_SIZE);
	return stores_end(state);
}

/* ---- the move ---- */

/* The home stays on the first datastore: what names the disks is there. */
int home_carry_switch(struct home_carry *c, const char *const *also, unsigned n, const char *gone,
		      char *why, size_t len)
{
	assert_int_equal(n, 0);
	return ds_replace(ds[0], "g/g.vm.new", "g/g.vm", gone);
}

static void make(unsigned i, const char *name, uint32_t flags)
{
	assert_int_equal(ds_create(ds[i], name, DS_KIND_THIN, FILE_BYTES, flags), 0);
}

static void make_disk(unsigned i)
{
	struct ds_entry e;

	make(i, s.disk[i].name, DS_FILE_UNFINISHED);
	assert_int_equal(ds_stat(ds[i], s.disk[i].name, &e), 0);
	s.disk[i].made = e.id;
	assert_int_equal(ds_open(ds[i], s.disk[i].name, DS_OPEN_WRITE, &s.disk[i].file), 0);
}

static void close_disks(void)
{
	for (unsigned i = 0; i < 2; i++)
		ds_close(s.disk[i].file);
}

static void plan(bool home)
{
	fake_smove_begin();
	vm.state = VM_OFF;
	job.id[0] = 5;
	s.nr = 2;
	if (home) {
		make(0, "g/g.vm.new", DS_FILE_UNFINISHED);
		strcpy(vm.cfg.home, store[0]);
		s.home = (struct home_carry *)&s;
	}
	for (unsigned i = 0; i < 2; i++) {
		struct smove_disk *d = &s.disk[i];

		d->ds = ds[i];
		snprintf(d->ds_name, sizeof(d->ds_name), "%s", store[i]);
		snprintf(d->name, sizeof(d->name), "g/%u.disk", i);
		snprintf(d->to.path, sizeof(d->to.path), "/ds/%s/%s", store[i], d->name);
		make_disk(i);
	}
}

/* As smove.c does it; the files are all that the copy has left. */
static int move(bool home)
{
	int err;

	plan(home);
	err = smove_record(&s);
	if (!err) { /* as a snapshot under it does */
		ds_close(s.disk[1].file);
		assert_int_equal(ds_remove(ds[1], "g/1.disk"), 0);
		make_disk(1);
		err = smove_record_files(&s);
	}
	if (!err)
		err = smove_switch(&s);
	close_disks();
	for (unsigned i = 0; i < 2 && err; i++)
		(void)!ds_remove_file(s.disk[i].to.path, s.disk[i].made);
	smove_record_end(&s);
	return err;
}

/* Of a VM at home its description says which files it has; else who has said so, if anybody. */
static bool has_new_files(bool home)
{
	struct ds_entry e;

	if (!home)
		return *switched;
	assert_int_equal(ds_stat(ds[0], "g/g.vm", &e), 0);
	return e.size == FILE_BYTES; /* the old one is empty */
}

static unsigned counts[2]; /* of crashes before and after the switch */

static void has_all_or_none(bool home)
{
	bool now = has_new_files(home);

	counts[now]++;
	mig_recover();
	assert_int_equal(store_has(0, "g/0.disk"), store_has(1, "g/1.disk"));
	if (home || now)
		assert_int_equal(store_has(0, "g/0.disk"), now);
	assert_int_equal(store_count(0), store_has(0, "g/0.disk") + home);
	assert_int_equal(store_count(1), store_has(1, "g/1.disk"));
}

static int move_disks(void)
{
	*switched = false;
	return move(false);
}

static void look_at_disks(void)
{
	has_all_or_none(false);
}

static void a_crash_at_any_write(void **state)
{
	memset(counts, 0, sizeof(counts));
	stores_crash(move_disks, look_at_disks);
	assert_true(counts[0] > 20 && counts[1] > 2);
}

static int move_all(void)
{
	return move(true);
}

static void look_at_all(void)
{
	has_all_or_none(true);
}

static void a_crash_at_any_write_of_a_vm_at_home(void **state)
{
	memset(counts, 0, sizeof(counts));
	assert_int_equal(ds_create(ds[0], "g/g.vm", DS_KIND_THIN, 0, 0), 0);
	stores_crash(move_all, look_at_all);
	assert_true(counts[0] > 20 && counts[1] > 2);
}

/* The other datastore comes later: until then the record stays. */
static void one_is_not_mounted(void **state)
{
	plan(false);
	assert_int_equal(smove_record(&s), 0);
	assert_int_equal(ds_finish(ds[1], "g/1.disk"), 0);
	journal_keep(s.record);
	close_disks();
	stores_unmount();
	store_mount(0);
	mig_recover();
	assert_int_equal(store_count(0), 1);
	store_mount(1);
	mig_recover();
	assert_int_equal(store_count(0) + store_count(1), 0);
}

/* A disk alone, without a home: it is the VM's in the moment in which it is whole. */
static void one_file_needs_none(void **state)
{
	plan(false);
	s.nr = 1;
	assert_int_equal(smove_record(&s), 0);
	assert_null(s.record);
	assert_int_equal(smove_switch(&s), 0);
	close_disks();
	assert_int_equal(store_count(0), 1);
}

/* A home that goes with its disks, in one moment; or its disks have more snapshots than fit one. */
static void many_files_need_one(void **state)
{
	static struct chain chain[2];

	plan(false);
	strcpy(job.req.disks.all, "new");
	strcpy(vm.cfg.home, "old");
	s.home = (struct home_carry *)&s;
	s.home_goes = true;
	strcpy(s.disk[0].ds_name, "new");
	for (unsigned i = 0; i < 2; i++) {
		s.disk[i].chain = &chain[i];
		chain[i].as.nr = 4;
	}
	assert_int_equal(smove_record(&s), 0);
	assert_null(s.record);
	chain[1].as.nr = 31;
	assert_int_equal(smove_record(&s), 0);
	assert_non_null(s.record);
	smove_record_end(&s);
	close_disks();
	assert_int_equal(store_count(0), 1);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_crash_at_any_write), test(a_crash_at_any_write_of_a_vm_at_home),
		test(one_is_not_mounted),   test(one_file_needs_none),
		test(many_files_need_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
