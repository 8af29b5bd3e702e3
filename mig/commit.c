/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commit's two state machines (commit.h). Each function is one step of
 * test/model/commit.pml of the same name.
 *
 * Invariant: the source is in SRC_RUNS only if it never sent GO, or the
 * destination promised that its copy is gone unrun, or the operator said so; the
 * destination is in DST_OWNS only if it got GO or the operator said so, and never
 * leaves DST_OWNS or DST_GONE. With leases: the source is in SRC_RUNS, the
 * destination in DST_OWNS only with the first of them.
 */
#include "commit.h"

enum commit_action src_stun(enum source_state *s)
{
	if (*s != SRC_RUNS)
		return COMMIT_REFUSE;
	*s = SRC_PARKED;
	return COMMIT_NOTHING;
}

enum commit_action src_give(enum source_state *s)
{
	if (*s != SRC_PARKED)
		return COMMIT_REFUSE;
	*s = SRC_GIVEN;
	return COMMIT_NOTHING;
}

enum commit_action src_ready(enum source_state *s)
{
	if (*s != SRC_PARKED && *s != SRC_GIVEN)
		return COMMIT_REFUSE;
	*s = SRC_GO_SENT;
	return COMMIT_SEND_GO;
}

enum commit_action src_abort(enum source_state *s)
{
	if (*s != SRC_RUNS && *s != SRC_PARKED)
		return COMMIT_REFUSE;
	*s = SRC_RUNS;
	return COMMIT_RUN;
}

enum commit_action src_lost(enum source_state *s)
{
	if (*s == SRC_GIVEN) /* what was given may be accepted: as if GO were said */
		*s = SRC_GO_SENT;
	if (*s == SRC_GO_SENT)
		return COMMIT_ASK;
	return src_abort(s);
}

enum commit_action src_running(enum source_state *s)
{
	if (*s != SRC_GO_SENT)
		return COMMIT_REFUSE;
	*s = SRC_RELEASED;
	return COMMIT_FREE;
}

enum commit_action src_unknown(enum source_state *s)
{
	return *s == SRC_GO_SENT ? COMMIT_ASK : COMMIT_REFUSE;
}

enum commit_action src_discarded(enum source_state *s)
{
	if (*s != SRC_GO_SENT)
		return COMMIT_REFUSE;
	*s = SRC_RUNS;
	return COMMIT_RUN;
}

enum commit_action src_taken_back(enum source_state *s)
{
	if (*s != SRC_GIVEN && *s != SRC_GO_SENT)
		return COMMIT_REFUSE;
	*s = SRC_RUNS;
	return COMMIT_RUN;
}

enum commit_action src_moved_on(enum source_state *s)
{
	if (*s != SRC_GIVEN && *s != SRC_GO_SENT)
		return COMMIT_REFUSE;
	*s = SRC_RELEASED;
	return COMMIT_FREE;
}

enum commit_action src_resolve(enum source_state *s, bool here)
{
	if (*s != SRC_GO_SENT)
		return COMMIT_REFUSE;
	*s = here ? SRC_RUNS : SRC_RELEASED;
	return here ? COMMIT_RUN : COMMIT_FREE;
}

enum commit_action dst_loaded(enum dest_state *s)
{
	if (*s != DST_EMPTY)
		return COMMIT_REFUSE;
	*s = DST_HELD;
	return COMMIT_NOTHING;
}

enum commit_action dst_go(enum dest_state *s)
{
	if (*s == DST_OWNS)
		return COMMIT_NOTHING;
	if (*s != DST_HELD)
		return COMMIT_REFUSE;
	*s = DST_OWNS;
	return COMMIT_RUN;
}

enum commit_action dst_lost(enum dest_state *s)
{
	if (*s == DST_HELD)
		return COMMIT_ASK;
	if (*s == DST_OWNS)
		return COMMIT_NOTHING;
	*s = DST_GONE;
	return COMMIT_FREE;
}

enum commit_action dst_aborted(enum dest_state *s)
{
	if (*s == DST_OWNS)
		return COMMIT_REFUSE;
	*s = DST_GONE;
	return COMMIT_FREE;
}

enum commit_action dst_resolve(enum dest_state *s, bool here)
{
	if (*s != DST_HELD)
		return COMMIT_REFUSE;
	*s = here ? DST_OWNS : DST_GONE;
	return here ? COMMIT_RUN : COMMIT_FREE;
}
