/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A third host that has the datastores of both sides, for commit_records.pml: with THIRD the VM is
 * at home and its home goes along (kernel/home/home_settle.c). The description on either side has a
 * lease of its own, which dies with its host, or with its host's heartbeat: a fence that is shut.
 * Then the third host takes it with the disks, and starts the VM, unless the description says
 * `moving`. It reads that first and takes the lease later, and sees by the file's identity
 * whether it was written anew in between (home_hold_locked). It may stop the VM again: then nobody
 * has the leases. It may also take files without the description, as for another VM.
 *
 * Who comes back looks: into the block before it writes (s_lost, d_lost: it writes no more), into
 * all of them before it notes GO or that it owns (vdisks_held). The operator's word on the third
 * host is given when the other two neither run the VM nor can come to run it.
 */
#ifndef THIRD

#define s_notes true
#define d_notes true
#define s_holds true
#define d_holds true
#define s_left true
#define burnt_too true
#define s_plain true
#define d_plain true
#define s_boots() skip
#define d_boots() skip
#define s_removes() skip
#define d_is_whole() skip
#define d_dies() skip

#else

#ifndef OUTAGES
#define OUTAGES 1 /* of either host's heartbeat */
#endif

mtype = { T_NO, T_SOURCES, T_DESTS, T_DONE };
mtype t = T_NO; /* what it runs */

bool s_mark, d_mark; /* `moving` */
bool s_seen, d_seen; /* the third host has read this description as it is, and it had none */
bool s_desc = true;  /* the source's is there; the destination's is while d_files */
bool s_shut, d_shut; /* heartbeats are too old */
bool s_lost, d_lost; /* the leases of this side's files */
bool ran_sources;    /* it has, from the source's disks */
bool old_life;	     /* the destination's that has the shared lease is over */
byte s_outages = OUTAGES, d_outages = OUTAGES;

/* A record, a description, a lease: nothing is written behind a shut fence. */
#define s_notes (!s_shut)
#define d_notes (!d_shut)
#ifdef BREAK_NO_LOOK
#define s_holds true
#else
#define s_holds (!s_lost)
#endif
#define d_holds (!d_lost)
#ifdef BREAK_NO_MARK
#define s_left true
#else
#define s_left s_mark
#endif

/* Its description says nothing of a move any more. */
#define s_plain (!s_mark)
#define d_plain (!d_mark)

/* Nobody starts the VM from the source's disks. */
#define burnt_too (s_mark && t == T_NO)

#define s_gone (s == DOWN || s == BURNT || s == OFF || s_shut)
#define d_gone (d == DOWN || d == BURNT || d_shut)
#define shared_free                                                                                \
	(!leased || ((lease == SOURCES || lease == TAKEN_BACK) && s_gone) ||                       \
	 ((lease == OFFERED || lease == TAKEN) && (d_gone || old_life)) || lease == ANOTHERS)

/* home_settled; what the third host runs is not started */
inline s_boots()
{
	s_shut = false;
	s_lost = (t == T_SOURCES);
	if
		::sj != J_GO->s_mark = false;
	s_seen = false ::else fi
}

inline d_boots()
{
	d_shut = false;
	d_lost = (t == T_DESTS);
	if
		::dj == J_OWNS->d_mark = false;
	d_seen = false;
	old_life = false ::else fi
}

inline d_dies()
{
	d_shut = true;
	old_life = (lease == OFFERED || lease == TAKEN)
}

inline s_removes()
{
	s_desc = false;
	s_seen = false
}

/* home_come_finish: one transaction makes the files whole, and the description says `moving` */
inline d_is_whole()
{
	d_seen = false;
#ifndef BREAK_WHOLE_WITHOUT_MARK
	d_mark = true
#endif
}

/* What it does, and what the other two do to descriptions and slots beside the commit. */
proctype third(){
	end : do
	/* home_leaves; refused where the lease is another's by now */
	::atomic{ s == RUNS &&stream &&!stunned &&!s_mark &&!s_shut &&t != T_SOURCES->s_mark = true;
#ifndef BREAK_NO_SECOND_LOOK
s_seen = false
#endif
}
/* home_stays, home_nobodys */
::atomic
{
	((s == RUNS && stunned) || s == OFF) &&s_mark &&!s_shut &&t != T_SOURCES->s_mark = false
}
#ifdef BREAK_UNMARK_EARLY /* must be found: before its record says that GO was not said */
::atomic
{
	s == NOTED &&s_mark->s_mark = false
}
#endif
/* home_claim */
::atomic
{
	d == OWNS &&d_ran &&d_mark &&!d_shut->d_mark = false
}

/* heartbeats */
::atomic
{
	FAULT(s_outages) && !s_shut && s != DOWN && s != BURNT->SPEND(s_outages);
	s_shut = true
}
::atomic
{
	s_shut &&s != DOWN &&s != BURNT->s_shut = false
}
::atomic
{
	FAULT(d_outages) && !d_shut && d != DOWN && d != BURNT->SPEND(d_outages);
	d_shut = true
}
::atomic
{
	d_shut &&d != DOWN &&d != BURNT->d_shut = false;
	if
		::old_life &&d == OWNS &&t != T_DESTS->d_lost = false;
	old_life = false ::else fi
}

/* the third host: home_load, then home_hold_locked and the disks */
::atomic
{
	t == T_NO &&s_desc &&!s_mark &&!s_seen->s_seen = true
}
::atomic
{
	t == T_NO &&s_desc &&s_seen &&s_gone &&shared_free->t = T_SOURCES;
	s_lost = true;
	ran_sources = true;
	assert(!d_ran);
	if
		::leased->lease = ANOTHERS ::else fi
}
::atomic
{
	t == T_NO &&d_files &&!d_mark &&!d_seen->d_seen = true
}
::atomic
{
	t == T_NO &&d_files &&d_seen &&d_gone &&shared_free->t = T_DESTS;
	d_lost = true;
	assert(d_ran); /* not a copy of which nobody knows that the VM is there */
	if
		::leased->lease = ANOTHERS ::else fi
}
::atomic
{
	t == T_SOURCES || t == T_DESTS->t = T_DONE
}
/* the shared disk alone, or files that are copied: for another VM */
::atomic
{
	leased &&shared_free &&lease != ANOTHERS->lease = ANOTHERS
}
::atomic
{
	s_desc &&s_gone &&!s_lost->s_lost = true
}
::atomic
{
	d_files &&d_gone &&!d_lost->d_lost = true
}
/* home_resolve: the source is gone for good, and there is no copy that waits */
::atomic
{
	t == T_NO &&s_desc &&s_mark &&s == BURNT && (d == EMPTY || d == BURNT)->s_mark = false
}
#ifdef BREAK_WORD_TOO_EARLY /* must be found: it runs nowhere, but there is one that waits */
::atomic{ t == T_NO &&s_desc &&s_mark &&s == DOWN &&d == HELD->s_mark = false }
#endif
od
}

active proctype third_monitor()
{
end:
	do
		::atomic
		{
			t == T_SOURCES && ((s == RUNS && !s_lost) || d == TAKES || d == OWNS) &&
				s != BURNT->assert(false)
		}
	::atomic
	{
		t == T_DESTS && ((s == RUNS && !s_lost) || (d == OWNS && !d_lost))->assert(false)
	}
	/* an old copy */
	::atomic{ ran_sources && (d == TAKES || d_ran) && s != BURNT->assert(false) } od
}

#endif
