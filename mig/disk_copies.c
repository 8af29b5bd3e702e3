/* SPDX-License-Identifier: BSD-2-Clause */
/* The disks of a VM that move together (disk_copy.h): watched, copied and shown as one. */
#include "disk_copy.h"

void disk_copies_add(struct disk_copies *all, struct disk_copy *c)
{
	all->copy[all->nr++] = c;
}

void disk_copies_watch(struct disk_copies *all)
{
	uint64_t requests;

	for (unsigned i = 0; i < all->nr; i++)
		disk_copy_watch(all->copy[i]);
	do {
		world_sleep_ns(DISK_COPY_WATCH_NS);
		requests = 0;
		for (unsigned i = 0; i < all->nr; i++)
			requests += disk_copy_seen(all->copy[i]);
	} while (all->nr && !disk_copy_watched(all->copy[0], requests));
	for (unsigned i = 0; i < all->nr; i++)
		disk_copy_watch(all->copy[i]);
}

static int each(struct disk_copies *all, int (*fn)(struct disk_copy *c))
{
	int err = 0;

	for (unsigned i = 0; i < all->nr && !err; i++) {
		err = fn(all->copy[i]);
		if (err)
			err = all->failed(all->copy[i], err);
	}
	return err;
}

static int hot(struct disk_copy *c)
{
	return bulk_linear(&c->bulk);
}

int disk_copies_run(struct disk_copies *all, uint32_t bw_mbit, bool runs)
{
	int err;

	for (unsigned i = 0; i < all->nr; i++) {
		pace_init(&all->copy[i]->bulk.pace, &all->copy[i]->guest, bw_mbit);
		if (!runs)
			pace_hurry(&all->copy[i]->bulk.pace);
	}
	err = each(all, all->cold);
	return err ? err : each(all, hot);
}

void disk_copies_show(struct disk_copies *all, struct mig_job *j, uint64_t started_ns,
		      unsigned percent)
{
	struct disk_copy_sum sum = { .done_bytes = 0 };

	for (unsigned i = 0; i < all->nr; i++)
		disk_copy_add(all->copy[i], &sum);
	disk_copy_show(j, &sum, started_ns, percent);
}
