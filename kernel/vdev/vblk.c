/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's disk (vblk.h): life, its world, what the open disk is for the driver.
 *
 * The device takes requests only while live: from reset or resume to quiesce. To quiesce is
 * to wait until the disk has nothing of the guest's, with used entries written and interrupts
 * raised. A driver that resets the device reads a status other than 0 until then, for the disk may
 * still write to its memory; what completes meanwhile is forgotten (epoch, stale).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/page.h>

#include "vblk.h"

#define BLK_ID 2u
#define BLK_CLASS 0x010000u
#define BLK_QUEUE 256u
#define SIZE_MAX_BYTES (64u << 10)
#define RANGE_MAX_SECTORS (1u << 22) /* of a discard: 2 GiB */
#define ALL_FEATURES                                                                               \
	(VBLK_F_SIZE_MAX | VBLK_F_SEG_MAX | VBLK_F_RO | VBLK_F_BLK_SIZE | VBLK_F_FLUSH |           \
	 VBLK_F_TOPOLOGY | VBLK_F_MQ | VBLK_F_DISCARD | VBLK_F_WRITE_ZEROES)

void vblk_done(struct blk_req *r)
{
	struct vblk_req *q = r->user;
	struct vblk *b = q->dev;
	unsigned long flags = spin_lock(&b->lock);

	q->next = NULL;
	*b->done_last = q;
	b->done_last = &q->next;
	spin_unlock(&b->lock, flags);
	event_signal(&b->ev);
}

static struct vblk_req *take_done(struct vblk *b)
{
	unsigned long flags = spin_lock(&b->lock);
	struct vblk_req *q = b->done;

	b->done = NULL;
	b->done_last = &b->done;
	spin_unlock(&b->lock, flags);
	return q;
}

/* ---- work; the device's mutex is held ---- */

static void serve(struct vblk *b, unsigned queue)
{
	int rc = 0;

	if (!b->live || b->stale || !virtio_running(&b->v, queue))
		return;
	rc = vblk_take(b, queue);
	if (!rc)
		rc = virtio_signal(&b->v, queue);
	if (rc)
		virtio_broken(&b->v, queue, rc);
}

static void serve_all(struct vblk *b)
{
	unsigned n = b->v.nr_queues, first = b->turn++;

	b->starved = 0;
	for (unsigned i = 0; i < n; i++)
		serve(b, (first + i) % n);
}

static int kick(struct virtio *v, unsigned queue)
{
	serve(container_of(v, struct vblk, v), queue);
	return 0;
}

/* Completed parts; the queues they are of hear of what has ended. */
static void reap(struct vblk *b, struct vblk_req *q)
{
	uint32_t touched = 0, stale = b->stale;
	struct vblk_req *next;

	for (; q; q = next) {
		unsigned queue = q->queue;
		int rc;

		next = q->next;
		rc = vblk_go_on(q);
		if (rc)
			virtio_broken(&b->v, queue, rc);
		touched |= (uint32_t)BIT(queue);
	}
	for (unsigned i = 0; i < b->v.nr_queues; i++) {
		int rc = touched & BIT(i) && virtio_running(&b->v, i) ? virtio_signal(&b->v, i) : 0;

		if (rc)
			virtio_broken(&b->v, i, rc);
	}
	if (b->starved || (stale && !b->stale))
		serve_all(b);
}

static void run(void *arg)
{
	struct vblk *b = arg;

	while (!__atomic_load_n(&b->ending, __ATOMIC_ACQUIRE)) {
		struct vblk_req *q = take_done(b);

		if (!q)
			(void)event_wait(&b->ev, NEVER_NS);
		if (__atomic_load_n(&b->ending, __ATOMIC_ACQUIRE))
			break;
		mutex_lock(&b->v.d.lock);
		reap(b, q);
		mutex_unlock(&b->v.d.lock);
		if (world_should_yield())
			world_yield();
	}
}

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

/* ---- the transport's hooks ---- */

/* What is in flight has lost its ring. */
static void forget(struct vblk *b)
{
	unsigned long flags = spin_lock(&b->lock);

	b->epoch++;
	b->stale = b->busy;
	b->starved = 0;
	spin_unlock(&b->lock, flags);
}

static void cleared(struct virtio *v)
{
	forget(container_of(v, struct vblk, v));
}

static bool resetting(const struct virtio *v)
{
	return container_of(v, struct vblk, v)->stale;
}

static const struct virtio_ops blk_ops = {
	.name = "virtio-blk",
	.id = BLK_ID,
	.class = BLK_CLASS,
	.nr_queues = VBLK_QUEUES_MAX,
	.queue_size = BLK_QUEUE,
	.features = ALL_FEATURES,
	.config_len = VBLK_CONFIG_LEN,
	.kick = kick,
	.reset = cleared,
	.resetting = resetting,
};

/* ---- life ---- */

static void set_live(struct vblk *b, bool live)
{
	mutex_lock(&b->v.d.lock);
	b->live = live && b->disk;
	if (b->live)
		serve_all(b);
	mutex_unlock(&b->v.d.lock);
}

static void blk_vreset(struct vdev *d)
{
	struct vblk *b = vblk_of(d);

	mutex_lock(&d->lock);
	b->live = false;
	virtio_reset(d);
	mutex_unlock(&d->lock);
	(void)wait_idle(b, NEVER_NS); /* drivers end every request: they have time-outs */
	set_live(b, true);
}

static int blk_vquiesce(struct vdev *d, uint64_t deadline_ns)
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

static void blk_vresume(struct vdev *d)
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

static void attach(struct vblk *b, struct vdisk *disk)
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
	attach(b, disk);
	return 0;
}

static void blk_destroy(struct vdev *d)
{
	struct vblk *b = vblk_of(d);

	vblk_close(b);
	if (b->world) {
		__atomic_store_n(&b->ending, 1, __ATOMIC_RELEASE);
		event_signal(&b->ev);
		world_join(b->world);
	}
	page_put(b->zeroes);
	free(b->pool);
	free(b);
}

static const struct vdev_ops blk_vdev = {
	.name = "virtio-blk",
	.reset = blk_vreset,
	.quiesce = blk_vquiesce,
	.resume = blk_vresume,
	.save = vblk_save,
	.check = vblk_check,
	.load = vblk_load,
	.destroy = blk_destroy,
};

/* ---- making ---- */

static void init_config(struct vblk *b)
{
	struct vblk_config *c = &b->config;

	c->blk_size = VBLK_SECTOR;
	c->size_max = SIZE_MAX_BYTES;
	c->seg_max = VBLK_SEGS_MAX;
	c->num_queues = b->v.nr_queues;
	c->max_discard_sectors = c->max_zeroes_sectors = RANGE_MAX_SECTORS;
	c->max_discard_seg = c->max_zeroes_seg = 1;
	c->discard_alignment = 1;
	c->zeroes_may_unmap = 1;
}

static int make_pool(struct vblk *b)
{
	int rc;

	b->pool = calloc(VBLK_POOL, sizeof(*b->pool));
	if (!b->pool)
		return -ENOMEM;
	rc = page_alloc(0, PAGE_ZERO, FRAME_VM, &b->zeroes);
	if (rc) {
		free(b->pool);
		return rc;
	}
	for (unsigned i = 0; i < VBLK_POOL; i++) {
		b->pool[i].dev = b;
		b->pool[i].next = b->free;
		b->free = &b->pool[i];
	}
	return 0;
}

static int start_world(struct vblk *b)
{
	struct world_opts o = { .prio = WORLD_NORMAL, .cpu = -1 };
	char name[32];

	snprintf(name, sizeof(name), "%.20s/disk%u", b->v.d.vm->cfg.name, b->index);
	o.name = name;
	return world_create(&b->world, &o, run, b);
}

int vblk_create(struct vm *vm, struct pci_bus *bus, unsigned slot, unsigned index,
		struct vblk **out)
{
	struct vblk *b = calloc(1, sizeof(*b));
	struct vdisk *shared;

	if (!b || make_pool(b)) {
		free(b);
		return -ENOMEM;
	}
	b->index = index;
	b->done_last = &b->done;
	event_init(&b->ev, "vblk");
	spin_init(&b->lock, LOCK_VDEV, "vblk");
	waitq_init(&b->idle, "vblk idle");
	b->v.nr_queues = (uint16_t)MIN(vm->cfg.vcpus, VBLK_QUEUES_MAX);
	b->v.withheld = (vm->cfg.disk[index].read_only ? 0 : VBLK_F_RO) |
			(b->v.nr_queues > 1 ? 0 : VBLK_F_MQ);
	init_config(b);
	virtio_create(&b->v, vm, bus, slot, &blk_ops, &blk_vdev, REC_VBLK);
	b->v.config = &b->config;
	shared = vdisk_share(vm->cfg.name, index, &vm->cfg.disk[index]);
	if (shared)
		attach(b, shared);
	*out = b;
	return start_world(b); /* the device is on the VM's list: whoever ends that ends it */
}

void vblk_info(struct vblk *b, struct vdisk_info *out)
{
	unsigned long flags;

	mutex_lock(&b->v.d.lock);
	*out = (struct vdisk_info){ .disk = &b->v.d.vm->cfg.disk[b->index],
				    .open = b->disk,
				    .bytes = b->config.capacity * VBLK_SECTOR,
				    .queues = b->v.nr_queues,
				    .stats = b->stats };
	mutex_unlock(&b->v.d.lock);
	flags = spin_lock(&b->lock);
	out->in_flight = b->busy;
	spin_unlock(&b->lock, flags);
}
