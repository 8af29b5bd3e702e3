/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disk bench: reads with a number of requests in flight, one after the other or at
 * random places, for some seconds. It never writes. Each slot is one request with
 * its own buffer; done hands it back through the list that the command's world
 * empties and submits again.
 */
#include <errno.h>
#include <stdlib.h>

#include <tern/page.h>
#include <tern/timer.h>

#include "cmd_disk.h"
#include "shell_int.h"

#define SECONDS_DEFAULT 5u
#define SECONDS_MAX 60u
#define DEPTH_MAX 128u
#define SIZE_DEFAULT (64u << 10)
#define SIZE_MAX_BYTES (1u << 20)

struct bench;

struct slot {
	struct blk_req r;
	struct blk_seg seg;
	struct slot *next; /* [lock] in the list of those that are done */
	struct bench *b;
	uint64_t start_ns, took_ns;
};

struct bench {
	struct blkdev *d;
	uint64_t seconds, bytes, depth; /* bytes of a request */
	bool random;
	struct slot *slots;
	struct spinlock lock;
	struct slot *done; /* [lock] */
	struct event some_done;
	uint64_t next_block, seed;
	unsigned in_flight;
	uint64_t requests, sum_ns, max_ns, ns;
	int err;
};

static void on_done(struct blk_req *r)
{
	struct slot *s = container_of(r, struct slot, r);
	struct bench *b = s->b;
	unsigned long flags = spin_lock(&b->lock);

	s->took_ns = time_ns() - s->start_ns;
	s->next = b->done;
	b->done = s;
	event_signal(&b->some_done); /* under the lock, whose release is the last touch of b */
	spin_unlock(&b->lock, flags);
}

/* Whole requests only, so the disk's last part may be left out. */
static uint64_t pick_block(struct bench *b, uint64_t blocks)
{
	uint64_t places = b->d->geo.blocks / blocks;

	if (!b->random)
		return b->next_block++ % places * blocks;
	b->seed = b->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (b->seed >> 20) % places * blocks;
}

static void submit(struct bench *b, struct slot *s)
{
	s->r.op = BLK_READ;
	s->r.blocks = b->bytes / b->d->geo.block_bytes;
	s->r.block = pick_block(b, s->r.blocks);
	s->r.segs = &s->seg;
	s->r.nr_segs = 1;
	s->r.done = on_done;
	s->start_ns = time_ns();
	b->in_flight++;
	blk_submit(b->d, &s->r);
}

/* A request is back. */
static void account(struct bench *b, const struct slot *s)
{
	b->in_flight--;
	if (s->r.status) {
		b->err = s->r.status;
		return;
	}
	b->requests++;
	b->sum_ns += s->took_ns;
	b->max_ns = MAX(b->max_ns, s->took_ns);
}

static struct slot *take_done(struct bench *b)
{
	unsigned long flags = spin_lock(&b->lock);
	struct slot *s = b->done;

	b->done = NULL;
	spin_unlock(&b->lock, flags);
	return s;
}

static void run(struct shell *sh, struct bench *b)
{
	uint64_t start = time_ns(), end = start + b->seconds * NSEC_PER_SEC;

	for (uint64_t i = 0; i < b->depth; i++)
		submit(b, &b->slots[i]);
	while (b->in_flight) {
		(void)event_wait(&b->some_done, NEVER_NS);
		for (struct slot *s = take_done(b), *next; s; s = next) {
			next = s->next;
			account(b, s);
			if (!b->err && time_ns() < end && !shell_interrupted(sh))
				submit(b, s);
		}
	}
	b->ns = time_ns() - start;
}

static unsigned order_of(uint64_t bytes)
{
	unsigned order = 0;

	while ((PAGE_SIZE << order) < bytes)
		order++;
	return order;
}

/* How many slots have a buffer. */
static uint64_t make_slots(struct bench *b)
{
	uint64_t n = 0;

	b->slots = calloc((size_t)b->depth, sizeof(*b->slots));
	for (; b->slots && n < b->depth; n++) {
		struct slot *s = &b->slots[n];

		if (page_alloc(order_of(b->bytes), 0, FRAME_KERNEL, &s->seg.addr))
			break;
		s->seg.len = (uint32_t)b->bytes;
		s->b = b;
	}
	return n;
}

static void free_slots(struct bench *b, uint64_t n)
{
	while (n--)
		page_put(b->slots[n].seg.addr);
	free(b->slots);
}

static void report(struct shell *sh, const struct bench *b)
{
	uint64_t bytes = b->requests * b->bytes, us = MAX(b->ns / NSEC_PER_USEC, 1ull);
	uint64_t centi_mb = bytes * 100 / us, iops = b->requests * 1000000 / us;
	uint64_t avg_ns = b->requests ? b->sum_ns / b->requests : 0;

	if (!shell_json(sh)) {
		shell_printf(sh, "%llu reads of %llu bytes, %llu in flight, in %llu ms\n",
			     (unsigned long long)b->requests, (unsigned long long)b->bytes,
			     (unsigned long long)b->depth,
			     (unsigned long long)(b->ns / NSEC_PER_MSEC));
		shell_printf(sh,
			     "%llu.%02llu MB/s, %llu requests/s, latency avg %llu max %llu us\n",
			     (unsigned long long)(centi_mb / 100),
			     (unsigned long long)(centi_mb % 100), (unsigned long long)iops,
			     (unsigned long long)(avg_ns / NSEC_PER_USEC),
			     (unsigned long long)(b->max_ns / NSEC_PER_USEC));
		return;
	}
	json_object(sh, NULL);
	json_str(sh, "disk", b->d->name);
	json_u64(sh, "requests", b->requests);
	json_u64(sh, "size", b->bytes);
	json_u64(sh, "depth", b->depth);
	json_u64(sh, "bytes", bytes);
	json_u64(sh, "ns", b->ns);
	json_u64(sh, "mb_per_s", centi_mb / 100);
	json_u64(sh, "requests_per_s", iops);
	json_u64(sh, "avg_ns", avg_ns);
	json_u64(sh, "max_ns", b->max_ns);
	json_end(sh);
}

static bool options(struct shell *sh, int *argc, char **argv, struct bench *b)
{
	const char *seconds = shell_opt(argc, argv, "--seconds");
	const char *size = shell_opt(argc, argv, "--size");
	const char *depth = shell_opt(argc, argv, "--depth");

	b->random = shell_flag(argc, argv, "--random");
	if (seconds && (parse_u64(seconds, &b->seconds) || !b->seconds || b->seconds > SECONDS_MAX))
		shell_error(sh, "invalid", "--seconds %s is not a number from 1 to %u", seconds,
			    SECONDS_MAX);
	else if (depth && (parse_u64(depth, &b->depth) || !b->depth || b->depth > DEPTH_MAX))
		shell_error(sh, "invalid", "--depth %s is not a number from 1 to %u", depth,
			    DEPTH_MAX);
	else if (size && parse_size(size, &b->bytes))
		shell_error(sh, "invalid", "--size %s is not a size", size);
	else if (*argc != 2)
		shell_error(sh, "usage", "disk bench DISK [options]; see --help");
	else
		return true;
	return false;
}

static bool size_fits(struct shell *sh, const struct bench *b)
{
	const struct blk_geometry *g = &b->d->geo;
	uint64_t most =
		MIN(MIN((uint64_t)g->max_bytes, SIZE_MAX_BYTES), g->blocks * g->block_bytes);

	if (b->bytes && b->bytes % g->block_bytes == 0 && b->bytes <= most)
		return true;
	shell_error(sh, "invalid", "--size must be a multiple of %u, at most %llu", g->block_bytes,
		    (unsigned long long)most);
	return false;
}

static int bench(struct shell *sh, struct bench *b)
{
	uint64_t slots;

	if (!size_fits(sh, b))
		return 1;
	spin_init(&b->lock, LOCK_DRIVER, "disk bench");
	event_init(&b->some_done, "disk bench");
	b->seed = time_ns();
	slots = make_slots(b);
	if (slots == b->depth)
		run(sh, b);
	free_slots(b, slots);
	if (slots < b->depth)
		return shell_error(sh, "no-memory", "no memory for the buffers");
	if (b->err)
		return cmd_disk_error(sh, b->d, b->err);
	report(sh, b);
	return 0;
}

int cmd_disk_bench(struct shell *sh, int argc, char **argv)
{
	struct bench b = { .seconds = SECONDS_DEFAULT, .bytes = SIZE_DEFAULT, .depth = 1 };
	struct cmd_target t;
	int err;

	if (!options(sh, &argc, argv, &b) || cmd_target_open(sh, argv[1], false, &t))
		return 1;
	b.d = t.dev;
	err = bench(sh, &b);
	cmd_target_close(&t);
	return err;
}
