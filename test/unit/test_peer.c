/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages over a stream: a question is HELLO and itself, the answer is what is no
 * HELLO, and whatever a peer says instead, at whatever length, is given back or
 * refused: no byte of it stays (LeakSanitizer). The stream is a fake of bytes.
 * // SOURCES: mig/peer.c mig/wire.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mig/peer.h"

/* What the peer will have said, and what it was told. */
static struct bytes {
	uint8_t at[256 << 10];
	size_t len, read;
} said, told;
static unsigned pages_put;

static void put(struct bytes *b, const void *from, size_t len)
{
	assert_true(b->len + len <= sizeof(b->at));
	memcpy(b->at + b->len, from, len);
	b->len += len;
}

uint64_t time_ns(void)
{
	return 0;
}

int stream_write(struct stream *s, const void *buf, size_t len, uint64_t deadline_ns)
{
	put(&told, buf, len);
	return 0;
}

int stream_write_pages(struct stream *s, const hpa_t *pages, unsigned count, uint64_t deadline_ns)
{
	return -EPIPE;
}

int stream_await_room(struct stream *s, unsigned pages, uint64_t deadline_ns)
{
	return -EPIPE;
}

void stream_flush(struct stream *s)
{
}

int stream_read_all(struct stream *s, void *buf, size_t len, uint64_t deadline_ns)
{
	if (said.len - said.read < len)
		return -EPIPE;
	memcpy(buf, said.at + said.read, len);
	said.read += len;
	return 0;
}

void page_put(hpa_t block)
{
	pages_put++;
}

static int start(void **state)
{
	said.len = said.read = told.len = pages_put = 0;
	return 0;
}

static void says(enum wire_type type, size_t len)
{
	struct wire_head h = { .magic = WIRE_MAGIC,
			       .type = (uint16_t)type,
			       .length = (uint32_t)len };
	uint8_t *body = calloc(1, len + 1);

	put(&said, &h, sizeof(h));
	put(&said, body, len);
	free(body);
}

static const uint8_t id[WIRE_ID_BYTES] = "0123456789abcde";

static void test_question_and_answer(void **state)
{
	struct wire_settle m = { .outcome = OUTCOME_GO };
	struct wire_hello hello;
	struct wire_head h;
	uint8_t buf[256];
	struct peer p;
	void *body;

	peer_init(&p, NULL, false);
	assert_int_equal(peer_ask(&p, id, WIRE_SETTLE, &m, sizeof(m)), 0);
	assert_int_equal(told.len, 2 * sizeof(h) + sizeof(hello) + sizeof(m));
	memcpy(&hello, told.at + sizeof(h), sizeof(hello));
	assert_memory_equal(hello.id, id, sizeof(id));
	assert_int_equal(wire_hello_check(&hello), 0);

	says(WIRE_HELLO, sizeof(struct wire_hello));
	says(WIRE_HELLO, sizeof(struct wire_hello));
	says(WIRE_VERDICT, sizeof(struct wire_verdict));
	assert_int_equal(peer_answer(&p, &h, buf, sizeof(buf), &body, 0), 0);
	assert_int_equal(h.type, WIRE_VERDICT);
	assert_ptr_equal(body, buf);
	peer_body_free(buf, body);
}

/* The longest answer to another question, and one that breaks off. */
static void test_long_answers_leave_nothing(void **state)
{
	struct wire_head h;
	uint8_t buf[16];
	struct peer p;
	void *body;

	peer_init(&p, NULL, false);
	says(WIRE_HELLO, sizeof(struct wire_hello)); /* longer than buf as well */
	says(WIRE_HOST, WIRE_HOST_MAX);
	assert_int_equal(peer_answer(&p, &h, buf, sizeof(buf), &body, 0), 0);
	assert_int_equal(h.type, WIRE_HOST);
	assert_ptr_not_equal(body, buf);
	peer_body_free(buf, body);

	says(WIRE_HOST, WIRE_HOST_MAX);
	said.len -= 8;
	assert_int_equal(peer_answer(&p, &h, buf, sizeof(buf), &body, 0), -EPIPE);
}

static void test_pages_of_a_failed_batch_come_back(void **state)
{
	const hpa_t page[3] = { HPA(0x1000), HPA(0x2000), HPA(0x3000) };
	struct wire_pages b = { .seq = 1, .raw_pages = 3 };
	struct peer p;

	peer_init(&p, NULL, false);
	assert_int_equal(peer_send_pages(&p, WIRE_PAGES, &b, sizeof(b), page, 3), -EPIPE);
	assert_int_equal(pages_put, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_question_and_answer, start),
		cmocka_unit_test_setup(test_long_answers_leave_nothing, start),
		cmocka_unit_test_setup(test_pages_of_a_failed_batch_come_back, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
