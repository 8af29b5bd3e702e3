/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Self-tests of streams, on this host's loopback: bytes arrive as they were
 * written whatever the sizes, an end is an end, an abort and a reset wake who
 * waits, deadlines hold, and afterwards no page is left behind.
 */
#include <errno.h>
#include <stdio.h>

#include <tern/selftest.h>
#include <tern/stream.h>
#include <tern/timer.h>

#include "net/net_int.h"

#define TEST_PORT 7899u
#define TOTAL_BYTES (6u << 20)
#define STEP_NS (5 * NSEC_PER_SEC)
#define SHORT_NS (50 * NSEC_PER_MSEC)
#define PIECE_MAX 9000u
#define PAGES_MAX 20u

static char why[96];
static const struct net_addr self = { .family = 4, .ip = { 127, 0, 0, 1 } };

struct pair {
	struct listener *l;
	struct stream *here, *there;
};

static const char *failed(const char *what, long err)
{
	snprintf(why, sizeof(why), "%s: %ld", what, err);
	return why;
}

static uint64_t soon(void)
{
	return time_ns() + STEP_NS;
}

static const char *open_pair(struct pair *p)
{
	int err = stream_listen(TEST_PORT, 4, &p->l);

	if (err)
		return failed("listen", err);
	err = stream_connect(&self, TEST_PORT, STEP_NS, &p->here);
	if (err)
		return failed("connect", err);
	err = stream_accept(p->l, soon(), &p->there);
	return err ? failed("accept", err) : NULL;
}

static void close_pair(struct pair *p)
{
	if (p->here)
		stream_close(p->here);
	if (p->there)
		stream_close(p->there);
	if (p->l)
		listener_close(p->l);
}

/* What byte number pos of the test's data is. */
static uint8_t pattern(uint32_t pos)
{
	return (uint8_t)(pos * 131u ^ pos >> 9);
}

static void fill(uint8_t *buf, uint32_t pos, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		buf[i] = pattern(pos + i);
}

static int write_piece(struct stream *s, uint8_t *buf, uint32_t pos, uint32_t len)
{
	fill(buf, pos, len);
	return stream_write(s, buf, len, soon());
}

/* Pages of its own for each call, given up at once: only the stream holds them then. */
static int write_some_pages(struct stream *s, uint32_t pos, unsigned count)
{
	hpa_t pages[PAGES_MAX];
	int err = 0;
	unsigned n;

	for (n = 0; n < count && !err; n++) {
		err = page_alloc(ORDER_4K, 0, FRAME_NET, &pages[n]);
		if (!err)
			fill(hpa_ptr(pages[n]), pos + n * (uint32_t)PAGE_SIZE, PAGE_SIZE);
	}
	if (!err)
		err = stream_write_pages(s, pages, n, soon());
	while (n--)
		page_put(pages[n]);
	return err;
}

struct writer {
	struct stream *s;
	uint8_t *buf;
	int err;
};

static void write_all(void *arg)
{
	struct writer *w = arg;
	uint32_t pos = 0, step = 1;

	while (pos < TOTAL_BYTES && !w->err) {
		uint32_t len = step * 37 % PIECE_MAX + 1;
		unsigned pages = step % PAGES_MAX + 1;

		if (step % 3) {
			w->err = write_piece(w->s, w->buf, pos, len);
			pos += len;
		} else {
			w->err = write_some_pages(w->s, pos, pages);
			pos += pages * (uint32_t)PAGE_SIZE;
		}
		if (step++ % 7 == 0)
			stream_flush(w->s);
	}
	if (!w->err)
		w->err = stream_drain(w->s, soon());
	stream_close(w->s);
}

static const char *read_and_check(struct stream *s, uint8_t *buf)
{
	uint32_t pos = 0, step = 1;

	for (;;) {
		uint32_t want = step++ * 53 % (PIECE_MAX + 7000) + 1;
		ptrdiff_t n = stream_read(s, buf, want, soon());

		if (n < 0)
			return failed("read", n);
		if (n == 0)
			return pos >= TOTAL_BYTES ? NULL : failed("ended at", (long)pos);
		for (ptrdiff_t i = 0; i < n; i++)
			if (buf[i] != pattern(pos + (uint32_t)i))
				return failed("wrong byte at", (long)pos + i);
		pos += (uint32_t)n;
	}
}

static const char *transfer(struct pair *p, uint8_t *buf)
{
	static const struct world_opts opts = { .name = "net selftest",
						.prio = WORLD_NORMAL,
						.cpu = -1 };
	struct writer w = { .s = p->here, .buf = buf };
	const char *bad;
	struct world *world;
	int err = world_create(&world, &opts, write_all, &w);

	if (err)
		return failed("world", err);
	p->here = NULL; /* the writer closes it */
	bad = read_and_check(p->there, buf + PIECE_MAX + 4096);
	if (bad)
		stream_abort(p->there);
	world_join(world);
	return bad ? bad : w.err ? failed("write", w.err) : NULL;
}

static const char *test_data(void)
{
	struct pair p = { 0 };
	const char *bad = open_pair(&p);
	hpa_t block;

	if (!bad && page_alloc(4, 0, FRAME_NET, &block))
		bad = "no memory";
	if (!bad) {
		bad = transfer(&p, hpa_ptr(block));
		page_put(block);
	}
	close_pair(&p);
	return bad;
}

static const char *test_deadline(void)
{
	struct pair p = { 0 };
	const char *bad = open_pair(&p);
	uint64_t start = time_ns();
	uint8_t byte;

	if (!bad) {
		ptrdiff_t n = stream_read(p.here, &byte, 1, start + SHORT_NS);

		if (n != -ETIMEDOUT)
			bad = failed("read without data", n);
		else if (time_ns() - start < SHORT_NS)
			bad = "woke before its deadline";
	}
	close_pair(&p);
	return bad;
}

static const char *test_refused(void)
{
	struct stream *s;
	int err = stream_connect(&self, TEST_PORT + 1, STEP_NS, &s);

	return err == -ECONNREFUSED ? NULL : failed("connect to a closed port", err);
}

static void abort_later(void *arg)
{
	world_sleep_ns(SHORT_NS);
	stream_abort(arg);
}

/* Nobody reads: the writer fills the window and sleeps, until somebody aborts victim. */
static const char *blocked_writer(struct pair *p, struct stream *victim, int expected)
{
	static const struct world_opts opts = { .name = "net abort",
						.prio = WORLD_NORMAL,
						.cpu = -1 };
	struct world *world;
	int err = world_create(&world, &opts, abort_later, victim);

	if (err)
		return failed("world", err);
	while (!err)
		err = write_some_pages(p->here, 0, PAGES_MAX);
	world_join(world);
	return err == expected ? NULL : failed("blocked writer got", err);
}

static const char *test_abort(void)
{
	struct pair p = { 0 };
	const char *bad = open_pair(&p);

	if (!bad)
		bad = blocked_writer(&p, p.here, -ECANCELED);
	close_pair(&p);
	return bad;
}

static const char *test_reset(void)
{
	struct pair p = { 0 };
	const char *bad = open_pair(&p);

	if (!bad)
		bad = blocked_writer(&p, p.there, -ECONNRESET);
	close_pair(&p);
	return bad;
}

static uint64_t net_bytes(void)
{
	struct page_stats s;

	page_stats(&s);
	return s.owner_bytes[FRAME_NET];
}

/* Closing goes on in the background: pages come back within a moment. */
static const char *check_pages(uint64_t before)
{
	uint64_t end = soon();

	while (net_bytes() > before && time_ns() < end)
		world_sleep_ns(SHORT_NS);
	return net_bytes() > before
		       ? failed("bytes of pages left behind", (long)(net_bytes() - before))
		       : NULL;
}

void net_selftest(const char *list)
{
	static const struct {
		const char *name;
		const char *(*run)(void);
	} tests[] = {
		{ "stream-data", test_data },	    { "stream-deadline", test_deadline },
		{ "stream-refused", test_refused }, { "stream-abort", test_abort },
		{ "stream-reset", test_reset },
	};

	if (!list || !(selftest_listed(list, "net") || selftest_listed(list, "all")))
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(tests); i++) {
		uint64_t before = net_bytes();
		const char *bad = tests[i].run();

		selftest_report(tests[i].name, bad ? bad : check_pages(before));
	}
}
