/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile datastore: the input is a list of 12-byte steps, each of which changes eight
 * bytes of a metadata block of a sound one and, if it says so, makes the block's sum right
 * again, so that what stands behind the sums is reached. Then it is looked at, read, checked
 * and repaired. The disk aborts when a request does not fit it; when the repair says that
 * it mended all that it found, another check must find nothing.
 */
// SOURCES: drivers/blkdev.c kernel/lib/crc32c.c kernel/store/ds_*.c
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/page.h>
#include <tern/random.h>
#include <tern/timer.h>

#include "kernel/lib/crc32c.h"
#include "kernel/store/ds_int.h"

#define EXTENTS 6u
#define DISK_BYTES (EXTENTS * DS_EXTENT)
#define STEP 12u
#define MAX_STEPS 64u
#define SEAL 1u
#define SEAL_RECORD 2u /* of a log descriptor: its entries' sums too */

static uint8_t sound[DISK_BYTES], bytes[DISK_BYTES];
static uint64_t now_ns = 1000;

/* ---- the kernel's base ---- */

uint64_t time_ns(void)
{
	return now_ns += 1000;
}

uint64_t wall_clock_s(void)
{
	return 1;
}

void world_sleep_ns(uint64_t ns)
{
	now_ns += ns;
}

void random_bytes(void *buf, size_t len)
{
	memset(buf, 0x5a, len);
}

int waitq_sleep(struct waitq *q, struct spinlock *l, unsigned long *flags, uint64_t deadline_ns)
{
	abort(); /* one thread, a disk that ends requests at once: nobody sleeps */
}

int event_wait(struct event *e, uint64_t deadline_ns)
{
	if (!e->set)
		abort();
	e->set = 0;
	return 0;
}

int world_create(struct world **out, const struct world_opts *o, void (*fn)(void *), void *arg)
{
	*out = NULL;
	return 0;
}

void world_join(struct world *w)
{
}

/* ---- the disk ---- */

static void submit(struct blkdev *d, struct blk_req *r)
{
	uint64_t at = r->block * d->geo.block_bytes, len = r->blocks * d->geo.block_bytes;

	if (r->op != BLK_FLUSH && (at > DISK_BYTES || len > DISK_BYTES - at))
		abort();
	if (r->op == BLK_WRITE_ZEROES)
		memset(bytes + at, 0, len);
	for (uint32_t i = 0; i < r->nr_segs; i++) {
		void *mem = hpa_ptr(r->segs[i].addr);

		if (r->op == BLK_READ)
			memcpy(mem, bytes + at, r->segs[i].len);
		else
			memcpy(bytes + at, mem, r->segs[i].len);
		at += r->segs[i].len;
	}
	blk_complete(r, 0);
}

static const struct blk_ops ops = { .submit = submit };
static struct blkdev disk = {
	.ops = &ops,
	.geo = { .blocks = DISK_BYTES / 512,
		 .block_bytes = 512,
		 .physical_bytes = 512,
		 .max_segs = 16,
		 .max_bytes = 1 << 20,
		 .max_zeroes_blocks = 2048,
		 .queue_depth = 32,
		 .dma_align = 1,
		 .dma_limit = UINT64_MAX,
		 .volatile_cache = true },
};

/* ---- a sound datastore ---- */

static void must(int err)
{
	if (err)
		abort();
}

static void make_sound(void)
{
	static const struct ds_format_options o = { .name = "ds",
						    .nr_slots = 2,
						    .table_blocks = 12 };
	static const struct ds_host host = { .id = { 1 }, .name = "a" };
	struct datastore *ds;

	blk_setup(&disk);
	must(ds_format(&disk, &o));
	must(ds_attach(&disk, &host, DS_MOUNT_WRITE, &ds));
	must(ds_create(ds, "vm/flat", DS_KIND_FLAT, 1 << 20, 0));
	must(ds_create(ds, "vm/thin", DS_KIND_THIN, 3 << 20, 0));
	must(ds_snapshot(ds, "vm/flat", "vm/snap"));
	must(ds_create(ds, "half", DS_KIND_PLAIN, 100, DS_FILE_UNFINISHED));
	ds_detach(ds);
	memcpy(sound, bytes, sizeof(sound));
}

/* ---- what the input does to it ---- */

static void seal(uint64_t block, uint8_t how)
{
	const struct ds_super *s = (const struct ds_super *)(sound + DS_SUPER_BLOCK * DS_BLOCK);
	struct datastore ds = { .super = *s };
	uint8_t *b = bytes + block * DS_BLOCK;
	struct ds_head *h = (struct ds_head *)b;
	struct ds_log *log = (struct ds_log *)b;
	bool sector = h->magic == DS_MAGIC_SUPER || h->magic == DS_MAGIC_SLOT;

	if (how & SEAL_RECORD && h->magic == DS_MAGIC_LOG)
		for (uint32_t i = 0; i < log->count && i < DS_MAX_LOG_BLOCKS - 1; i++)
			log->entry[i].crc = crc32c(0, b + (i + 1) * DS_BLOCK, DS_BLOCK);
	ds_seal(&ds, b, (enum ds_magic)h->magic, block, h->sequence, sector ? DS_SECTOR : DS_BLOCK);
}

static void change(const uint8_t *step)
{
	const struct ds_super *s = (const struct ds_super *)(sound + DS_SUPER_BLOCK * DS_BLOCK);
	uint64_t span = s->table_block + s->table_blocks - DS_SUPER_BLOCK;
	uint64_t block = DS_SUPER_BLOCK + step[0] % (span + 1);
	unsigned at = (step[1] | (unsigned)step[2] << 8) % (DS_BLOCK - 8);

	if (block == DS_SUPER_BLOCK + span)
		block = (uint64_t)EXTENTS * DS_BLOCKS_PER_EXTENT - 1;
	memcpy(bytes + block * DS_BLOCK + at, step + 4, 8);
	if (step[3] & SEAL)
		seal(block, step[3]);
}

/* ---- what is done with it ---- */

static void read_file(struct datastore *ds, const char *name)
{
	static uint8_t buf[64 << 10];
	struct ds_file *f;

	if (ds_open(ds, name, DS_OPEN_READ, &f))
		return;
	for (uint64_t at = 0; at < 4; at++) {
		uint64_t block = at * 2048, left = ds_file_blk(f)->geo.blocks;

		if (block < left)
			(void)!blk_transfer(ds_file_blk(f), BLK_READ, block,
					    MIN(left - block, sizeof(buf) / 512), buf);
	}
	ds_close(f);
}

static void look(void)
{
	struct datastore *ds;
	struct ds_entry e;
	struct ds_info i;

	if (ds_attach(&disk, NULL, DS_MOUNT_READ, &ds))
		return;
	(void)!ds_info(ds, &i);
	for (uint32_t cursor = 0; !ds_list(ds, &cursor, &e);)
		read_file(ds, e.name);
	ds_detach(ds);
}

static void check_and_repair(void)
{
	struct ds_check c = { .repair = false };

	(void)!ds_check(&disk, &c);
	c.repair = true;
	if (ds_check(&disk, &c) || c.found != c.mended)
		return;
	c.repair = false;
	must(ds_check(&disk, &c));
	if (c.found)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[32];

	if (!sound[DS_SUPER_BLOCK * DS_BLOCK])
		make_sound();
	memcpy(bytes, sound, sizeof(bytes));
	for (size_t i = 0; i < MAX_STEPS && (i + 1) * STEP <= size; i++)
		change(data + i * STEP);
	(void)!ds_probe(&disk, name);
	look();
	check_and_repair();
	return 0;
}
