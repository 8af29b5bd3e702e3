/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sends the pages of a set in batches: zero pages by name, raw pages straight
 * from guest frames (one that changes while it waits is dirty again by
 * definition, and the next round repairs it), or from a copy that is kept
 * (bases.h), so that a later sending is what changed in it.
 */
#ifndef MIG_RAM_SEND_H
#define MIG_RAM_SEND_H

#include <tern/pageset.h>

#include "job.h"
#include "order.h"

struct ram_sender;

/* Which raw pages are copied and kept when they are sent. */
enum ram_keep {
	KEEP_NONE,
	KEEP_WRITTEN, /* those that the guest has written since the start */
	KEEP_ALL,
};

/* For batches of up to batch_pages; NULL without memory. */
struct ram_sender *ram_sender_new(struct mig_job *j, unsigned batch_pages);
void ram_sender_free(struct ram_sender *s);
/* Makes deltas possible, if the destination understands them and there is memory. order is asked
 * what was written. */
void ram_sender_bases(struct ram_sender *s, struct order *order);
/* KEEP_NONE at first. Without bases it has no effect. */
void ram_send_keep(struct ram_sender *s, enum ram_keep keep);
/* A batch ends with the page with which it has so many bytes. UINT64_MAX at first. */
void ram_send_most(struct ram_sender *s, uint64_t bytes);
/* What sending the pages as deltas is expected to cost, by those sent so far. */
uint64_t ram_delta_bytes(const struct ram_sender *s, uint64_t pages);
uint64_t ram_delta_ns(const struct ram_sender *s, uint64_t pages);

/*
 * Sends all members of todo, taking each batch out of it once it is handed to
 * the stream: after an error todo holds exactly what was not sent. Adds what it
 * did to *r. -ECANCELED when the job's cancel flag is set; stream errors.
 */
MUST_CHECK int ram_send_set(struct ram_sender *s, struct pageset *todo, struct mig_round *r);
/* One batch, of the members from *at on, which it advances: 1 sent, 0 none left there, or as above.
 */
MUST_CHECK int ram_send_batch(struct ram_sender *s, struct pageset *todo, gfn_t *at,
			      struct mig_round *r);
uint64_t ram_unacked_bytes(struct ram_sender *s);

#endif
