/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Admin commands, one at a time: by the world that probes, later by the recovery
 * world. Their end is seen by the interrupt, and by looking now and then, so that
 * they also work where interrupts do not.
 */
#include <errno.h>

#include <tern/log.h>

#include "drivers/nvme.h"

#define LOOK_NS (10 * NSEC_PER_MSEC)

void nvme_admin_poll(struct nvme *c)
{
	struct nvme_admin *a = &c->admin;
	struct nvme_cqe e;
	unsigned long flags = spin_lock(&a->lock);
	bool any = false;

	while (nvme_ring_take(&a->ring, &e)) {
		any = true;
		if (e.cid != a->cid || a->done)
			continue; /* of a command that was given up */
		a->answer = e;
		a->done = true;
		event_signal(&a->came);
	}
	if (any)
		nvme_ring_ack(&a->ring);
	spin_unlock(&a->lock, flags);
}

static void submit(struct nvme_admin *a, const struct nvme_sqe *e)
{
	unsigned long flags = spin_lock(&a->lock);
	struct nvme_sqe with_id = *e;

	with_id.cid = ++a->cid;
	a->done = false;
	nvme_ring_put(&a->ring, &with_id);
	nvme_ring_submit(&a->ring);
	spin_unlock(&a->lock, flags);
}

static bool answered(struct nvme *c, struct nvme_cqe *out)
{
	struct nvme_admin *a = &c->admin;
	unsigned long flags;
	bool done;

	nvme_admin_poll(c);
	flags = spin_lock(&a->lock);
	done = a->done;
	*out = a->answer;
	spin_unlock(&a->lock, flags);
	return done;
}

int nvme_admin_run(struct nvme *c, const struct nvme_sqe *e, uint32_t *result, uint64_t timeout_ns)
{
	uint64_t end = time_ns() + timeout_ns, now;
	struct nvme_cqe answer;

	submit(&c->admin, e);
	while (!answered(c, &answer)) {
		now = time_ns();
		if (now >= end) {
			log_warn("nvme", "%s: no answer to admin command %02x", c->name, e->opcode);
			return -ETIMEDOUT;
		}
		(void)event_wait(&c->admin.came, MIN(end, now + LOOK_NS));
	}
	if (answer.status & NVME_STATUS_CODE) {
		log_warn("nvme", "%s: admin command %02x failed: %s (%03x)", c->name, e->opcode,
			 nvme_status_text(answer.status), answer.status & NVME_STATUS_CODE);
		return -EIO;
	}
	if (result)
		*result = answer.result;
	return 0;
}

/* [NVMe 1.4 5.15 "Identify command"] */
int nvme_admin_identify(struct nvme *c, uint32_t what, uint32_t nsid)
{
	struct nvme_sqe e = { .opcode = NVME_IDENTIFY,
			      .nsid = nsid,
			      .prp1 = ptr_hpa(c->admin.page).v,
			      .cdw10 = what };

	return nvme_admin_run(c, &e, NULL, NVME_ADMIN_NS);
}
