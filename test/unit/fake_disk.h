/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk in memory for tests of what stands on the block face, with what the face
 * needs of the kernel's base. Requests end at once. What is written is recorded, and
 * a test can have the disk as a power cut would leave it: some of the writes since the last flush.
 */
#ifndef TEST_FAKE_DISK_H
#define TEST_FAKE_DISK_H

#include <tern/blkdev.h>

struct fake_write {
	uint64_t block;
	uint32_t blocks;
	bool flush; /* all before it are durable */
	uint8_t *data;
};

struct fake_disk {
	struct blkdev dev;
	uint8_t *bytes;
	struct fake_write *log; /* while recording */
	uint32_t nr_log, cap_log;
	bool recording;
	int fail_after; /* requests that still succeed; -1 all */
	int fail_with;
	bool holding; /* the next write waits for fake_disk_release */
	struct blk_req *held;
};

/* All zeros; blocks of block_bytes. */
void fake_disk_init(struct fake_disk *d, uint64_t bytes, uint32_t block_bytes);
void fake_disk_fini(struct fake_disk *d);
/* The next write is under way until it is released. */
void fake_disk_hold(struct fake_disk *d);
void fake_disk_release(struct fake_disk *d);
/* Forgets what was recorded, and records from now on. */
void fake_disk_record(struct fake_disk *d);
/* Writes one sector of a recorded write into image. */
void fake_disk_apply(const struct fake_disk *d, uint8_t *image, uint32_t write, uint32_t sector);

extern uint64_t fake_now_ns;
/* Called when a world would sleep for good: makes what it waits for happen. */
extern void (*fake_idle)(void);

#endif
