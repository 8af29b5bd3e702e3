/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pages of a VM as they were last sent, so that what changes in one can be
 * sent as its difference (delta.h). A base is a page of the host's own: a page
 * that leaves straight from a guest's frame may change on its way, and nobody
 * here knows what has arrived. So a page gets a base by being copied first and
 * sent from the copy.
 *
 * Invariants
 *  - have holds n exactly while base n is there, and then base n is what the
 *    destination has, or will have when it has read all that was sent to it.
 *    Who sends page n in another way drops the base.
 *  - A base may still wait in the stream's send queue, which holds references
 *    of its own. Only a page with no reference but the one here is written to:
 *    bases_write puts a copy in its place otherwise. References are added by the
 *    owner of this alone, so a page that is found unshared stays so.
 *  - Memory: bases hold at most half of what would be free without them and is
 *    promised to no VM; those of pages that the guest has not been seen to write
 *    a quarter, so that cold pages leave room for warm ones. It is looked at again
 *    at every block taken.
 *
 * Owner: the sending world.
 */
#ifndef MIG_BASES_H
#define MIG_BASES_H

#include <tern/page.h>
#include <tern/pageset.h>

#define BASES_CHUNK_PAGES 512u

struct bases {
	struct pageset have; /* frames that have a base */
	struct pageset
		useless; /* frames whose changes were not smaller than the page: no base again */
	hpa_t **chunk;	 /* by frame / BASES_CHUNK_PAGES, absent until needed */
	uint64_t nr_chunks, count;
	hpa_t spare; /* next page of the block that bases are taken from */
	unsigned spares;
	uint64_t copied_bytes; /* in all */
};

/* For frames below pages; -ENOMEM. Without this (all zeros) there is room for none. */
MUST_CHECK int bases_init(struct bases *b, uint64_t pages);
void bases_fini(struct bases *b);
/*
 * Makes a base of what is at live and gives it with a reference, to be sent.
 * written: the guest was seen to write the page. False: no room, or useless.
 */
bool bases_make(struct bases *b, gfn_t n, const void *live, bool written, hpa_t *out);
/* The base of n, to be brought up to date; NULL when there is none or no memory to keep it. */
void *bases_write(struct bases *b, gfn_t n);
void bases_drop(struct bases *b, gfn_t n);
/* Drops it for good. */
void bases_give_up(struct bases *b, gfn_t n);

#endif
