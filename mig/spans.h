/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which bytes of something were written: a few spans, for who writes from the beginning to the end
 * with some requests under way at a time. The owner's lock.
 */
#ifndef MIG_SPANS_H
#define MIG_SPANS_H

#include <tern/types.h>

/* More than the copy of a disk ever leaves open: its pieces, and the slots of its stream. */
#define SPANS_MAX 64u

/* One of zeros has none. They rise and do not touch. */
struct spans {
	unsigned nr;
	struct {
		uint64_t from, to;
	} at[SPANS_MAX];
};

/* -E2BIG: in more pieces than are kept; nothing changes. */
MUST_CHECK int spans_add(struct spans *s, uint64_t from, uint64_t to);
/* All of them? */
bool spans_have(const struct spans *s, uint64_t from, uint64_t to);

#endif
