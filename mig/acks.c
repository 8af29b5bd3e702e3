/* SPDX-License-Identifier: BSD-2-Clause */
/* Batches under way (acks.h). Invariant: acked <= sent <= acked + BATCHES_OUT_MAX. */
#include <errno.h>

#include "acks.h"

uint64_t acks_sent(struct acks *a, uint64_t bytes)
{
	a->bytes[++a->sent % BATCHES_OUT_MAX] = bytes;
	return a->sent;
}

int acks_heard(struct acks *a, uint64_t seq)
{
	if (seq > a->sent)
		return -EBADMSG;
	while (a->acked < seq)
		a->acked_bytes += a->bytes[++a->acked % BATCHES_OUT_MAX];
	return 0;
}

uint64_t acks_out(const struct acks *a)
{
	return a->sent - a->acked;
}

uint64_t acks_out_bytes(const struct acks *a)
{
	uint64_t bytes = 0;

	for (uint64_t i = a->acked + 1; i <= a->sent; i++)
		bytes += a->bytes[i % BATCHES_OUT_MAX];
	return bytes;
}
