/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks whose contents go to the destination with their VM (X-vMotion), at the source: each has a
 * mirror under the guest, whose target is the other host's disk (blk_send.h), and one bulk copy
 * before the memory goes. From then on what the guest writes goes to both.
 *
 * Interface in order of use: source_disks_plan; source_disks_open, before the offer;
 * source_disks_copy, a step, with --verify the comparison too; source_disks_ready just before the
 * stun, which need not come where a copy has failed; in it, when devices are quiet,
 * source_disks_drain, after which both sides are the same and nothing is between guest and disk any
 * more; source_disks_free, at any time, also before the others.
 */
#ifndef MIG_SOURCE_DISKS_H
#define MIG_SOURCE_DISKS_H

#include "blk_send.h"
#include "journal.h"
#include "source.h"

struct source_home {
	struct vm_config cfg; /* the VM's, as it is to be there */
	struct home_sent sent;
};

/* source_disks_plan.c. Says of each disk that the request names where it goes: in s->disk, as
 * vdisks_identify takes it.
 */
MUST_CHECK int source_disks_plan(struct source *s);
/* Those, with their snapshots, which are in s->disk from here on. After source_home_plan. */
MUST_CHECK int source_disks_open(struct source *s);
MUST_CHECK int source_disks_copy(struct source *s);
/* source_backlog.c, for pre-copy, now and then: keeps what waits for the other host within half of
 * the stun budget; an error when that takes no more. How long the rest takes. */
MUST_CHECK int source_disks_look(struct source *s);
uint64_t source_disks_rest_ns(const struct source *s);
/*
 * May the stun come, as to what the guest has asked of its disks? Where some of it waits for room
 * it may not: the disks are paused until it has come in. When the rest does not fit: go on.
 */
bool source_disks_calm(struct source *s);
void source_disks_go_on(struct source *s);
bool source_disks_paused(const struct source *s);
MUST_CHECK int source_disks_ready(struct source *s);
/* In the stun: all that is to come is on its way, and a flush behind it... */
MUST_CHECK int source_disks_drain(struct source *s);
/* ... which is done there: before END, beside what memory there still is to send. */
MUST_CHECK int source_disks_flushed(struct source *s);
void source_disks_free(struct source *s);

/* source_home.c. After source_disks_plan and vdisks_identify: does its home go, and how? */
MUST_CHECK int source_home_plan(struct source *s, char *why, size_t why_len);
/* How many files of it are sent, as further disks behind the others. */
unsigned source_home_files(const struct source *s);
void source_home_geometry(const struct source *s, struct blk_send_geometry *g);
void source_home_record(const struct source *s, struct journal_record *r);
/* Before the VM stands still: no other host starts it of the description that it has here. */
MUST_CHECK int source_home_leaves(struct source *s);
MUST_CHECK int source_home_copy(struct source *s, struct blk_sender *sender, unsigned first,
				int (*asked)(struct source *s));

#endif
