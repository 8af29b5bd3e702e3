/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page batches in (ram_recv.h). Neighbouring frames whose backing is contiguous
 * in host memory are read with one call.
 */
#include <errno.h>

#include <tern/page.h>

#include "delta.h"
#include "ram_recv.h"

/* Host page of n and how many of the run's frames follow it contiguously. */
static int receive_extent(struct gmem *g, gfn_t n, uint32_t left, hpa_t *start, uint32_t *count)
{
	int err = gmem_receive(g, n, start);
	hpa_t next;

	for (*count = 1; !err && *count < left; ++*count) {
		err = gmem_receive(g, n + *count, &next);
		if (err || next.v != start->v + *count * PAGE_SIZE)
			break;
	}
	return err;
}

static int receive_run(struct peer *p, struct gmem *g, wire_run run)
{
	uint32_t left = wire_run_count(run), count;
	gfn_t n = wire_run_first(run);
	hpa_t start;
	int err = 0;

	for (; !err && left; left -= count, n += count) {
		err = receive_extent(g, n, left, &start, &count);
		if (!err)
			err = peer_read(p, hpa_ptr(start), count * PAGE_SIZE);
	}
	return err;
}

static int zero_run(struct gmem *g, wire_run run)
{
	int err = 0;

	for (uint32_t i = 0; !err && i < wire_run_count(run); i++)
		err = gmem_receive_zero(g, wire_run_first(run) + i);
	return err;
}

static void settle_owed(struct pageset *owed, wire_run run)
{
	for (uint32_t i = 0; owed && i < wire_run_count(run); i++)
		pageset_clear(owed, wire_run_first(run) + i);
}

int ram_recv_batch(struct peer *p, struct gmem *g, const struct wire_pages *b, struct pageset *owed)
{
	const wire_run *run = (const wire_run *)(b + 1);
	int err = 0;

	for (uint32_t i = 0; !err && i < b->raw_runs + b->zero_runs; i++) {
		err = i < b->raw_runs ? receive_run(p, g, run[i]) : zero_run(g, run[i]);
		settle_owed(owed, run[i]);
	}
	return err;
}

int ram_recv_delta(struct gmem *g, const struct wire_delta *d, size_t len, struct pageset *owed)
{
	const uint8_t *at = (const uint8_t *)(d + 1), *end = (const uint8_t *)d + len;
	struct delta_entry e;
	hpa_t page;

	while (delta_next(&at, end, &e)) {
		if (!gmem_frame(g, e.gfn, &page))
			return -EFAULT;
		delta_apply(&e, hpa_ptr(page));
		page_put(page);
		if (owed)
			pageset_clear(owed, e.gfn);
	}
	return 0;
}
