/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When a virtio disk does not answer. A queue's timer looks at the deadlines, of what waits
 * for a slot too; past one in flight, with nothing in the ring, the device's world stops all
 * queues, resets the device, and hands over again what was in flight, in order. A request that was
 * complete in the ring before the reset counts. [virtio 1.2 2.4 "Device Reset"]
 */
#include <errno.h>

#include <tern/log.h>

#include "drivers/virtio_blk.h"

/*
 * The timer runs on when requests end, because its callback takes the queue's lock. It
 * is never further away than a request that comes now may ask for.
 */
void vblk_arm_timeout_locked(struct vblk_queue *q, uint64_t deadline_ns)
{
	if (q->timer_on)
		return;
	q->timer_on = true;
	timer_arm(&q->timeout, MIN(deadline_ns, time_ns() + DISK_TRY_NS));
}

/* How many are past their deadline; *next_ns: the next deadline, if there is one. */
static unsigned late_locked(const struct vblk_queue *q, uint64_t now_ns, uint64_t *next_ns)
{
	unsigned late = 0;

	*next_ns = NEVER_NS;
	for (const struct vblk_slot *s = q->head; s; s = s->next) {
		late += now_ns >= s->deadline_ns;
		*next_ns = MIN(*next_ns, s->deadline_ns);
	}
	return late;
}

static void on_timeout(struct timer *t)
{
	struct vblk_queue *q = container_of(t, struct vblk_queue, timeout);
	unsigned long flags = spin_lock(&q->lock);
	struct blk_req *done = NULL, *over = NULL, *over_last;
	uint64_t next_ns = NEVER_NS, now_ns = time_ns(), end_ns;
	unsigned late = 0, was_late;

	if (!q->stopped) {
		was_late = late_locked(q, now_ns, &next_ns);
		done = vblk_collect_locked(q); /* an interrupt may only have been lost */
		end_ns = disk_expire(&q->first, &q->last, now_ns, &over, &over_last);
		vblk_pump_locked(q);
		late = late_locked(q, now_ns, &next_ns);
		next_ns = MIN(next_ns, end_ns);
		disk_count_late(&q->dev->blk, was_late, late);
	}
	q->timer_on = false;
	if (late) {
		q->stopped = true;
		event_signal(&q->dev->broken);
	} else if (next_ns != NEVER_NS) {
		vblk_arm_timeout_locked(q, next_ns);
	}
	spin_unlock(&q->lock, flags);
	disk_complete_all(done);
	disk_complete_all(over);
}

int vblk_begin(struct vblk *d)
{
	for (unsigned i = 0; i < d->nr_queues; i++) {
		struct vblk_queue *q = &d->queue[i];
		int err = virtio_pci_queue(&d->v, (uint16_t)i, &q->ring, q->vector);

		if (err)
			return err;
		(void)vring_arm(&q->ring, 1);
	}
	virtio_pci_ready(&d->v);
	return 0;
}

/* False for a second queue's call for the reset that was just made. */
static bool is_wanted(struct vblk *d)
{
	bool wanted = false;

	for (unsigned i = 0; i < d->nr_queues; i++) {
		unsigned long flags = spin_lock(&d->queue[i].lock);

		wanted |= d->queue[i].stopped && !d->queue[i].gone;
		spin_unlock(&d->queue[i].lock, flags);
	}
	return wanted;
}

static void stop(struct vblk_queue *q)
{
	unsigned long flags = spin_lock(&q->lock);

	q->stopped = true;
	spin_unlock(&q->lock, flags);
}

/*
 * The device no longer touches the ring: what is there is complete, the rest is to be
 * handed over again or has had its time, as what waits may have. Finished ones go to the list.
 */
static void sweep(struct vblk_queue *q, struct blk_req **first, struct blk_req **last)
{
	unsigned long flags = spin_lock(&q->lock);
	struct vblk_slot *s, *next;
	uint64_t now_ns = time_ns();

	while ((s = vring_get(&q->ring, &(uint32_t){ 0 })) != NULL)
		if (s->status == VBLK_S_OK) {
			s->r->status = 0;
			disk_append(first, last, vblk_release_locked(q, s));
		}
	for (s = q->head; s; s = next) {
		next = s->next;
		if (disk_again_after(s->r, now_ns))
			continue;
		s->r->status = -ETIMEDOUT;
		disk_append(first, last, vblk_release_locked(q, s));
	}
	(void)disk_expire(&q->first, &q->last, now_ns, first, last);
	vring_clear(&q->ring);
	spin_unlock(&q->lock, flags);
}

static void replay(struct vblk_queue *q)
{
	unsigned long flags = spin_lock(&q->lock);

	q->stopped = false;
	for (struct vblk_slot *s = q->head; s; s = s->next) {
		bool fits = vblk_add_locked(q, s);

		tern_assert(fits); /* as it did before */
	}
	vblk_pump_locked(q);
	spin_unlock(&q->lock, flags);
}

/* The device stays in its reset and reaches memory no more: it is given up, with all that waits. */
static void give_up(struct vblk_queue *q, struct blk_req **first, struct blk_req **last)
{
	unsigned long flags = spin_lock(&q->lock);
	struct blk_req *r;

	q->gone = true;
	while (q->head) {
		q->head->r->status = -ETIMEDOUT;
		disk_append(first, last, vblk_release_locked(q, q->head));
	}
	while ((r = q->first) != NULL) {
		q->first = r->next;
		r->status = -ENODEV;
		disk_append(first, last, r);
	}
	spin_unlock(&q->lock, flags);
}

static int restart(struct vblk *d)
{
	int err = virtio_pci_features(&d->v, d->v.features);

	return err ? err : vblk_begin(d);
}

void vblk_recover(struct vblk *d)
{
	struct blk_req *first = NULL, *last = NULL;
	int err;

	if (!is_wanted(d))
		return;
	for (unsigned i = 0; i < d->nr_queues; i++)
		stop(&d->queue[i]);
	disk_count(&d->blk.stats.resets);
	err = virtio_pci_reset(&d->v);
	for (unsigned i = 0; !err && i < d->nr_queues; i++)
		sweep(&d->queue[i], &first, &last);
	if (!err)
		err = restart(d);
	if (err) {
		log_error("virtio-blk", "%s does not come out of its reset", d->blk.name);
		pci_disable_master(d->v.pci);
	}
	for (unsigned i = 0; i < d->nr_queues; i++) {
		if (err)
			give_up(&d->queue[i], &first, &last);
		else
			replay(&d->queue[i]);
	}
	disk_complete_all(first);
}

static void recovery_world(void *device)
{
	struct vblk *d = device;

	for (;;) {
		(void)event_wait(&d->broken, NEVER_NS);
		vblk_recover(d);
	}
}

int vblk_recover_start(struct vblk *d)
{
	struct world_opts o = { .name = "virtio-blk", .prio = WORLD_HIGH, .cpu = -1 };

	for (unsigned i = 0; i < d->nr_queues; i++)
		timer_setup(&d->queue[i].timeout, on_timeout);
	event_init(&d->broken, "virtio-blk recovery");
	return world_create(NULL, &o, recovery_world, d);
}
