/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A submission and a completion queue in memory, and their doorbells. A completion
 * is new when its phase tag is the one of this pass; the tag changes at each wrap.
 * No more commands are in flight than fit, so neither ring runs over.
 * [NVMe 1.4 4.1 "Submission Queue & Completion Queue Definition"]
 */
#include <errno.h>
#include <string.h>

#include "drivers/nvme.h"

#define SQ_ORDER 1u
#define CQ_ORDER 0u
_Static_assert(NVME_MAX_DEPTH * sizeof(struct nvme_sqe) <= PAGE_SIZE << SQ_ORDER, "fits");
_Static_assert(NVME_MAX_DEPTH * sizeof(struct nvme_cqe) <= PAGE_SIZE << CQ_ORDER, "fits");

int nvme_ring_alloc(struct nvme_ring *g, uint16_t id, uint16_t entries)
{
	hpa_t sq, cq;

	if (page_alloc(SQ_ORDER, PAGE_ZERO, FRAME_KERNEL, &sq))
		return -ENOMEM;
	if (page_alloc(CQ_ORDER, PAGE_ZERO, FRAME_KERNEL, &cq)) {
		page_put(sq);
		return -ENOMEM;
	}
	g->sq = hpa_ptr(sq);
	g->cq = hpa_ptr(cq);
	g->id = id;
	g->entries = entries;
	nvme_ring_clear(g);
	return 0;
}

void nvme_ring_free(struct nvme_ring *g)
{
	if (!g->sq)
		return;
	page_put(ptr_hpa(g->sq));
	page_put(ptr_hpa(g->cq));
	g->sq = NULL;
}

void nvme_ring_clear(struct nvme_ring *g)
{
	memset(g->cq, 0, g->entries * sizeof(*g->cq));
	g->tail = g->head = 0;
	g->phase = NVME_PHASE;
}

void nvme_ring_put(struct nvme_ring *g, const struct nvme_sqe *e)
{
	g->sq[g->tail] = *e;
	if (++g->tail == g->entries)
		g->tail = 0;
}

/* The write to uncached memory is ordered after the entries by the CPU, and after them for the
 * compiler by mmio_write32. */
void nvme_ring_submit(struct nvme_ring *g)
{
	mmio_write32(g->sq_bell, g->tail);
}

/* The rest of an entry is valid once its tag is. [NVMe 1.4 4.6 "Completion Queue Entry"] */
bool nvme_ring_take(struct nvme_ring *g, struct nvme_cqe *out)
{
	const struct nvme_cqe *e = &g->cq[g->head];
	uint16_t status = __atomic_load_n(&e->status, __ATOMIC_ACQUIRE);

	if ((status & NVME_PHASE) != g->phase)
		return false;
	*out = *e;
	out->status = status >> 1;
	if (++g->head == g->entries) {
		g->head = 0;
		g->phase ^= NVME_PHASE;
	}
	return true;
}

void nvme_ring_ack(struct nvme_ring *g)
{
	mmio_write32(g->cq_bell, g->head);
}
