/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Raw TCP between two hosts: every host discards what comes to NET_BENCH_PORT, and
 * net_bench() sends pages there by reference, as a migration does. The time runs
 * until the last byte is acknowledged.
 */
#include <errno.h>
#include <stdlib.h>

#include <tern/log.h>
#include <tern/stream.h>
#include <tern/timer.h>

#include "net/net_int.h"

#define BLOCK_ORDER 4u
#define BLOCK_PAGES (1u << BLOCK_ORDER)
#define BLOCK_BYTES (PAGE_SIZE << BLOCK_ORDER)
#define SERVER_MAX 16u
#define STREAMS_MAX 8u
#define SILENCE_NS (10 * NSEC_PER_SEC) /* without progress: the peer is gone */
#define CONNECT_NS (5 * NSEC_PER_SEC)

static uint32_t serving; /* [atom] connections */

static void serve(void *arg)
{
	struct stream *s = arg;
	hpa_t block;

	if (page_alloc(BLOCK_ORDER, 0, FRAME_NET, &block) == 0) {
		while (stream_read(s, hpa_ptr(block), BLOCK_BYTES, time_ns() + SILENCE_NS) > 0)
			;
		page_put(block);
	}
	stream_close(s);
	__atomic_fetch_sub(&serving, 1, __ATOMIC_RELAXED);
}

static void accept_all(void *arg)
{
	static const struct world_opts opts = { .name = "net bench",
						.prio = WORLD_NORMAL,
						.cpu = -1 };
	struct listener *l = arg;
	struct stream *s;

	for (;;) {
		if (stream_accept(l, NEVER_NS, &s))
			continue;
		if (__atomic_add_fetch(&serving, 1, __ATOMIC_RELAXED) <= SERVER_MAX &&
		    world_create(NULL, &opts, serve, s) == 0)
			continue;
		__atomic_fetch_sub(&serving, 1, __ATOMIC_RELAXED);
		stream_abort(s);
		stream_close(s);
	}
}

int net_bench_start(void)
{
	static const struct world_opts opts = { .name = "net bench accept",
						.prio = WORLD_BACKGROUND,
						.cpu = -1 };
	struct listener *l;
	int err = stream_listen(NET_BENCH_PORT, SERVER_MAX, &l);

	return err ? err : world_create(NULL, &opts, accept_all, l);
}

struct sender {
	const struct net_addr *to;
	uint64_t duration_ns;
	hpa_t block;
	uint64_t bytes;
	int err;
	struct world *world;
};

static int send_until(struct sender *b, struct stream *s, uint64_t end_ns)
{
	hpa_t pages[BLOCK_PAGES];

	for (unsigned i = 0; i < BLOCK_PAGES; i++)
		pages[i] = HPA(b->block.v + i * PAGE_SIZE);
	while (time_ns() < end_ns) {
		int err = stream_write_pages(s, pages, BLOCK_PAGES, time_ns() + SILENCE_NS);

		if (err)
			return err;
		b->bytes += BLOCK_BYTES;
		if (world_should_yield())
			world_yield();
	}
	return stream_drain(s, time_ns() + SILENCE_NS);
}

static void send(void *arg)
{
	struct sender *b = arg;
	struct stream *s;

	b->err = stream_connect(b->to, NET_BENCH_PORT, CONNECT_NS, &s);
	if (b->err)
		return;
	b->err = send_until(b, s, time_ns() + b->duration_ns);
	if (b->err)
		stream_abort(s);
	stream_close(s);
}

/* Starts the senders, waits for all; the first error is the result. */
static int run(struct sender *b, unsigned n)
{
	static const struct world_opts opts = { .name = "net bench send",
						.prio = WORLD_NORMAL,
						.cpu = -1 };
	int err = 0;

	for (unsigned i = 0; i < n; i++)
		if (world_create(&b[i].world, &opts, send, &b[i]))
			b[i].err = -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		if (b[i].world)
			world_join(b[i].world);
		if (b[i].err && !err)
			err = b[i].err;
	}
	return err;
}

int net_bench(const struct net_addr *to, unsigned streams, uint64_t duration_ns,
	      struct net_bench_result *out)
{
	struct sender *b;
	uint64_t start;
	hpa_t block;
	int err;

	if (streams == 0 || streams > STREAMS_MAX)
		return -EINVAL;
	err = page_alloc(BLOCK_ORDER, PAGE_ZERO, FRAME_NET, &block);
	if (err)
		return err;
	b = calloc(streams, sizeof(*b));
	if (!b) {
		page_put(block);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < streams; i++)
		b[i] = (struct sender){ .to = to, .duration_ns = duration_ns, .block = block };
	start = time_ns();
	err = run(b, streams);
	*out = (struct net_bench_result){ .ns = time_ns() - start, .streams = streams };
	for (unsigned i = 0; i < streams; i++)
		out->bytes += b[i].bytes;
	free(b);
	page_put(block);
	return err;
}
