/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a page differs in from the one the destination has, as DELTA messages
 * carry it (docs/wire.md). An entry is a head, `pieces` piece words padded to
 * eight bytes, then the new 8-byte words of all pieces:
 *
 *   delta_encode   compares, makes the entry, brings the base up to date
 *   delta_check    all of a message, before anything of it is acted on
 *   delta_next     walks the entries of a checked message
 *   delta_apply    one entry into its page
 *
 * Invariant: every word of the live page is read once. What the entry says and
 * what the base holds afterwards come from that one reading, so they agree
 * whatever the guest writes meanwhile. Pure code; entries are 8-byte aligned.
 */
#ifndef MIG_DELTA_H
#define MIG_DELTA_H

#include "wire.h"

/* An entry that would be longer is not worth having: the page is sent whole. */
#define DELTA_ENTRY_MAX (PAGE_SIZE / 2)

struct delta_entry {
	gfn_t gfn;
	uint32_t pieces;
	const uint16_t *piece;
	const uint64_t *word;
};

/*
 * Entry for page n at out (DELTA_ENTRY_MAX bytes): its length; 0 when it would
 * not fit, and then the base's contents are of no further use.
 */
size_t delta_encode(gfn_t n, const void *live, void *base, void *out);
/* A whole DELTA body: 0 or -EBADMSG. */
MUST_CHECK int delta_check(const void *body, size_t len, uint64_t max_gfn);
/* The entry at *at, advanced past it; false at the end. */
bool delta_next(const uint8_t **at, const uint8_t *end, struct delta_entry *e);
void delta_apply(const struct delta_entry *e, void *page);

#endif
