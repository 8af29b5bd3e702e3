/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may write a datastore: Promela model of kernel/store's slots, cluster lock, fence
 * and leases (ds_slot.c, ds_lock.c, ds_fence.c, ds_lease.c).
 *
 * A host's heartbeat may stop and go on at any step of its other work. Time is
 * what one host may conclude from another's silence: its fence is shut before its last
 * write has ended, and only after that may it be taken for dead. A write is handed to the
 * device in one step, behind the fence, and lands in a later one; registers of the bakery are read
 * and written one by one.
 *
 * Safety: a write of metadata lands only from the holder of the cluster lock; a write of
 *         contents only from the owner of the lease.
 * Progress: with heartbeats that go on, who wants the lock gets it.
 *
 * The BREAK_ variants are wrong on purpose: the test fails if Spin finds nothing in them.
 */

/* BREAK: safety -DBREAK_NO_CHOOSING */
/* BREAK: safety -DBREAK_NO_FENCE */
/* BREAK: safety -DBREAK_DEAD_TOO_EARLY */
/* BREAK: safety -DBREAK_FORGET_EPOCH_LOCK */
/* BREAK: safety -DBREAK_FORGET_EPOCH_FILE */

#ifndef HOSTS
#define HOSTS 2
#endif
#define NONE HOSTS
#define SILENCES 2 /* heartbeats that stop, in all */
#define ROUNDS 2   /* transactions of each host */

/* Registers on disk. */
bool choosing[HOSTS];
byte number[HOSTS];
byte owner = NONE; /* of the lease */
byte generation;

/* Of a host. */
bool shut[HOSTS];    /* the fence */
byte epoch[HOSTS];   /* grows when it opens again */
bool flying[HOSTS];  /* a write is handed over and has not landed */

/* What others may conclude. */
bool dead[HOSTS];

byte inside = NONE; /* who entered the critical section last, for the claims */
byte silences = SILENCES;
bool done[HOSTS];
bool wants[HOSTS]; /* the lock */

#ifdef BREAK_NO_FENCE
#define may_write(h, e) true
#else
#define may_write(h, e) (!shut[h] && epoch[h] == e)
#endif

/* Time passes for host h: its renewals fail, and later succeed. */
proctype clock(byte h)
{
	do
	:: atomic { silences > 0 && !shut[h] -> silences--; shut[h] = true }
#ifdef BREAK_DEAD_TOO_EARLY
	:: atomic { shut[h] && !dead[h] -> dead[h] = true }
#else
	:: atomic { shut[h] && !flying[h] && !dead[h] -> dead[h] = true }
#endif
	/* The renewal that lands opens the fence, and ends the silence that others see. */
	:: atomic { shut[h] -> shut[h] = false; dead[h] = false; epoch[h]++ }
	:: atomic { done[h] && !shut[h] && silences == 0 -> break }
	od
}

/* ds_cluster_lock: drawn again when the fence was shut meanwhile. */
inline lock()
{
	got = false;
	wants[h] = true;
	do
	:: !got ->
		/* A slot's write is a renewal: it does not succeed while the fence is shut. */
		atomic { !shut[h] -> choosing[h] = true; e = epoch[h] };
#ifdef BREAK_NO_CHOOSING
		choosing[h] = false;
#endif
		mine = 0;
		j = 0;
		do
		:: j < HOSTS ->
			if
			:: j != h && !dead[j] && number[j] > mine -> mine = number[j]
			:: else
			fi;
			j++
		:: else -> break
		od;
		mine++;
		atomic { !shut[h] -> number[h] = mine; choosing[h] = false };
		j = 0;
		do
		:: j < HOSTS ->
			if
			:: j == h
			:: j != h ->
				(dead[j] || !choosing[j]);
				(dead[j] || number[j] == 0 || number[j] > mine ||
				 (number[j] == mine && j > h))
			fi;
			j++
		:: else -> break
		od;
#ifdef BREAK_FORGET_EPOCH_LOCK
		atomic { inside = h; e = epoch[h]; got = true }
#else
		if
		:: atomic { epoch[h] == e && !shut[h] -> inside = h; got = true }
		:: atomic { (epoch[h] != e && !shut[h]) -> number[h] = 0 }
		fi
#endif
	:: got -> wants[h] = false; break
	od
}

inline unlock()
{
	atomic { !shut[h] -> number[h] = 0 }
}

proctype host(byte h)
{
	byte j, mine, e, file_epoch, file_generation, round;
	bool have = false, ok, got;

	do
	:: round < ROUNDS ->
		round++;
		lock();
		/* The transaction: judge the lease, hand the change over, let it land. */
		ok = (owner == NONE || owner == h || dead[owner]);
		if
		:: ok ->
			if
			:: atomic { may_write(h, e) -> flying[h] = true };
				atomic {
					flying[h] = false;
					assert(inside == h); /* nobody else came in */
					if
					:: owner != h -> owner = h; generation++
					:: else
					fi;
					have = true;
					file_epoch = e;
					file_generation = generation
				}
			:: atomic { !may_write(h, e) -> have = false } /* -ESTALE */
			fi
		:: !ok -> have = false
		fi;
		unlock();
		/* Contents, as long as it likes. */
		do
		:: have ->
			if
			:: atomic { may_write(h, file_epoch) -> flying[h] = true };
				atomic { flying[h] = false; assert(owner == h) }
			:: atomic { !may_write(h, file_epoch) && !shut[h] -> skip };
#ifdef BREAK_FORGET_EPOCH_FILE
				file_epoch = epoch[h]
#else
				/* ds_revalidate, under the cluster lock. */
				lock();
				atomic {
					have = (may_write(h, e) && owner == h &&
						generation == file_generation);
					file_epoch = e
				};
				unlock()
#endif
			fi
		:: break
		od
	:: round == ROUNDS -> break
	od;
	/* Unmounted: the slot is free, which others take like death. */
	atomic { !shut[h] -> choosing[h] = false; done[h] = true }
}

init
{
	byte i;

	atomic {
		for (i : 0 .. HOSTS - 1) {
			run clock(i);
			run host(i)
		}
	}
}

#include "clock.h"

ltl served { [] (wants[0] -> <> !wants[0]) }
