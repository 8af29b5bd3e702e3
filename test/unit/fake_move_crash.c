/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Crashes of a host in a move (fake_move_crash.h). Its disks are memory that it shares with its
 * forks, which crash in a boot.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tern/random.h>

#include "kernel/home/home_int.h"
#include "mig/history.h"
#include "test/unit/fake_disk.h"
#include "test/unit/fake_home.h"
#include "test/unit/fake_move_crash.h"

#define DISK_BYTES (7u << 20)

/* ---- what the sources take from elsewhere: one job ---- */

struct mig_job fake_job;
struct fake_said fake_said;
bool fake_job_found;

struct mig_job *job_new(const struct mig_request *r, bool incoming, const uint8_t *id)
{
	fake_job = (struct mig_job){ .req = *r };
	memcpy(fake_job.st.vm, r->vm, sizeof(r->vm));
	memcpy(fake_job.id, id, sizeof(fake_job.id));
	fake_job_found = true;
	return &fake_job;
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
struct datastore *ds[2];
static uint8_t *bytes[2]; /* shared with those that crash */
static uint8_t *start[2];

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

unsigned crash_files(unsigned i)
{
	uint32_t cursor = 0;
	unsigned n = 0;
	struct ds_entry e;

	while (!ds_list(ds[i], &cursor, &e))
		n++;
	return n;
}

void crash_forget(void)
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
	fake_job_found = false;
	unmount();
}

int crash_setup(void **state)
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

int crash_teardown(void **state)
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
	struct fake_said said;
} written[WRITES_MAX];
unsigned crash_writes;
static const struct blk_ops *real;

static void recording_submit(struct blkdev *dev, struct blk_req *r)
{
	unsigned i = dev == &disk[1].dev;

	if (r->op != BLK_READ && r->op != BLK_FLUSH) {
		assert_true(crash_writes < WRITES_MAX);
		written[crash_writes].disk = i;
		written[crash_writes].at = (size_t)r->block * 512;
		written[crash_writes].len = (size_t)r->blocks * 512;
		written[crash_writes].said = fake_said;
	}
	real->submit(dev, r);
	if (r->op != BLK_READ && r->op != BLK_FLUSH) {
		written[crash_writes].data = malloc(written[crash_writes].len);
		memcpy(written[crash_writes].data, bytes[i] + written[crash_writes].at,
		       written[crash_writes].len);
		crash_writes++;
	}
}

static const struct blk_ops recording = { .submit = recording_submit };

void crash_record(void (*begin)(void), void (*fn)(void))
{
	fake_said = (struct fake_said){ .go = false };
	crash_writes = 0;
	crash_forget();
	for (unsigned i = 0; i < 2; i++)
		mount(i);
	begin();
	real = disk[0].dev.ops;
	disk[0].dev.ops = disk[1].dev.ops = &recording;
	for (unsigned i = 0; i < 2; i++)
		memcpy(start[i], bytes[i], DISK_BYTES);
	fn();
	disk[0].dev.ops = disk[1].dev.ops = real;
	crash_forget();
}

void crash_before(unsigned n)
{
	fake_said = written[n].said;
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

void crash_boots(unsigned n)
{
	if (n % 8 == 0)
		boot_in_vain(n / 8);
	boot();
}
