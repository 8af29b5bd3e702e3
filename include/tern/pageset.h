/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A sparse, two-level set of guest frame numbers. The upper level is an array
 * of pointers to chunks of 4096 pages (16 MiB of memory, 512 bytes); an absent
 * chunk is an empty one, so walks never visit empty parts. Not locked: an
 * owner, except for pageset_mark, which any number of CPUs may call at once on
 * a set whose chunks are all present (pageset_reserve).
 */
#ifndef TERN_PAGESET_H
#define TERN_PAGESET_H

#include <tern/types.h>

#define PAGESET_CHUNK_PAGES 4096u
#define PAGESET_CHUNK_WORDS (PAGESET_CHUNK_PAGES / 64)

struct pageset_chunk {
	uint64_t word[PAGESET_CHUNK_WORDS];
};

struct pageset {
	uint64_t pages; /* members are < pages */
	uint64_t nr_chunks;
	struct pageset_chunk **chunk;
};

MUST_CHECK int pageset_init(struct pageset *s, uint64_t pages); /* -ENOMEM */
void pageset_fini(struct pageset *s);
MUST_CHECK int pageset_reserve(struct pageset *s);	/* makes all chunks present */
MUST_CHECK int pageset_set(struct pageset *s, gfn_t n); /* -ENOMEM, -ERANGE */
MUST_CHECK int pageset_set_range(struct pageset *s, gfn_t first, uint64_t count);
void pageset_clear(struct pageset *s, gfn_t n);
void pageset_clear_all(struct pageset *s); /* keeps the chunks */
bool pageset_test(const struct pageset *s, gfn_t n);
uint64_t pageset_count(const struct pageset *s);
uint64_t pageset_count_both(const struct pageset *a, const struct pageset *b); /* members of both */
bool pageset_empty(const struct pageset *s);
/* Atomic set on a reserved set; true when it was not in before. */
bool pageset_mark(struct pageset *s, gfn_t n);
/* Atomically takes all members out of src and adds them to dst; src must be reserved. -ENOMEM loses
 * nothing. */
MUST_CHECK int pageset_drain(struct pageset *dst, struct pageset *src);
MUST_CHECK int pageset_merge(struct pageset *dst, const struct pageset *src); /* dst |= src */
void pageset_subtract(struct pageset *dst, const struct pageset *src);	      /* dst &= ~src */
/* First member >= from with the length of its run (at most max); false when none. */
bool pageset_next_run(const struct pageset *s, gfn_t from, uint64_t max, gfn_t *first,
		      uint64_t *count);

#endif
