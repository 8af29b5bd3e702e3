/* SPDX-License-Identifier: BSD-2-Clause */
/* What drivers of disks share: counting, logging and ending tries. */
#include <errno.h>

#include <tern/log.h>

#include "drivers/disk.h"

static const char *op_name(enum blk_op op)
{
	static const char *const names[BLK_OPS] = { "read", "write", "flush", "discard",
						    "write zeroes" };

	return names[op];
}

void disk_count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

void disk_count_late(struct blkdev *d, unsigned was_late, unsigned late)
{
	__atomic_fetch_add(&d->stats.timeouts, late, __ATOMIC_RELAXED);
	if (late < was_late)
		__atomic_fetch_add(&d->stats.lost, was_late - late, __ATOMIC_RELAXED);
}

static bool told(struct blk_req *r, const char *why, bool last)
{
	bool flush = r->op == BLK_FLUSH;

	log_warn(r->dev->driver, "%s: %s of %llu blocks at %llu: %s%s", r->dev->name,
		 op_name(r->op), (unsigned long long)(flush ? 0 : r->blocks),
		 (unsigned long long)(flush ? 0 : r->block), why,
		 last ? ", given up" : ", tried again");
	if (!last)
		disk_count(&r->dev->stats.retries);
	return !last;
}

bool disk_again(struct blk_req *r, const char *why)
{
	return told(r, why, ++r->tries >= DISK_TRIES || disk_is_over(r, time_ns()));
}

bool disk_again_after(struct blk_req *r, uint64_t now_ns)
{
	return told(r, "no answer, reset", disk_is_over(r, now_ns));
}

uint64_t disk_expire(struct blk_req **first, struct blk_req **last, uint64_t now_ns,
		     struct blk_req **ended, struct blk_req **ended_last)
{
	struct blk_req *r = *first, *next;
	uint64_t next_ns = NEVER_NS;

	for (*first = NULL; r; r = next) {
		next = r->next;
		if (disk_is_over(r, now_ns)) {
			r->status = -ETIMEDOUT;
			disk_append(ended, ended_last, r);
			continue;
		}
		next_ns = MIN(next_ns, disk_end_ns(r) - DISK_LEAST_NS);
		disk_append(first, last, r);
	}
	return next_ns;
}

void disk_complete_all(struct blk_req *first)
{
	while (first) {
		struct blk_req *r = first;

		first = r->next;
		r->next = NULL;
		blk_complete(r, r->status);
	}
}
