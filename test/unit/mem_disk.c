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
#include <tern/timer.h>

#include "test/unit/mem_disk.h"

uint64_t mem_now_ns = 1000000, mem_pages;
unsigned mem_most_order = ~0u;
void (*mem_idle)(void);

/* ---- the base ---- */

uint64_t time_ns(void)
{
	return mem_now_ns += 1000;
}

int waitq_sleep(struct waitq *q, struct spinlock *l, unsigned long *flags, uint64_t deadline_ns)
{
	spin_unlock(l, *flags);
	mem_idle();
	*flags = spin_lock(l);
	return 0;
}

int event_wait(struct event *e, uint64_t deadline_ns)
{
	bool set;

	for (unsigned i = 0; !e->set && mem_now_ns < deadline_ns; i++) {
		assert_true(i < 100000); /* nothing ends it */
		mem_idle();
	}
	set = e->set;
	e->set = 0;
	return set ? 0 : -ETIMEDOUT;
}

bool world_should_yield(void)
{
	return false;
}

void world_yield(void)
{
}

/* Pages are kept for the next one: tests by the thousand take and give megabytes. */
static void *kept[64];
static unsigned nr_kept;

int page_alloc(unsigned order, unsigned flags, enum frame_owner owner, hpa_t *out)
{
	void *p;

	if (order > mem_most_order)
		return -ENOMEM;
	p = nr_kept ? kept[--nr_kept] : aligned_alloc(PAGE_SIZE, PAGE_SIZE << order);
	assert_non_null(p);
	mem_pages++;
	*out = ptr_hpa(p);
	return 0;
}

void page_put(hpa_t block)
{
	mem_pages--;
	if (nr_kept < ARRAY_SIZE(kept))
		kept[nr_kept++] = hpa_ptr(block);
	else
		free(hpa_ptr(block));
}

/* ---- the disk ---- */

static void move(struct mem_disk *d, const struct blk_req *r)
{
	size_t bytes = r->blocks * d->dev.geo.block_bytes;
	uint8_t *at = d->bytes + r->block * d->dev.geo.block_bytes;

	if (r->op == BLK_DISCARD)
		memset(at, d->junk, bytes);
	if (r->op == BLK_WRITE_ZEROES)
		memset(at, 0, bytes);
	for (uint32_t i = 0; r->op <= BLK_WRITE && i < r->nr_segs; at += r->segs[i++].len) {
		void *mem = hpa_ptr(r->segs[i].addr);

		if (r->op == BLK_READ)
			memcpy(mem, at, r->segs[i].len);
		else
			memcpy(at, mem, r->segs[i].len);
	}
}

static void submit(struct blkdev *dev, struct blk_req *r)
{
	struct mem_disk *d = container_of(dev, struct mem_disk, dev);

	assert_true(d->nr < MEM_PENDING);
	d->seen[r->op]++;
	d->unmaps += r->op == BLK_WRITE_ZEROES && r->unmap;
	d->pending[d->nr++] = r;
}

void mem_disk_end(struct mem_disk *d, unsigned which)
{
	struct blk_req *r = d->pending[which];
	int status = d->verdict ? d->verdict(d, r) : 0;

	d->pending[which] = d->pending[--d->nr];
	if (!status)
		move(d, r);
	else if (r->op == BLK_WRITE) /* half of it may be there */
		memset(d->bytes + r->block * d->dev.geo.block_bytes, d->junk,
		       d->dev.geo.block_bytes);
	blk_complete(r, status);
}

static const struct blk_ops ops = { .submit = submit };

void mem_disk_init(struct mem_disk *d, uint64_t blocks, uint32_t block_bytes, uint32_t max_bytes)
{
	memset(d, 0, sizeof(*d));
	d->bytes = calloc(blocks, block_bytes);
	assert_non_null(d->bytes);
	d->dev.ops = &ops;
	d->dev.driver = "mem";
	d->dev.geo = (struct blk_geometry){ .blocks = blocks,
					    .block_bytes = block_bytes,
					    .physical_bytes = block_bytes,
					    .max_segs = 8,
					    .max_bytes = max_bytes,
					    .max_discard_blocks = 8,
					    .max_zeroes_blocks = 8,
					    .queue_depth = 32,
					    .dma_align = 1,
					    .dma_limit = UINT64_MAX,
					    .volatile_cache = true };
	blk_setup(&d->dev);
}

void mem_disk_fini(struct mem_disk *d)
{
	free(d->bytes);
}
