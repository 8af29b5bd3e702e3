/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The disk of a guest's disk under test: bytes in memory behind a struct blkdev whose requests
 * complete when the test says so, and guest memory's pins, counted.
 */
#ifndef TEST_UNIT_FAKE_BLK_H
#define TEST_UNIT_FAKE_BLK_H

#include <tern/blkdev.h>

#define FAKE_BLK_BYTES (1u << 20)

extern uint8_t fake_blk_bytes[FAKE_BLK_BYTES];
extern struct blkdev fake_blk;
extern struct blkdev *fake_blk_last; /* whom the last request was for */
extern unsigned fake_pins;	     /* held now */
extern unsigned fake_blk_busy;	     /* requests that wait for fake_blk_complete */
extern unsigned fake_blk_seen[BLK_OPS];
extern unsigned fake_blk_unmaps;  /* of these, with leave to give space back */
extern bool fake_blk_signal_held; /* the device's lock, when its world was last woken */

/* Empty, with a small geometry that a test may change before the disk is opened. */
void fake_blk_reset(void);
/* The oldest request ends so; false: there is none. */
bool fake_blk_complete(int status);
/* The device's world, until it has nothing to do; the second with the disk completing all. */
struct vblk;
void fake_blk_world(struct vblk *b);
void fake_blk_run(struct vblk *b);

#endif
