/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which page to send next. Pages that are owed to the destination are in one of
 * four sets:
 *
 *   fresh  written since the last harvest but one, and not hot
 *   old    owed since the round began
 *   late   written since they were sent, and cheap to send again (`based`): the
 *          longer they wait, the more writes one sending covers
 *   hot    written in each of the last HOT_STREAK harvests: they would only be
 *          sent again, so they wait for the stun
 *
 * Fresh goes before old. Among pages of equal heat the one written last is the
 * one that will be written again latest when the guest walks through its
 * memory in any steady order, and for one that was never sent nothing is lost
 * by sending it now. So a guest whose write rate is below the link's converges
 * in about one walk through its working set, however large that is.
 */
#ifndef MIG_ORDER_H
#define MIG_ORDER_H

#include <tern/gmem.h>
#include <tern/pageset.h>

struct order {
	struct pageset fresh, old, late, hot;
	const struct pageset *based; /* [const] pages that go as deltas (bases.h), or NULL */
	struct pageset harvested;    /* scratch: what dirty_harvest found */
	uint8_t *last, *streak; /* by gfn: sequence number of the last harvest it was in, and how
				   many in a row */
	uint8_t seq;
	bool fresh_turn;
};

MUST_CHECK int order_init(struct order *o, uint64_t pages);
void order_fini(struct order *o);
/* Round 0: everything ever backed. */
MUST_CHECK int order_add_backed(struct order *o, struct gmem *g);
/* Before the first harvest: what the guest does not use is not owed. */
void order_leave_out(struct order *o, const struct pageset *unused);
/* Distributes o->harvested and empties it. On -ENOMEM what was not distributed is still in it. */
MUST_CHECK int order_take_harvest(struct order *o);
/* The set that the next batch comes from, or NULL: the round is over. */
struct pageset *order_next(struct order *o);
/* All that is owed becomes the next round. */
MUST_CHECK int order_new_round(struct order *o);
/* Moves all into one set, for the stun. */
MUST_CHECK int order_collect(struct order *o, struct pageset *all);
uint64_t order_pages(const struct order *o);
/* How many of them would go as deltas. */
uint64_t order_based_pages(const struct order *o);
/* Has n been in any harvest? */
bool order_was_written(const struct order *o, gfn_t n);

#endif
