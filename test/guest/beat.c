/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's signs of life, by its own monotonic clock.
 *
 * Heartbeat, each tern.hb ms (100), one line on ttyS0:
 *
 *     hb SEQ TIME_US PAGES PASSES ERRORS RNG GAP_US
 *
 * SEQ has no holes; TIME_US is CLOCK_MONOTONIC; RNG counts bytes read from
 * /dev/hwrng (a thread keeps that device busy; -1: there is none); GAP_US is
 * the longest time between two ticks since the line before.
 *
 * Tick, each tern.tick ms (10; 0: none), one byte on ttyS1, '0'..'9' in turn,
 * so that a lost or repeated byte shows.
 *
 * The fields of `ticks` and `rng` are written by one thread each, read by the
 * heartbeat; the gap is handed over by an atomic exchange.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define US_PER_S 1000000ull

static _Atomic uint64_t tick_gap_us;
static _Atomic int64_t rng_bytes = -1;
static uint64_t beat_seq, beat_next_us, beat_period_us;

uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * US_PER_S + (uint64_t)t.tv_nsec / 1000;
}

void sleep_until_us(uint64_t when)
{
	struct timespec t = {
		.tv_sec = (time_t)(when / US_PER_S),
		.tv_nsec = (long)(when % US_PER_S) * 1000,
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static int open_raw(const char *path)
{
	int fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	struct termios raw;

	if (fd >= 0 && !tcgetattr(fd, &raw)) {
		cfmakeraw(&raw);
		tcsetattr(fd, TCSANOW, &raw);
	}
	return fd;
}

static void note_gap(uint64_t gap)
{
	uint64_t seen = atomic_load(&tick_gap_us);

	while (gap > seen && !atomic_compare_exchange_weak(&tick_gap_us, &seen, gap))
		;
}

static void *tick_thread(void *arg)
{
	uint64_t period = (uint64_t)param("tern.tick", 10) * 1000;
	int fd = open_raw("/dev/ttyS1");
	uint64_t last = now_us(), next = last;
	char digit = '0';

	(void)arg;
	for (;;) {
		uint64_t now;

		if (fd >= 0 && write(fd, &digit, 1) < 0)
			say("guest: ttyS1: %m");
		digit = digit == '9' ? '0' : (char)(digit + 1);
		now = now_us();
		note_gap(now - last);
		last = now;
		next += period;
		if (next < now) /* no burst to catch up after a pause */
			next = now + period;
		sleep_until_us(next);
	}
	return NULL;
}

static void *rng_thread(void *arg)
{
	unsigned char buf[64];
	int fd = open("/dev/hwrng", O_RDONLY | O_CLOEXEC);

	(void)arg;
	if (fd < 0)
		return NULL;
	atomic_store(&rng_bytes, 0);
	for (;;) {
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n > 0)
			atomic_fetch_add(&rng_bytes, n);
		else if (n < 0 && errno != EAGAIN && errno != EINTR) {
			say("guest: hwrng: %m");
			atomic_store(&rng_bytes, -1);
			return NULL;
		}
		usleep(20000);
	}
}

void beat_start(void)
{
	pthread_t thread;

	beat_period_us = (uint64_t)param("tern.hb", 100) * 1000;
	if (param("tern.tick", 10) > 0)
		pthread_create(&thread, NULL, tick_thread, NULL);
	if (param("tern.rng", 1) > 0)
		pthread_create(&thread, NULL, rng_thread, NULL);
	beat_next_us = now_us();
}

int beat_due(uint64_t now)
{
	return now >= beat_next_us;
}

void beat(uint64_t now, const struct progress *p)
{
	say("hb %llu %llu %llu %llu %llu %lld %llu", (unsigned long long)beat_seq++,
	    (unsigned long long)now, (unsigned long long)p->pages, (unsigned long long)p->passes,
	    (unsigned long long)p->errors, (long long)atomic_load(&rng_bytes),
	    (unsigned long long)atomic_exchange(&tick_gap_us, 0));
	beat_next_us += beat_period_us;
	if (beat_next_us < now)
		beat_next_us = now + beat_period_us;
}

/* More than 100 ms of unserved credit is dropped, not caught up. */
uint64_t pace_due(struct pace *p, uint64_t now)
{
	uint64_t elapsed = now - p->last_us, pages;

	p->last_us = now;
	if (p->rate_mib < 0)
		return 1024;
	if (elapsed > US_PER_S / 10)
		elapsed = US_PER_S / 10;
	p->credit += elapsed * (uint64_t)p->rate_mib * PAGES_PER_MIB;
	pages = p->credit / US_PER_S;
	p->credit %= US_PER_S;
	return pages;
}
