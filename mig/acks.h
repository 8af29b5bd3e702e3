/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which batches of pages are under way: acks_sent numbers one, acks_heard takes the
 * destination's word for all up to a number. A number that was never sent is no
 * acknowledgement: the peer is hostile or broken. Pure code; the caller's lock.
 */
#ifndef MIG_ACKS_H
#define MIG_ACKS_H

#include <tern/types.h>

#define BATCHES_OUT_MAX 64u /* unacknowledged batches */

struct acks {
	uint64_t sent, acked; /* numbers: the first batch is 1 */
	uint64_t acked_bytes;
	uint64_t bytes[BATCHES_OUT_MAX]; /* by number modulo */
};

/* A batch of so many bytes goes out; its number. At most BATCHES_OUT_MAX may be under way. */
uint64_t acks_sent(struct acks *a, uint64_t bytes);
/* All up to seq have arrived: 0, or -EBADMSG. An old number changes nothing. */
MUST_CHECK int acks_heard(struct acks *a, uint64_t seq);
uint64_t acks_out(const struct acks *a);       /* batches under way */
uint64_t acks_out_bytes(const struct acks *a); /* their bytes */

#endif
