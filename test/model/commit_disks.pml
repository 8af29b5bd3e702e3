/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who owns a migrating VM whose disk has a lease: Promela model of docs/ownership.md, that
 * is mig/commit.c with kernel/store/ds_hand.c. Steps carry the names of the functions.
 *
 * Hosts, network and messages are those of commit.pml, without an operator: nobody needs
 * one. The lease is one variable on the datastore; a transaction is one step, which looks
 * before it changes. It may break off: then it has happened or not, and its host knows nothing.
 * Each host may lose the datastore for a while: its fence is shut, and others may take it for dead,
 * as they take one that has crashed. A third host takes a dead host's lease.
 *
 * Safety:   never both running; none runs a copy that is older than the disk; who
 *           writes has the lease.
 * Progress: once faults are over, both ends settle, without a peer and without an operator.
 *
 * The BREAK_ variants are wrong on purpose: the test fails if Spin finds nothing in them.
 */

/* BREAK: safety -DBREAK_RESUME_BLINDLY */
/* BREAK: safety -DBREAK_RUN_BLINDLY */
/* BREAK: safety -DBREAK_ACCEPT_UNSEEN */
/* BREAK: safety -DBREAK_RUN_OLD_COPY */
/* BREAK: safety -DBREAK_NO_LOOK_AFTER_FENCE */
/* BREAK: kept -DBREAK_FREE_WHAT_WAS_GIVEN */

#ifndef LOSSES
#define LOSSES 1   /* of the link, or of a message */
#endif
#define BREAKS 2   /* transactions that break off */
#define OUTAGES 1  /* of the datastore, of each host */

mtype = { RUNS, PARKED, GIVEN, GO_SENT, RELEASED, GONE, EMPTY, HELD, OWNS };
mtype s = RUNS;	 /* enum source_state; GONE after a crash */
mtype d = EMPTY; /* enum dest_state */

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

/* The fences, and what each last knew of its lease behind them. */
bool s_shut, d_shut;
bool s_mine = true, d_mine;

byte losses = LOSSES, breaks = BREAKS;
byte s_outages = OUTAGES, d_outages = OUTAGES;
bool s_crashed, d_crashed;

inline deliver(bit_)
{
	if
	:: bit_ = false
	:: skip /* duplicated: stays in flight */
	fi
}

#define sources (lease == SOURCES || lease == TAKEN_BACK)

/* The VM goes on at the source, which tells. */
inline go_on()
{
	s = RUNS; ran_on = true; unsettled = true;
	m_abort = stream; stream = false
}

proctype source()
{
end:	do
	:: atomic { s == RUNS && stream && !stunned ->			/* src_stun */
		s = PARKED; stunned = true; m_end = true }
	:: atomic { s == PARKED -> go_on() }				/* src_abort */
	:: atomic { s == PARKED && m_ready && stream ->			/* src_give */
		deliver(m_ready); s = GIVEN }

	/* ds_lease_give; -ENOENT while the destination is not alive */
	:: atomic { s == GIVEN && !gave && !s_shut && !d_shut && lease == SOURCES ->
		s_mine = false; lease = OFFERED; gave = true }
	:: atomic { s == GIVEN && !gave && breaks > 0 && !d_shut ->
		breaks--; s_mine = false;
		if
		:: lease == SOURCES && !s_shut -> lease = OFFERED
		:: skip
		fi;
		s = GO_SENT; stream = false }				/* src_lost */

	:: atomic { s == GIVEN && gave && stream ->			/* src_ready */
		s = GO_SENT; m_go = true }

	/* source_ask_leases: at any time before GO; after it when the stream is lost */
	:: atomic { (s == GIVEN || (s == GO_SENT && !stream)) && !s_shut && sources ->
		s_mine = true; go_on() }
	:: atomic { (s == GIVEN || (s == GO_SENT && !stream)) && !s_shut && lease == OFFERED ->
#ifdef BREAK_FREE_WHAT_WAS_GIVEN /* must be found: what was given is taken for accepted */
		s = RELEASED
#else
		lease = TAKEN_BACK; s_mine = true; go_on()	/* src_taken_back */
#endif
		}
	:: atomic { (s == GIVEN || (s == GO_SENT && !stream)) && !s_shut && !sources &&
		    lease != OFFERED -> s = RELEASED; stream = false }	/* src_moved_on */
	:: atomic { (s == GIVEN || (s == GO_SENT && !stream)) && breaks > 0 ->
		breaks--;
		if
		:: lease == OFFERED && !s_shut -> lease = TAKEN_BACK
		:: skip
		fi;
		s = GO_SENT; stream = false }				/* src_lost */

#ifdef BREAK_RESUME_BLINDLY /* must be found: by a time-out after GO */
	:: atomic { s == GO_SENT && !stream -> go_on() }
#endif

	:: atomic { s == GO_SENT && stream && !m_running -> stream = false }
	:: atomic { s == GO_SENT && m_running -> deliver(m_running); s = RELEASED }

	/* settle.c; any other verdict, or none, is no reason */
	:: atomic { s == GO_SENT && !stream && !m_settle_go -> m_settle_go = true }
	:: atomic { s == GO_SENT && m_v_running -> deliver(m_v_running); s = RELEASED }
	:: atomic { s == RUNS && unsettled && !m_settle_aborted -> m_settle_aborted = true }
	:: atomic { s == RUNS && unsettled && m_v_other -> m_v_other = false; unsettled = false }
	:: atomic { (s == RELEASED || s == GONE || (s == RUNS && !unsettled)) &&
		    (m_v_running || m_v_other || m_running || m_ready) ->
		m_v_running = false; m_v_other = false; m_running = false; m_ready = false }
	od
}

/* dest_take: ds_lease_accept, and what follows from it */
inline take()
{
	if
#ifdef BREAK_RUN_BLINDLY /* must be found: GO is taken for the lease */
	:: true -> d = OWNS
#endif
	:: !d_shut && lease == OFFERED ->
#ifndef BREAK_ACCEPT_UNSEEN /* must be found: it opens what names it, and leaves no sign */
		lease = ACCEPTED;
#endif
		d = OWNS; d_mine = true
	:: !d_shut && lease == ACCEPTED -> d = OWNS; d_mine = true
	:: !d_shut && (lease == TAKEN_BACK || lease == ANOTHERS) -> d = EMPTY; d_over = true
	:: !d_shut && lease == SOURCES && s_shut ->
#ifdef BREAK_RUN_OLD_COPY /* must be found: it takes a dead host's lease for a copy of before */
		lease = ACCEPTED; d = OWNS; d_mine = true
#else
		d = EMPTY; d_over = true
#endif
	:: !d_shut && lease == SOURCES && !s_shut -> skip
	:: d_shut -> skip
	:: breaks > 0 -> breaks--;
		if
		:: lease == OFFERED && !d_shut -> lease = ACCEPTED
		:: skip
		fi
	fi
}

proctype dest()
{
end:	do
	:: atomic { m_end && d == EMPTY && !d_over && d_knows && stream ->	/* dst_loaded */
		deliver(m_end); d = HELD; m_ready = true }
	:: atomic { m_end && (d != EMPTY || d_over || !d_knows || !stream) -> m_end = false }

	/* dest_on_go; what is refused ends the stream */
	:: atomic { m_go && d == HELD ->
		deliver(m_go); take();
		if
		:: d == OWNS -> m_running = stream
		:: else -> stream = false
		fi }
	:: atomic { m_go && d != HELD -> m_go = false }

	/* dest_look */
	:: atomic { d == HELD && !stream && !d_shut && (lease != SOURCES || s_shut) -> take() }

	:: atomic { m_abort -> m_abort = false;				/* dst_aborted */
		if
		:: d == HELD || (d == EMPTY && d_knows) -> d = EMPTY; d_over = true
		:: else
		fi }
	:: atomic { d == EMPTY && !stream && d_knows && !d_over -> d_over = true } /* dst_lost */

	/* dest_settle */
	:: atomic { m_settle_go -> deliver(m_settle_go);
		if
		:: d == HELD -> take()
		:: else
		fi;
		if
		:: d == OWNS -> m_v_running = true
		:: else -> m_v_other = true; d_over = d_over || (d == EMPTY && d_knows)
		fi }
	:: atomic { m_settle_aborted && d != OWNS -> deliver(m_settle_aborted);
		d = EMPTY; d_over = d_knows; m_v_other = true }
	:: atomic { m_settle_aborted && d == OWNS -> m_settle_aborted = false; assert(false) }
	od
}

/* A crash takes the memory, the VM's copy and the host's end of the stream with it. */
proctype crashes()
{
end:	do
	:: atomic { !s_crashed && s != RELEASED && stunned ->
		s_crashed = true; s = GONE; s_shut = true; unsettled = false; stream = false;
		m_ready = false; m_running = false }
	:: atomic { !d_crashed && (d == HELD || d == OWNS || m_end) ->
		d_crashed = true; d = EMPTY; d_knows = false; d_over = false; d_shut = true;
		stream = false; m_end = false; m_go = false; m_abort = false }
	:: atomic { losses > 0 && stream -> losses--; stream = false }
	:: atomic { losses > 0 && m_end -> losses--; m_end = false; stream = false }
	:: atomic { losses > 0 && m_ready -> losses--; m_ready = false; stream = false }
	:: atomic { losses > 0 && m_go -> losses--; m_go = false; stream = false }
	:: atomic { losses > 0 && m_running -> losses--; m_running = false; stream = false }
	:: atomic { losses > 0 && m_abort -> losses--; m_abort = false }
	:: atomic { losses > 0 && m_settle_go -> losses--; m_settle_go = false }
	:: atomic { losses > 0 && m_settle_aborted -> losses--; m_settle_aborted = false }
	:: atomic { losses > 0 && m_v_running -> losses--; m_v_running = false }
	:: atomic { losses > 0 && m_v_other -> losses--; m_v_other = false }
	od
}

/* The datastore goes for one host and comes back: who was shut out looks before it writes. */
proctype outages()
{
end:	do
	:: atomic { s_outages > 0 && s != GONE && !s_shut -> s_outages--; s_shut = true }
	:: atomic { d_outages > 0 && d_knows && !d_shut -> d_outages--; d_shut = true }
	:: atomic { s_shut && s != GONE ->
		s_shut = false;
#ifndef BREAK_NO_LOOK_AFTER_FENCE /* must be found: ds_revalidate is left out */
		s_mine = s_mine && sources
#endif
		}
	:: atomic { d_shut && d_knows -> d_shut = false; d_mine = d_mine && lease == ACCEPTED }
	/* Another host opens what a dead one had. */
	:: atomic { (s_shut && sources) || (d_shut && (lease == OFFERED || lease == ACCEPTED)) ->
		lease = ANOTHERS }
	od
}

/* Always true, at every step. */
active proctype monitor()
{
end:	do
	:: atomic { s == RUNS && d == OWNS -> assert(false) }
	:: atomic { d == OWNS && ran_on -> assert(false) }	/* an old copy */
	:: atomic { s == RUNS && s_mine && !s_shut && !sources -> assert(false) }
	:: atomic { d == OWNS && d_mine && !d_shut && lease != ACCEPTED -> assert(false) }
	od
}

init {
	atomic { run source(); run dest(); run crashes(); run outages() }
}

/* The VM is never gone from both hosts unless a host crashed, or another has its disk. */
ltl kept { [] (!(s == RELEASED && d == EMPTY) || d_crashed || lease == ANOTHERS) }
/* Settled for good, by the lease alone if need be. */
ltl settles { <> [] ((s == RELEASED || s == GONE || s == RUNS || s == PARKED) && d != HELD) }
