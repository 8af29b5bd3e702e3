/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When a controller does not answer. While requests are in flight a timer looks at
 * them; one that is late wakes the controller's world, which looks for a completion whose
 * interrupt was lost, then aborts what is late, then resets the controller: it is
 * stopped, what it has done by then ends, what it has not is submitted again in the old
 * order. A request that had its time ends with -ETIMEDOUT, and not
 * before the controller is stopped or cut off from memory.
 *
 * A controller that does not come back after RESETS resets is given up for good.
 */
#include <errno.h>

#include <tern/log.h>

#include "drivers/nvme.h"
#include "drivers/pci_int.h"

#define RESETS 2u

void nvme_expire(struct nvme *c)
{
	for (unsigned i = 0; i < c->nr_queues; i++)
		nvme_queue_expire(&c->queue[i]);
}

static enum nvme_age oldest(struct nvme *c)
{
	enum nvme_age age = NVME_IDLE, one;

	for (unsigned i = 0; i < c->nr_queues; i++) {
		one = nvme_queue_age(&c->queue[i]);
		age = MAX(age, one);
	}
	return age;
}

/* Controllers that failed for good or are gone say so without a time-out. */
static bool broken(const struct nvme *c)
{
	return nvme_ctrl_status(c) & NVME_CSTS_CFS; /* also of all ones */
}

/* ---- the tick ---- */

void nvme_tick_on(struct nvme *c)
{
	if (!__atomic_exchange_n(&c->ticking, true, __ATOMIC_SEQ_CST))
		timer_arm(&c->tick, time_ns() + NVME_TICK_NS);
}

/* Off first: a request that comes later than the look finds it off, and puts it on. */
static void on_tick(struct timer *t)
{
	struct nvme *c = container_of(t, struct nvme, tick);
	enum nvme_age age;

	__atomic_store_n(&c->ticking, false, __ATOMIC_SEQ_CST);
	age = oldest(c);
	if (age == NVME_IDLE)
		return;
	if (age == NVME_LATE || broken(c))
		event_signal(&c->trouble);
	nvme_tick_on(c);
}

/* ---- aborts ---- */

static void poll_all(struct nvme *c)
{
	for (unsigned i = 0; i < c->nr_queues; i++)
		nvme_queue_poll(&c->queue[i]);
}

/* [NVMe 1.4 5.1 "Abort command"]. One that the controller refuses is not a failure of it. */
static bool abort_one(struct nvme *c, const struct nvme_queue *q, uint16_t cid, uint64_t end)
{
	struct nvme_sqe e = { .opcode = NVME_ABORT, .cdw10 = (uint32_t)cid << 16 | q->ring.id };
	uint64_t now = time_ns();

	return now < end && nvme_admin_run(c, &e, NULL, end - now) != -ETIMEDOUT;
}

/* False when the admin queue does not answer in time either. */
static bool abort_late(struct nvme *c, uint64_t end)
{
	struct blkdev *dev;
	uint16_t cid;

	for (unsigned i = 0; i < c->nr_queues; i++) {
		struct nvme_queue *q = &c->queue[i];

		for (unsigned n = 0; nvme_queue_late(q, n, &cid, &dev); n++) {
			disk_count(&dev->stats.timeouts);
			if (!abort_one(c, q, cid, end))
				return false;
		}
	}
	return true;
}

/* True when nothing is late any more. */
static bool aborted(struct nvme *c)
{
	uint64_t end = time_ns() + NVME_ABORT_NS;

	if (!abort_late(c, end))
		return false;
	for (;;) {
		poll_all(c);
		if (oldest(c) != NVME_LATE)
			return true;
		if (time_ns() >= end)
			return false;
		world_sleep_ns(NVME_POLL_NS);
	}
}

/* ---- resets ---- */

static void cut_off(struct nvme *c)
{
	pci_write16(c->pci, PCI_COMMAND,
		    (uint16_t)(pci_read16(c->pci, PCI_COMMAND) & ~PCI_COMMAND_MASTER));
}

/* Nothing of a request is the controller's any more when this returns, whatever it returns. */
static int stop(struct nvme *c)
{
	int err = nvme_ctrl_stop(c, MIN(NVME_STOP_NS, c->ready_ns));

	if (err)
		cut_off(c);
	for (unsigned i = 0; i < c->nr_queues; i++)
		nvme_queue_take_back(&c->queue[i]);
	return err == -ETIMEDOUT ? nvme_ctrl_stop(c, c->ready_ns) : err;
}

static int restart(struct nvme *c)
{
	unsigned count_again = c->nr_queues;
	int err = stop(c);

	if (err)
		return err;
	pci_enable_master(c->pci);
	err = nvme_ctrl_start(c);
	if (!err)
		err = nvme_ctrl_ask_queues(c, &count_again);
	if (!err && count_again < c->nr_queues)
		err = -EIO;
	return err ? err : nvme_ctrl_make_queues(c);
}

static void reset(struct nvme *c)
{
	int err = -EIO;

	log_warn("nvme", "%s: reset, its status is %08x", c->name, nvme_ctrl_status(c));
	for (struct nvme_ns *ns = c->ns; ns; ns = ns->next)
		disk_count(&ns->blk.stats.resets);
	for (unsigned i = 0; i < c->nr_queues; i++)
		nvme_queue_freeze(&c->queue[i]);
	for (unsigned n = 0; n < RESETS && err && err != -ENODEV; n++)
		err = restart(c);
	if (err) {
		log_error("nvme", "%s does not come out of its reset: given up", c->name);
		cut_off(c);
	}
	for (unsigned i = 0; i < c->nr_queues; i++)
		nvme_queue_thaw(&c->queue[i], err ? -ENODEV : 0);
}

/* Something that is late had ended, and only its interrupt was lost. */
static void look(struct nvme *c)
{
	struct blkdev *dev = NULL;
	uint16_t cid;

	for (unsigned i = 0; i < c->nr_queues; i++)
		if (nvme_queue_late(&c->queue[i], 0, &cid, &dev))
			break;
	poll_all(c);
	if (dev && oldest(c) != NVME_LATE)
		disk_count(&dev->stats.lost);
}

void nvme_recover(struct nvme *c)
{
	look(c);
	nvme_expire(c);
	if (c->queue[0].dead)
		return;
	if (broken(c) || (oldest(c) == NVME_LATE && !aborted(c)))
		reset(c);
}

static void recovery_world(void *ctrl)
{
	struct nvme *c = ctrl;

	for (;;) {
		(void)event_wait(&c->trouble, NEVER_NS);
		nvme_recover(c);
	}
}

int nvme_recover_start(struct nvme *c)
{
	struct world_opts o = { .name = c->name, .prio = WORLD_HIGH, .cpu = -1 };

	timer_setup(&c->tick, on_tick);
	event_init(&c->trouble, "nvme recovery");
	return world_create(NULL, &o, recovery_world, c);
}
