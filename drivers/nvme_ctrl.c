/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A controller as a whole: its registers, stopped and started, its I/O queues made.
 * All of it in a world. [NVMe 1.4 7.6.1 "Initialization"], [NVMe 1.4 7.3.2 "Controller Level
 * Reset"]
 */
#include <errno.h>

#include <tern/log.h>

#include "drivers/nvme.h"

#define READY_UNIT_NS (500 * NSEC_PER_MSEC) /* of CAP.TO */

static uint32_t reg_read(const struct nvme *c, unsigned reg)
{
	return mmio_read32(c->regs + reg);
}

static void reg_write64(struct nvme *c, unsigned reg, uint64_t v)
{
	mmio_write32(c->regs + reg, (uint32_t)v);
	mmio_write32(c->regs + reg + 4, (uint32_t)(v >> 32));
}

uint32_t nvme_ctrl_status(const struct nvme *c)
{
	return reg_read(c, NVME_CSTS);
}

int nvme_ctrl_open(struct nvme *c, const char **why)
{
	uint32_t low = reg_read(c, NVME_CAP), high = reg_read(c, NVME_CAP + 4);
	uint32_t most = (uint32_t)(low & NVME_CAP_MQES_MASK) + 1;

	*why = "its registers do not answer";
	if (low == UINT32_MAX)
		return -ENODEV;
	*why = "it does not know pages of 4 KiB, or not the NVM command set";
	if (NVME_CAP_MPSMIN(high) || !NVME_CAP_CSS_NVM(high))
		return -ENODEV;
	*why = "its queues are too short";
	if (most < 2)
		return -ENODEV;
	c->entries = (uint16_t)MIN(most, NVME_MAX_DEPTH);
	c->bell_bytes = 4u << NVME_CAP_DSTRD(high);
	c->ready_ns = MAX(low >> NVME_CAP_TO_SHIFT, 1u) * READY_UNIT_NS;
	return 0;
}

/* Requests that wait meanwhile have a limit of their own. */
static int wait_ready(struct nvme *c, uint32_t ready, uint64_t limit_ns)
{
	uint64_t end = time_ns() + limit_ns;
	uint32_t status;

	while (((status = nvme_ctrl_status(c)) & NVME_CSTS_RDY) != ready) {
		if (ready && (status & NVME_CSTS_CFS))
			return -EIO;
		if (time_ns() >= end)
			return -ETIMEDOUT;
		nvme_expire(c);
		world_sleep_ns(NVME_POLL_NS);
	}
	return status == NVME_CSTS_GONE ? -ENODEV : 0;
}

int nvme_ctrl_stop(struct nvme *c, uint64_t limit_ns)
{
	if (nvme_ctrl_status(c) == NVME_CSTS_GONE)
		return -ENODEV;
	mmio_write32(c->regs + NVME_CC, reg_read(c, NVME_CC) & ~NVME_CC_EN);
	return wait_ready(c, 0, limit_ns);
}

static void set_bells(const struct nvme *c, struct nvme_ring *g)
{
	g->sq_bell = c->regs + NVME_BELLS + 2u * g->id * c->bell_bytes;
	g->cq_bell = g->sq_bell + c->bell_bytes;
}

int nvme_ctrl_start(struct nvme *c)
{
	struct nvme_ring *g = &c->admin.ring;
	unsigned long flags = spin_lock(&c->admin.lock);

	nvme_ring_clear(g);
	set_bells(c, g);
	spin_unlock(&c->admin.lock, flags);
	mmio_write32(c->regs + NVME_AQA, (g->entries - 1u) << 16 | (g->entries - 1u));
	reg_write64(c, NVME_ASQ, ptr_hpa(g->sq).v);
	reg_write64(c, NVME_ACQ, ptr_hpa(g->cq).v);
	mmio_write32(c->regs + NVME_CC, NVME_CC_QUEUE_ENTRIES | NVME_CC_EN);
	return wait_ready(c, NVME_CSTS_RDY, c->ready_ns);
}

/* [NVMe 1.4 5.21.1.7 "Number of Queues"]: both kinds, 0's based. */
int nvme_ctrl_ask_queues(struct nvme *c, unsigned *count)
{
	uint32_t ask = *count - 1, got;
	struct nvme_sqe e = { .opcode = NVME_SET_FEATURES,
			      .cdw10 = NVME_FEATURE_QUEUES,
			      .cdw11 = ask << 16 | ask };
	int err = nvme_admin_run(c, &e, &got, NVME_ADMIN_NS);

	if (!err)
		*count = MIN(*count, MIN(got & 0xffff, got >> 16) + 1);
	return err;
}

/* [NVMe 1.4 5.3 "Create I/O Completion Queue command"], [NVMe 1.4 5.4 "Create I/O Submission Queue
 * command"] */
static int make_queue(struct nvme *c, struct nvme_queue *q)
{
	struct nvme_ring *g = &q->ring;
	uint32_t size = (g->entries - 1u) << 16 | g->id, vector = c->one_vector ? 0 : g->id;
	struct nvme_sqe cq = { .opcode = NVME_CREATE_CQ,
			       .prp1 = ptr_hpa(g->cq).v,
			       .cdw10 = size,
			       .cdw11 = vector << 16 | NVME_CQ_INTERRUPTS | NVME_QUEUE_CONTIGUOUS };
	struct nvme_sqe sq = { .opcode = NVME_CREATE_SQ,
			       .prp1 = ptr_hpa(g->sq).v,
			       .cdw10 = size,
			       .cdw11 = (uint32_t)g->id << 16 | NVME_QUEUE_CONTIGUOUS };
	int err = nvme_admin_run(c, &cq, NULL, NVME_ADMIN_NS);

	return err ? err : nvme_admin_run(c, &sq, NULL, NVME_ADMIN_NS);
}

int nvme_ctrl_make_queues(struct nvme *c)
{
	int err = 0;

	for (unsigned i = 0; i < c->nr_queues && !err; i++) {
		set_bells(c, &c->queue[i].ring);
		err = make_queue(c, &c->queue[i]);
		nvme_expire(c);
	}
	return err;
}
