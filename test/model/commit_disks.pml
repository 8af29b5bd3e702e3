/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who owns a migrating VM whose disk has a lease: Promela model of docs/ownership.md, that
 * is mig/commit.c with kernel/store/ds_hand.c. Steps carry the names of the functions.
 *
 * Hosts, network and messages are those of commit.pml (each is lost, comes twice and again, late
 * and in any order, though TCP excludes most of that within a stream), without an operator: nobody
 * needs one. The lease is one variable on the datastore; a transaction is one step, which looks
 * before it changes. It may break off: then it has happened or not, and its host knows nothing.
 * Each host may lose the datastore for a while: its fence is shut, and others may take it for dead,
 * as they take one that has crashed. A third host takes a dead host's lease.
 *
 * Safety:   never both running; none runs a copy that is older than the disk; who
 *           writes has the lease.
 * Progress: once faults are over, which may be at any time, one host has the VM and the other one
 *           no copy, or it died with its host, without a peer and without an operator.
 *
 * The BREAK_ variants are wrong on purpose: the test fails if Spin finds nothing in them.
 */

/* BREAK: safety -DBREAK_RESUME_BLINDLY */
/* BREAK: safety -DBREAK_RUN_BLINDLY */
/* BREAK: safety -DBREAK_ACCEPT_UNSEEN */
/* BREAK: safety -DBREAK_RUN_OLD_COPY */
/* BREAK: safety -DBREAK_NO_LOOK_AFTER_FENCE */
/* BREAK: kept -DBREAK_FREE_WHAT_WAS_GIVEN */
/* BREAK: settles -DBREAK_WAIT_FOR_GO */

/* SAFETY: -DAGAIN_AND_AGAIN */

/* DECIDES: leases decide */

#ifndef LOSSES
#define LOSSES 1   /* of the link, or of a message */
#endif
#ifndef DUPS
#define DUPS 1	   /* messages that come twice */
#endif
#define BREAKS 2   /* transactions that break off */
#define OUTAGES 1  /* of the datastore, of each host */

mtype = { RUNS, PARKED, GIVEN, GO_SENT, RELEASED, GONE, EMPTY, HELD, TAKES, OWNS };
mtype s = RUNS;	 /* enum source_state; GONE after a crash */
mtype d = EMPTY; /* enum dest_state; TAKES: it has the lease, and will run */

/* Generation, GIVEN and holder of the file's block. */
mtype = { SOURCES, OFFERED, ACCEPTED, TAKEN_BACK, ANOTHERS };
mtype lease = SOURCES;

bool stunned, ran_on; /* the source was parked; and has run after that */
bool gave;	      /* it knows that it gave */
bool unsettled;
bool d_over, d_knows = true;
bool stream = true;

bool m_end, m_ready, m_go, m_running, m_abort;
bool m_settle_aborted, m_settle_go, m_v_running, m_v_other;
bool m_v_heard; /* the answer to m_settle_aborted: each question has a connection of its own */

/* The fences, and what each last knew of its lease behind them. */
bool s_shut, d_shut;
bool s_mine = true, d_mine;

byte losses = LOSSES, breaks = BREAKS, dups = DUPS;
byte s_outages = OUTAGES, d_outages = OUTAGES;
bool s_crashed, d_crashed;

#include "trace.h"

inline deliver(bit_)
{
	if
	:: bit_ = false
#ifdef AGAIN_AND_AGAIN
	:: skip
#else
	:: FAULT(dups) -> SPEND(dups) /* it comes again */
#endif
	fi
}

#define sources (lease == SOURCES || lease == TAKEN_BACK)

/* source_ask_leases: at any time before GO; after it when the stream is lost */
#define asks_lease (s == GIVEN || (s == GO_SENT && !stream))

#define answered (m_v_running || m_v_other || m_v_heard)

/* The VM goes on at the source, which tells. */
inline go_on()
{
	s = RUNS; ran_on = true; unsettled = true;
	m_abort = stream; stream = false
}

proctype source()
{
end:	do
	:: atomic { OUT(TOLD_PARKED, s == RUNS && stream && !stunned) ->	/* src_stun */
		s = PARKED; stunned = true; m_end = true }
	:: atomic { OUT(GOES_ON, s == PARKED) -> go_on() }			/* src_abort */
	:: atomic { OUT(GIVES, s == PARKED && m_ready && stream) ->	/* src_give */
		deliver(m_ready); s = GIVEN }

	/* ds_lease_give; -ENOENT while the destination is not alive */
	:: atomic { OUT(LEASES_GIVEN, s == GIVEN && !gave && !s_shut && !d_shut &&
		    lease == SOURCES) ->
		s_mine = false; lease = OFFERED; gave = true }
	:: atomic { s == GIVEN && !gave && FAULT(breaks) && !d_shut ->
		SPEND(breaks); s_mine = false;
		if
		:: lease == SOURCES && !s_shut -> lease = OFFERED
		:: skip
		fi;
		s = GO_SENT; stream = false }				/* src_lost */

	:: atomic { OUT(SAYS_GO, s == GIVEN && gave && stream) ->		/* src_ready */
		s = GO_SENT; m_go = true }

	:: atomic { OUT(TOOK_BACK, asks_lease && !s_shut && sources) ->
		s_mine = true; go_on() }
	:: atomic { OUT(TOOK_BACK, asks_lease && !s_shut && lease == OFFERED) ->
#ifdef BREAK_FREE_WHAT_WAS_GIVEN /* must be found: what was given is taken for accepted */
		s = RELEASED
#else
		lease = TAKEN_BACK; s_mine = true; go_on()	/* src_taken_back */
#endif
		}
	:: atomic { OUT(MOVED_ON, asks_lease && !s_shut && !sources && lease != OFFERED) ->
		s = RELEASED; stream = false }	/* src_moved_on */
	:: atomic { asks_lease && FAULT(breaks) ->
		SPEND(breaks);
		if
		:: lease == OFFERED && !s_shut -> lease = TAKEN_BACK
		:: skip
		fi;
		s = GO_SENT; stream = false }				/* src_lost */

#ifdef BREAK_RESUME_BLINDLY /* must be found: by a time-out after GO */
	:: atomic { s == GO_SENT && !stream -> go_on() }
#endif

	:: atomic { s == GO_SENT && stream && !m_running -> stream = false }
	:: atomic { OUT(TOLD_RELEASED, s == GO_SENT && m_running) ->
		deliver(m_running); s = RELEASED }

	/* settle.c, one question at a time; after any other verdict, or none, it asks the lease */
	:: atomic { s == GO_SENT && !stream && !m_settle_go && !answered -> m_settle_go = true }
	:: atomic { OUT(TOLD_RELEASED, s == GO_SENT && m_v_running) ->
		deliver(m_v_running); s = RELEASED }
	:: atomic { s == RUNS && unsettled && !m_settle_aborted && !answered ->
		m_settle_aborted = true }
	:: atomic { s == RUNS && unsettled && m_v_heard -> m_v_heard = false; unsettled = false }
	:: atomic { (s == RELEASED || s == GONE || s == RUNS) &&
		    (m_v_running || m_v_other || m_running || m_ready) ->
		m_v_running = false; m_v_other = false; m_running = false; m_ready = false }
	:: atomic { (s == GONE || (s == RUNS && !unsettled)) && m_v_heard -> m_v_heard = false }
	od
}

/* dest_take: ds_lease_accept, and what follows from it */
inline take()
{
	if
#ifdef BREAK_RUN_BLINDLY /* must be found: GO is taken for the lease */
	:: true -> d = TAKES
#endif
	:: IN(ACCEPTS, !d_shut && lease == OFFERED) ->
#ifndef BREAK_ACCEPT_UNSEEN /* must be found: it opens what names it, and leaves no sign */
		lease = ACCEPTED;
#endif
		d = TAKES; d_mine = true
	:: IN(ACCEPTS, !d_shut && lease == ACCEPTED) -> d = TAKES; d_mine = true
	:: IN(GIVEN_UP, !d_shut && (lease == TAKEN_BACK || lease == ANOTHERS)) ->
		d = EMPTY; d_over = true
	:: IN(GIVEN_UP, !d_shut && lease == SOURCES && s_shut) ->
#ifdef BREAK_RUN_OLD_COPY /* must be found: it takes a dead host's lease for a copy of before */
		lease = ACCEPTED; d = TAKES; d_mine = true
#else
		d = EMPTY; d_over = true
#endif
	:: !d_shut && lease == SOURCES && !s_shut -> skip
	:: d_shut -> skip
	:: FAULT(breaks) -> SPEND(breaks);
		if
		:: lease == OFFERED && !d_shut -> lease = ACCEPTED
		:: skip
		fi
	fi
}

proctype dest()
{
end:	do
	/* also what was sent before the stream was cut */
	:: atomic { IN(COMPLETE, m_end && d == EMPTY && !d_over && d_knows) ->	/* dst_loaded */
		deliver(m_end); d = HELD; m_ready = true }
	:: atomic { m_end && (d != EMPTY || d_over || !d_knows || !stream) -> m_end = false }

	/* dest_on_go; what is refused ends the stream */
	:: atomic { m_go && d == HELD ->
		deliver(m_go); take();
		if
		:: d == TAKES
		:: else -> stream = false
		fi }
	:: atomic { IN(RUNS_THERE, d == TAKES) -> d = OWNS; m_running = stream }
	:: atomic { m_go && d != HELD -> m_go = false }

	/* dest_look */
#ifndef BREAK_WAIT_FOR_GO /* must be found: without its stream the destination asks nobody */
	:: atomic { d == HELD && !stream && !d_shut && (lease != SOURCES || s_shut) -> take() }
#endif

	:: atomic { IN(GIVEN_UP, m_abort && d == HELD) -> m_abort = false;	/* dst_aborted */
		d = EMPTY; d_over = true }
	:: atomic { m_abort && d != HELD -> m_abort = false;
		d_over = d_over || (d == EMPTY && d_knows) }
	:: atomic { d == EMPTY && !stream && d_knows && !d_over -> d_over = true } /* dst_lost */

	/* dest_settle */
	:: atomic { m_settle_go && d == HELD -> take();
		if
		:: d == HELD -> deliver(m_settle_go); m_v_other = true
		:: else /* then it is answered */
		fi }
	:: atomic { m_settle_go && d != TAKES && d != HELD -> deliver(m_settle_go);
		if
		:: d == OWNS -> m_v_running = true
		:: else -> m_v_other = true; d_over = d_over || (d == EMPTY && d_knows)
		fi }
	:: atomic { IN(GIVEN_UP, m_settle_aborted && d == HELD) -> deliver(m_settle_aborted);
		d = EMPTY; d_over = true; m_v_heard = true }
	:: atomic { m_settle_aborted && d == EMPTY -> deliver(m_settle_aborted);
		d_over = d_knows; m_v_heard = true }
	:: atomic { m_settle_aborted && (d == TAKES || d == OWNS) ->
		m_settle_aborted = false; assert(false) }
	od
}

/* A crash takes the memory, the VM's copy and the host's end of the stream with it. The datastore
 * goes for one host; and another host opens what a dead one had. */
proctype faults()
{
end:	do
	:: atomic { OUT(CRASHED, BOUND(!s_crashed && stunned)) -> s_crashed = true;
		if
		:: s == RELEASED
		:: else -> s = GONE
		fi;
		s_shut = true; unsettled = false; stream = false;
		m_ready = false; m_running = false }
	:: atomic { IN(CRASHED, BOUND(!d_crashed && stunned)) ->
		d_crashed = true; d = EMPTY; d_knows = false; d_over = false; d_shut = true;
		stream = false; m_end = false; m_go = false; m_abort = false }
	:: atomic { FAULT(losses) && stream -> SPEND(losses); stream = false }
	:: atomic { FAULT(losses) && m_end -> SPEND(losses); m_end = false; stream = false }
	:: atomic { FAULT(losses) && m_ready -> SPEND(losses); m_ready = false; stream = false }
	:: atomic { FAULT(losses) && m_go -> SPEND(losses); m_go = false; stream = false }
	:: atomic { FAULT(losses) && m_running -> SPEND(losses); m_running = false; stream = false }
	:: atomic { FAULT(losses) && m_abort -> SPEND(losses); m_abort = false }
	:: atomic { FAULT(losses) && m_settle_go -> SPEND(losses); m_settle_go = false }
	:: atomic { FAULT(losses) && m_settle_aborted -> SPEND(losses); m_settle_aborted = false }
	:: atomic { FAULT(losses) && m_v_running -> SPEND(losses); m_v_running = false }
	:: atomic { FAULT(losses) && m_v_other -> SPEND(losses); m_v_other = false }
	:: atomic { FAULT(losses) && m_v_heard -> SPEND(losses); m_v_heard = false }
	:: atomic { FAULT(s_outages) && !s_crashed && !s_shut -> SPEND(s_outages); s_shut = true }
	:: atomic { FAULT(d_outages) && d_knows && !d_shut -> SPEND(d_outages); d_shut = true }
	:: atomic { (s_shut && sources) || (d_shut && (lease == OFFERED || lease == ACCEPTED)) ->
		lease = ANOTHERS }
	:: break /* no more of it: they may be over at any time */
	od
}

/* The datastore comes back: who was shut out looks before it writes. */
proctype fences()
{
end:	do
	:: atomic { s_shut && !s_crashed ->
		s_shut = false;
#ifndef BREAK_NO_LOOK_AFTER_FENCE /* must be found: ds_revalidate is left out */
		s_mine = s_mine && sources
#endif
		}
	:: atomic { d_shut && d_knows -> d_shut = false; d_mine = d_mine && lease == ACCEPTED }
	od
}

/* Always true, at every step. */
active proctype monitor()
{
end:	do
	:: atomic { s == RUNS && (d == TAKES || d == OWNS) -> assert(false) }
	:: atomic { (d == TAKES || d == OWNS) && ran_on -> assert(false) }	/* an old copy */
	:: atomic { s == RUNS && s_mine && !s_shut && !sources -> assert(false) }
	:: atomic { (d == TAKES || d == OWNS) && d_mine && !d_shut && lease != ACCEPTED ->
		assert(false) }
	od
}

#include "clock.h"

init {
	atomic { run source(); run dest(); run faults(); run fences() }
}

/* The VM is never gone from both hosts unless a host crashed, or another has its disk. */
ltl kept { [] (!(s == RELEASED && d == EMPTY) || d_crashed || lease == ANOTHERS) }
/* Settled for good, by the lease alone if need be. */
#define here_alone (s == RUNS && !unsettled && d == EMPTY)
#define there_alone ((s == RELEASED || s == GONE) && d == OWNS)
#define died ((s == RELEASED || s == GONE) && d == EMPTY)
ltl settles { <> [] (here_alone || there_alone || died || !stunned || s == PARKED) }
ltl unparks { [] ((s == PARKED) -> <> (s != PARKED)) }
