/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include <tern/page.h>
#include <tern/random.h>
#include <tern/timer.h>

#include "test/unit/fake_disk.h"

uint64_t fake_now_ns = 1000000;
void (*fake_idle)(void);

/* ---- the base ---- */

uint64_t time_ns(void)
{
	return fake_now_ns += 1000;
}

uint64_t wall_clock_s(void)
{
	return 1700000000;
}

void world_sleep_ns(uint64_t ns)
{
	fake_now_ns += ns;
}

void random_bytes(void *buf, size_t len)
{
	static uint64_t state = 0x9e3779b97f4a7c15ull;
	uint8_t *p = buf;

	for (size_t i = 0; i < len; i++) {
		state = state * 6364136223846793005ull + 1442695040888963407ull;
		p[i] = (uint8_t)(state >> 56);
	}
}

int waitq_sleep(struct waitq *q, struct spinlock *l, unsigned long *flags, uint64_t deadline_ns)
{
	spin_unlock(l, *flags);
	assert_non_null(fake_idle); /* else it would sleep for ever */
	fake_idle();
	*flags = spin_lock(l);
	return 0;
}

int event_wait(struct event *e, uint64_t deadline_ns)
{
	for (unsigned i = 0; !e->set && i < 1000; i++) {
		assert_non_null(fake_idle);
		fake_idle();
	}
	assert_true(e->set);
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

static void record(struct fake_disk *d, uint64_t block, uint32_t blocks, bool flush)
{
	size_t bytes = (size_t)blocks * d->dev.geo.block_bytes;
	struct fake_write *w;

	if (!d->recording)
		return;
	if (d->nr_log == d->cap_log) {
		d->cap_log = d->cap_log ? 2 * d->cap_log : 64;
		d->log = realloc(d->log, d->cap_log * sizeof(*d->log));
		assert_non_null(d->log);
	}
	w = &d->log[d->nr_log++];
	*w = (struct fake_write){ .block = block, .blocks = blocks, .flush = flush };
	if (flush)
		return;
	w->data = malloc(bytes);
	assert_non_null(w->data);
	memcpy(w->data, d->bytes + block * d->dev.geo.block_bytes, bytes);
}

static void move(struct fake_disk *d, struct blk_req *r)
{
	uint8_t *at = d->bytes + r->block * d->dev.geo.block_bytes;

	for (uint32_t i = 0; i < r->nr_segs; i++) {
		void *mem = hpa_ptr(r->segs[i].addr);

		if (r->op == BLK_READ)
			memcpy(mem, at, r->segs[i].len);
		else
			memcpy(at, mem, r->segs[i].len);
		at += r->segs[i].len;
	}
}

static void submit(struct blkdev *dev, struct blk_req *r)
{
	struct fake_disk *d = container_of(dev, struct fake_disk, dev);
	uint32_t bytes = dev->geo.block_bytes;

	if (d->fail_after == 0) {
		blk_complete(r, d->fail_with);
		return;
	}
	if (d->fail_after > 0)
		d->fail_after--;
	if (d->holding && r->op == BLK_WRITE) {
		assert_null(d->held);
		d->held = r;
		d->holding = false;
		return;
	}
	switch (r->op) {
	case BLK_FLUSH:
		record(d, 0, 0, true);
		break;
	case BLK_WRITE_ZEROES:
	case BLK_DISCARD: /* anything may be there afterwards */
		memset(d->bytes + r->block * bytes, r->op == BLK_DISCARD ? 0xdd : 0,
		       r->blocks * bytes);
		record(d, r->block, (uint32_t)r->blocks, false);
		break;
	case BLK_READ:
	case BLK_WRITE:
		move(d, r);
		if (r->op == BLK_WRITE)
			record(d, r->block, (uint32_t)r->blocks, false);
		break;
	default:
		break;
	}
	blk_complete(r, 0);
}

void fake_disk_hold(struct fake_disk *d)
{
	d->holding = true;
}

void fake_disk_release(struct fake_disk *d)
{
	struct blk_req *r = d->held;

	assert_non_null(r);
	d->held = NULL;
	submit(&d->dev, r);
}

static const struct blk_ops ops = { .submit = submit };

void fake_disk_init(struct fake_disk *d, uint64_t bytes, uint32_t block_bytes)
{
	memset(d, 0, sizeof(*d));
	d->bytes = calloc(1, bytes);
	assert_non_null(d->bytes);
	d->fail_after = -1;
	d->fail_with = -EIO;
	d->dev.ops = &ops;
	d->dev.driver = "fake";
	d->dev.geo = (struct blk_geometry){ .blocks = bytes / block_bytes,
					    .block_bytes = block_bytes,
					    .physical_bytes = 4096,
					    .max_segs = 16,
					    .max_bytes = 256 << 10,
					    .max_zeroes_blocks = (1 << 20) / block_bytes,
					    .queue_depth = 32,
					    .dma_align = 1,
					    .dma_limit = UINT64_MAX,
					    .volatile_cache = true };
	blk_setup(&d->dev);
}

static void forget(struct fake_disk *d)
{
	for (uint32_t i = 0; i < d->nr_log; i++)
		free(d->log[i].data);
	free(d->log);
	d->log = NULL;
	d->nr_log = d->cap_log = 0;
}

void fake_disk_fini(struct fake_disk *d)
{
	forget(d);
	free(d->bytes);
}

void fake_disk_record(struct fake_disk *d)
{
	forget(d);
	d->recording = true;
}

void fake_disk_apply(const struct fake_disk *d, uint8_t *image, uint32_t write, uint32_t sector)
{
	const struct fake_write *w = &d->log[write];
	uint32_t bytes = d->dev.geo.block_bytes;

	memcpy(image + (w->block + sector) * bytes, w->data + (size_t)sector * bytes, bytes);
}
