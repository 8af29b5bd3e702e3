/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page deltas: golden bytes, a guest that writes at random against a
 * destination that only hears deltas, and what a hostile peer could send.
 * // SOURCES: mig/delta.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mig/delta.h"

#define WORDS (PAGE_SIZE / 8)
#define MAX_GFN 1000u

/* A DELTA message being made. */
static struct {
	struct wire_delta head;
	uint8_t entry[WIRE_DELTA_MAX];
} msg;
static size_t msg_len;

static void start(void)
{
	memset(&msg, 0xee, sizeof(msg));
	msg.head = (struct wire_delta){ .seq = 1 };
	msg_len = sizeof(msg.head);
}

static size_t add(gfn_t n, const uint64_t *live, uint64_t *base)
{
	size_t len = delta_encode(n, live, base, (uint8_t *)&msg + msg_len);

	msg.head.pages += len != 0;
	msg_len += len;
	return len;
}

/* The example of docs/wire.md. */
static void golden(void **state)
{
	static const uint8_t bytes[] = {
		0x02, 0x50, 0, 0, 0, 0, 0, 0, 0x02, 0x00, 0x80, 0xff, 0, 0, 0, 0,
		0x11, 0,    0, 0, 0, 0, 0, 0, 0x22, 0,	  0,	0,    0, 0, 0, 0,
		0x33, 0,    0, 0, 0, 0, 0, 0, 0x44, 0,	  0,	0,    0, 0, 0, 0,
	};
	uint64_t live[WORDS] = { 0x11, 0x22, 0x33 }, base[WORDS] = { 0 };

	live[511] = 0x44;
	start();
	assert_int_equal(add(5, live, base), sizeof(bytes));
	assert_memory_equal(msg.entry, bytes, sizeof(bytes));
	assert_memory_equal(live, base, PAGE_SIZE);
	assert_int_equal(delta_check(&msg, msg_len, MAX_GFN), 0);
}

static void unchanged_page(void **state)
{
	uint64_t live[WORDS] = { 7 }, base[WORDS] = { 7 };

	start();
	assert_int_equal(add(3, live, base), 8);
	assert_int_equal(delta_check(&msg, msg_len, MAX_GFN), 0);
}

/* Every word changed, or every second: both are more than half a page. */
static void not_smaller(void **state)
{
	uint64_t live[WORDS], base[WORDS];

	for (unsigned step = 1; step <= 2; step++) {
		memset(base, 0, sizeof(base));
		memset(live, 0, sizeof(live));
		for (unsigned i = 0; i < WORDS; i += step)
			live[i] = i + 1;
		start();
		assert_int_equal(add(1, live, base), 0);
	}
}

static void apply_all(uint64_t (*page)[WORDS], gfn_t pages)
{
	const uint8_t *at = msg.entry, *end = (uint8_t *)&msg + msg_len;
	struct delta_entry e;
	uint32_t seen = 0;

	while (delta_next(&at, end, &e)) {
		assert_in_range(e.gfn, 0, pages - 1);
		delta_apply(&e, page[e.gfn]);
		seen++;
	}
	assert_ptr_equal(at, end);
	assert_int_equal(seen, msg.head.pages);
}

#define PAGES 16u

/* Some words, some stretches, some pages that are random all over. */
static void scribble(uint64_t *page)
{
	unsigned at = (unsigned)rand() % WORDS, count = (unsigned)rand() % (rand() % 4 ? 4 : 300);

	for (unsigned i = at; i < WORDS && i < at + count; i++)
		page[i] = (uint64_t)rand() << 33 ^ (uint64_t)rand();
}

static void random_round_trips(void **state)
{
	static uint64_t live[PAGES][WORDS], base[PAGES][WORDS], there[PAGES][WORDS];
	unsigned whole = 0, deltas = 0;

	srand(11);
	for (unsigned round = 0; round < 2000; round++) {
		for (unsigned i = 0; i < 40; i++)
			scribble(live[rand() % PAGES]);
		start();
		for (gfn_t n = 0; n < PAGES; n++) {
			if (add(n, live[n], base[n])) {
				deltas++;
				continue;
			}
			memcpy(base[n], live[n], PAGE_SIZE); /* sent whole */
			memcpy(there[n], live[n], PAGE_SIZE);
			whole++;
		}
		if (msg.head.pages)
			assert_int_equal(delta_check(&msg, msg_len, PAGES), 0);
		apply_all(there, PAGES);
		assert_memory_equal(live, base, sizeof(live));
		assert_memory_equal(live, there, sizeof(live));
	}
	assert_true(whole > 100 && deltas > 10000);
}

/* ---- hostile ---- */

static uint64_t *put(uint64_t *at, gfn_t n, unsigned pieces)
{
	*at++ = n << PAGE_SHIFT | pieces;
	msg.head.pages++;
	return at;
}

static uint16_t piece(unsigned first, unsigned count)
{
	return (uint16_t)(first << 7 | (count - 1));
}

static int check_words(const uint64_t *end)
{
	return delta_check(&msg, (size_t)((const uint8_t *)end - (const uint8_t *)&msg), MAX_GFN);
}

static uint64_t *one_entry(gfn_t n, unsigned pieces, const uint16_t p[4])
{
	uint64_t *at;

	start();
	at = put((uint64_t *)msg.entry, n, pieces);
	memcpy(at++, p, 8);
	return at;
}

static void pieces_refused(void **state)
{
	static const struct {
		uint16_t first, count, then, then_count;
		bool good;
	} pair[] = {
		{ 0, 2, 2, 1, true },	 { 0, 2, 1, 1, false },	  /* overlap */
		{ 5, 1, 5, 1, false },				  /* twice */
		{ 9, 1, 3, 1, false },				  /* backwards */
		{ 0, 1, 511, 1, true },	 { 0, 1, 511, 2, false }, /* past the page's end */
		{ 0, 1, 500, 12, true }, { 0, 1, 500, 13, false },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(pair); i++) {
		uint16_t p[4] = { piece(pair[i].first, pair[i].count),
				  piece(pair[i].then, pair[i].then_count) };
		uint64_t *at = one_entry(7, 2, p);

		assert_int_equal(check_words(at + pair[i].count + pair[i].then_count),
				 pair[i].good ? 0 : -EBADMSG);
	}
}

static void lengths_refused(void **state)
{
	uint16_t p[4] = { piece(1, 3) };
	uint64_t *at = one_entry(7, 1, p);

	assert_int_equal(check_words(at + 3), 0);
	assert_int_equal(check_words(at + 2), -EBADMSG); /* words are missing */
	assert_int_equal(check_words(at + 4), -EBADMSG); /* something behind the last */
	assert_int_equal(check_words(at), -EBADMSG);
	assert_int_equal(check_words(at - 1), -EBADMSG); /* not even pieces */
	p[2] = 1;					 /* padding */
	assert_int_equal(check_words(one_entry(7, 1, p) + 3), -EBADMSG);
	p[2] = 0;
	assert_int_equal(check_words(one_entry(MAX_GFN - 1, 1, p) + 3), 0);
	assert_int_equal(check_words(one_entry(MAX_GFN, 1, p) + 3), -EBADMSG);
	start();
	at = put((uint64_t *)msg.entry, 1, 4095); /* more pieces than a page can have */
	assert_int_equal(check_words(at + 2000), -EBADMSG);
	p[1] = piece(200, 128);
	p[0] = piece(0, 128);
	assert_int_equal(check_words(one_entry(7, 2, p) + 256),
			 -EBADMSG); /* longer than any is made */
}

static void messages_refused(void **state)
{
	uint64_t *at;

	start();
	at = put((uint64_t *)msg.entry, 4, 0);
	at = put(at, 5, 0);
	assert_int_equal(check_words(at), 0);
	msg.head.pages = 1;
	assert_int_equal(check_words(at), -EBADMSG);
	msg.head.pages = 3;
	assert_int_equal(check_words(at), -EBADMSG);
	msg.head.pages = 2;
	msg.head.reserved = 1;
	assert_int_equal(check_words(at), -EBADMSG);
	start();
	at = put(put((uint64_t *)msg.entry, 5, 0), 5, 0); /* a frame twice */
	assert_int_equal(check_words(at), -EBADMSG);
	start();
	assert_int_equal(check_words((uint64_t *)msg.entry), -EBADMSG); /* no page at all */
	at = (uint64_t *)msg.entry;
	for (gfn_t n = 0; n < WIRE_BATCH_MAX; n++)
		at = put(at, n, 0);
	assert_int_equal(delta_check(&msg, sizeof(msg.head) + WIRE_BATCH_MAX * 8, 1u << 20), 0);
	at = put(at, WIRE_BATCH_MAX, 0);
	assert_int_equal(delta_check(&msg, sizeof(msg.head) + (WIRE_BATCH_MAX + 1) * 8, 1u << 20),
			 -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden),	    cmocka_unit_test(unchanged_page),
		cmocka_unit_test(not_smaller),	    cmocka_unit_test(random_round_trips),
		cmocka_unit_test(pieces_refused),   cmocka_unit_test(lengths_refused),
		cmocka_unit_test(messages_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
