/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two threads' worth of Tern: a sender of disks and a receiver with a connection between them,
 * disks in memory there that end requests late, in any order and in small parts, and a guest here
 * that changes them at random.
 *
 * late_start, late_stop around each test.
 */
#ifndef TEST_LATE_DISKS_H
#define TEST_LATE_DISKS_H

#include <tern/timer.h>

#include "mig/blk_recv.h"
#include "mig/blk_send.h"

#define DISKS 2u
#define DISK_BYTES (4u << 20)
#define CREDIT (2u << 20)
#define SOON_NS (60 * NSEC_PER_SEC)

struct late {
	struct blkdev dev;
	uint8_t *bytes;
	struct blk_req *pending[64];
	unsigned nr_pending, flushes;
	uint64_t writes_since_flush;
	unsigned unmaps; /* requests */
	int fail_with;
	bool at_once; /* within the submission */
};

struct late_net {
	struct stream *near, *far;
	struct peer from, to;
	struct blk_sender *sender;
	struct blk_receiver *receiver;
	struct world *reader;
	uint16_t version;
	int ended; /* how the reader ended */
	struct blk_recv_disk disk[DISKS];
};

extern struct late late[DISKS];
extern struct late_net net;

int late_start(void **state);
int late_start_version(uint16_t version); /* of hosts of which one is older */
int late_start_bare(void **state);	  /* the disks have on them what others have left */
int late_stop(void **state);

/* The disks end no request any more; they do again, after that. */
void late_silent(void);
void late_answer(void);

/* The disk takes snapshots: what it was at the last one. */
extern uint8_t frozen[DISKS][DISK_BYTES];
void late_can_freeze(unsigned disk);

/* What the disks hold once all is done; zeros for a test that begins so. */
extern uint8_t guest_has[DISKS][DISK_BYTES];
extern uint8_t memory[1u << 20];
/* A request's status; what is written is random, and in memory. */
int guest_change(unsigned disk, enum blk_op op, uint64_t block, uint64_t blocks);
/* The same, done. */
void guest_note(unsigned disk, enum blk_op op, uint64_t block, uint64_t blocks);
/* So many of them, done. */
void guest_changes(unsigned count);
/* CRC32C of what a disk holds there. */
uint32_t guest_sum(unsigned disk, uint64_t block, uint64_t blocks);

#endif
