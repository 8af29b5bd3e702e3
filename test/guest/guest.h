/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The test guest: one static program that runs as /init of a small initrd.
 *
 * What it does is chosen by `tern.mode=` on the kernel's command line:
 *
 *   shell     busybox sh on ttyS0 (default)
 *   dirty     writes pages at a rate and checks all of them for ever (dirty.c)
 *   pageseq   counts one byte of each page up, in order (pageseq.c)
 *
 * In every mode `tern.net=ADDR/BITS` starts the network services (net.c), and every mode prints
 * `guest: init` first and `guest: ready mode=M` once the virtio modules are loaded.  The two
 * writers then print heartbeats (beat.c).
 */
#ifndef TERN_GUEST_H
#define TERN_GUEST_H

#include <stdint.h>

#define GUEST_PAGE 4096u
#define PAGES_PER_MIB 256u

/* What the heartbeat line reports; the mode's loop owns it. */
struct progress {
	uint64_t pages;	 /* pages written since the start */
	uint64_t passes; /* full check passes over the working set */
	uint64_t errors; /* pages found wrong, ever */
};

/* setup.c: mounts, consoles, modules, parameters */
void setup_early(void);
void setup_modules(void);
long param(const char *name, long absent);
const char *param_text(const char *name, const char *absent);
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void power_off(void);

/* net.c: addresses and services, if the command line asks for them */
void net_start(void);

/* beat.c: heartbeat, ticks, random numbers */
uint64_t now_us(void);
void sleep_until_us(uint64_t when);
void beat_start(void);
int beat_due(uint64_t now);
void beat(uint64_t now, const struct progress *p);

/* Sliced pacing: how many pages are due since the last call. */
struct pace {
	long rate_mib; /* MiB a second; 0 none, < 0 as many as possible */
	uint64_t last_us;
	uint64_t credit; /* pages x 10^6 not yet handed out */
};
uint64_t pace_due(struct pace *p, uint64_t now);

unsigned char *range_alloc(uint64_t mib);

/* churn.c: uses so much memory and frees it, once (how many pages were wrong), or for ever in
 * a process of its own */
uint64_t churn_once(uint64_t mib);
void churn_start(uint64_t mib);

/* vectors.c: a process of its own, until SIGTERM (not 0: something was wrong), or for ever */
int vectors_keep(void);
void vectors_start(void);

/* trouble.c: does not return but for want of one; a process of its own */
int watchdog_feed(int seconds);
void power_button_start(void);

/* disk.c: DEVICE WHAT ARGUMENT [ARGUMENT]; 0 when all was as it should be */
int disk_tool(int argc, char **argv);

/* diskrate.c: PER_SECOND BYTES SECONDS; 0 when none failed */
int disk_rate(int fd, uint64_t device_bytes, char **argv);

/* the modes; none returns */
void run_dirty(void);
void run_pageseq(void);
void run_shell(void);

#endif
