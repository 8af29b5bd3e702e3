/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What drivers of disks share: how often a request that failed is tried again, and
 * how long one that has no answer is waited for.
 *
 * A request's time runs from disk_came, when its driver gets it, whether it waits there or
 * is with the device. When the device has it and gives no answer for DISK_TRY_NS, the
 * device is reset and all that was in flight is handed over again, in order. After
 * DISK_GIVE_UP_NS it ends with -ETIMEDOUT, behind a last reset, so that nothing of it reaches
 * the medium later; while it waits in the driver it ends at once, and earlier, when less than
 * DISK_LEAST_NS are left: a device that is only busy is not reset for one that it got at the
 * last moment. A flush may take all of that time in one try. Datastores rely on the sum
 * [docs/datastore.md].
 */
#ifndef DRIVERS_DISK_H
#define DRIVERS_DISK_H

#include <string.h>

#include <tern/blkdev.h>
#include <tern/page.h>
#include <tern/timer.h>

#define DISK_TRIES 3u /* of a request that the device fails */
#define DISK_TRY_NS (1300 * NSEC_PER_MSEC)
#define DISK_GIVE_UP_NS (3 * DISK_TRY_NS)
#define DISK_LEAST_NS (DISK_TRY_NS / 4)	      /* it is not handed over with less left */
#define DISK_RESET_NS (900 * NSEC_PER_MSEC)   /* the longest wait for a reset */
#define DISK_IO_TIMEOUT_NS (5 * NSEC_PER_SEC) /* of a datastore, unless made otherwise */
_Static_assert(DISK_GIVE_UP_NS + DISK_RESET_NS < DISK_IO_TIMEOUT_NS, "ends before io_timeout");

/* The driver has got it; that is all which the driver's word of a request says. */
static inline void disk_came(struct blk_req *r)
{
	r->driver = (void *)(uintptr_t)time_ns();
}

/* When it is given up. */
static inline uint64_t disk_end_ns(const struct blk_req *r)
{
	return (uint64_t)(uintptr_t)r->driver + DISK_GIVE_UP_NS;
}

/* It is not to be handed over any more. */
static inline bool disk_is_over(const struct blk_req *r, uint64_t now_ns)
{
	return now_ns >= disk_end_ns(r) - DISK_LEAST_NS;
}

/* When a try that begins now has had its time. */
static inline uint64_t disk_deadline(const struct blk_req *r, uint64_t now_ns)
{
	return r->op == BLK_FLUSH ? disk_end_ns(r) : MIN(disk_end_ns(r), now_ns + DISK_TRY_NS);
}

/* Counts and logs a failed try; false when it was the last, or its time is over. Any context. */
MUST_CHECK bool disk_again(struct blk_req *r, const char *why);
/* Counts and logs a time-out behind a reset; false when the request is given up. */
MUST_CHECK bool disk_again_after(struct blk_req *r, uint64_t now_ns);
/* One of the driver's counters in struct blk_stats. */
void disk_count(uint64_t *counter);
/* A look for what has no interrupt yet: of was_late requests past their deadline late still are. */
void disk_count_late(struct blkdev *d, unsigned was_late, unsigned late);
/* Appends to a list that is linked by next. */
static inline void disk_append(struct blk_req **first, struct blk_req **last, struct blk_req *r)
{
	r->next = NULL;
	if (*first)
		(*last)->next = r;
	else
		*first = r;
	*last = r;
}
/*
 * Of a list that waits in a driver: what is over goes to the end of another, with
 * -ETIMEDOUT. When the next one will be over; NEVER_NS when none is left.
 */
uint64_t disk_expire(struct blk_req **first, struct blk_req **last, uint64_t now_ns,
		     struct blk_req **ended, struct blk_req **ended_last);
/* To a buffer that the device reaches, or from it. */
static inline void disk_bounce(char *bounce, const struct blk_req *r, bool to_bounce)
{
	for (uint32_t i = 0; i < r->nr_segs; i++) {
		void *mem = hpa_ptr(r->segs[i].addr);

		memcpy(to_bounce ? bounce : mem, to_bounce ? mem : bounce, r->segs[i].len);
		bounce += r->segs[i].len;
	}
	__atomic_fetch_add(&r->dev->stats.copied_bytes, r->blocks * r->dev->geo.block_bytes,
			   __ATOMIC_RELAXED);
}
/* An interrupt has found these ended, if any. */
static inline void disk_interrupted(const struct blk_req *first)
{
	if (first)
		__atomic_fetch_add(&first->dev->stats.interrupts, 1, __ATOMIC_RELAXED);
}
/* Completes a list, each with its own status as it stands there; no lock held. */
void disk_complete_all(struct blk_req *first);

#endif
