/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long another host's disks are waited for: as long as they get on, which the same number once
 * more says, but not for ever. What that host says is a script, on a clock of the test's own.
 */
// SOURCES: mig/blk_send_net.c mig/page_ring.c mig/peer.c mig/wire.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "mig/blk_send_int.h"
#include "mig/phase.h"

#define DISKS 3u
#define FOR_EVER 10000u

/* Said so often, each so long after the one before; the end has no time. */
struct said {
	enum wire_type type;
	uint64_t seq;
	unsigned times, after_s;
};

static const struct said *saying;
static unsigned said; /* of saying */
static uint64_t now_ns;
static struct blk_sender *s;
static int ended;

uint64_t time_ns(void)
{
	return now_ns;
}

int stream_read_all(struct stream *stream, void *buf, size_t len, uint64_t deadline_ns)
{
	struct wire_head h = { .magic = WIRE_MAGIC };

	if (len != sizeof(h)) { /* a body */
		assert_int_equal(len, sizeof(saying->seq));
		memcpy(buf, &saying->seq, len);
		return 0;
	}
	if (said == saying->times) {
		saying++;
		said = 0;
	}
	if (!saying->times)
		return -ECONNRESET;
	said++;
	now_ns += saying->after_s * NSEC_PER_SEC;
	h.type = (uint16_t)saying->type;
	h.length = saying->type == WIRE_BLOCKS_DONE ? sizeof(saying->seq) : 0;
	memcpy(buf, &h, len);
	return 0;
}

int stream_write(struct stream *stream, const void *buf, size_t len, uint64_t deadline_ns)
{
	return -ECONNRESET;
}

int stream_write_pages(struct stream *stream, const hpa_t *pages, unsigned count,
		       uint64_t deadline_ns)
{
	return -ECONNRESET;
}

int stream_await_room(struct stream *stream, unsigned pages, uint64_t deadline_ns)
{
	return 0;
}

void stream_flush(struct stream *stream)
{
}

void page_get(hpa_t a)
{
}

int waitq_sleep(struct waitq *q, struct spinlock *l, unsigned long *flags, uint64_t deadline_ns)
{
	return -ETIMEDOUT;
}

void blk_send_serve(struct blk_sender *sender)
{
}

void blk_send_fail(struct blk_sender *sender, int err, const struct wire_text *words)
{
	ended = err;
}

static int begin(void **state)
{
	static struct peer peer;

	now_ns = 1000 * NSEC_PER_SEC;
	said = 0;
	peer_init(&peer, NULL, false);
	s = calloc(1, sizeof(*s) + DISKS * sizeof(s->disk[0]));
	assert_non_null(s);
	s->peer = &peer;
	s->nr_disks = DISKS;
	s->progress_ns = now_ns;
	spin_init(&s->lock, LOCK_MIG_DISKS, "test");
	waitq_init(&s->changed, "test");
	return 0;
}

static int end(void **state)
{
	free(s);
	return 0;
}

/* It is under way: the other host has not done it. */
static void sent(uint32_t op, unsigned pages)
{
	struct send_slot *slot = send_slot_at(s, ++s->sent);

	s->taken = s->sent;
	slot->b = (struct wire_blocks){ .op = op, .seq = s->sent };
	slot->pages = pages;
	s->ring.taken += pages;
	s->under_way += send_slot_bytes(slot);
}

/* How it ends, after so many seconds; -ECONNRESET: not before the script does. */
static int hears(const struct said *script, uint64_t *seconds)
{
	uint64_t from_ns = now_ns;

	saying = script;
	blk_send_ears(s);
	*seconds = (now_ns - from_ns) / NSEC_PER_SEC;
	return ended;
}

static void test_slow_flush(void **state)
{
	static const struct said script[] = {
		{ WIRE_ALIVE, 0, 19, 1 },	{ WIRE_BLOCKS_DONE, 0, 1, 1 },
		{ WIRE_ALIVE, 0, 19, 1 },	{ WIRE_BLOCKS_DONE, 0, 1, 1 },
		{ WIRE_ALIVE, 0, 19, 1 },	{ WIRE_BLOCKS_DONE, 1, 1, 1 },
		{ WIRE_BLOCKS_DONE, 1, 9, 60 }, { 0 },
	};
	uint64_t seconds;

	sent(BLOCKS_FLUSH, 0);
	assert_int_equal(hears(script, &seconds), -ECONNRESET);
	assert_int_equal(s->acked, 1);
}

static void test_slow_writes(void **state)
{
	static const struct said script[] = {
		{ WIRE_BLOCKS_DONE, 0, 17, 10 },
		{ WIRE_BLOCKS_DONE, 1, 18, 10 },
		{ WIRE_BLOCKS_DONE, 2, 1, 10 },
		{ 0 },
	};
	uint64_t seconds;

	sent(BLOCKS_WRITE, WIRE_BLOCKS_MAX / PAGE_SIZE);
	sent(BLOCKS_WRITE, WIRE_BLOCKS_MAX / PAGE_SIZE);
	assert_int_equal(hears(script, &seconds), -ECONNRESET);
	assert_int_equal(s->acked, 2);
}

/* One that says the same for ever, whether it says that it lives or not. */
static void says_for_ever(unsigned after_s, uint64_t most_s)
{
	const struct said script[] = {
		{ WIRE_BLOCKS_DONE, 0, FOR_EVER, after_s },
		{ 0 },
	};
	uint64_t seconds;

	assert_int_equal(hears(script, &seconds), -ETIMEDOUT);
	assert_in_range(seconds, 20, most_s);
	assert_int_equal(s->acked, 0);
}

static void test_flush_for_ever(void **state)
{
	sent(BLOCKS_FLUSH, 0);
	says_for_ever(15, (DISKS + 2) * 15);
}

static void test_flush_for_ever_fast(void **state)
{
	sent(BLOCKS_FLUSH, 0);
	says_for_ever(1, 20 + DISKS + 1);
}

static void test_writes_for_ever(void **state)
{
	sent(BLOCKS_WRITE, WIRE_BLOCKS_MAX / PAGE_SIZE);
	sent(BLOCKS_ZEROES, 0);
	says_for_ever(10, (18 + 1 + 3) * 10);
}

static void test_stuck(void **state)
{
	static const struct said script[] = { { WIRE_ALIVE, 0, FOR_EVER, 1 }, { 0 } };
	uint64_t seconds;

	sent(BLOCKS_FLUSH, 0);
	assert_int_equal(hears(script, &seconds), -ETIMEDOUT);
	assert_int_equal(seconds, 21);
}

static void test_no_such_number(void **state)
{
	static const struct said behind[] = { { WIRE_BLOCKS_DONE, 2, 1, 1 }, { 0 } };
	static const struct said before[] = { { WIRE_BLOCKS_DONE, 1, 1, 1 },
					      { WIRE_BLOCKS_DONE, 0, 1, 1 },
					      { 0 } };
	uint64_t seconds;

	sent(BLOCKS_ZEROES, 0);
	assert_int_equal(hears(behind, &seconds), -EBADMSG);
	said = 0;
	assert_int_equal(hears(before, &seconds), -EBADMSG);
	assert_int_equal(s->acked, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_slow_flush, begin, end),
		cmocka_unit_test_setup_teardown(test_slow_writes, begin, end),
		cmocka_unit_test_setup_teardown(test_flush_for_ever, begin, end),
		cmocka_unit_test_setup_teardown(test_flush_for_ever_fast, begin, end),
		cmocka_unit_test_setup_teardown(test_writes_for_ever, begin, end),
		cmocka_unit_test_setup_teardown(test_stuck, begin, end),
		cmocka_unit_test_setup_teardown(test_no_such_number, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
