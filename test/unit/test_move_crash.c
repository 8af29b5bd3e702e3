/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A move with copied disks and a home, on either of its hosts, which crashes at every write of it,
 * and again as it recovers: its description, its record and its files then say one thing, that
 * the VM is here, and it starts by itself; or the other host's, once that has said so. No operator
 * is asked.
 */
// SOURCES: kernel/home/home.c kernel/home/home_former.c kernel/home/home_parts.c
// SOURCES: kernel/home/home_file.c kernel/home/home_work.c kernel/home/home_life.c
// SOURCES: kernel/home/home_edit.c kernel/home/home_sent.c kernel/home/home_come.c
// SOURCES: kernel/home/home_move.c kernel/home/home_settle.c kernel/home/home_boot.c
// SOURCES: kernel/home/desc*.c kernel/lib/text.c kernel/lib/name.c kernel/vm/trouble.c
// SOURCES: mig/journal.c mig/job_journal.c mig/recover.c net/addr.c
// SOURCES: drivers/blkdev.c kernel/lib/crc32c.c kernel/store/ds_*.c test/unit/fake_disk.c
// SOURCES: test/unit/fake_home.c test/unit/fake_move_crash.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/home/home_int.h"
#include "test/unit/fake_home.h"
#include "test/unit/fake_move_crash.h"

#define FILE_BYTES (1u << 20)
#define DISK "/ds/two/g/root.disk"
#define KERNEL "/ds/one/g/vmlinuz"
#define DESCRIPTION "/ds/one/g/g.vm"

static char why[256];

/* ---- the source ---- */

static void make(void)
{
	struct vm_desc d;

	assert_int_equal(ds_create(ds[0], "g/vmlinuz", DS_KIND_PLAIN, 3000, 0), 0);
	assert_int_equal(ds_create(ds[1], "g/root.disk", DS_KIND_THIN, FILE_BYTES, 0), 0);
	vm_desc_init(&d);
	strcpy(d.cfg.name, "g");
	strcpy(d.cfg.home, "one");
	d.autostart = 1;
	assert_int_equal(vm_desc_set(&d, "kernel", "./vmlinuz", why, sizeof(why)), 0);
	assert_int_equal(vm_desc_set(&d, "disk", DISK, why, sizeof(why)), 0);
	assert_int_equal(home_create(&d, why, sizeof(why)), 0);
}

static void it_runs(void)
{
	struct home *h;

	home_boot();
	h = home_find("g");
	mutex_lock(&h->lock);
	assert_int_equal(home_hold_locked(h, why, sizeof(why)), 0);
	mutex_unlock(&h->lock);
	fake_vm.state = VM_RUNNING;
}

/* Up to the note of GO, as mig/source_disks.c and mig/source_home.c have it. */
static void leaves(bool go)
{
	static struct home_sent sent = { .store = "there" };
	struct journal_record r = { .id = { 7 },
				    .vm = "g",
				    .step = JOURNAL_NOTHING,
				    .peer = { 4, { 10, 77, 0, 2 } },
				    .disks = 3,
				    .disk = { DISK, KERNEL, DESCRIPTION } };
	struct vm_config cfg = fake_vm.cfg;
	struct home_mark mark;
	uint64_t file;

	fake_job = (struct mig_job){ .vm = &fake_vm, .id = { 7 }, .st.peer = r.peer };
	assert_int_equal(home_send(&fake_vm, &cfg, &sent, why, sizeof(why)), 0);
	assert_int_equal(journal_create(ds[0], &r, &fake_job.journal), 0);
	job_mark(&fake_job, &mark);
	assert_int_equal(home_leaves(&fake_vm, &mark, &file, why, sizeof(why)), 0);
	journal_last_file(fake_job.journal, file);
	if (go)
		assert_int_equal(journal_note(fake_job.journal, JOURNAL_GO), 0);
	fake_said.go = go;
}

static void stays(void)
{
	home_stays(&fake_vm);
	home_stay(&fake_vm);
	fake_said.over = true;
	assert_true(job_journal_end(&fake_job));
}

static void it_is_canceled(void)
{
	leaves(false);
	stays();
}

static void it_is_canceled_after_go(void)
{
	leaves(true);
	assert_int_equal(journal_note(fake_job.journal, JOURNAL_NOTHING), 0);
	fake_said.nothing = true;
	stays();
}

static void it_goes(void)
{
	struct vm copy;
	struct ds_entry e;

	leaves(true);
	fake_said.released = true;
	fake_job.src = SRC_RELEASED;
	copy = fake_vm;
	home_leave(&copy);
	assert_int_equal(vm_delete(&fake_vm, why, sizeof(why)), 0);
	assert_int_equal(ds_stat(ds[1], "g/root.disk", &e), 0);
	assert_int_equal(ds_remove_file(DISK, e.id), 0);
	home_left(&copy);
	assert_true(job_journal_end(&fake_job));
}

static void it_is_here(void)
{
	if (!fake_starts)
		assert_int_equal(home_start("g", why, sizeof(why)), 0);
	assert_int_equal(fake_starts, 1);
	assert_int_equal(crash_files(0), 2);
	assert_int_equal(crash_files(1), 1);
}

/* The other host's answer to a GO that was found. */
static void hears(bool runs_there)
{
	assert_int_equal(fake_starts, 0);
	if (vm_find("g"))
		assert_int_not_equal(home_start("g", why, sizeof(why)), 0);
	fake_job.src = runs_there ? SRC_RELEASED : SRC_RUNS;
	recover_end(&fake_job, runs_there);
	fake_job.settling = false;
	assert_true(job_journal_end(&fake_job));
	if (!runs_there) {
		it_is_here();
		return;
	}
	assert_null(vm_find("g"));
	assert_int_equal(crash_files(0) + crash_files(1), 0);
}

static bool is_gos(unsigned n)
{
	bool runs_there = fake_said.released || (!fake_said.over && n % 2);

	if (!fake_job_found || fake_job.over)
		return false;
	assert_true(fake_said.go || !fake_said.nothing);
	hears(runs_there);
	return true;
}

/* Its record says that nothing is decided, or there is none: it has started by itself. */
static void is_settled(void)
{
	assert_true(!fake_said.go || fake_said.nothing || fake_said.released);
	fake_job.settling = false;
	if (fake_job_found)
		assert_true(job_journal_end(&fake_job));
	if (fake_said.released)
		assert_int_equal(crash_files(0) + crash_files(1), 0);
	else
		it_is_here();
}

static void source_crashes(void (*fn)(void), unsigned least)
{
	unsigned gos = 0;

	make();
	crash_record(it_runs, fn);
	for (unsigned n = 0; n < crash_writes; n++) {
		crash_before(n);
		crash_boots(n);
		if (is_gos(n))
			gos++;
		else
			is_settled();
		crash_forget();
	}
	assert_true(crash_writes > 40 && gos >= least);
}

static void before_go(void **state)
{
	source_crashes(it_is_canceled, 0);
}

static void go_is_taken_back(void **state)
{
	source_crashes(it_is_canceled_after_go, 1);
}

static void after_go(void **state)
{
	source_crashes(it_goes, 10);
}

/* ---- the destination ---- */

static void no_vm(void)
{
}

static void comes(void)
{
	static struct home_sent sent = { .store = "one",
					 .files = 1,
					 .file = { { .name = "g/vmlinuz", .size = 3000 } },
					 .text = "kernel = ./vmlinuz\nautostart = 1\n" };
	struct journal_record r = { .id = { 7 },
				    .vm = "g",
				    .step = JOURNAL_NOTHING,
				    .peer = { 4, { 10, 77, 0, 1 } },
				    .incoming = true };
	unsigned files = 0;
	struct home_mark mark;

	fake_job = (struct mig_job){
		.vm = &fake_vm, .id = { 7 }, .st.peer = r.peer, .st.incoming = true
	};
	fake_vm = (struct vm){ .state = VM_INCOMING };
	strcpy(fake_vm.cfg.name, "g");
	strcpy(fake_vm.cfg.home, "one");
	strcpy(fake_vm.cfg.kernel, KERNEL);
	fake_vm.cfg.boot = VM_BOOT_LINUX;
	job_mark(&fake_job, &mark);
	assert_int_equal(home_come(&fake_vm, &sent, &mark, why, sizeof(why)), 0);
	while (home_come_at(&fake_vm, files++, r.disk[r.disks], &r.file[r.disks]))
		r.disks++;
	assert_int_equal(journal_create(ds[0], &r, &fake_job.journal), 0);
	assert_int_equal(home_come_finish(&fake_vm, why, sizeof(why)), 0);
}

static void it_comes(void)
{
	comes();
	assert_int_equal(journal_note(fake_job.journal, JOURNAL_OWNS), 0);
	fake_said.owns = true;
	fake_job.dst = DST_OWNS;
	home_here(&fake_vm);
	fake_vm.state = VM_RUNNING;
	fake_said.over = true; /* CLOSED may come before its description is written anew */
	(void)job_journal_end(&fake_job);
	home_claim(&fake_vm);
}

static void it_does_not_come(void)
{
	comes();
	fake_job.dst = DST_GONE;
	home_not_come(&fake_vm);
	fake_said.over = true;
	(void)job_journal_end(&fake_job);
}

static void it_has_come(void)
{
	assert_non_null(vm_find("g"));
	assert_int_equal(fake_starts, 1);
	assert_true(crash_files(0) <= 3); /* the record may be there */
	job_journal_forget(fake_job.id);
	assert_int_equal(crash_files(0), 2);
}

static void it_has_not_come(void)
{
	assert_null(vm_find("g"));
	job_journal_forget(fake_job.id);
	assert_int_equal(crash_files(0), 0);
}

static void destination_crashes(void (*fn)(void))
{
	unsigned owned = 0;

	crash_record(no_vm, fn);
	for (unsigned n = 0; n < crash_writes; n++) {
		bool owns;

		crash_before(n);

		crash_boots(n);
		fake_job = (struct mig_job){ .id = { 7 } };
		owns = vm_find("g");
		assert_true(owns || !fake_said.owns);
		if (owns)
			it_has_come();
		else
			it_has_not_come();
		owned += owns;
		crash_forget();
	}
	assert_true(crash_writes > 30 && (fn == it_comes) == (owned > 5));
}

static void as_it_comes(void **state)
{
	destination_crashes(it_comes);
}

static void as_it_is_given_up(void **state)
{
	destination_crashes(it_does_not_come);
}

#define test(f) cmocka_unit_test_setup_teardown(f, crash_setup, crash_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(before_go),   test(go_is_taken_back),  test(after_go),
		test(as_it_comes), test(as_it_is_given_up),
	};

	return cmocka_run_group_tests_name("move_crash", tests, NULL, NULL);
}
