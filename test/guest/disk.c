/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `/init disk DEVICE WHAT ...`, past the page cache, several requests at a time:
 *
 *   fill SEED             writes every sector, flushes, reads all back
 *   check SEED            reads all back
 *   loop SEED             fill with SEED, with SEED + 1 and so on, a line for each
 *   zero|discard FROM N   these MiB, by BLKZEROOUT or BLKDISCARD
 *   rate N BYTES SECONDS  so many requests a second (diskrate.c)
 *
 * A sector's 64 words are seed << 32 | its number. One line says what came of it:
 * `disk: WHAT sectors=N wrong=N errors=N`, errors with the last one's name before it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "guest.h"

#define SECTOR 512u
#define WORDS (SECTOR / sizeof(uint64_t))
#define PIECE_SECTORS_MAX 700u /* beyond what goes in one part, and no power of two */
#define THREADS 4u
#define MIB (1u << 20)

struct worker {
	pthread_t thread;
	int fd;
	int write;
	uint64_t first, end; /* sectors */
	uint64_t seed, wrong, errors;
	int error;
};

static void pattern(uint64_t *at, uint64_t seed, uint64_t sector)
{
	for (unsigned i = 0; i < WORDS; i++)
		at[i] = seed << 32 | sector;
}

static uint64_t compare(const uint64_t *at, uint64_t seed, uint64_t first, uint64_t count)
{
	uint64_t expected[WORDS], wrong = 0;

	for (uint64_t i = 0; i < count; i++) {
		pattern(expected, seed, first + i);
		wrong += memcmp(at + i * WORDS, expected, SECTOR) != 0;
	}
	return wrong;
}

static void piece(struct worker *w, uint64_t *buf, uint64_t first, uint64_t count)
{
	size_t bytes = (size_t)count * SECTOR;
	off_t at = (off_t)(first * SECTOR);
	ssize_t n;

	for (uint64_t i = 0; w->write && i < count; i++)
		pattern(buf + i * WORDS, w->seed, first + i);
	n = w->write ? pwrite(w->fd, buf, bytes, at) : pread(w->fd, buf, bytes, at);
	if (n != (ssize_t)bytes) {
		w->error = n < 0 ? errno : EIO;
		w->errors++;
	} else if (!w->write) {
		w->wrong += compare(buf, w->seed, first, count);
	}
}

/* Pieces of many lengths, at odd places of the page. */
static void *work(void *arg)
{
	struct worker *w = arg;
	uint64_t *buf, count = 1;
	void *room;

	if (posix_memalign(&room, GUEST_PAGE, PIECE_SECTORS_MAX * SECTOR + GUEST_PAGE))
		return NULL;
	for (uint64_t at = w->first; at < w->end; at += count) {
		count = 1 + (at * 37 + w->first) % PIECE_SECTORS_MAX;
		if (count > w->end - at)
			count = w->end - at;
		buf = (uint64_t *)room + (at % 8) * WORDS;
		piece(w, buf, at, count);
	}
	free(room);
	return NULL;
}

static void pass(int fd, int write, uint64_t sectors, uint64_t seed, struct worker *sum)
{
	struct worker w[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ .fd = fd,
					.write = write,
					.seed = seed,
					.first = sectors * i / THREADS,
					.end = sectors * (i + 1) / THREADS };
		pthread_create(&w[i].thread, NULL, work, &w[i]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(w[i].thread, NULL);
		sum->wrong += w[i].wrong;
		sum->errors += w[i].errors;
		sum->error = w[i].error ? w[i].error : sum->error;
	}
}

static void report(const char *what, uint64_t sectors, const struct worker *sum)
{
	if (sum->errors)
		say("disk: %s", strerrorname_np(sum->error));
	say("disk: %s sectors=%llu wrong=%llu errors=%llu", what, (unsigned long long)sectors,
	    (unsigned long long)sum->wrong, (unsigned long long)sum->errors);
}

static int range(int fd, const char *what, uint64_t from, uint64_t bytes)
{
	uint64_t r[2] = { from, bytes };
	struct worker sum = { 0 };

	if (ioctl(fd, !strcmp(what, "zero") ? BLKZEROOUT : BLKDISCARD, r)) {
		sum.error = errno;
		sum.errors = 1;
	}
	report(what, bytes / SECTOR, &sum);
	return sum.errors != 0;
}

static void fill_and_check(int fd, uint64_t sectors, uint64_t seed, struct worker *sum)
{
	pass(fd, 1, sectors, seed, sum);
	if (fsync(fd)) {
		sum->error = errno;
		sum->errors++;
	}
	if (!sum->errors)
		pass(fd, 0, sectors, seed, sum);
}

static int loop(int fd, uint64_t sectors, uint64_t seed)
{
	struct worker sum = { 0 };

	for (; !sum.wrong && !sum.errors; seed++) {
		fill_and_check(fd, sectors, seed, &sum);
		report("loop", sectors, &sum);
	}
	return 1;
}

int disk_tool(int argc, char **argv)
{
	struct worker sum = { 0 };
	int fd;
	uint64_t bytes, seed = strtoull(argv[2], NULL, 0);

	fd = open(argv[0], O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		fd = open(argv[0], O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes)) {
		say("disk: %s: %m", argv[0]);
		return 1;
	}
	if (argc == 5)
		return disk_rate(fd, bytes, argv + 2);
	if (argc == 4)
		return range(fd, argv[1], seed * MIB, strtoull(argv[3], NULL, 0) * MIB);
	if (!strcmp(argv[1], "loop"))
		return loop(fd, bytes / SECTOR, seed);
	if (!strcmp(argv[1], "fill"))
		fill_and_check(fd, bytes / SECTOR, seed, &sum);
	else
		pass(fd, 0, bytes / SECTOR, seed, &sum);
	report(argv[1], bytes / SECTOR, &sum);
	return sum.wrong || sum.errors;
}
