/* SPDX-License-Identifier: BSD-2-Clause */
/* A pushed file as the host hears it: contents, holes, ends, and what is no push. */
// SOURCES: kernel/lib/crc32c.c kernel/xfer/push_wire.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/xfer/push_wire.h"

static uint8_t line[4096];
static size_t nr_line, at_line;
static uint64_t acks[16];
static unsigned nr_acks;

static int line_read(void *user, void *buf, size_t len)
{
	if (len > nr_line - at_line)
		return -EPIPE;
	memcpy(buf, line + at_line, len);
	at_line += len;
	return 0;
}

static int line_send(void *user, enum push_type type, const void *body, size_t len)
{
	assert_int_equal(type, PUSH_ACK);
	assert_int_equal(len, sizeof(acks[0]));
	memcpy(&acks[nr_acks++], body, len);
	return 0;
}

static void say(enum push_type type, const void *body, size_t len)
{
	struct push_head h;

	push_head_fill(&h, type, body, len);
	memcpy(line + nr_line, &h, sizeof(h));
	if (len)
		memcpy(line + nr_line + sizeof(h), body, len);
	nr_line += sizeof(h) + len;
}

static void say_data(uint64_t at, const char *text)
{
	uint8_t body[64];

	memcpy(body, &at, sizeof(at));
	memcpy(body + sizeof(at), text, strlen(text));
	say(PUSH_DATA, body, sizeof(at) + strlen(text));
}

static void say_end(uint64_t size)
{
	say(PUSH_END, &size, sizeof(size));
}

static struct push_in begin(uint64_t size)
{
	struct push_put put = { .version = PUSH_VERSION, .kind = 3, .size = size };

	nr_line = at_line = nr_acks = 0;
	strcpy(put.datastore, "ds1");
	strcpy(put.name, "vm/disk");
	say(PUSH_PUT, &put, sizeof(put));
	return (struct push_in){ .read = line_read, .send = line_send };
}

static int hear(struct push_in *in, uint8_t *buf, size_t piece)
{
	int err = push_hear_put(in);

	for (uint64_t at = 0, n; !err && at < in->put.size; at += n) {
		n = MIN((uint64_t)piece, in->put.size - at);
		err = push_take(in, at, (size_t)n, buf + at);
	}
	return err;
}

/* However the store cuts what it asks for. */
static void contents_and_holes(void **state)
{
	static const char want[20] = "abcd\0\0\0\0efg\0\0\0\0\0\0hi";

	for (size_t piece = 1; piece <= sizeof(want); piece++) {
		uint8_t got[sizeof(want)];
		struct push_in in = begin(sizeof(want) + 0);

		memset(got, 0xaa, sizeof(got));
		say_data(0, "abcd");
		say_data(8, "efg");
		say_data(17, "hi");
		say_end(sizeof(want));
		assert_int_equal(hear(&in, got, piece), 0);
		assert_memory_equal(got, want, sizeof(want));
		assert_int_equal(nr_acks, 3);
		assert_true(acks[0] == 4 && acks[1] == 11 && acks[2] == 19);
	}
}

static void nothing_but_a_hole(void **state)
{
	struct push_in in = begin(8);
	uint8_t got[8];

	say_end(8);
	assert_int_equal(hear(&in, got, 8), 0);
	assert_memory_equal(got, "\0\0\0\0\0\0\0\0", 8);
}

static int after(void (*rest)(void), size_t cut)
{
	struct push_in in = begin(8);
	uint8_t got[8];

	rest();
	nr_line -= cut;
	return hear(&in, got, 8);
}

static void backwards(void)
{
	say_data(4, "efgh");
	say_data(0, "abcd");
	say_end(8);
}

static void too_long(void)
{
	say_data(4, "efghi");
}

static void far_out(void)
{
	say_data(UINT64_MAX - 1, "abcd");
}

static void another_size(void)
{
	say_data(0, "abcd");
	say_end(7);
}

static void no_end(void)
{
	say_data(0, "abcdefgh");
	say_data(8, "i");
}

static void two_puts(void)
{
	say(PUSH_PUT, line + sizeof(struct push_head), sizeof(struct push_put));
}

static void hosts_word(void)
{
	say_data(0, "abcd");
	say(PUSH_READY, NULL, 0);
}

static void bent(void)
{
	say_data(0, "abcdefgh");
	line[nr_line - 1] ^= 1;
	say_end(8);
}

static void whole(void)
{
	say_data(0, "abcdefgh");
	say_end(8);
}

static void what_is_no_push(void **state)
{
	assert_int_equal(after(whole, 0), 0);
	assert_int_equal(after(whole, 1), -EPIPE);
	assert_int_equal(after(backwards, 0), -EBADMSG);
	assert_int_equal(after(too_long, 0), -EBADMSG);
	assert_int_equal(after(far_out, 0), -EBADMSG);
	assert_int_equal(after(another_size, 0), -EBADMSG);
	assert_int_equal(after(no_end, 0), -EBADMSG);
	assert_int_equal(after(two_puts, 0), -EBADMSG);
	assert_int_equal(after(hosts_word, 0), -EBADMSG);
	assert_int_equal(after(bent, 0), -EBADMSG);
}

static void heads(void **state)
{
	struct push_head h;

	push_head_fill(&h, PUSH_DATA, NULL, 0);
	h.length = 8 + PUSH_DATA_MAX;
	assert_int_equal(push_head_check(&h, true), 0);
	assert_int_equal(push_head_check(&h, false), -EBADMSG);
	h.length++;
	assert_int_equal(push_head_check(&h, true), -EBADMSG);
	h.length = 8;
	assert_int_equal(push_head_check(&h, true), -EBADMSG);
	push_head_fill(&h, PUSH_TYPES, NULL, 0);
	assert_int_equal(push_head_check(&h, false), -EBADMSG);
}

/* What the page of the protocol shows. */
static void golden(void **state)
{
	static const uint8_t want[] = { 'T',  'R',  'N',  'P',	4, 0, 0, 0, 8, 0, 0, 0,
					0x8d, 0xeb, 0xd8, 0xa8, 8, 0, 0, 0, 0, 0, 0, 0 };

	nr_line = 0;
	say_end(8);
	assert_int_equal(nr_line, sizeof(want));
	assert_memory_equal(line, want, sizeof(want));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(contents_and_holes),
		cmocka_unit_test(nothing_but_a_hole),
		cmocka_unit_test(what_is_no_push),
		cmocka_unit_test(heads),
		cmocka_unit_test(golden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
