/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The new files of a Storage vMotion that go to two datastores, which no transaction spans: after a
 * crash at any write the VM has all of its old ones, or all of its new ones, and of the others none
 * is there once both are mounted.
 */
// SOURCES: mig/smove_switch.c mig/smove_record.c mig/journal.c mig/recover.c
// SOURCES: drivers/blkdev.c kernel/lib/crc32c.c kernel/store/ds_*.c test/unit/fake_disk.c
// SOURCES: net/addr.c
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

#include <tern/home.h>
#include <tern/vdev.h>

#include "kernel/store/ds_int.h"
#include "mig/history.h"
#include "mig/journal.h"
#include "mig/smove.h"
#include "mig/stun.h"
#include "test/unit/fake_disk.h"

#define DISK_BYTES (12u << 20)
#define FILE_BYTES (1u << 20)

/* ---- what the sources take from elsewhere ---- */

static struct vm vm;
static struct mig_job job;
static struct smove s;

const char *config_get(const char *key)
{
	return NULL;
}

void job_error(struct mig_job *j, const char *code, const char *fmt, ...)
{
}

void job_phase(struct mig_job *j, enum mig_phase p)
{
}

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

void home_gone(const char *name, const char *path, bool kept)
{
	abort();
}

bool home_remove_open(const char *path, struct ds_file *f, uint64_t id)
{
	abort();
}

void home_settled(const char *path, uint64_t file, const char *other)
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

struct ds_file *vdisk_file(struct vdisk *d)
{
	abort();
}

bool disk_copy_left(const struct disk_copy *c, uint64_t most, uint64_t *uncompared)
{
	return false;
}

uint64_t smove_little(const struct smove *m)
{
	return 0;
}

int smove_disk_verify(struct smove_disk *d)
{
	return 0;
}

void pace_hurry(struct pace *p)
{
}

int bulk_marked(struct bulk *b)
{
	return 0;
}

int bulk_flush(struct bulk *b)
{
	return 0;
}

int mirror_error(struct mirror *m)
{
	return 0;
}

void smove_disk_failed(struct smove_disk *d, int err)
{
}

int smove_disk_adopt(struct smove_disk *d)
{
	abort();
}

int smove_new_config(const struct smove *m, struct vm_config *cfg)
{
	*cfg = vm.cfg;
	return 0;
}

void vm_set_state(struct vm *v, enum vm_state state)
{
	abort();
}

void vm_disown(struct vm *v)
{
	abort();
}

int vm_stop(struct vm *v, char *why, size_t len)
{
	abort();
}

void vm_put(struct vm *v)
{
	abort();
}

uint64_t vm_overhead_bytes(const struct vm_config *cfg)
{
	return 0;
}

uint64_t page_spare_bytes(void)
{
	return 0;
}

int vm_create_heir(struct vm *v, const struct vm_config *cfg, struct vm **out, char *why,
		   size_t len)
{
	abort();
}

int stun_hand_over(struct vm *v, struct vm *h, char *why, size_t len)
{
	abort();
}

int vm_prepare_incoming(struct vm *v)
{
	abort();
}

int vm_inherit(struct vm *v, struct vm *h)
{
	abort();
}

void vdevs_resume(struct vm *v)
{
	abort();
}

void vm_run_incoming(struct vm *v)
{
	abort();
}

int stun(struct vm *v, char *why, size_t len)
{
	abort();
}

void stun_end(struct vm *v)
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

/* ---- two datastores ---- */

static const char *const store[2] = { "one", "two" };
static const struct ds_host host = { .id = { 1 }, .name = "a" };
static struct fake_disk disk[2];
static struct datastore *ds[2];
static uint8_t *bytes[2]; /* shared with those that crash */

static void idle(void)
{
	for (unsigned i = 0; i < 2; i++)
		if (ds[i])
			ds_grow_run(ds[i]);
}

static void mount(void)
{
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(ds_mount(&disk[i].dev, &host, DS_MOUNT_WRITE, &ds[i]), 0);
}

static void unmount(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct ds_check c = { .say = NULL };

		assert_int_equal(ds_unmount(ds[i]), 0);
		ds[i] = NULL;
		assert_int_equal(ds_check(&disk[i].dev, &c), 0);
		assert_int_equal(c.found, 0);
	}
}

static bool there(unsigned i, const char *name)
{
	struct ds_entry e;

	return !ds_stat(ds[i], name, &e) && !(e.flags & DS_FILE_UNFINISHED);
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

static void *shared(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static int setup(void **state)
{
	fake_idle = idle;
	ds_host_set(&host);
	switched = shared(4096);
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
		strcpy(o.name, store[i]);
		assert_int_equal(ds_format(&disk[i].dev, &o), 0);
	}
	mount();
	return 0;
}

static int teardown(void **state)
{
	unmount();
	for (unsigned i = 0; i < 2; i++) {
		munmap(bytes[i], DISK_BYTES);
		disk[i].bytes = NULL;
		fake_disk_fini(&disk[i]);
	}
	munmap(switched, 4096);
	return 0;
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
	vm = (struct vm){ .state = VM_OFF };
	strcpy(vm.cfg.name, "g");
	job = (struct mig_job){ .vm = &vm, .id = { 5 } };
	memset(&s, 0, sizeof(s));
	s.j = &job;
	s.nr = 2;
	if (home) {
		make(0, "g/g.vm.new", DS_FILE_UNFINISHED);
		strcpy(vm.cfg.home, "one");
		s.home = (struct home_carry *)&s;
	}
	for (unsigned i = 0; i < 2; i++) {
		struct smove_disk *d = &s.disk[i];

		d->s = &s;
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

static unsigned writes_left;
static const struct blk_ops *real;

static void crashing_submit(struct blkdev *dev, struct blk_req *r)
{
	if (r->op != BLK_READ && r->op != BLK_FLUSH && !writes_left--)
		_exit(1);
	real->submit(dev, r);
}

static const struct blk_ops crashing = { .submit = crashing_submit };

static bool crashes_at(unsigned write, bool home)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child) {
		mount();
		real = disk[0].dev.ops;
		writes_left = write;
		disk[0].dev.ops = disk[1].dev.ops = &crashing;
		_exit(move(home) ? 2 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_not_equal(WEXITSTATUS(status), 2);
	return WEXITSTATUS(status) == 1;
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

static void crashes_everywhere(bool home)
{
	unsigned n = 0, counts[2] = { 0 };
	uint8_t *was[2];

	if (home)
		assert_int_equal(ds_create(ds[0], "g/g.vm", DS_KIND_THIN, 0, 0), 0);
	unmount();
	for (unsigned i = 0; i < 2; i++) {
		was[i] = malloc(DISK_BYTES);
		memcpy(was[i], bytes[i], DISK_BYTES);
	}
	for (*switched = false; crashes_at(n, home); n++, *switched = false) {
		bool now;

		mount();
		now = has_new_files(home);
		counts[now]++;
		mig_recover();
		assert_int_equal(there(0, "g/0.disk"), there(1, "g/1.disk"));
		if (home || now)
			assert_int_equal(there(0, "g/0.disk"), now);
		assert_int_equal(count(0), there(0, "g/0.disk") + home);
		assert_int_equal(count(1), there(1, "g/1.disk"));
		unmount();
		for (unsigned i = 0; i < 2; i++)
			memcpy(bytes[i], was[i], DISK_BYTES);
	}
	assert_true(counts[0] > 20 && counts[1] > 2);
	for (unsigned i = 0; i < 2; i++)
		free(was[i]);
	mount();
}

static void a_crash_at_any_write(void **state)
{
	crashes_everywhere(false);
}

static void a_crash_at_any_write_of_a_vm_at_home(void **state)
{
	crashes_everywhere(true);
}

/* The other datastore comes later: until then the record stays. */
static void one_is_not_mounted(void **state)
{
	plan(false);
	assert_int_equal(smove_record(&s), 0);
	assert_int_equal(ds_finish(ds[1], "g/1.disk"), 0);
	journal_keep(s.record);
	close_disks();
	unmount();
	assert_int_equal(ds_mount(&disk[0].dev, &host, DS_MOUNT_WRITE, &ds[0]), 0);
	mig_recover();
	assert_int_equal(count(0), 1);
	assert_int_equal(ds_mount(&disk[1].dev, &host, DS_MOUNT_WRITE, &ds[1]), 0);
	mig_recover();
	assert_int_equal(count(0) + count(1), 0);
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
	assert_int_equal(count(0), 1);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_crash_at_any_write),
		test(a_crash_at_any_write_of_a_vm_at_home),
		test(one_is_not_mounted),
		test(one_file_needs_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
