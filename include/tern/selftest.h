/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Self-tests at boot, on the real machine: "selftest = sched,timer" or "all" in
 * tern.conf. Each prints "selftest: ok NAME" or "selftest: FAILED NAME: why".
 * "panic", which is not part of "all", shows what a panic looks like.
 */
#ifndef TERN_SELFTEST_H
#define TERN_SELFTEST_H

#include <tern/types.h>

/* Runs those in the comma-separated list; NULL runs none. In a world. */
void selftest_run(const char *list);

/* For self-tests of other rooms: is name a word of list; the line for one test, why NULL when ok.
 */
bool selftest_listed(const char *list, const char *name);
void selftest_report(const char *name, const char *why);

#endif
