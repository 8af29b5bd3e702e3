/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What drivers of disks stand on, for their tests: a clock, the one timer, the event that
 * wakes the recovery world, pages, and the layer above, which notes what has ended. To be
 * included before anything of the project: the direct map is the test's own address space.
 */
#ifndef TEST_UNIT_FAKE_DRIVE_H
#define TEST_UNIT_FAKE_DRIVE_H

#define DIRECT_MAP 0ull

#include <tern/blkdev.h>
#include <tern/page.h>
#include <tern/timer.h>

extern uint64_t fake_now_ns;
extern unsigned fake_broken;	       /* calls of the recovery world that it has not answered */
extern struct spinlock *fake_lock;     /* the driver's, free when a request ends */
extern struct blk_req *fake_done[256]; /* in the order in which they ended */
extern unsigned fake_nr_done;

void fake_drive_reset(struct spinlock *lock);
/* Time passes, and then what the timer does, and the recovery world with arg, if it is called. */
void fake_drive_pass(uint64_t ns, void (*recover)(void *arg), void *arg);

#endif
