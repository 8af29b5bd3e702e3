/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Another host's disks as block devices, for writing: what a mirror and a bulk copy have as
 * their target when the disks move with the VM. A write is complete when the buffer here has
 * it, not when the other host does: a long round trip does not slow the guest. When the buffer
 * is full the next writes wait, in order.
 *
 * Interface in order of use: blk_sender_new on a stream of its own, after the other host
 * has said how much it takes (docs/wire.md "Disks"); writes, write-zeroes and discards to
 * blk_sender_disk; blk_sender_flush, after which all of them are durable there, and those that
 * blk_sender_check named before it are as they are said to be; blk_sender_free. An error is the
 * end: it is kept, and every further request fails.
 *
 * Invariants: requests reach the other host in the order in which they were taken; at most
 * credit bytes are sent and not acknowledged.
 */
#ifndef MIG_BLK_SEND_H
#define MIG_BLK_SEND_H

#include <tern/blkdev.h>

#include "peer.h"

struct blk_sender;

struct blk_send_geometry {
	uint64_t bytes;
	uint32_t block_bytes;
};

struct blk_sender_stats {
	uint64_t writes, zeroes, discards, checks;
	uint64_t bytes;		 /* contents of writes */
	uint64_t waits;		 /* requests that found the buffer full */
	bool full;		 /* one waits for room now */
	uint64_t acked;		 /* requests the other host has */
	uint64_t acked_bytes;	 /* contents of these, in whole pages */
	uint64_t buffered;	 /* bytes in the buffer now */
	uint64_t buffered_most;	 /* bytes in the buffer at a time */
	uint64_t under_way_most; /* bytes sent and not acknowledged */
};

/*
 * Takes over the peer's stream, which has this version, for reading and writing, until
 * blk_sender_free. credit: bytes, at least WIRE_BLOCKS_MAX. -ENOMEM.
 */
MUST_CHECK int blk_sender_new(struct peer *p, uint16_t version,
			      const struct blk_send_geometry *disks, unsigned nr, uint64_t credit,
			      struct blk_sender **out);
/* What waits fails now, and all that comes: before who waits for its end is waited for. */
void blk_sender_stop(struct blk_sender *s, int err);
/* The stream is ended, nobody submits any more; what waited fails. The stream stays open. */
void blk_sender_free(struct blk_sender *s);

/* From now on no more bytes are buffered, but for one request that finds nothing else there: what
 * comes waits for room. */
void blk_sender_hold(struct blk_sender *s, uint64_t bytes);

/* Reads fail with -ENOTSUP. Not from interrupt handlers. */
struct blkdev *blk_sender_disk(struct blk_sender *s, unsigned disk);
/* Sleeps until the other host has made durable all that was complete before: 0, -ETIMEDOUT, or
 * blk_sender_error. */
MUST_CHECK int blk_sender_flush(struct blk_sender *s, uint64_t deadline_ns);
/*
 * The same for as long as that gets on, however slowly: where it does not, blk_sender_error comes
 * by itself. At first and now and then asked is called, whose error ends the wait.
 */
MUST_CHECK int blk_sender_flush_asked(struct blk_sender *s, int (*asked)(void *user), void *user);
/* The same begun, if there is a slot for it: over when stats.acked is this number. 0: there is
 * none.
 */
uint64_t blk_sender_flush_begin(struct blk_sender *s);
/*
 * What the disk has there in these bytes, at most WIRE_BLOCKS_MAX, after all that it was given
 * before, is to have this CRC32C: else the other host ends it, with the code "differs". Sleeps
 * until there is room for the question, not for the answer. -ENOTSUP: its version knows no checks.
 */
MUST_CHECK int blk_sender_check(struct blk_sender *s, unsigned disk, uint64_t offset,
				uint64_t bytes, uint32_t sum);
/*
 * All that was complete before is that disk's next snapshot, as the offer has named them; what
 * follows stands on it. Sleeps, and fails, as blk_sender_check.
 */
MUST_CHECK int blk_sender_snapshot(struct blk_sender *s, unsigned disk);
/* 0, or what ended it: -ECONNABORTED with the other host's words, or the stream's error. */
int blk_sender_error(struct blk_sender *s, struct wire_text *words);
void blk_sender_stats(struct blk_sender *s, struct blk_sender_stats *out);

#endif
