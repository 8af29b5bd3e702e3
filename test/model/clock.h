/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time, which goes on when nothing else does (tools/runmodel, for each ltl claim). Where a claim
 * says what is so in the end, a state in which nobody has a step any more has to be held against
 * it too; with weak fairness Spin does not do that by itself.
 */
#ifdef CLOCK
/* clang-format off */
active proctype time_goes_on()
{
	do
	:: true -> true
	od
}
/* clang-format on */
#endif
