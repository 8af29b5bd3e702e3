/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Self-tests at boot, on the real machine: "selftest = sched,timer" or "all" in
 * tern.conf. Each prints "selftest: ok NAME" or "selftest: FAILED NAME: why".
 * "panic", which is not part of "all", shows what a panic looks like.
 */
#ifndef KERNEL_BASE_SELFTEST_H
#define KERNEL_BASE_SELFTEST_H

/* Runs those in the comma-separated list; NULL runs none. In a world. */
void selftest_run(const char *list);

#endif
