/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include <tern/page.h>

#include "test/unit/ds_fixture.h"

struct fake_disk disk;
struct datastore *ds;
const struct ds_host host_a = { .id = { 1 }, .name = "a" };
const struct ds_host host_b = { .id = { 2 }, .name = "b" };

const struct ds_format_options options = { .name = "ds1",
					   .nr_slots = 4,
					   .table_blocks = 32,
					   .beat_ms = 100,
					   .lease_ms = 400,
					   .io_timeout_ms = 200 };

/* What the datastore's worlds would do meanwhile. */
static void idle(void)
{
	if (ds)
		ds_grow_run(ds);
}

int dsf_fresh(void **state)
{
	fake_disk_init(&disk, DISK_BYTES, 512);
	fake_idle = idle;
	assert_int_equal(ds_format(&disk.dev, &options), 0);
	assert_int_equal(ds_mount(&disk.dev, &host_a, DS_MOUNT_WRITE, &ds), 0);
	return 0;
}

void dsf_unmount(void)
{
	if (ds)
		assert_int_equal(ds_unmount(ds), 0);
	ds = NULL;
}

static void say(struct ds_check *c, const char *text)
{
	print_message("check: %s\n", text);
}

unsigned dsf_findings(void)
{
	struct ds_check c = { .say = say };

	assert_int_equal(ds_check(&disk.dev, &c), 0);
	return c.found;
}

int dsf_end(void **state)
{
	dsf_unmount();
	assert_int_equal(dsf_findings(), 0);
	fake_disk_fini(&disk);
	return 0;
}

void dsf_again(void)
{
	dsf_unmount();
	assert_int_equal(ds_mount(&disk.dev, &host_a, DS_MOUNT_WRITE, &ds), 0);
}

/* Contents that say where they belong. */
void dsf_fill(uint8_t *buf, size_t bytes, uint64_t seed)
{
	for (size_t i = 0; i < bytes; i += 8)
		*(uint64_t *)(buf + i) = (seed + i) * 0x9e3779b97f4a7c15ull;
}

int dsf_write(const char *name, uint64_t at, size_t bytes, uint64_t seed)
{
	uint8_t *buf = malloc(bytes);
	struct ds_file *f;
	int err;

	dsf_fill(buf, bytes, seed);
	assert_int_equal(ds_open(ds, name, DS_OPEN_WRITE, &f), 0);
	err = blk_transfer(ds_file_blk(f), BLK_WRITE, at / 512, bytes / 512, buf);
	ds_close(f);
	free(buf);
	return err;
}

bool dsf_has(const char *name, uint64_t at, size_t bytes, uint64_t seed)
{
	uint8_t *buf = malloc(bytes), *want = calloc(1, bytes);
	struct ds_file *f;
	bool same;

	if (seed)
		dsf_fill(want, bytes, seed);
	assert_int_equal(ds_open(ds, name, DS_OPEN_READ, &f), 0);
	assert_int_equal(blk_transfer(ds_file_blk(f), BLK_READ, at / 512, bytes / 512, buf), 0);
	same = !memcmp(buf, want, bytes);
	ds_close(f);
	free(buf);
	free(want);
	return same;
}

uint64_t dsf_free_bytes(void)
{
	struct ds_info i;

	assert_int_equal(ds_info(ds, &i), 0);
	return i.free_bytes;
}

uint64_t dsf_backed(const char *name)
{
	struct ds_entry e;

	assert_int_equal(ds_stat(ds, name, &e), 0);
	return e.backed_bytes >> 20;
}

struct datastore *dsf_other(void)
{
	struct datastore *b;

	assert_int_equal(ds_attach(&disk.dev, &host_b, DS_MOUNT_WRITE, &b), 0);
	return b;
}

/* ---- power cuts ---- */

/* The disk as it would be; swapped for the real one, and back. */
static unsigned check_image(uint8_t *image, bool (*agrees)(void))
{
	struct datastore *live = ds;
	uint8_t *real = disk.bytes;
	bool recording = disk.recording;
	unsigned bad;

	disk.bytes = image;
	disk.recording = false;
	bad = dsf_findings();
	assert_int_equal(ds_attach(&disk.dev, &host_a, DS_MOUNT_WRITE, &ds), 0);
	if (!bad && !agrees())
		bad = 1000;
	ds_detach(ds);
	if (!bad)
		bad = dsf_findings();
	disk.bytes = real;
	disk.recording = recording;
	ds = live;
	return bad;
}

uint8_t *dsf_copy_of(const uint8_t *image)
{
	uint8_t *c = malloc(DISK_BYTES);

	memcpy(c, image, DISK_BYTES);
	return c;
}

/* Where each cut's image is made: fresh memory costs four times what the copy does. */
static uint8_t cut[DISK_BYTES];

/* Every prefix, cut at every sector. */
void dsf_check_prefixes(const uint8_t *start, bool (*agrees)(void))
{
	uint8_t *image = dsf_copy_of(start);

	for (uint32_t w = 0; w < disk.nr_log; w++)
		for (uint32_t s = 0; s < disk.log[w].blocks; s++) {
			fake_disk_apply(&disk, image, w, s);
			/* long writes of contents are sampled */
			if (s > 8 && s % 97 && s + 1 < disk.log[w].blocks)
				continue;
			memcpy(cut, image, DISK_BYTES);
			if (check_image(cut, agrees))
				fail_msg("cut in write %u of %u, after its sector %u", w,
					 disk.nr_log, s);
		}
	free(image);
}

static uint32_t roll(uint64_t *dice)
{
	*dice = *dice * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*dice >> 33);
}

void dsf_check_reordered(const uint8_t *start, bool (*agrees)(void), unsigned samples)
{
	uint64_t dice = 12345;

	for (unsigned i = 0; i < samples; i++) {
		uint32_t upto, flushed = 0;

		memcpy(cut, start, DISK_BYTES);
		upto = roll(&dice) % (disk.nr_log + 1);
		for (uint32_t w = 0; w < upto; w++)
			if (disk.log[w].flush)
				flushed = w;
		for (uint32_t w = 0; w < upto; w++) {
			unsigned fate = roll(&dice) % 3; /* all of it, nothing, or some sectors */

			for (uint32_t s = 0; s < disk.log[w].blocks; s++)
				if (w < flushed || fate == 0 || (fate == 1 && roll(&dice) % 2))
					fake_disk_apply(&disk, cut, w, s);
		}
		if (check_image(cut, agrees))
			fail_msg("sample %u: %u writes, flushed up to %u", i, upto, flushed);
	}
}

static void apply_whole(uint8_t *image, uint32_t write)
{
	for (uint32_t s = 0; s < disk.log[write].blocks; s++)
		fake_disk_apply(&disk, image, write, s);
}

/* With all before `from`, and of those from there to `end` all but the one or only that. */
static void check_one(const uint8_t *before, uint32_t from, uint32_t end, uint32_t one, bool only,
		      bool (*agrees)(void))
{
	memcpy(cut, before, DISK_BYTES);
	for (uint32_t w = from; w < end; w++)
		if ((w == one) == only)
			apply_whole(cut, w);
	if (check_image(cut, agrees))
		fail_msg("%s write %u of those from %u to %u", only ? "only" : "without", one, from,
			 end);
}

void dsf_check_directed(const uint8_t *start, bool (*agrees)(void))
{
	uint8_t *before = dsf_copy_of(start);

	for (uint32_t from = 0, end; from < disk.nr_log; from = end + 1) {
		for (end = from; end < disk.nr_log && !disk.log[end].flush; end++)
			;
		for (uint32_t w = from; w < end; w++) {
			check_one(before, from, end, w, false, agrees);
			check_one(before, from, end, w, true, agrees);
		}
		for (uint32_t w = from; w < end; w++)
			apply_whole(before, w);
	}
	free(before);
}
