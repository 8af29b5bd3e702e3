/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who owns a migrating VM: Promela model of mig/commit.c with nothing on disk.
 * Each d_step or atomic step carries the name of the function that it models.
 *
 * The network is as bad as it can be: a message in flight is a bit that is set
 * by sending; it may be delivered at any later time, in any order, once or
 * again (the bit stays), or be lost. Messages of the migration's own stream die
 * with the end that would receive them; settling uses new streams. TCP excludes that
 * within a stream octets come twice, out of order, or after a gap; the model does not use
 * that: what a stream would put in order may come in any here. Either host
 * may crash once at any point and comes back knowing nothing. The operator, who
 * looks at both hosts, answers truthfully and only when a host asks.
 *
 * Safety:   never both running (assert in the monitor); a GO that was not sent
 *           is never obeyed.
 * Progress: once losses and crashes are over, both ends settle (ltl settles).
 *
 * The BREAK_ variants are wrong on purpose: the test fails if Spin finds
 * nothing in them.
 */

/* BREAK: safety -DBREAK_ABORT_AFTER_GO */
/* BREAK: safety -DBREAK_RUN_WITHOUT_GO */
/* BREAK: kept -DBREAK_FORGET_DISCARD */

/* DECIDES: the stream decides */

#ifndef DUPS
#define DUPS 2 /* messages that come twice */
#endif
#ifndef LOSSES
#define LOSSES 3
#endif

mtype = { RUNS, PARKED, GO_SENT, RELEASED, GONE, EMPTY, HELD, OWNS };

mtype s = RUNS;	 /* source, enum source_state; GONE after a crash */
mtype d = EMPTY; /* destination, enum dest_state */

bool s_stunned_once, s_unsettled, s_told_unknown;
bool d_over;	    /* DST_GONE: the destination remembers that its copy was discarded */
bool d_knows = true; /* false after a crash: the id means nothing to it */
bool d_asks;	    /* held without a stream */
bool stream = true; /* the migration's own stream is up */
bool go_sent, d_told_here;
bool s_was_told_here;

/* In flight: the stream's ... */
bool m_end, m_ready, m_go, m_running, m_abort;
/* ... and those of settling connections. */
bool m_settle_aborted, m_settle_go, m_v_running, m_v_discarded, m_v_unknown;

byte dups = DUPS, losses = LOSSES;
bool s_crashed, d_crashed;

#include "trace.h"

/* A connection for each question, one at a time. */
#define answered (m_v_running || m_v_discarded || m_v_unknown)
#define s_settled (s == RELEASED || s == GONE || (s == RUNS && !s_unsettled))
#define d_settled (d != HELD)

/* Delivers a message: it may come again when the network duplicates it. */
inline deliver(bit_)
{
	if
	:: bit_ = false
	:: FAULT(dups) -> SPEND(dups) /* it comes again */
	fi
}

proctype source()
{
end:	do
	/* stun and transfer: everything is sent, END last */
	:: atomic { OUT(TOLD_PARKED, s == RUNS && stream && !s_stunned_once) -> /* src_stun */
		s = PARKED; s_stunned_once = true; m_end = true }

	/* READY came: GO is decided and sent */
	:: atomic { OUT(SAYS_GO, s == PARKED && m_ready && stream) ->	/* src_ready */
		deliver(m_ready); s = GO_SENT; go_sent = true; m_go = true }

	/* cancel, failure, time-out, lost stream: before GO the VM goes on here */
	:: atomic { OUT(GOES_ON, s == PARKED) ->		/* src_abort, src_lost */
		s = RUNS; s_unsettled = true; m_abort = stream; stream = false }

#ifdef BREAK_ABORT_AFTER_GO /* must be found: the source resumes by a time-out after GO */
	:: atomic { s == GO_SENT -> s = RUNS }
#endif

	/* after GO a lost stream means asking */
	:: atomic { s == GO_SENT && stream && !m_running ->	/* src_lost */
		stream = false }

	:: atomic { OUT(TOLD_RELEASED, s == GO_SENT && m_running) ->	/* src_running */
		deliver(m_running); s = RELEASED }

	/* settle.c */
	:: atomic { s == GO_SENT && !stream && !m_settle_go && !answered -> m_settle_go = true }
	:: atomic { s == RUNS && s_unsettled && !m_settle_aborted && !answered ->
		m_settle_aborted = true }
	:: atomic { OUT(TOLD_RELEASED, m_v_running && s == GO_SENT) ->	/* src_running */
		deliver(m_v_running); s = RELEASED }
	:: atomic { OUT(GOES_ON, m_v_discarded && s == GO_SENT) ->	/* src_discarded */
		deliver(m_v_discarded); s = RUNS; s_unsettled = false }
	:: atomic { (m_v_discarded || m_v_unknown) && s == RUNS && s_unsettled ->
		m_v_discarded = false; m_v_unknown = false; s_unsettled = false }
	:: atomic { m_v_unknown && s == GO_SENT && !s_told_unknown ->	/* src_unknown */
		deliver(m_v_unknown); s_told_unknown = true }
	/* answers that no longer matter */
	:: atomic { (s == RELEASED || s == GONE || (s == RUNS && !s_unsettled)) &&
		    (m_v_running || m_v_discarded || m_v_unknown || m_running || m_ready) ->
		m_v_running = false; m_v_discarded = false; m_v_unknown = false;
		m_running = false; m_ready = false }
	od
}

proctype dest()
{
end:	do
	/* also what was sent before the stream was cut */
	:: atomic { IN(COMPLETE, m_end && d == EMPTY && !d_over && d_knows) ->	/* dst_loaded */
		deliver(m_end); d = HELD; m_ready = true }
	:: atomic { m_end && (d != EMPTY || d_over || !d_knows || !stream) -> m_end = false }

	:: atomic { IN(RUNS_THERE, m_go && d == HELD) ->	/* dst_go */
		deliver(m_go); assert(go_sent); d = OWNS; m_running = true }
	:: atomic { m_go && d == OWNS -> deliver(m_go); m_running = true }
	:: atomic { m_go && d == EMPTY -> m_go = false }	/* dst_go: refused */

	:: atomic { IN(GIVEN_UP, m_abort && d == HELD) ->	/* dst_aborted */
		deliver(m_abort); d = EMPTY; d_over = true; d_asks = false }
	:: atomic { m_abort && d == EMPTY ->
		deliver(m_abort); d = EMPTY; d_over = d_knows; d_asks = false }
	:: atomic { m_abort && d == OWNS -> m_abort = false }

	:: atomic { d == HELD && !stream && !d_asks ->		/* dst_lost */
		d_asks = true }
	:: atomic { d == EMPTY && !stream && d_knows && !d_over -> d_over = true } /* dst_lost */

#ifdef BREAK_RUN_WITHOUT_GO /* must be found: the destination takes over by a time-out */
	:: atomic { d == HELD && !stream -> d = OWNS }
#endif
/* must be found: a discarded copy is taken for unknown, and nobody asks again */
#ifdef BREAK_FORGET_DISCARD
	:: atomic { d == EMPTY && d_over && m_settle_go -> m_settle_go = false; m_v_running = true }
#endif

	/* dest_settle */
	:: atomic { IN(RUNS_THERE, m_settle_go && d == HELD) ->
		deliver(m_settle_go); assert(go_sent); d = OWNS; m_v_running = true }
	:: atomic { m_settle_go && d == OWNS -> deliver(m_settle_go); m_v_running = true }
	:: atomic { m_settle_go && d == EMPTY -> deliver(m_settle_go);
		if
		:: d_knows -> d_over = true; m_v_discarded = true
		:: else -> m_v_unknown = true
		fi }
	:: atomic { IN(GIVEN_UP, m_settle_aborted && d == HELD) -> deliver(m_settle_aborted);
		d = EMPTY; d_asks = false; d_over = true; m_v_discarded = true }
	:: atomic { m_settle_aborted && d == EMPTY -> deliver(m_settle_aborted);
		if
		:: d_knows -> d_over = true; m_v_discarded = true
		:: else -> m_v_unknown = true
		fi }
	:: atomic { m_settle_aborted && d == OWNS -> m_settle_aborted = false; assert(d_told_here) }
	od
}

/* A crash takes the memory, the VM's copy and the host's end of the stream with it. */
proctype faults()
{
end:	do
	:: atomic { OUT(CRASHED, BOUND(!s_crashed && s_stunned_once)) -> s_crashed = true;
		if
		:: s == RELEASED
		:: else -> s = GONE
		fi;
		s_unsettled = false; stream = false;
		m_ready = false; m_running = false }
	:: atomic { IN(CRASHED, BOUND(!d_crashed && (d != EMPTY || s_stunned_once))) ->
		d_crashed = true; d = EMPTY; d_knows = false; d_over = false; d_asks = false;
		stream = false; m_end = false; m_go = false; m_abort = false }
	:: atomic { FAULT(losses) && stream -> SPEND(losses); stream = false }	/* link cut */
	:: atomic { FAULT(losses) && m_end -> SPEND(losses); m_end = false; stream = false }
	:: atomic { FAULT(losses) && m_ready -> SPEND(losses); m_ready = false; stream = false }
	:: atomic { FAULT(losses) && m_go -> SPEND(losses); m_go = false; stream = false }
	:: atomic { FAULT(losses) && m_running -> SPEND(losses); m_running = false; stream = false }
	:: atomic { FAULT(losses) && m_abort -> SPEND(losses); m_abort = false }
	:: atomic { FAULT(losses) && m_settle_go -> SPEND(losses); m_settle_go = false }
	:: atomic { FAULT(losses) && m_settle_aborted -> SPEND(losses); m_settle_aborted = false }
	:: atomic { FAULT(losses) && m_v_running -> SPEND(losses); m_v_running = false }
	:: atomic { FAULT(losses) && m_v_discarded -> SPEND(losses); m_v_discarded = false }
	:: atomic { FAULT(losses) && m_v_unknown -> SPEND(losses); m_v_unknown = false }
	:: break /* no more of it: they may be over at any time */
	od
}

/* Truthful: says "here" of a copy only when the other one neither runs nor can come to run. */
proctype operator()
{
end:	do
	/* the source asks; the destination has died with its copy, and knows nothing when back */
	/* src_resolve(here) */
	:: atomic { OUT(SAID_HERE, s == GO_SENT && d == EMPTY && !d_knows) ->
		s = RUNS; s_was_told_here = true; s_unsettled = false }
	/* the source asks; the copy there runs */
	:: atomic { OUT(SAID_THERE, s == GO_SENT && !stream && d == OWNS) ->
		/* src_resolve(there) */
		s = RELEASED }
	/* the destination asks; the source is dead */
	:: atomic { IN(SAID_HERE, d == HELD && d_asks && s == GONE) -> /* dst_resolve(here) */
		d = OWNS; d_told_here = true; d_asks = false }
#ifdef TRACE /* it runs by that */
	:: atomic { IN(RUNS_THERE, d == OWNS && d_told_here) }
#endif
	/* the destination asks; the source has it, running or itself in doubt */
	:: atomic { IN(SAID_THERE, d == HELD && d_asks && (s == RUNS || s == GO_SENT)) ->
		/* dst_resolve(there) */
		d = EMPTY; d_over = true; d_asks = false }
	od
}

/* Always true, at every step. */
active proctype monitor()
{
end:	do
	:: atomic { s == RUNS && d == OWNS -> assert(false) }
	od
}

#include "clock.h"

init {
	atomic { run source(); run dest(); run faults(); run operator() }
}

/* The VM is never gone from both hosts unless a host crashed. */
#define lost (s == RELEASED && d != OWNS)
ltl kept { [] (!lost || d_crashed) }
/* Settled for good, unless the stun was never begun. */
ltl settles { <> [] ((s_settled && d_settled) || !s_stunned_once || s == PARKED) }
/* A parked source does not stay parked. */
ltl unparks { [] ((s == PARKED) -> <> (s != PARKED)) }
