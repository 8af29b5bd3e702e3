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
// SOURCES: test/unit/fake_home.c
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
#include <sys/wait.h>
#include <unistd.h>

#include <tern/random.h>

#include "kernel/home/home_int.h"
#include "kernel/store/ds_int.h"
#include "mig/history.h"
#include "mig/job.h"
#include "mig/journal.h"
#include "test/unit/fake_disk.h"
#include "test/unit/fake_home.h"

#define DISK_BYTES (7u << 20)
#define FILE_BYTES (1u << 20)
#define DISK "/ds/two/g/root.disk"
#define KERNEL "/ds/one/g/vmlinuz"
#define DESCRIPTION "/ds/one/g/g.vm"

/* What the other host has heard. */
static struct said {
	bool go;       /* its source has noted GO */
	bool nothing;  /* ... and no more */
	bool released; /* it has answered that the VM runs there */
	bool owns;     /* its destination has noted that it owns */
	bool over;     /* nobody asks any more */
} said;

/* ---- what the sources take from elsewhere: one job ---- */

static struct mig_job job;
static bool found;

struct mig_job *job_new(const struct mig_request *r, bool incoming, const uint8_t *id)
{
	job = (struct mig_job){ .req = *r };
	memcpy(job.st.vm, r->vm, sizeof(r->vm));
	memcpy(job.id, id, sizeof(job.id));
	found = true;
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
}

void job_error(struct mig_job *j, const char *code, const char *fmt, ...)
{
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

/* ---- two datastores: the home is on one, the disk on the other ---- */

static const char *const store[2] = { "one", "two" };
static const struct ds_host host = { .id = { 1 }, .name = "a" };
static struct fake_disk disk[2];
static struct datastore *ds[2];
static uint8_t *bytes[2]; /* shared with those that crash */
static uint8_t *start[2];
static char why[256];

static void idle(void)
{
	for (unsigned i = 0; i < 2; i++)
		if (ds[i])
			ds_grow_run(ds[i]);
}

static void *shared(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void mount(unsigned i)
{
	assert_int_equal(ds_mount(&disk[i].dev, &host, DS_MOUNT_WRITE, &ds[i]), 0);
}

static void unmount(void)
{
	for (unsigned i = 0; i < 2; i++) {
		if (ds[i])
			assert_int_equal(ds_unmount(ds[i]), 0);
		ds[i] = NULL;
	}
}

static unsigned count(unsigned i)
{
	uint32_t cursor = 0;
	unsigned n = 0;
	struct ds_entry e;

	while (!ds_list(ds[i], &cursor, &e))
		n++;
	return n;
}

/* As a host that has just started, or is about to end. */
static void nothing_is_known(void)
{
	struct home *h = home_find("g");

	if (h && h->held)
		ds_close(h->held);
	if (h) {
		h->held = NULL;
		h->carried = h->sent = h->comes = false;
		home_forget(h);
	}
	fake_home_init();
	found = false;
	unmount();
}

static int setup(void **state)
{
	fake_idle = idle;
	ds_host_set(&host);
	fake_home_init();
	for (unsigned i = 0; i < 2; i++) {
		struct ds_format_options o = { .table_blocks = 32,
					       .nr_slots = 4,
					       .beat_ms = 100,
					       .lease_ms = 400,
					       .io_timeout_ms = 200,
					       .host = host };

		fake_disk_init(&disk[i], DISK_BYTES, 512);
		free(disk[i].bytes);
		bytes[i] = disk[i].bytes = shared(DISK_BYTES);
		start[i] = malloc(DISK_BYTES);
		strcpy(o.name, store[i]);
		assert_int_equal(ds_format(&disk[i].dev, &o), 0);
		mount(i);
	}
	return 0;
}

static int teardown(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		free(start[i]);
		munmap(bytes[i], DISK_BYTES);
		disk[i].bytes = NULL;
		fake_disk_fini(&disk[i]);
	}
	return 0;
}

/* ---- crashes ---- */

#define WRITES_MAX 400u

/* What a move has written, in its order, and what had been said before each write. */
static struct {
	unsigned disk;
	size_t at, len;
	uint8_t *data;
	struct said said;
} written[WRITES_MAX];
static unsigned writes;
static const struct blk_ops *real;

static void recording_submit(struct blkdev *dev, struct blk_req *r)
{
	unsigned i = dev == &disk[1].dev;

	if (r->op != BLK_READ && r->op != BLK_FLUSH) {
		assert_true(writes < WRITES_MAX);
		written[writes].disk = i;
		written[writes].at = (size_t)r->block * 512;
		written[writes].len = (size_t)r->blocks * 512;
		written[writes].said = said;
	}
	real->submit(dev, r);
	if (r->op != BLK_READ && r->op != BLK_FLUSH) {
		written[writes].data = malloc(written[writes].len);
		memcpy(written[writes].data, bytes[i] + written[writes].at, written[writes].len);
		writes++;
	}
}

static const struct blk_ops recording = { .submit = recording_submit };

/* To its end; what is before the move is done by begin. */
static void record(void (*begin)(void), void (*fn)(void))
{
	said = (struct said){ .go = false };
	writes = 0;
	nothing_is_known();
	for (unsigned i = 0; i < 2; i++)
		mount(i);
	begin();
	real = disk[0].dev.ops;
	disk[0].dev.ops = disk[1].dev.ops = &recording;
	for (unsigned i = 0; i < 2; i++)
		memcpy(start[i], bytes[i], DISK_BYTES);
	fn();
	disk[0].dev.ops = disk[1].dev.ops = real;
	nothing_is_known();
}

/* The disks as they were before write n, after n - 1. */
static void crash_before(unsigned n)
{
	said = written[n].said;
	for (unsigned i = 0; i < 2; i++)
		memcpy(bytes[i], start[i], DISK_BYTES);
	memcpy(start[written[n].disk] + written[n].at, written[n].data, written[n].len);
	free(written[n].data);
}

static unsigned writes_left;

static void crashing_submit(struct blkdev *dev, struct blk_req *r)
{
	if (r->op != BLK_READ && r->op != BLK_FLUSH && !writes_left--)
		_exit(1);
	real->submit(dev, r);
}

static const struct blk_ops crashing = { .submit = crashing_submit };

static void boot(void)
{
	for (unsigned i = 0; i < 2; i++)
		mount(i);
	mig_recover();
	home_boot();
}

/* Crashes at that write, if it writes so often. */
static void boot_in_vain(unsigned write)
{
	pid_t child = fork();
	uint8_t used[64];
	int status;

	assert_true(child >= 0);
	if (!child) {
		writes_left = write;
		disk[0].dev.ops = disk[1].dev.ops = &crashing;
		boot();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	random_bytes(used, sizeof(used)); /* so its incarnations are no others' */
}

/* Some of them only at the second try. */
static void boots(unsigned n)
{
	if (n % 8 == 0)
		boot_in_vain(n / 8);
	boot();
}

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

	job = (struct mig_job){ .vm = &fake_vm, .id = { 7 }, .st.peer = r.peer };
	assert_int_equal(home_send(&fake_vm, &cfg, &sent, why, sizeof(why)), 0);
	assert_int_equal(journal_create(ds[0], &r, &job.journal), 0);
	job_mark(&job, &mark);
	assert_int_equal(home_leaves(&fake_vm, &mark, &file, why, sizeof(why)), 0);
	journal_last_file(job.journal, file);
	if (go)
		assert_int_equal(journal_note(job.journal, JOURNAL_GO), 0);
	said.go = go;
}

static void stays(void)
{
	home_stays(&fake_vm);
	home_stay(&fake_vm);
	said.over = true;
	assert_true(job_journal_end(&job));
}

static void it_is_canceled(void)
{
	leaves(false);
	stays();
}

static void it_is_canceled_after_go(void)
{
	leaves(true);
	assert_int_equal(journal_note(job.journal, JOURNAL_NOTHING), 0);
	said.nothing = true;
	stays();
}

static void it_goes(void)
{
	struct vm copy;
	struct ds_entry e;

	leaves(true);
	said.released = true;
	job.src = SRC_RELEASED;
	copy = fake_vm;
	home_leave(&copy);
	assert_int_equal(vm_delete(&fake_vm, why, sizeof(why)), 0);
	assert_int_equal(ds_stat(ds[1], "g/root.disk", &e), 0);
	assert_int_equal(ds_remove_file(DISK, e.id), 0);
	home_left(&copy);
	assert_true(job_journal_end(&job));
}

static void it_is_here(void)
{
	if (!fake_starts)
		assert_int_equal(home_start("g", why, sizeof(why)), 0);
	assert_int_equal(fake_starts, 1);
	assert_int_equal(count(0), 2);
	assert_int_equal(count(1), 1);
}

/* The other host's answer to a GO that was found. */
static void hears(bool runs_there)
{
	assert_int_equal(fake_starts, 0);
	if (vm_find("g"))
		assert_int_not_equal(home_start("g", why, sizeof(why)), 0);
	job.src = runs_there ? SRC_RELEASED : SRC_RUNS;
	recover_end(&job, runs_there);
	job.settling = false;
	assert_true(job_journal_end(&job));
	if (!runs_there) {
		it_is_here();
		return;
	}
	assert_null(vm_find("g"));
	assert_int_equal(count(0) + count(1), 0);
}

static bool is_gos(unsigned n)
{
	bool runs_there = said.released || (!said.over && n % 2);

	if (!found || job.over)
		return false;
	assert_true(said.go || !said.nothing);
	hears(runs_there);
	return true;
}

/* Its record says that nothing is decided, or there is none: it has started by itself. */
static void is_settled(void)
{
	assert_true(!said.go || said.nothing || said.released);
	job.settling = false;
	if (found)
		assert_true(job_journal_end(&job));
	if (said.released)
		assert_int_equal(count(0) + count(1), 0);
	else
		it_is_here();
}

static void source_crashes(void (*fn)(void), unsigned least)
{
	unsigned gos = 0;

	make();
	record(it_runs, fn);
	for (unsigned n = 0; n < writes; n++) {
		crash_before(n);
		boots(n);
		if (is_gos(n))
			gos++;
		else
			is_settled();
		nothing_is_known();
	}
	assert_true(writes > 40 && gos >= least);
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

	job = (struct mig_job){
		.vm = &fake_vm, .id = { 7 }, .st.peer = r.peer, .st.incoming = true
	};
	fake_vm = (struct vm){ .state = VM_INCOMING };
	strcpy(fake_vm.cfg.name, "g");
	strcpy(fake_vm.cfg.home, "one");
	strcpy(fake_vm.cfg.kernel, KERNEL);
	fake_vm.cfg.boot = VM_BOOT_LINUX;
	job_mark(&job, &mark);
	assert_int_equal(home_come(&fake_vm, &sent, &mark, why, sizeof(why)), 0);
	while (home_come_at(&fake_vm, files++, r.disk[r.disks], &r.file[r.disks]))
		r.disks++;
	assert_int_equal(journal_create(ds[0], &r, &job.journal), 0);
	assert_int_equal(home_come_finish(&fake_vm, why, sizeof(why)), 0);
}

static void it_comes(void)
{
	comes();
	assert_int_equal(journal_note(job.journal, JOURNAL_OWNS), 0);
	said.owns = true;
	job.dst = DST_OWNS;
	home_here(&fake_vm);
	fake_vm.state = VM_RUNNING;
	said.over = true; /* CLOSED may come before its description is written anew */
	(void)job_journal_end(&job);
	home_claim(&fake_vm);
}

static void it_does_not_come(void)
{
	comes();
	job.dst = DST_GONE;
	home_not_come(&fake_vm);
	said.over = true;
	(void)job_journal_end(&job);
}

static void it_has_come(void)
{
	assert_non_null(vm_find("g"));
	assert_int_equal(fake_starts, 1);
	assert_true(count(0) <= 3); /* the record may be there */
	job_journal_forget(job.id);
	assert_int_equal(count(0), 2);
}

static void it_has_not_come(void)
{
	assert_null(vm_find("g"));
	job_journal_forget(job.id);
	assert_int_equal(count(0), 0);
}

static void destination_crashes(void (*fn)(void))
{
	unsigned owned = 0;

	record(no_vm, fn);
	for (unsigned n = 0; n < writes; n++) {
		bool owns;

		crash_before(n);

		boots(n);
		job = (struct mig_job){ .id = { 7 } };
		owns = vm_find("g");
		assert_true(owns || !said.owns);
		if (owns)
			it_has_come();
		else
			it_has_not_come();
		owned += owns;
		nothing_is_known();
	}
	assert_true(writes > 30 && (fn == it_comes) == (owned > 5));
}

static void as_it_comes(void **state)
{
	destination_crashes(it_comes);
}

static void as_it_is_given_up(void **state)
{
	destination_crashes(it_does_not_come);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(before_go),   test(go_is_taken_back),  test(after_go),
		test(as_it_comes), test(as_it_is_given_up),
	};

	return cmocka_run_group_tests_name("move_crash", tests, NULL, NULL);
}
