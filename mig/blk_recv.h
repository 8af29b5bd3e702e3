/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The disks of an arriving VM: what blk_send.c of the other host sends is written to them.
 * Several requests are under way at a time, overlapping ones one after the other, and each is
 * acknowledged when all before it are done as well. What is to be checked is read back from the
 * disk; where its sum is another one, that is the end.
 *
 * Interface in order of use: blk_receiver_new; blk_receiver_take for each BLOCKS message;
 * blk_receiver_free, which waits for what is under way.
 */
#ifndef MIG_BLK_RECV_H
#define MIG_BLK_RECV_H

#include <tern/blkdev.h>

#include "peer.h"

struct blk_receiver;

struct blk_recv_disk {
	struct blkdev *dev;
	unsigned number; /* of the VM's disks, for people */
	/*
	 * Not a disk: a file, with this path, for people. What comes of it ends at a
	 * WIRE_FILE_BLOCK, which may be behind its end.
	 */
	const char *file;
	/*
	 * It has anything there: nothing is read of it that was not written, and all of it is
	 * before it is complete, or its first snapshot is taken.
	 */
	bool bare;
	/* What has come is its next snapshot. NULL: it has none. */
	int (*snapshot)(void *user);
	void *user;
};

/* The peer is read by the caller and written to by the receiver. -ENOMEM. */
MUST_CHECK int blk_receiver_new(struct peer *p, const struct blk_recv_disk *disks, unsigned nr,
				uint64_t credit, struct blk_receiver **out);
void blk_receiver_free(struct blk_receiver *r);
/*
 * Reads the payload and hands it to the disk. -EBADMSG, the stream's error, or what a disk
 * failed with before, which is final.
 */
MUST_CHECK int blk_receiver_take(struct blk_receiver *r, const struct wire_blocks *b);
/* The source asks whether somebody is here: answers in the acker's turn. */
void blk_receiver_alive(struct blk_receiver *r);
/* Is all that was taken written and durable, and all of bare ones? Then nothing more is taken. */
bool blk_receiver_close(struct blk_receiver *r);
uint64_t blk_receiver_bytes(struct blk_receiver *r); /* written */

#endif
