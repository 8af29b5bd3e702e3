/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who owns a migrating VM when nothing is shared but the network: the commit of mig/commit.c with
 * a record on each host's own disk (mig/journal.c). The VM's disks have been copied, so a
 * host that crashes and comes back could start it from there: it must know whether it may.
 *
 * The network is as bad as in commit.pml: a message in flight is a bit; it is delivered at any
 * later time, once or again, or lost, and those of the migration's own stream die with it.
 * Either host crashes up to twice, between any two steps: between a note on its disk and what
 * it does next, too. A host may also burn down, once, and never come back; then, and only
 * then, there is an operator who says so.
 *
 * Safety:   never both running, nor the source again after the destination has run (monitor);
 *           GO that was not noted is never obeyed.
 * Progress: once losses and crashes are over, exactly one host has the VM, without any
 *           operator unless a host is gone for good (ltl settles).
 *
 * The BREAK_ variants leave a note out or drop one too early, and must be found.
 */

/* BREAK: safety -DBREAK_GO_WITHOUT_NOTE */
/* BREAK: safety -DBREAK_RUN_WITHOUT_NOTE */
/* BREAK: safety -DBREAK_CLOSE_EARLY */

#ifndef LOSSES
#define LOSSES 3
#endif
#ifndef CRASHES
#define CRASHES 2 /* of each host */
#endif

/* s: RUNS, PARKED, NOTED (GO is on the disk), GO_SENT (also: came back with that note), RELEASED,
 * BURNT. d: EMPTY, HELD, TAKES (OWNS is on the disk), OWNS, BURNT. READY needs no note: a copy that
 * a crash took has never run, which is what its absence says. */
mtype = { RUNS, PARKED, NOTED, GO_SENT, RELEASED, EMPTY, HELD, TAKES, OWNS, BURNT };
mtype s = RUNS;
mtype d = EMPTY;
/* On the disks: enum journal_step. */
mtype = { NONE, J_NOTHING, J_GO, J_OWNS };
mtype sj = J_NOTHING;
mtype dj = J_NOTHING;

bool stunned;		/* at least once */
bool s_unsettled;	/* the other side may hold a copy that is not wanted */
bool d_over;		/* this copy was given up: it never becomes HELD */
bool stream = true;
bool d_knows = true; /* false: it owns the VM and has forgotten from where */
bool go_noted;
bool d_ran; /* at the destination, ever */

/* In flight: the stream's, and settling's. */
bool m_end, m_ready, m_go, m_running, m_abort, m_closed;
bool m_settle_aborted, m_settle_go, m_v_running, m_v_discarded;

byte losses = LOSSES, s_crashes = CRASHES, d_crashes = CRASHES;
bool burnt;

inline deliver(bit_)
{
	if
	:: bit_ = false
	:: skip /* it comes again */
	fi
}

proctype source()
{
end:	do
	:: atomic { s == RUNS && stream && !stunned ->
		s = PARKED; stunned = true; m_end = true }

	/* READY: first the note, then GO */
	:: atomic { s == PARKED && m_ready && stream ->
		deliver(m_ready);
#ifndef BREAK_GO_WITHOUT_NOTE
		sj = J_GO;
#endif
		go_noted = true; s = NOTED }
	:: atomic { s == NOTED -> s = GO_SENT; m_go = stream }

	:: atomic { s == PARKED -> /* cancel, failure, lost stream */
		s = RUNS; s_unsettled = true; m_abort = stream; stream = false }

	:: atomic { s == GO_SENT && stream && !m_running -> stream = false }
	:: atomic { s == GO_SENT && m_running -> deliver(m_running); s = RELEASED }

	/* settle.c */
	:: atomic { s == GO_SENT && !stream && !m_settle_go -> m_settle_go = true }
	:: atomic { s == RUNS && s_unsettled && !m_settle_aborted -> m_settle_aborted = true }
	:: atomic { m_v_running && s == GO_SENT -> deliver(m_v_running); s = RELEASED }
	:: atomic { m_v_discarded && s == GO_SENT -> deliver(m_v_discarded);
		s = RUNS; s_unsettled = false; sj = NONE }
	:: atomic { m_v_discarded && s == RUNS && s_unsettled ->
		m_v_discarded = false; s_unsettled = false; sj = NONE }

	/* released: the disks here are removed, then the record, then the other side may forget */
	:: atomic { s == RELEASED && sj != NONE -> sj = NONE }
	:: atomic { s == RELEASED && sj == NONE && !m_closed && dj == J_OWNS -> m_closed = true }
#ifdef BREAK_CLOSE_EARLY /* the other side forgets while this one may still ask */
	:: atomic { s == RELEASED && sj != NONE -> m_closed = true }
#endif
	/* answers that no longer matter */
	:: atomic { (s == RELEASED || (s == RUNS && !s_unsettled)) &&
		    (m_v_running || m_v_discarded || m_running || m_ready) ->
		m_v_running = false; m_v_discarded = false; m_running = false; m_ready = false }
	od
}

proctype dest()
{
end:	do
	/* all is loaded, the disks are flushed and whole */
	:: atomic { m_end && d == EMPTY && !d_over && stream ->
		deliver(m_end); d = HELD; m_ready = true }
	:: atomic { m_end && (d != EMPTY || d_over || !stream) -> m_end = false }

	/* GO: first the note, then it runs */
	:: atomic { (m_go || m_settle_go) && d == HELD ->
		if
		:: m_go -> deliver(m_go)
		:: m_settle_go -> deliver(m_settle_go)
		fi;
		assert(go_noted);
#ifndef BREAK_RUN_WITHOUT_NOTE
		dj = J_OWNS;
#endif
		d = TAKES }
	:: atomic { d == TAKES -> d = OWNS; d_ran = true;
		m_running = stream; m_v_running = true }
	:: atomic { m_go && d == OWNS -> deliver(m_go); m_running = stream }
	:: atomic { m_go && d == EMPTY -> m_go = false }
	:: atomic { m_settle_go && d == OWNS && d_knows ->
		deliver(m_settle_go); m_v_running = true }

	/* no record of owning it: this copy never ran and never will */
	:: atomic { m_settle_go && (d == EMPTY || !d_knows) -> deliver(m_settle_go);
		d_over = true; dj = NONE; m_v_discarded = true }
	:: atomic { (m_abort || m_settle_aborted) && d != OWNS && d != TAKES && d != BURNT ->
		if
		:: m_abort -> deliver(m_abort)
		:: m_settle_aborted -> deliver(m_settle_aborted); m_v_discarded = true
		fi;
		d = EMPTY; d_over = true; dj = NONE }
	:: atomic { m_abort && (d == OWNS || d == TAKES) -> m_abort = false }
	:: atomic { m_settle_aborted && (d == OWNS || d == TAKES) -> m_settle_aborted = false;
		assert(s == BURNT) }
	:: atomic { d == EMPTY && !stream && !d_over -> d_over = true; dj = NONE }

	:: atomic { m_closed && (d == OWNS || d == TAKES) -> m_closed = false; dj = NONE }
	:: atomic { m_closed && d != OWNS && d != TAKES -> m_closed = false }
	od
}

/* A crash takes what is in memory; the host comes back with what its disk says. */
inline drop_stream()
{
	stream = false; m_end = false; m_ready = false; m_go = false; m_running = false;
	m_abort = false
}

proctype faults()
{
end:	do
	:: atomic { s_crashes > 0 && stunned && s != BURNT ->
		s_crashes--; drop_stream();
		if
		:: sj == J_GO -> s = GO_SENT
		:: sj == J_NOTHING -> s = RUNS; s_unsettled = true /* from its disks */
		:: sj == NONE && s != RELEASED -> s = RUNS; s_unsettled = false
		:: sj == NONE && s == RELEASED -> skip /* no disks, no record */
		fi }
	:: atomic { d_crashes > 0 && stunned && d != BURNT ->
		d_crashes--; drop_stream();
		if
		:: dj == J_OWNS -> d = OWNS; d_ran = true /* started again from its disks */
		:: dj == NONE && (d == OWNS || d == TAKES) -> d_knows = false
		:: else -> d = EMPTY; d_over = true; dj = NONE
		fi }
	/* never to come back */
	:: atomic { !burnt && stunned && s != RELEASED && d != BURNT ->
		burnt = true; s = BURNT; drop_stream() }
	:: atomic { !burnt && stunned && d != OWNS && d != TAKES && s != BURNT ->
		burnt = true; d = BURNT; drop_stream() }
	:: atomic { losses > 0 && stream -> losses--; drop_stream() }
	:: atomic { losses > 0 && m_settle_go -> losses--; m_settle_go = false }
	:: atomic { losses > 0 && m_settle_aborted -> losses--; m_settle_aborted = false }
	:: atomic { losses > 0 && m_v_running -> losses--; m_v_running = false }
	:: atomic { losses > 0 && m_v_discarded -> losses--; m_v_discarded = false }
	:: atomic { losses > 0 && m_closed -> losses--; m_closed = false }
	od
}

/* Says only that the other host is gone for good, and only when it is. */
proctype operator()
{
end:	do
	:: atomic { s == GO_SENT && d == BURNT -> s = RUNS; sj = NONE; s_unsettled = false }
	:: atomic { s == RUNS && s_unsettled && d == BURNT -> s_unsettled = false; sj = NONE }
	:: atomic { d == HELD && s == BURNT -> dj = J_OWNS; d = OWNS; d_ran = true }
	od
}

active proctype monitor()
{
end:	do
	:: atomic { s == RUNS && (d_ran || d == TAKES) -> assert(false) }
	od
}

init {
	atomic { run source(); run dest(); run faults(); run operator() }
}

#define here_alone (s == RUNS && !s_unsettled && d != OWNS)
#define there_alone ((s == RELEASED || s == BURNT) && d == OWNS)
/* What may stay without an owner: the source burnt down before the copy was complete. */
#define burnt_down (s == BURNT && (d == EMPTY || d == BURNT))
ltl settles { <> [] (here_alone || there_alone || burnt_down || !stunned || s == PARKED) }
ltl unparks { [] ((s == PARKED) -> <> (s != PARKED)) }
