/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When a guest's disk (vblk.h) takes requests, and what is under it.
 *
 * The device takes requests only while live: from reset or resume to quiesce. To quiesce is
 * to wait until the disk has nothing of the guest's, with used entries written and interrupts
 * raised. A driver that resets the device reads a status other than 0 until then, for the disk may
 * still write to its memory; what completes meanwhile is forgotten (epoch, stale).
 */
#include <errno.h>

#include "vblk.h"

/* 0 when the disk has nothing of this device's, or -ETIMEDOUT. */
static int wait_idle(struct vblk *b, uint64_t deadline_ns)
{
	unsigned long flags = spin_lock(&b->lock);
	int rc = 0;

	while (b->busy && !rc)
		rc = waitq_sleep(&b->idle, &b->lock, &flags, deadline_ns);
	rc = b->busy ? -ETIMEDOUT : 0;
	spin_unlock(&b->lock, flags);
	return rc;
}

/* What is in flight has lost its ring. */
static void forget(struct vblk *b)
{
	unsigned long flags = spin_lock(&b->lock);

	b->epoch++;
	b->stale = b->busy;
	b->starved = 0;
	spin_unlock(&b->lock, flags);
	vblk_limit_forget(b);
}

void vblk_cleared(struct virtio *v)
{
	forget(container_of(v, struct vblk, v));
}

bool vblk_resetting(const struct virtio *v)
{
	return container_of(v, struct vblk, v)->stale;
}

/* ---- life ---- */

static void set_live(struct vblk *b, bool live)
{
	mutex_lock(&b->v.d.lock);
	b->live = live && b->disk;
	if (b->live)
		vblk_serve_all(b);
	mutex_unlock(&b->v.d.lock);
}

void vblk_reset(struct vdev *d)
{
	struct vblk *b = vblk_of(d);

	mutex_lock(&d->lock);
	b->live = false;
	virtio_reset(d);
	mutex_unlock(&d->lock);
	(void)wait_idle(b, NEVER_NS); /* drivers end every request: they have time-outs */
	set_live(b, true);
}

int vblk_quiesce(struct vdev *d, uint64_t deadline_ns)
{
	struct vblk *b = vblk_of(d);
	int rc;

	set_live(b, false);
	rc = wait_idle(b, deadline_ns);
	if (!rc)
		return virtio_quiesce(d, deadline_ns);
	set_live(b, true);
	return rc;
}

void vblk_resume(struct vdev *d)
{
	struct vblk *b = vblk_of(d);

	virtio_resume(d);
	set_live(b, true);
}

/* The device keeps off the guest's memory and its disk until it is given one again. */
static struct vdisk *detach(struct vblk *b)
{
	struct vdisk *disk;

	mutex_lock(&b->v.d.lock);
	b->live = false;
	forget(b);
	mutex_unlock(&b->v.d.lock);
	(void)wait_idle(b, NEVER_NS);
	mutex_lock(&b->v.d.lock);
	disk = b->disk;
	b->disk = NULL;
	b->blk = NULL;
	mutex_unlock(&b->v.d.lock);
	return disk;
}

static unsigned log2_of(uint32_t n)
{
	return n ? 31u - (unsigned)__builtin_clz(n) : 0;
}

/* What the open disk is, for the driver. */
static void describe(struct vblk *b)
{
	const struct blk_geometry *g = &b->blk->geo;
	struct vblk_config *c = &b->config;

	c->capacity = g->blocks * (g->block_bytes / VBLK_SECTOR);
	c->blk_size = g->block_bytes;
	c->physical_block_exp = (uint8_t)(log2_of(MAX(g->physical_bytes, g->block_bytes)) -
					  log2_of(g->block_bytes));
}

void vblk_attach(struct vblk *b, struct vdisk *disk)
{
	mutex_lock(&b->v.d.lock);
	b->disk = disk;
	b->blk = vdisk_blk(disk);
	describe(b);
	mutex_unlock(&b->v.d.lock);
}

void vblk_close(struct vblk *b)
{
	struct vdisk *disk = detach(b);

	if (disk)
		vdisk_close(disk);
}

int vblk_open(struct vblk *b, char *why, size_t why_len)
{
	const struct vm *vm = b->v.d.vm;
	struct vdisk *disk;
	int rc;

	if (b->disk)
		return 0;
	rc = vdisk_open(vm->cfg.name, b->index, &vm->cfg.disk[b->index], &disk, why, why_len);
	if (rc)
		return rc;
	vblk_attach(b, disk);
	return 0;
}

int vblk_await(struct vblk *b, const struct vdisk_id *id, char *why, size_t why_len)
{
	const struct vm *vm = b->v.d.vm;
	struct vdisk *disk;
	int rc;

	rc = vdisk_await(vm->cfg.name, b->index, &vm->cfg.disk[b->index], id, &disk, why, why_len);
	if (!rc)
		vblk_attach(b, disk); /* what the driver was told comes with the records */
	return rc;
}

int vblk_accept(struct vblk *b)
{
	int rc = vdisk_accept(b->disk);

	if (rc)
		return rc;
	mutex_lock(&b->v.d.lock);
	b->blk = vdisk_blk(b->disk);
	mutex_unlock(&b->v.d.lock);
	return 0;
}

/* ---- a filter ---- */

static int exchange_locked(struct vblk *b, struct blkdev *blk)
{
	unsigned long flags = spin_lock(&b->lock);
	bool busy = b->busy;

	spin_unlock(&b->lock, flags);
	if (busy)
		return -EAGAIN; /* a reset of the device let it go on */
	if (!b->disk)
		return blk ? -ENODEV : 0;
	b->blk = blk ? blk : vdisk_blk(b->disk);
	return 0;
}

int vblk_filter(struct vblk *b, struct blkdev *blk)
{
	bool live = false;
	int rc;

	do {
		mutex_lock(&b->v.d.lock);
		live |= b->live;
		mutex_unlock(&b->v.d.lock);
		set_live(b, false);
		(void)wait_idle(b, NEVER_NS);
		mutex_lock(&b->v.d.lock);
		rc = exchange_locked(b, blk);
		mutex_unlock(&b->v.d.lock);
	} while (rc == -EAGAIN);
	if (live)
		set_live(b, true);
	return rc;
}

void vblk_pause(struct vblk *b, bool on)
{
	mutex_lock(&b->v.d.lock);
	b->paused = on;
	if (!on)
		vblk_serve_all(b);
	mutex_unlock(&b->v.d.lock);
}
