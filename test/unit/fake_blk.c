/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tern/gmem.h>
#include <tern/page.h>
#include <tern/world.h>

#include "fake_blk.h"
#include "fake_vdev.h"
#include "kernel/vdev/vblk.h"
#include "kernel/vdev/vdisk.h"

struct blkdev *fake_blk_last;
uint8_t fake_blk_bytes[FAKE_BLK_BYTES];
struct blkdev fake_blk;
bool fake_blk_signal_held;
unsigned fake_blk_unmaps;
unsigned fake_pins, fake_blk_busy, fake_blk_seen[BLK_OPS];
static struct blk_req *first, **last = &first;

/* ---- the disk ---- */

void fake_blk_reset(void)
{
	memset(fake_blk_bytes, 0, sizeof(fake_blk_bytes));
	memset(fake_blk_seen, 0, sizeof(fake_blk_seen));
	first = NULL;
	last = &first;
	fake_blk_busy = fake_pins = fake_blk_unmaps = 0;
	fake_blk.geo = (struct blk_geometry){ .blocks = FAKE_BLK_BYTES / 512,
					      .block_bytes = 512,
					      .physical_bytes = 4096,
					      .max_segs = 4,
					      .max_bytes = 8192,
					      .volatile_cache = true };
}

void blk_submit(struct blkdev *d, struct blk_req *r)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < r->nr_segs; i++)
		bytes += r->segs[i].len;
	if (r->op < BLK_FLUSH && (!bytes || bytes != r->blocks * d->geo.block_bytes ||
				  bytes > d->geo.max_bytes || r->nr_segs > d->geo.max_segs))
		abort(); /* it does not fit: the layer would refuse it */
	if (r->op != BLK_FLUSH &&
	    (r->block > d->geo.blocks || r->blocks > d->geo.blocks - r->block))
		abort();
	fake_blk_last = d;
	r->next = NULL;
	*last = r;
	last = &r->next;
	fake_blk_busy++;
	fake_blk_seen[r->op]++;
	fake_blk_unmaps += r->unmap;
}

static void move(struct blk_req *r)
{
	uint8_t *at = fake_blk_bytes + r->block * 512;

	if (r->op == BLK_DISCARD)
		memset(at, 0xdd, r->blocks * 512);
	if (r->op == BLK_WRITE_ZEROES)
		memset(at, 0, r->blocks * 512);
	for (uint32_t i = 0; r->op < BLK_FLUSH && i < r->nr_segs; at += r->segs[i++].len) {
		void *mem = hpa_ptr(r->segs[i].addr);

		if (r->op == BLK_READ)
			memcpy(mem, at, r->segs[i].len);
		else
			memcpy(at, mem, r->segs[i].len);
	}
}

bool fake_blk_complete(int status)
{
	struct blk_req *r = first;

	if (!r)
		return false;
	first = r->next;
	if (!first)
		last = &first;
	fake_blk_busy--;
	if (!status)
		move(r);
	r->status = status;
	r->done(r);
	return true;
}

/* ---- the disk as VMs name it ---- */

int vdisk_open(const char *vm, unsigned index, const struct vm_disk *d, struct vdisk **out,
	       char *why, size_t len)
{
	*out = (struct vdisk *)&fake_blk;
	return 0;
}

int vdisk_await(const char *vm, unsigned index, const struct vm_disk *d, const struct vdisk_id *id,
		struct vdisk **out, char *why, size_t why_len)
{
	return vdisk_open(vm, index, d, out, why, why_len);
}

int vdisk_accept(struct vdisk *d)
{
	return 0;
}

struct vdisk *vdisk_share(const char *vm, unsigned index, const struct vm_disk *d)
{
	return NULL;
}

struct blkdev *vdisk_blk(struct vdisk *d)
{
	return (struct blkdev *)d;
}

void vdisk_close(struct vdisk *d)
{
}

/* ---- pins ---- */

int gmem_pin(struct gmem *g, gpa_t a, size_t len, bool for_write, void **out)
{
	if (!len || (a.v & PAGE_MASK) + len > PAGE_SIZE)
		abort();
	if (a.v >= FAKE_RAM)
		return -EFAULT;
	fake_pins++;
	*out = fake_ram + a.v;
	return 0;
}

void gmem_unpin(struct gmem *g, gpa_t a, void *p, bool for_write)
{
	if (!fake_pins || p != fake_ram + a.v)
		abort();
	fake_pins--;
}

/* ---- its world ---- */

static void (*world_fn)(void *);
static uint32_t *world_ending;

int world_create(struct world **out, const struct world_opts *o, void (*fn)(void *), void *arg)
{
	world_fn = fn;
	*out = (struct world *)arg;
	return 0;
}

void world_join(struct world *w)
{
}

/* A vblk's: whether its lock was held, when the last one was signalled. */
void event_signal(struct event *e)
{
	fake_blk_signal_held = spin_held(&container_of(e, struct vblk, ev)->lock);
	e->set = 1;
}

/* Its world has nothing to do: it comes back. */
int event_wait(struct event *e, uint64_t deadline_ns)
{
	if (!e->set)
		*world_ending = 1;
	e->set = 0;
	return 0;
}

void fake_blk_world(struct vblk *b)
{
	world_ending = &b->ending;
	world_fn(b);
	b->ending = 0;
}

void fake_blk_run(struct vblk *b)
{
	fake_blk_world(b);
	while (fake_blk_complete(0))
		fake_blk_world(b);
}
