/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The nine steps of a migration and who does what in each (drawn in
 * docs/architecture.md). enum mig_phase (tern/mig.h) is the source's position.
 *
 *   phase      source                             destination
 *   PREFLIGHT  HELLO, OFFER -->                   checks, <-- ACCEPT or REFUSE
 *              CLOCK x 8 -->                      <-- CLOCK_REPLY
 *   SKELETON   SKELETON -->                       makes the VM, reserves memory
 *   PRECOPY    PAGES (rounds) -->                 fills memory, <-- ACK
 *   STUN       parks vCPUs, drains devices, final harvest
 *   TRANSFER   REMAIN, PAGES, STATE, END -->
 *   READY                                         checks all, loads, <-- READY
 *   LEASE      gives the disks' leases, if any
 *   GO         GO -->                             takes over, runs, <-- RUNNING
 *   DONE       frees its copy
 *
 * Until GO is sent everything that goes wrong ends in FAILED or CANCELED with
 * the VM running at the source. Then only IN_DOUBT or DONE are left. With leases it is
 * they who say whose the VM is (docs/ownership.md).
 */
#ifndef MIG_PHASE_H
#define MIG_PHASE_H

#include <tern/page.h>
#include <tern/timer.h>

/* A peer that says nothing for this long, though it is asked every second, is lost. */
#define LINK_TIMEOUT_NS (10 * NSEC_PER_SEC)
#define ALIVE_EVERY_NS NSEC_PER_SEC
/* One that is slow is not silent: each so many bytes of a message have that time. 15 pages are what
 * a stream sends as one segment. */
#define LINK_PIECE (15 * (uint32_t)PAGE_SIZE)
/* An incoming migration that brings nothing gives way to another after the first, in any case after
 * the second: longer than a source may be held by hand. */
#define IDLE_GIVES_WAY_NS (10 * NSEC_PER_SEC)
#define IDLE_MAX_NS (600 * NSEC_PER_SEC)
/* An incoming migration that was not heard of for so long may be given up for a new attempt. */
#define SILENT_NS (4 * NSEC_PER_SEC)
#define CONNECT_TIMEOUT_NS (5 * NSEC_PER_SEC)
/* To READY, from END or the last acknowledgement after it; then the VM is let go here. */
#define READY_TIMEOUT_NS (5 * NSEC_PER_SEC)
/* From GO to RUNNING; then the migration is in doubt and is settled in the background. */
#define RUNNING_TIMEOUT_NS (5 * NSEC_PER_SEC)
/* On GO: how long leases are tried for that could not be accepted at once, and how often. */
#define TAKE_TRY_NS NSEC_PER_SEC
#define TAKE_AGAIN_NS (20 * NSEC_PER_MSEC)
#define SETTLE_EVERY_NS (2 * NSEC_PER_SEC)
#define QUIESCE_TIMEOUT_NS NSEC_PER_SEC
/* So many, and more for a while when none was quick: the guest's clock is off by half the best. */
#define CLOCK_PROBES 8
#define CLOCK_GOOD_NS NSEC_PER_MSEC
#define CLOCK_MORE_NS (200 * NSEC_PER_MSEC)

#define DEFAULT_BUDGET_MS 300u
#define DEFAULT_BATCH_PAGES 512u
#define DEFAULT_MAX_ROUNDS 30u

#endif
