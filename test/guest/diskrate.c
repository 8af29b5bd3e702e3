/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `/init disk DEVICE rate PER_SECOND BYTES SECONDS`: reads and writes in turn at random places,
 * past the page cache, so many a second whatever they take: each has its time, and one that is late
 * is begun as soon as a thread is free. 0 PER_SECOND: as many as the threads can.
 *
 * Four lines a second, all but the clock counted from the begin, and one at the end:
 *
 *     io TIME_US DONE LATE_US ERRORS
 *
 * LATE_US is the sum of what requests took from the time when they were due.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

#define THREADS 16u
#define LINE_US 250000u
#define US_PER_S 1000000ull

static struct {
	int fd;
	uint64_t per_second, bytes, places, begin_us, end_us;
	_Atomic uint64_t next, done, late_us, errors;
} load;

static void one(uint64_t n, void *buf)
{
	uint64_t due = load.begin_us, place = (n * 0x9e3779b97f4a7c15ull >> 20) % load.places;
	off_t at = (off_t)(place * load.bytes);
	ssize_t moved;

	if (load.per_second) {
		due += n * US_PER_S / load.per_second;
		sleep_until_us(due);
	} else {
		due = now_us();
	}
	moved = n & 1 ? pwrite(load.fd, buf, load.bytes, at) : pread(load.fd, buf, load.bytes, at);
	load.errors += moved != (ssize_t)load.bytes;
	load.late_us += now_us() - due;
	load.done++;
}

static void *work(void *arg)
{
	void *buf;

	(void)arg;
	if (posix_memalign(&buf, GUEST_PAGE, load.bytes))
		return NULL;
	memset(buf, 0xa5, load.bytes);
	while (now_us() < load.end_us)
		one(load.next++, buf);
	free(buf);
	return NULL;
}

static void line(void)
{
	say("io %llu %llu %llu %llu", (unsigned long long)now_us(), (unsigned long long)load.done,
	    (unsigned long long)load.late_us, (unsigned long long)load.errors);
}

int disk_rate(int fd, uint64_t device_bytes, char **argv)
{
	pthread_t thread[THREADS];

	load.fd = fd;
	load.per_second = strtoull(argv[0], NULL, 0);
	load.bytes = strtoull(argv[1], NULL, 0);
	load.places = load.bytes ? device_bytes / load.bytes : 0;
	if (!load.places) {
		say("disk: rate: requests of %s bytes", argv[1]);
		return 1;
	}
	load.begin_us = now_us();
	load.end_us = load.begin_us + strtoull(argv[2], NULL, 0) * US_PER_S;
	for (unsigned i = 0; i < THREADS; i++)
		pthread_create(&thread[i], NULL, work, NULL);
	for (uint64_t at = load.begin_us; at < load.end_us; at += LINE_US) {
		sleep_until_us(at);
		line();
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	line();
	say("disk: rate errors=%llu", (unsigned long long)load.errors);
	return load.errors != 0;
}
