/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several hosts on one datastore at the same time, each a thread with its own heartbeat
 * and grower: they make, lease, write, rename and remove files of the same names. Nobody
 * sees another's bytes under its own lease, and at the end the metadata agree.
 */
// ALONE: hosts that get no time lose their leases
// SOURCES: drivers/blkdev.c kernel/lib/crc32c.c kernel/store/ds_*.c
// SOURCES: tools/terndisk/host.c tools/terndisk/filedisk.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "kernel/store/ds_int.h"
#include "tools/terndisk/filedisk.h"

#define HOSTS 3u
#define STEPS 60u
#define NAMES 4u
#define FILE_BYTES (3u << 20)

struct host {
	char path[64];
	struct ds_host id;
	unsigned held, busy, made, removed;
	const char *wrong; /* what went wrong, if anything */
	int err;
};

static bool expected(int err)
{
	return !err || err == -EBUSY || err == -ENOENT || err == -EEXIST || err == -ENOSPC;
}

/* Under the lease nobody else writes: what was written is what is read. */
static int use(struct host *h, struct datastore *ds, const char *name, unsigned *dice)
{
	uint64_t stamp[512 / 8], back[512 / 8];
	struct ds_file *f;
	int err = ds_open(ds, name, DS_OPEN_WRITE, &f);

	if (err) {
		h->busy += err == -EBUSY;
		return err;
	}
	h->held++;
	for (unsigned i = 0; i < 8 && !err; i++) {
		uint64_t block = (uint64_t)rand_r(dice) % (FILE_BYTES / 512);

		for (unsigned w = 0; w < ARRAY_SIZE(stamp); w++)
			stamp[w] = (uint64_t)rand_r(dice) << 8 | h->id.id[0];
		err = blk_transfer(ds_file_blk(f), BLK_WRITE, block, 1, stamp);
		if (!err)
			err = blk_transfer(ds_file_blk(f), BLK_READ, block, 1, back);
		if (!err && memcmp(stamp, back, sizeof(stamp)))
			h->wrong = "another host's bytes under my lease";
	}
	ds_close(f);
	return err;
}

static int step(struct host *h, struct datastore *ds, unsigned *dice)
{
	char name[16], to[16];
	int err;

	snprintf(name, sizeof(name), "f%u", (unsigned)rand_r(dice) % NAMES);
	snprintf(to, sizeof(to), "f%u", (unsigned)rand_r(dice) % NAMES);
	switch (rand_r(dice) % 5) {
	case 0:
		err = ds_create(ds, name, rand_r(dice) % 2 ? DS_KIND_THIN : DS_KIND_FLAT,
				FILE_BYTES, 0);
		h->made += !err;
		return err;
	case 1:
		err = ds_remove(ds, name);
		h->removed += !err;
		return err;
	case 2:
		return ds_rename(ds, name, to);
	default:
		return use(h, ds, name, dice);
	}
}

static void *host_thread(void *arg)
{
	struct host *h = arg;
	unsigned dice = h->id.id[0];
	struct filedisk disk;
	struct datastore *ds;

	h->err = filedisk_open(&disk, h->path, true);
	if (!h->err)
		h->err = ds_attach(&disk.dev, &h->id, DS_MOUNT_WRITE, &ds);
	if (h->err)
		return NULL;
	for (unsigned i = 0; i < STEPS && !h->wrong; i++) {
		h->err = step(h, ds, &dice);
		if (!expected(h->err))
			break;
		h->err = 0;
	}
	ds_detach(ds);
	filedisk_close(&disk);
	return NULL;
}

static void say(struct ds_check *c, const char *text)
{
	print_message("check: %s\n", text);
}

static void hosts_share_a_datastore(void **state)
{
	/* Times such that a loaded machine kills nobody. */
	static const struct ds_format_options o = {
		.name = "shared", .beat_ms = 500, .lease_ms = 60000, .io_timeout_ms = 100
	};
	struct host host[HOSTS] = { 0 };
	struct ds_check c = { .say = say };
	pthread_t thread[HOSTS];
	unsigned held = 0, made = 0;
	char path[] = "/tmp/test_ds_hosts.XXXXXX";
	struct filedisk disk;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 32 << 20), 0);
	assert_int_equal(filedisk_open(&disk, path, true), 0);
	assert_int_equal(ds_format(&disk.dev, &o), 0);
	for (unsigned i = 0; i < HOSTS; i++) {
		snprintf(host[i].path, sizeof(host[i].path), "%s", path);
		host[i].id.id[0] = (uint8_t)(i + 1);
		snprintf(host[i].id.name, sizeof(host[i].id.name), "h%u", i);
		assert_int_equal(pthread_create(&thread[i], NULL, host_thread, &host[i]), 0);
	}
	for (unsigned i = 0; i < HOSTS; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(host[i].err, 0);
		if (host[i].wrong)
			fail_msg("host %u: %s", i, host[i].wrong);
		held += host[i].held;
		made += host[i].made;
	}
	assert_true(held > 0 && made > 0);
	assert_int_equal(ds_check(&disk.dev, &c), 0);
	assert_int_equal(c.found, 0);
	filedisk_close(&disk);
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(hosts_share_a_datastore) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
