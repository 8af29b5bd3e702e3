/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's disk (vblk.h): its queues, the world in which its requests end, its making and
 * its end.
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
	/* Under the lock: once the world has taken it the device may end. */
	event_signal(&b->ev);
	spin_unlock(&b->lock, flags);
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

/* A request of one of the queues in `open`; the queue's bit when it has no more for now. */
static uint32_t take_one(struct vblk *b, unsigned queue, uint32_t open)
{
	int rc = open & BIT(queue) ? vblk_take(b, queue) : 1;

	if (rc < 0 && rc != -EAGAIN)
		virtio_broken(&b->v, queue, rc);
	return rc == 1 ? 0 : (uint32_t)BIT(queue);
}

static void signal_all(struct vblk *b, uint32_t queues)
{
	for (unsigned i = 0; i < b->v.nr_queues; i++) {
		int rc = queues & BIT(i) && virtio_running(&b->v, i) ? virtio_signal(&b->v, i) : 0;

		if (rc)
			virtio_broken(&b->v, i, rc);
	}
}

/* One request of each in turn. Some end at once: a guest that goes on would hold us here. */
static void serve(struct vblk *b, uint32_t queues)
{
	unsigned n = b->v.nr_queues, first = b->turn++;
	uint32_t open = 0;

	if (!b->live || b->stale)
		return;
	for (unsigned i = 0; i < n; i++)
		if (queues & BIT(i) && virtio_running(&b->v, i))
			open |= (uint32_t)BIT(i);
	queues = open;
	for (unsigned rounds = BLK_QUEUE; open && rounds; rounds--)
		for (unsigned i = 0; i < n; i++)
			open &= ~take_one(b, (first + i) % n, open);
	b->starved |= open;
	if (open)
		event_signal(&b->ev);
	signal_all(b, queues);
}

void vblk_serve_all(struct vblk *b)
{
	b->starved = 0;
	vblk_limit_turn(b);
	serve(b, UINT32_MAX);
}

static int kick(struct virtio *v, unsigned queue)
{
	struct vblk *b = container_of(v, struct vblk, v);

	if (vblk_limit_holds(b))
		b->starved |= (uint32_t)BIT(queue); /* its turn comes */
	else
		serve(b, (uint32_t)BIT(queue));
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
	signal_all(b, touched);
	if (b->starved || (stale && !b->stale))
		vblk_serve_all(b);
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

/* ---- the device ---- */

static const struct virtio_ops blk_ops = {
	.name = "virtio-blk",
	.id = BLK_ID,
	.class = BLK_CLASS,
	.nr_queues = VBLK_QUEUES_MAX,
	.queue_size = BLK_QUEUE,
	.features = ALL_FEATURES,
	.config_len = VBLK_CONFIG_LEN,
	.kick = kick,
	.reset = vblk_cleared,
	.resetting = vblk_resetting,
};

static void blk_destroy(struct vdev *d)
{
	struct vblk *b = vblk_of(d);

	vblk_close(b);
	vblk_limit_fini(b);
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
	.reset = vblk_reset,
	.quiesce = vblk_quiesce,
	.resume = vblk_resume,
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
	c->max_discard_seg = c->max_zeroes_seg = VBLK_RANGES_MAX;
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
	vblk_limit_init(b);
	b->v.nr_queues = (uint16_t)MIN(vm->cfg.vcpus, VBLK_QUEUES_MAX);
	b->v.withheld = (vm->cfg.disk[index].read_only ? 0 : VBLK_F_RO) |
			(b->v.nr_queues > 1 ? 0 : VBLK_F_MQ);
	init_config(b);
	virtio_create(&b->v, vm, bus, slot, &blk_ops, &blk_vdev, REC_VBLK);
	b->v.config = &b->config;
	shared = vdisk_share(vm->cfg.name, index, &vm->cfg.disk[index]);
	if (shared)
		vblk_attach(b, shared);
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
				    .limit = b->v.d.vm->cfg.disk[b->index].limit,
				    .stats = b->stats };
	out->stats.held_ns = vblk_limit_held_ns(b);
	mutex_unlock(&b->v.d.lock);
	flags = spin_lock(&b->lock);
	out->in_flight = b->busy;
	spin_unlock(&b->lock, flags);
}
