/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records of moves that a crash has left: what a host does with the files that they name, at once
 * or when it is known whose the VM is.
 */
// SOURCES: mig/recover.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include <tern/home.h>

#include "mig/history.h"
#include "mig/job.h"
#include "mig/journal.h"

#define DISK "/ds/ds1/g/root.disk"
#define DESCRIPTION "/ds/ds1/g/g.vm"

/* What was done, in its order: a word each. */
static char done[256];
static struct journal_record record;
static struct mig_job job;
static bool kept, mounted = true;
static unsigned whole; /* bit i: file i is there */
static enum journal_step noted;
static struct vm vm; /* one of that name, if it has a name */
static char error[128];

static void note(const char *what, const char *path)
{
	const char *end = strrchr(path, '.');

	snprintf(done + strlen(done), sizeof(done) - strlen(done), "%s%s%s", done[0] ? " " : "",
		 what, end ? end : "");
}

/* ---- what the source takes from elsewhere ---- */

struct datastore *ds_at(unsigned index)
{
	return index ? NULL : (struct datastore *)&record;
}

static const char *away; /* the file whose datastore alone is not mounted */
static uint64_t other;	 /* the identity of what has another file's path by now */

int ds_path(const char *path, struct datastore **ds, const char **file)
{
	if (!mounted || (away && !strcmp(path, away)))
		return -ENOENT;
	*ds = ds_at(0);
	*file = path;
	return 0;
}

int ds_open(struct datastore *ds, const char *name, enum ds_open_mode mode, struct ds_file **out)
{
	note("open", name);
	*out = (struct ds_file *)(uintptr_t)name;
	return 0;
}

void ds_file_lease(const struct ds_file *f, struct ds_lease *out)
{
	bool is_disk = !strcmp((const char *)f, DISK);

	*out = (struct ds_lease){ .file = other ? other : is_disk ? 1 : 2 };
}

void ds_close(struct ds_file *f)
{
	note("close", (const char *)f);
}

int ds_remove_file(const char *path, uint64_t id)
{
	if (away && !strcmp(path, away))
		return -ENOENT;
	note("remove", path);
	return 0;
}

int ds_stat(struct datastore *ds, const char *name, struct ds_entry *out)
{
	bool is_disk = !strcmp(name, DISK);

	out->id = is_disk ? 1 : 2;
	return whole & (is_disk ? 1 : 2) ? 0 : -ENOENT;
}

const char *ds_error_text(int err)
{
	return "";
}

bool home_remove_open(const char *path, struct ds_file *f, uint64_t id)
{
	if (strcmp(path, DESCRIPTION) != 0)
		return false;
	assert_int_equal(id, 2);
	note("withdraw", path);
	return true;
}

void home_gone(const char *name, const char *path, uint64_t file)
{
	assert_int_equal(file, 2);
	note("gone", path);
}

void job_mark_of(const struct net_addr *peer, const uint8_t id[WIRE_ID_BYTES],
		 struct home_mark *out)
{
	memcpy(out->id, id, sizeof(out->id));
}

int home_settled(const char *path, const struct home_mark *m, enum home_end end)
{
	static const char *const how[] = { [HOME_HERE] = "here", [HOME_NOBODYS] = "nobodys" };

	assert_memory_equal(m->id, record.id, sizeof(record.id));
	note(how[end], path);
	return 0;
}

struct vm *vm_find(const char *name)
{
	return strcmp(vm.cfg.name, name) ? NULL : &vm;
}

void vm_put(struct vm *v)
{
}

struct mig_job *job_new(const struct mig_request *r, bool incoming, const uint8_t *id)
{
	job = (struct mig_job){ .req = *r };
	memcpy(job.id, id, sizeof(job.id));
	strcpy(job.st.vm, r->vm);
	return &job;
}

void job_put(struct mig_job *j)
{
}

void job_over(struct mig_job *j, enum mig_phase p)
{
	j->over = true;
}

void job_phase(struct mig_job *j, enum mig_phase p)
{
	j->st.phase = p;
}

void job_error(struct mig_job *j, const char *code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error, sizeof(error), fmt, ap);
	va_end(ap);
}

void job_step(struct mig_job *j, enum mig_step step)
{
}

void step_say(const uint8_t id[WIRE_ID_BYTES], bool incoming, enum mig_step step)
{
}

void settle_add(struct mig_job *j)
{
	j->settling = true;
}

void history_add(const struct wire_verdict *v)
{
}

void journal_keep(struct journal *j)
{
	kept = true;
}

bool journal_end(struct journal *j)
{
	return true;
}

/* A crash after it finds that. */
int journal_note(struct journal *j, enum journal_step step)
{
	assert_string_equal(done, ""); /* nothing is removed yet */
	noted = step;
	return 0;
}

int journal_scan(struct datastore *ds, bool incoming,
		 void (*fn)(const struct journal_record *r, struct journal *j, void *arg),
		 void *arg)
{
	if (record.incoming == incoming)
		fn(&record, NULL, arg);
	return 0;
}

static uint8_t family = 4; /* 0: no other host, so it was a Storage vMotion's */

static void found(bool incoming, enum journal_step step)
{
	done[0] = '\0';
	kept = false;
	noted = 0;
	record = (struct journal_record){ .id = { 9, 8, 7 },
					  .vm = "g",
					  .uuid = { 4, 5 },
					  .incoming = incoming,
					  .peer.family = family,
					  .step = step,
					  .disks = 2,
					  .disk = { DISK, DESCRIPTION },
					  .file = { 1, 2 } };
	mig_recover();
}

static void source_in_doubt(void)
{
	found(false, JOURNAL_GO);
	assert_string_equal(done, "open.disk open.vm");
	assert_true(job.settling && !job.over);
	done[0] = '\0';
}

/* ---- the source's ---- */

/* The description goes last, and with its lease: no other host starts the VM in between. */
static void it_is_the_others(void **state)
{
	source_in_doubt();
	recover_end(&job, true);
	assert_string_equal(done, "close.disk remove.disk withdraw.vm gone.vm nobodys.vm");
}

static void it_is_the_others_says_the_operator(void **state)
{
	source_in_doubt();
	recover_keep(&job);
	recover_end(&job, true);
	assert_string_equal(done, "close.disk close.vm gone.vm nobodys.vm");
}

/* Its disk comes with its datastore: the record waits, and the other host with it. */
static void a_disk_of_it_is_not_mounted(void **state)
{
	away = DISK;
	found(false, JOURNAL_GO);
	assert_string_equal(done, "open.vm");
	done[0] = '\0';
	recover_end(&job, true);
	away = NULL;
	assert_string_equal(done, "withdraw.vm gone.vm nobodys.vm");
	assert_true(job.behind);
}

/* What was made there since is left alone. */
static void others_have_its_paths(void **state)
{
	other = 5;
	found(false, JOURNAL_GO);
	other = 0;
	assert_string_equal(done, "open.disk close.disk open.vm close.vm");
	done[0] = '\0';
	recover_end(&job, false);
	assert_string_equal(done, "here.vm");
	assert_false(job.behind);
}

static void it_is_here(void **state)
{
	source_in_doubt();
	recover_end(&job, false);
	assert_string_equal(done, "close.disk close.vm here.vm");
}

static void nothing_was_decided(void **state)
{
	found(false, JOURNAL_NOTHING);
	assert_string_equal(done, "here.vm");
	assert_true(job.settling && job.over);
}

/* The host has not crashed: a description could not be written when the move ended. */
static void its_vm_is_on(void **state)
{
	vm = (struct vm){ .cfg.name = "g", .uuid = { 4, 5 }, .state = VM_RUNNING };
	found(false, JOURNAL_NOTHING);
	assert_string_equal(done, "here.vm");
	assert_string_equal(error, "a move ended before it had said GO: g is here");
	job = (struct mig_job){ .settling = false };
	found(false, JOURNAL_GO);
	assert_true(kept && !job.settling); /* GO is not said of a VM that runs here */
	assert_string_equal(done, "");
	vm.uuid[0]++; /* another one of its name */
	source_in_doubt();
	recover_end(&job, false);
	vm.uuid[0]--;
	vm.state = VM_INCOMING; /* it may be given up, and its old disks have to be held */
	source_in_doubt();
	vm = (struct vm){ .cfg.name = "" };
}

/* ---- the destination's ---- */

static void its_copy_never_ran(void **state)
{
	whole = 3;
	found(true, JOURNAL_NOTHING);
	assert_string_equal(done, "remove.disk remove.vm");
	assert_int_equal(noted, JOURNAL_GONE);
	assert_true(kept);
}

/* The source may still be in doubt: what it is told then is on the disk until it has settled. */
static void its_copy_never_ran_and_it_crashes_again(void **state)
{
	whole = 3;
	found(true, JOURNAL_NOTHING);
	whole = 0; /* they were removed */
	for (unsigned crashes = 0; crashes < 3; crashes++) {
		found(true, noted ? noted : JOURNAL_GONE);
		assert_true(kept);
	}
}

static void it_crashes_between_two_removals(void **state)
{
	whole = 2;
	found(true, JOURNAL_GONE);
	assert_string_equal(done, "remove.disk remove.vm");
	assert_true(kept);
}

static void its_copy_was_not_complete(void **state)
{
	whole = 0;
	found(true, JOURNAL_NOTHING);
	assert_int_equal(noted, 0);
	assert_false(kept);
}

/* It may have been; what there is of it is removed at a later start. */
static void the_datastore_of_its_copy_is_not_mounted(void **state)
{
	mounted = false;
	found(true, JOURNAL_NOTHING);
	mounted = true;
	assert_int_equal(noted, JOURNAL_GONE);
	assert_true(kept);
}

static void it_has_come(void **state)
{
	found(true, JOURNAL_OWNS);
	assert_string_equal(done, "here.vm");
	assert_true(kept);
}

/* ---- a Storage vMotion's ---- */

static void its_new_files_are_nobodys(void **state)
{
	family = 0;
	found(true, JOURNAL_NOTHING);
	family = 4;
	assert_string_equal(done, "remove.disk remove.vm");
	assert_false(kept);
}

static void its_new_files_are_its(void **state)
{
	family = 0;
	found(true, JOURNAL_OWNS);
	family = 4;
	assert_string_equal(done, "");
	assert_false(kept);
}

static void it_is_settled(void **state)
{
	for (unsigned incoming = 0; incoming < 2; incoming++) {
		found(incoming, JOURNAL_SETTLED);
		assert_string_equal(done, "");
		assert_false(kept);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_the_others),
		cmocka_unit_test(it_is_the_others_says_the_operator),
		cmocka_unit_test(a_disk_of_it_is_not_mounted),
		cmocka_unit_test(others_have_its_paths),
		cmocka_unit_test(it_is_here),
		cmocka_unit_test(nothing_was_decided),
		cmocka_unit_test(its_vm_is_on),
		cmocka_unit_test(its_copy_never_ran),
		cmocka_unit_test(its_copy_never_ran_and_it_crashes_again),
		cmocka_unit_test(it_crashes_between_two_removals),
		cmocka_unit_test(its_copy_was_not_complete),
		cmocka_unit_test(the_datastore_of_its_copy_is_not_mounted),
		cmocka_unit_test(it_has_come),
		cmocka_unit_test(it_is_settled),
		cmocka_unit_test(its_new_files_are_nobodys),
		cmocka_unit_test(its_new_files_are_its),
	};

	return cmocka_run_group_tests_name("recover", tests, NULL, NULL);
}
