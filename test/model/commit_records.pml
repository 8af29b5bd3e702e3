/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who owns a migrating VM whose disks are copied: the commit of mig/commit.c with a record on
 * each host's own disk (mig/journal.c). A host that crashes and comes back could start the VM
 * from there: it must know whether it may. Without LEASES nothing is shared but the network. With
 * LEASES other disks of the VM are files that both hosts reach: their lease decides
 * (commit_disks.pml), and the records keep the copied ones in step.
 *
 * The network is as bad as in commit.pml: a message in flight is a bit; it is delivered at any
 * later time, in any order, once or again, or lost, and those of the migration's own stream die
 * with it.
 * Either host crashes up to CRASHES times, between any two steps: between a note on its disk and
 * what it does next, too. A host may also burn down, once, and never come back; then, and only
 * then, there is an operator who says so. A transaction of the shared datastore, or a note of the
 * source's, may break off BREAKS times: nobody knows then whether it was done. Of the lease's
 * time there is only that a dead host's is found out. Fences that are shut, and a third host, are
 * in third.h, with THIRD.
 *
 * Safety:   never both running, nor the source again after the destination has run, nor an old
 *           copy after the source has gone on (monitor); GO that was not noted is never
 *           obeyed; the source's copy goes only after the other one has run (ltl kept).
 * Progress: once losses and crashes are over, exactly one host has the VM and the other one no
 *           copy, without any operator unless a host is gone for good (ltl settles).
 *
 * The BREAK_ variants leave a note out or drop one too early, and must be found.
 */

/* DECIDES: records decide */
/* DECIDES: leases and records decide -DLEASES */
/* DECIDES: records decide -DTHIRD */
/* DECIDES: leases and records decide -DLEASES -DTHIRD */

/* CHECK: -DLEASES -DCRASHES=1 -DLOSSES=2 */
/* CHECK: -DTHIRD -DCRASHES=1 -DLOSSES=0 -DDUPS=0 */
/* LONG: -DCRASHES=3 -DLOSSES=4 */
/* LONG: -DLEASES -DCRASHES=2 -DLOSSES=3 -DBREAKS=2 */

/* BREAK: safety -DBREAK_GO_WITHOUT_NOTE */
/* BREAK: safety -DBREAK_RUN_WITHOUT_NOTE */
/* BREAK: safety -DBREAK_GO_ON_WITH_NOTE */
/* BREAK: safety -DBREAK_GO_UNSURE */
/* BREAK: settles -DBREAK_CLOSE_EARLY */
/* BREAK: settles -DBREAK_FORGET_WHEN_ASKED */
/* BREAK: settles -DBREAK_FORGET_GONE -DCRASHES=3 */
/* BREAK: kept -DLEASES -DBREAK_FREE_BY_LEASE */
/* BREAK: safety -DLEASES -DBREAK_NOTE_ALONE */
/* BREAK: safety -DTHIRD -DCRASHES=1 -DLOSSES=0 -DDUPS=0 -DBREAK_NO_MARK */
/* BREAK: safety -DTHIRD -DCRASHES=1 -DLOSSES=0 -DDUPS=0 -DBREAK_NO_LOOK */
/* BREAK: safety -DTHIRD -DCRASHES=1 -DLOSSES=0 -DDUPS=0 -DBREAK_NO_SECOND_LOOK */
/* BREAK: safety -DTHIRD -DCRASHES=1 -DLOSSES=1 -DDUPS=1 -DBREAK_WHOLE_WITHOUT_MARK */
/* BREAK: safety -DTHIRD -DCRASHES=1 -DLOSSES=1 -DDUPS=1 -DBREAK_UNMARK_EARLY */
/* BREAK: safety -DTHIRD -DCRASHES=1 -DLOSSES=1 -DDUPS=1 -DBREAK_WORD_TOO_EARLY */

#ifndef DUPS
#define DUPS 2 /* messages that come twice */
#endif
#ifndef LOSSES
#define LOSSES 3
#endif
#ifndef CRASHES
#define CRASHES 2 /* of each host */
#endif
#ifndef BREAKS
#define BREAKS 1
#endif

/* s: RUNS, PARKED, NOTED (GO is on the disk), UNNOTED (and no more), UNSURE (it may be there), SURE
 * (it is, though the stream has ended), GIVING and GIVEN (the lease),
 * BACK (it has that again), GO_SENT (also: came back with that note), RELEASED, OFF (its disks
 * are the VM, nothing else is left).
 * d: EMPTY, HELD, ACCEPTED (it has the lease), TAKES (OWNS is on the disk), OWNS.
 * Either: DOWN, BURNT. READY needs no note: a copy that a crash took has never run, which is what
 * its absence says. */
mtype = { RUNS, PARKED, NOTED, UNNOTED, UNSURE, SURE, GIVING, GIVEN, BACK, GO_SENT, RELEASED,
	  OFF, EMPTY, HELD, ACCEPTED, TAKES, OWNS, DOWN, BURNT };
mtype s = RUNS;
mtype d = EMPTY;
/* On the disks: enum journal_step. */
mtype = { NONE, J_NOTHING, J_GO, J_OWNS, J_GONE };
mtype sj = J_NOTHING;
mtype dj = J_NOTHING;
/* The lease of the first disk that has one. */
mtype = { SOURCES, OFFERED, TAKEN, TAKEN_BACK, ANOTHERS };
mtype lease = SOURCES;

bool stunned;	 /* at least once */
bool in_memory = true; /* the source has not crashed since */
bool ran_on;	 /* the source, after the stun */
bool s_unsettled; /* the other side may hold a copy that is not wanted */
bool s_closes;	 /* it is settled, and the other side is to hear so */
bool d_over;	 /* this copy was given up: it never becomes HELD */
bool d_files;	 /* of a complete copy */
bool stream = true;
bool d_knows = true; /* what became of it; false: a crash took that, and there is no record */
bool go_noted;
bool d_ran; /* at the destination, ever */

/* In flight: the stream's, and settling's. */
bool m_end, m_ready, m_go, m_running, m_abort, m_closed;
bool m_settle_aborted, m_settle_go, m_v_running, m_v_discarded, m_v_unknown;

byte dups = DUPS, losses = LOSSES, s_crashes = CRASHES, d_crashes = CRASHES, breaks = BREAKS;
bool burnt;
bool d_told_here;

#define ALSO_IN_DOUBT (s == UNSURE)
#include "trace.h"

#ifdef LEASES
#define leased true
#else
#define leased false
#endif

#include "third.h"

inline deliver(bit_)
{
	if
	:: bit_ = false
	:: FAULT(dups) -> SPEND(dups) /* it comes again */
	fi
}

/* The VM goes on at the source, which tells. */
inline go_on()
{
	s = RUNS; ran_on = true; s_unsettled = true;
	m_abort = stream; stream = false
}

/* A connection for each question, one at a time. */
#define answered (m_v_running || m_v_discarded || m_v_unknown)

/* In memory: what a crash has taken can only be started anew, when somebody says that it may. */
#define asks_lease (s == GIVING || s == GIVEN || (s == GO_SENT && !stream && in_memory && leased))
#define anothers (lease == TAKEN || lease == ANOTHERS)
#define is_there (d == ACCEPTED || d == TAKES || d == OWNS)

proctype source()
{
end:	do
	:: atomic { OUT(TOLD_PARKED, s == RUNS && stream && !stunned && s_left) ->
		s = PARKED; stunned = true; m_end = true }

	/* READY: first the note, then GO */
	:: atomic { OUT(NOTED_GO, s == PARKED && m_ready && stream && s_notes && s_holds) ->
		deliver(m_ready);
#ifndef BREAK_GO_WITHOUT_NOTE
		sj = J_GO;
#endif
		go_noted = true; s = NOTED }
	:: atomic { OUT(SAYS_GO, (s == NOTED && !leased) || (s == GIVEN && stream)) ->
		s = GO_SENT; m_go = stream }

	/* cancel, failure, lost stream: before GO, which is not noted any more, it goes on */
	:: atomic { OUT(NOTED_NOTHING, (s == NOTED || s == PARKED) && s_notes) ->
		sj = J_NOTHING; s = UNNOTED }
	:: atomic { OUT(GOES_ON, s == PARKED || s == UNNOTED) -> go_on() }
#ifdef BREAK_GO_ON_WITH_NOTE /* a crash would find that GO was said */
	:: atomic { s == NOTED -> go_on() }
#endif

	/* a note that breaks off may be there: it neither goes on nor says GO before it is */
	:: atomic { ((s == PARKED && m_ready && stream && s_holds) || s == NOTED) &&
		    FAULT(breaks) ->
		SPEND(breaks);
		if
		:: sj = J_GO; go_noted = true
		:: sj = J_NOTHING
		fi;
		s = UNSURE; stream = false }
	:: atomic { OUT(NOTED_GO, s == UNSURE && s_notes) -> sj = J_GO; go_noted = true; s = SURE }
	:: atomic { OUT(SAYS_GO, s == SURE) -> s = GO_SENT }
#ifdef BREAK_GO_UNSURE /* as if it had been noted */
	:: atomic { s == UNSURE -> go_noted = true; s = GO_SENT }
#endif

	/* the lease; what breaks off has happened, or not */
	:: atomic { OUT(GIVES, s == NOTED && leased) -> s = GIVING }
	:: atomic { OUT(LEASES_GIVEN, s == GIVING && lease == SOURCES && d != DOWN && s_notes) ->
		lease = OFFERED; s = GIVEN }
	:: atomic { s == GIVING && FAULT(breaks) -> SPEND(breaks);
		if
		:: lease == SOURCES && s_notes -> lease = OFFERED
		:: skip
		fi;
		s = GO_SENT; stream = false }
	:: atomic { OUT(TOOK_BACK, asks_lease && !anothers && s_notes) ->
		lease = TAKEN_BACK; s = BACK }
	:: atomic { OUT(NOTED_NOTHING, s == BACK && s_notes) -> sj = J_NOTHING; go_on() }
	:: atomic { asks_lease && lease == OFFERED && FAULT(breaks) -> SPEND(breaks);
		if
		:: s_notes -> lease = TAKEN_BACK
		:: skip
		fi;
		s = GO_SENT; stream = false }
	/* it was accepted: that it has run there, or never will, the other side must say */
	:: atomic { (s == GIVING || s == GIVEN) && anothers -> s = GO_SENT; stream = false }
#ifdef BREAK_FREE_BY_LEASE /* a crash there may have been between the lease and the note */
	:: atomic { asks_lease && lease == TAKEN -> s = RELEASED }
#endif

	:: atomic { s == GO_SENT && stream && !m_running -> stream = false }
	:: atomic { OUT(TOLD_RELEASED, s == GO_SENT && m_running) ->
		deliver(m_running); s = RELEASED }

	/* settle.c */
	:: atomic { s == GO_SENT && !stream && !m_settle_go && !answered -> m_settle_go = true }
	:: atomic { s == RUNS && s_unsettled && !m_settle_aborted && !answered ->
		m_settle_aborted = true }
	:: atomic { OUT(TOLD_RELEASED, m_v_running && s == GO_SENT) ->
		deliver(m_v_running); s = RELEASED }
	:: atomic { OUT(GOES_ON, m_v_discarded && s == GO_SENT && !(leased && in_memory)) ->
		deliver(m_v_discarded); s = RUNS; ran_on = true; s_closes = true }
	/* the lease died with the copy: it can be started when that is free */
	:: atomic { OUT(STOPPED, m_v_discarded && s == GO_SENT && leased && in_memory &&
		    anothers) -> deliver(m_v_discarded); s = OFF; s_closes = true }
	:: atomic { (m_v_discarded || m_v_unknown) && s == RUNS && s_unsettled ->
		m_v_discarded = false; m_v_unknown = false; s_unsettled = false; sj = NONE }

	/* the disks here are removed if it has moved, then the record, then the other side may
	 * forget */
	:: atomic { OUT(FORGOT, s == RELEASED && sj != NONE && s_notes) ->
		s_removes(); sj = NONE; s_closes = true }
	:: atomic { (s == RUNS || s == OFF) && s_closes && sj != NONE -> sj = NONE }
	:: atomic { s_closes && sj == NONE && !m_closed -> m_closed = true; s_closes = false }
#ifdef BREAK_CLOSE_EARLY /* the other side forgets while this one may still ask */
	:: atomic { s == RELEASED && sj != NONE -> m_closed = true }
#endif
	/* answers that no longer matter */
	:: atomic { m_v_unknown && s == GO_SENT -> m_v_unknown = false }
	:: atomic { (s == RELEASED || s == OFF || (s == RUNS && !s_unsettled)) &&
		    (m_v_running || m_v_discarded || m_v_unknown || m_running || m_ready) ->
		m_v_running = false; m_v_discarded = false; m_v_unknown = false;
		m_running = false; m_ready = false }
	od
}

/* What is told of a copy that is gone. */
inline gone()
{
	d_over = true;
	if
	:: d_knows -> m_v_discarded = true
	:: else -> m_v_unknown = true
	fi
}

/* The source may ask until it has settled, after more crashes of this host than one. */
inline note_gone()
{
#ifndef BREAK_FORGET_GONE /* the second start takes it for a copy that was never complete */
	dj = J_GONE
#else
	skip
#endif
}

inline give_up()
{
	d = EMPTY; d_over = true; d_files = false
}

#define lease_gone (lease == TAKEN_BACK || lease == ANOTHERS || (lease == SOURCES && !in_memory))

proctype dest()
{
end:	do
	/* all is loaded, the disks are flushed and whole; also what was sent before a cut */
	:: atomic { IN(COMPLETE, m_end && d == EMPTY && !d_over && d_notes) ->
		deliver(m_end); d = HELD; d_is_whole(); d_files = true; m_ready = true }
	:: atomic { m_end && (d != EMPTY || d_over || !stream) -> m_end = false }

	/* GO: first the note, then it runs */
	:: atomic { IN(NOTED_OWNS, (m_go || m_settle_go) && d == HELD && !leased && d_notes &&
		    d_holds) ->
		if
		:: m_go -> deliver(m_go)
		:: m_settle_go -> deliver(m_settle_go)
		fi;
		assert(go_noted);
#ifndef BREAK_RUN_WITHOUT_NOTE
		dj = J_OWNS;
#endif
		d = TAKES }

	/* with a lease that comes first: on GO, or without the stream */
#define asked_lease (d == HELD && leased && (m_go || m_settle_go || !stream))
	:: atomic { IN(ACCEPTS, asked_lease && (lease == OFFERED || lease == TAKEN) && d_notes &&
		    d_holds) ->
		lease = TAKEN; d = ACCEPTED }
	:: atomic { asked_lease && lease == OFFERED && d_notes && FAULT(breaks) -> SPEND(breaks);
		lease = TAKEN }
	:: atomic { IN(GIVEN_UP, asked_lease && lease_gone) -> note_gone(); give_up() }
	:: atomic { IN(GIVEN_UP, d == HELD && !d_holds && d_notes && (m_go || m_settle_go ||
		    (leased && !stream))) -> note_gone(); give_up() }
	:: atomic { IN(NOTED_OWNS, d == ACCEPTED && d_notes) -> dj = J_OWNS; d = TAKES }
#ifdef BREAK_NOTE_ALONE /* the record is taken for the lease */
	:: atomic { (m_go || m_settle_go) && d == HELD && leased -> dj = J_OWNS; d = TAKES }
#endif

	:: atomic { IN(RUNS_THERE, d == TAKES) -> d = OWNS; d_ran = true;
		m_running = stream; m_v_running = true }
	:: atomic { m_go && d == OWNS -> deliver(m_go); m_running = stream }
	:: atomic { m_go && d == EMPTY -> m_go = false }
	:: atomic { m_settle_go && d == OWNS && d_knows ->
		deliver(m_settle_go); m_v_running = true }
	:: atomic { m_settle_go && d == OWNS && !d_knows ->
		deliver(m_settle_go); m_v_unknown = true }

	/* this copy never ran and never will; that is kept until the source has settled */
	:: atomic { m_settle_go && d == EMPTY -> deliver(m_settle_go); gone();
#ifdef BREAK_FORGET_WHEN_ASKED /* the answer may be lost, and then a crash take the memory of it */
		dj = NONE
#endif
		}
	:: atomic { IN(GIVEN_UP, m_abort && d == HELD) -> deliver(m_abort); give_up(); dj = NONE }
	:: atomic { IN(GIVEN_UP, m_settle_aborted && d == HELD) -> deliver(m_settle_aborted);
		give_up(); dj = NONE; m_v_discarded = true }
	:: atomic { m_abort && d == EMPTY -> deliver(m_abort); d_over = true; dj = NONE }
	:: atomic { m_settle_aborted && d == EMPTY -> deliver(m_settle_aborted); dj = NONE; gone() }
	:: atomic { m_abort && is_there -> m_abort = false }
	:: atomic { m_settle_aborted && is_there -> m_settle_aborted = false; assert(s == BURNT) }
	:: atomic { d == EMPTY && !stream && !d_over -> d_over = true; dj = NONE }

	:: atomic { IN(HEARD_CLOSED, m_closed && (d == OWNS || d == TAKES) && d_knows) ->
		m_closed = false; dj = NONE }
	:: atomic { m_closed && (d == EMPTY || !d_knows) -> m_closed = false; dj = NONE }
	od
}

/* A crash takes what is in memory. */
inline drop_stream()
{
	stream = false; m_end = false; m_ready = false; m_go = false; m_running = false;
	m_abort = false
}

proctype faults()
{
end:	do
	:: atomic { OUT(CRASHED, FAULT(s_crashes) && BOUND(stunned) && s != DOWN && s != BURNT) ->
		SPEND(s_crashes); drop_stream(); in_memory = false; s_closes = false;
		if
		:: sj == NONE && (s == RELEASED || s == OFF) -> skip /* no record, and no VM */
		:: else -> s = DOWN
		fi }
	:: atomic { IN(CRASHED, FAULT(d_crashes) && BOUND(stunned) && d != DOWN && d != BURNT) ->
		SPEND(d_crashes); drop_stream();
		if
		:: dj == NONE -> d_knows = false;
			if
			:: is_there -> d_dies(); d = OWNS
			:: else -> d = EMPTY; d_over = true
			fi
		:: else -> d_dies(); d = DOWN
		fi }
	/* never to come back */
	:: atomic { OUT(CRASHED, !burnt && stunned && s != RELEASED && s != OFF && d != BURNT) ->
		burnt = true; s = BURNT; in_memory = false; drop_stream() }
	:: atomic { IN(CRASHED, !burnt && stunned && !is_there && dj != J_OWNS && s != BURNT) ->
		burnt = true; d = BURNT; drop_stream() }
	:: atomic { FAULT(losses) && stream -> SPEND(losses); drop_stream() }
	:: atomic { FAULT(losses) && m_settle_go -> SPEND(losses); m_settle_go = false }
	:: atomic { FAULT(losses) && m_settle_aborted -> SPEND(losses); m_settle_aborted = false }
	:: atomic { FAULT(losses) && m_v_running -> SPEND(losses); m_v_running = false }
	:: atomic { FAULT(losses) && m_v_discarded -> SPEND(losses); m_v_discarded = false }
	:: atomic { FAULT(losses) && m_closed -> SPEND(losses); m_closed = false }
	:: break /* no more of it: they may be over at any time */
	od
}

proctype boots()
{
end:	do
	:: atomic { OUT(FOUND_GO, s == DOWN && sj == J_GO) -> s_boots(); s = GO_SENT }
	:: atomic { OUT(FOUND_NOTHING, s == DOWN && sj == J_NOTHING) -> /* from its disks */
		s_boots(); s = RUNS; ran_on = true; s_unsettled = true }
	:: atomic { s == DOWN && sj == NONE -> s_boots();
		s = RUNS; ran_on = true; s_unsettled = false }
	:: atomic { IN(FOUND_OWNS, d == DOWN && dj == J_OWNS) -> /* started again from its disks */
		d_boots(); d = OWNS; d_ran = true }
	/* What of the files was not whole went at the mount; the note comes before the others go */
	:: atomic { IN(FOUND_NOTHING, d == DOWN && (dj == J_NOTHING || dj == J_GONE)) ->
		d_boots(); d = EMPTY; d_over = true;
		if
		:: d_files -> note_gone(); d_files = false
		:: !d_files && dj == J_GONE -> skip
		:: else -> dj = NONE /* no more than in memory */
		fi }
	od
}

/* Truthful: says that the other host is gone for good only when it is. */
proctype operator()
{
end:	do
	:: atomic { OUT(SAID_HERE, s == GO_SENT && d == BURNT && !(leased && in_memory)) ->
		s = RUNS; sj = NONE; s_unsettled = false }
	:: atomic { s == RUNS && s_unsettled && d == BURNT -> s_unsettled = false; sj = NONE }
	/* here, which cannot be said of a VM with leases; its disks stay */
	:: atomic { OUT(SAID_THERE, s == GO_SENT && d == BURNT && leased && in_memory &&
		    anothers) -> s = OFF; sj = NONE }
	:: atomic { IN(SAID_HERE, d == HELD && s == BURNT && !leased && burnt_too) ->
		dj = J_OWNS; d = OWNS; d_ran = true; d_told_here = true }
#ifdef THIRD /* the source had gone on: its disks are newer, and others may start it from them */
	:: atomic { IN(SAID_THERE, d == HELD && s == BURNT && !leased && !burnt_too) ->
		give_up(); dj = NONE }
#endif
#ifdef TRACE /* first its record says so */
	:: atomic { OUT(NOTED_NOTHING, s == GO_SENT && d == BURNT && !(leased && in_memory)) ->
		sj = J_NOTHING }
	/* true as well, but nobody needs it; and it runs by the operator's word */
	:: atomic { IN(RUNS_THERE, d == OWNS && d_told_here) }
	:: atomic { OUT(SAID_THERE, s == GO_SENT && !stream && d == OWNS) ->
		s = RELEASED; sj = NONE }
	:: atomic { IN(SAID_THERE, d == HELD && !stream && s == RUNS) -> give_up(); dj = NONE }
#endif
	od
}

active proctype monitor()
{
end:	do
	:: atomic { s == RUNS && (d_ran || is_there) -> assert(false) }
	/* an old copy, which is the best there is when the source has burnt down */
	:: atomic { ran_on && (d == TAKES || d_ran) && s != BURNT -> assert(false) }
	od
}

#include "clock.h"

init {
	atomic {
		run source(); run dest(); run faults(); run boots(); run operator()
#ifdef THIRD
		; run third()
#endif
	}
}

#define here_alone (((s == RUNS && !s_unsettled) || s == OFF) && \
		    (d == EMPTY || d == BURNT) && s_plain)
#define there_alone ((s == RELEASED || s == BURNT) && d == OWNS && d_plain)
/* What may stay without an owner: the source burnt down before the copy was complete, or given. */
#define burnt_down (s == BURNT && (d == EMPTY || d == BURNT))
ltl kept { [] (s != RELEASED || d_ran) }
ltl settles { <> [] (here_alone || there_alone || burnt_down || !stunned || s == PARKED) }
ltl unparks { [] ((s == PARKED) -> <> (s != PARKED)) }
