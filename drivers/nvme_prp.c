/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Physical region pages: the first entry may begin inside its page, every other is
 * a whole page's address, so that pieces of a list must meet at page boundaries.
 * [NVMe 1.4 4.3 "Physical Region Page Entry and List"]
 */
#include "drivers/nvme.h"

bool nvme_prp_fits(const struct blk_seg *segs, uint32_t nr_segs)
{
	if (segs[0].addr.v & 3)
		return false;
	for (uint32_t i = 1; i < nr_segs; i++)
		if (((segs[i - 1].addr.v + segs[i - 1].len) | segs[i].addr.v) & PAGE_MASK)
			return false;
	return true;
}

unsigned nvme_prp_build(struct nvme_sqe *e, uint64_t *list, hpa_t list_hpa,
			const struct blk_seg *segs, uint32_t nr_segs)
{
	unsigned n = 0;

	e->prp1 = segs[0].addr.v;
	for (uint32_t i = 0; i < nr_segs; i++) {
		uint64_t at = ALIGN_DOWN(segs[i].addr.v, PAGE_SIZE);

		for (; at < segs[i].addr.v + segs[i].len; at += PAGE_SIZE)
			if (n++)
				list[n - 2] = at;
	}
	e->prp2 = n < 2 ? 0 : n == 2 ? list[0] : list_hpa.v;
	return n;
}
