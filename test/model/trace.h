/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Steps that hosts tell (mig/steps.c), for the models of the commit. OUT(step, guard) and IN(step,
 * guard) begin a step of the source's and of the destination's that has a word there; with
 * TRACE it may be taken only where it is the next one that this side has told. So the run that
 * tools/lablib/moves.py hands over in $TRACE, the source's steps, 0, the destination's, 0, is
 * allowed when the model can reach its end: the assertion in `arrived` fails then.
 *
 * What a host did last before it died may not have been told: where CRASHED is next, any step may
 * be taken. Faults are not counted in a trace: FAULT(left) and SPEND(left) are for those, and
 * BOUND(when) is for what only keeps the search small.
 *
 * moves.py reads this table, too: the number, and what the host says; and STEPS_MAX, which is one
 * more than a side may tell.
 */
#define TOLD_PARKED 5	 /* parked */
#define NOTED_GO 6	 /* noted GO */
#define NOTED_NOTHING 7	 /* noted that GO was not said */
#define GIVES 8		 /* gives the leases */
#define LEASES_GIVEN 9	 /* leases are given */
#define SAYS_GO 10	 /* GO */
#define IN_DOUBT 11	 /* in doubt */
#define TOOK_BACK 12	 /* took the leases back */
#define MOVED_ON 13	 /* leases are another's */
#define STOPPED 14	 /* stopped: its disks stay */
#define GOES_ON 30	 /* goes on */
#define TOLD_RELEASED 15 /* released */
#define FORGOT 16	 /* forgot */
#define COMPLETE 17	 /* complete */
#define WAITS 18	 /* waits */
#define ACCEPTS 19	 /* accepted the leases */
#define NOTED_OWNS 20	 /* noted that it owns */
#define RUNS_THERE 21	 /* runs */
#define GIVEN_UP 22	 /* given up */
#define HEARD_CLOSED 23	 /* closed */
#define SAID_HERE 24	 /* resolved: here */
#define SAID_THERE 25	 /* resolved: there */
#define FOUND_NOTHING 26 /* found a record: nothing decided */
#define FOUND_GO 27	 /* found a record: GO */
#define FOUND_OWNS 28	 /* found a record: owns */
#define CRASHED 29	 /* crashed */

#ifndef TRACE

#define OUT(step, guard) (guard)
#define IN(step, guard) (guard)
#define FAULT(left) (left > 0)
#define SPEND(left) left--
#define BOUND(when) (when)

#else

#ifndef ALSO_IN_DOUBT
#define ALSO_IN_DOUBT false
#endif

#define STEPS_MAX 48

byte told_out[STEPS_MAX], told_in[STEPS_MAX];
byte at_out, at_in;

/* clang-format off */
#define NEXT(told, at, step) (told[at] == step || told[at] == CRASHED)
#define DID(told, at, step) at = at + (told[at] == step)
#define OUT(step, guard) (guard) && NEXT(told_out, at_out, step) -> DID(told_out, at_out, step)
#define IN(step, guard) (guard) && NEXT(told_in, at_in, step) -> DID(told_in, at_in, step)
#define FAULT(left) true
#define SPEND(left) skip
#define BOUND(when) true

active proctype arrived()
{
	c_code {
		char *text = getenv("TRACE");
		int i;

		for (i = 0; text && i < STEPS_MAX &&
		     (now.told_out[i] = strtol(text, &text, 10)); i++)
			;
		for (i = 0; text && i < STEPS_MAX &&
		     (now.told_in[i] = strtol(text, &text, 10)); i++)
			;
	};
end:
	do
	:: atomic { told_out[at_out] == 0 && told_in[at_in] == 0 -> assert(false) }
	/* These change nothing. */
	:: atomic { OUT(IN_DOUBT, s == GO_SENT || ALSO_IN_DOUBT) }
	:: atomic { IN(WAITS, d == HELD) }
	od
}
/* clang-format on */

#endif
