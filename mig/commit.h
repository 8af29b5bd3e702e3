/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who owns the VM: the two state machines of the commit, pure, so that tests
 * and the Promela model (test/model/commit.pml, whose step names these
 * functions carry) look at the same thing.
 *
 * Rule: at most one host may run it. GO is the source's acknowledgement of the
 * destination's READY. Before GO every failure resumes the source; without GO
 * the destination never runs, whatever the time-out; after GO the source never
 * resumes on its own. What cannot be known is held until the link is back or
 * the operator, who must know, decides.
 *
 *   source:      RUNS --stun--> PARKED --READY, go--> GO_SENT --RUNNING--> RELEASED
 *                  ^------abort----'                     |
 *                  '----------- resolve here ------------'
 *
 * A VM with disks that have leases is given on the datastore before GO is said. From then
 * on the leases know whose it is, and each side asks them (docs/ownership.md):
 *
 *   source:      PARKED --give--> GIVEN --go--> GO_SENT
 *                                   '-----------'-- taken back --> RUNS
 *                                               '-- moved on ----> RELEASED
 *   destination: HELD --accepted (dst_go)--> OWNS
 *                  '--moved on (dst_aborted)--> GONE
 *   destination: EMPTY --loaded--> HELD --GO--> OWNS
 *                  |                 '--abort, settle(aborted), resolve there--> GONE
 *                  '--abort, lost, settle--> GONE
 *
 * GONE is not EMPTY: what a copy was given up for is final, so one that is still
 * being loaded when the source settles cannot become HELD afterwards.
 */
#ifndef MIG_COMMIT_H
#define MIG_COMMIT_H

#include <tern/types.h>

enum source_state { SRC_RUNS, SRC_PARKED, SRC_GIVEN, SRC_GO_SENT, SRC_RELEASED };
enum dest_state { DST_EMPTY, DST_HELD, DST_OWNS, DST_GONE };

/* What a step asks its caller to do. */
enum commit_action {
	COMMIT_NOTHING,
	COMMIT_RUN, /* let the VM run here */
	COMMIT_SEND_GO,
	COMMIT_FREE,   /* give this host's copy up */
	COMMIT_ASK,    /* in doubt: settle with the peer, show it */
	COMMIT_REFUSE, /* the step is not allowed now; nothing changes */
};

enum commit_action src_stun(enum source_state *s);
enum commit_action src_give(enum source_state *s);    /* before the first lease is given */
enum commit_action src_ready(enum source_state *s);   /* READY came: decides GO */
enum commit_action src_abort(enum source_state *s);   /* failure, cancel, time-out before GO */
enum commit_action src_lost(enum source_state *s);    /* stream gone */
enum commit_action src_running(enum source_state *s); /* RUNNING or VERDICT_RUNNING */
enum commit_action src_unknown(enum source_state *s); /* VERDICT_UNKNOWN: it restarted */
/* VERDICT_DISCARDED: the copy there is gone, never ran and never will. */
enum commit_action src_discarded(enum source_state *s);
/* The leases were given: are they this host's again, or the destination's for good? */
enum commit_action src_taken_back(enum source_state *s);
enum commit_action src_moved_on(enum source_state *s);
enum commit_action src_resolve(enum source_state *s, bool here);

enum commit_action dst_loaded(enum dest_state *s);
/* Also repeated by settle. With leases: they are accepted. */
enum commit_action dst_go(enum dest_state *s);
enum commit_action dst_lost(enum dest_state *s);
enum commit_action dst_aborted(enum dest_state *s); /* the source, or the lease, says it runs on */
enum commit_action dst_resolve(enum dest_state *s, bool here);

#endif
