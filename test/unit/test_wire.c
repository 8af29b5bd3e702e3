/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The migration stream's acceptance: golden bytes, limits, hostile values.
 * // SOURCES: mig/wire.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "mig/wire.h"

static struct wire_head head(uint16_t type, uint32_t length, uint32_t payload)
{
	return (struct wire_head){
		.magic = WIRE_MAGIC, .type = type, .length = length, .payload = payload
	};
}

static void head_golden(void **state)
{
	static const uint8_t golden[16] = {
		'T', 'R', 'N', 'M', 9, 0, 0, 0, 32, 0, 0, 0, 0, 16, 0, 0
	};
	struct wire_head h = head(WIRE_PAGES, 32, PAGE_SIZE);

	assert_memory_equal(&h, golden, sizeof(golden));
	assert_int_equal(wire_head_check(&h, true), 0);
}

static void head_refused(void **state)
{
	struct wire_head h = head(WIRE_GO, 0, 0);

	assert_int_equal(wire_head_check(&h, true), 0);
	assert_int_equal(wire_head_check(&h, false),
			 -EBADMSG); /* a destination has no GO to give */
	h.magic ^= 1;
	assert_int_equal(wire_head_check(&h, true), -EBADMSG);
	h = head(WIRE_GO, 1, 0);
	assert_int_equal(wire_head_check(&h, true), -EBADMSG);
	h = head(WIRE_GO, 0, PAGE_SIZE);
	assert_int_equal(wire_head_check(&h, true), -EBADMSG);
	h = head(0, 0, 0);
	assert_int_equal(wire_head_check(&h, true), -EBADMSG);
	h = head(WIRE_TYPES, 0, 0);
	assert_int_equal(wire_head_check(&h, true), -EBADMSG);
	h = head(WIRE_STATE, WIRE_STATE_MAX + 1, 0);
	assert_int_equal(wire_head_check(&h, true), -EBADMSG);
	h = head(WIRE_PAGES, 32, PAGE_SIZE + 1);
	assert_int_equal(wire_head_check(&h, true), -EBADMSG);
	h = head(WIRE_PAGES, 32, (WIRE_BATCH_MAX + 1) * (uint32_t)PAGE_SIZE);
	assert_int_equal(wire_head_check(&h, true), -EBADMSG);
	h = head(WIRE_DELTA, WIRE_DELTA_MAX, 0);
	assert_int_equal(wire_head_check(&h, true), 0);
	h = head(WIRE_DELTA, WIRE_DELTA_MAX + 1, 0);
	assert_int_equal(wire_head_check(&h, true), -EBADMSG);
	h = head(WIRE_ALIVE, 0, 0);
	h.flags = 1;
	assert_int_equal(wire_head_check(&h, true), -EBADMSG);
}

struct batch {
	struct wire_pages p;
	wire_run run[4];
};

static void pages_checked(void **state)
{
	struct batch b = { .p = { .seq = 1, .raw_runs = 2, .zero_runs = 1, .raw_pages = 5 } };
	size_t len = sizeof(b.p) + 3 * sizeof(wire_run);

	b.run[0] = wire_run_make(10, 3);
	b.run[1] = wire_run_make(98, 2);
	b.run[2] = wire_run_make(0, 100);
	assert_int_equal(wire_pages_check(&b, len, 5 * PAGE_SIZE, 100), 0);
	assert_int_equal(wire_pages_check(&b, len, 4 * PAGE_SIZE, 100), -EBADMSG);
	assert_int_equal(wire_pages_check(&b, len - 8, 5 * PAGE_SIZE, 100), -EBADMSG);
	assert_int_equal(wire_pages_check(&b, len, 5 * PAGE_SIZE, 99),
			 -EBADMSG); /* past the end of memory */
	b.p.raw_pages = 4;
	assert_int_equal(wire_pages_check(&b, len, 4 * PAGE_SIZE, 100), -EBADMSG);
	b.p.raw_pages = 5;
	b.run[2] = wire_run_make(0, WIRE_BATCH_MAX + 1); /* zeros cost no bytes, but time */
	assert_int_equal(wire_pages_check(&b, len, 5 * PAGE_SIZE, 1u << 20), -EBADMSG);
	b.run[2] = ~0ull; /* the highest frame, and a sum that would overflow */
	assert_int_equal(wire_pages_check(&b, len, 5 * PAGE_SIZE, 100), -EBADMSG);
	b.p.zero_runs = UINT32_MAX;
	assert_int_equal(wire_pages_check(&b, len, 5 * PAGE_SIZE, 100), -EBADMSG);
}

static void remain_checked(void **state)
{
	struct {
		struct wire_remain r;
		wire_run run[2];
	} b = { .r = { .pages = 7, .runs = 2 },
		.run = { wire_run_make(1, 3), wire_run_make(8, 4) } };

	assert_int_equal(wire_remain_check(&b, sizeof(b), 12), 0);
	assert_int_equal(wire_remain_check(&b, sizeof(b), 11), -EBADMSG);
	b.r.pages = 8;
	assert_int_equal(wire_remain_check(&b, sizeof(b), 12), -EBADMSG);
	b.r.pages = UINT64_MAX; /* what a bad run counts as inside */
	assert_int_equal(wire_remain_check(&b, sizeof(b), 11), -EBADMSG);
	b.r.pages = 7;
	b.r.runs = 3;
	assert_int_equal(wire_remain_check(&b, sizeof(b), 12), -EBADMSG);
}

/* The lower of the two highest, unless one side does not go down to it. */
static void version_agreed(void **state)
{
	struct wire_hello h = { .version = 1, .version_min = 1 };

	assert_int_equal(wire_version_with(&h), 1);
	h.version = WIRE_VERSION + 5;
	assert_int_equal(wire_version_with(&h), WIRE_VERSION);
	h.version_min = WIRE_VERSION + 1;
	assert_int_equal(wire_version_with(&h), 0);
	h.version = h.version_min = 0;
	assert_int_equal(wire_version_with(&h), 0);
}

/* Who knows no disks says nothing of himself. */
static void accept_has_what_its_version_has(void **state)
{
	assert_int_equal(wire_accept_check(0, 2), 0);
	assert_int_equal(wire_accept_check(16, 2), -EBADMSG);
	assert_int_equal(wire_accept_check(16, 3), 0);
	assert_int_equal(wire_accept_check(0, 3), -EBADMSG);
	assert_int_equal(wire_accept_check(8, 3), -EBADMSG);
}

static void text_is_printable(void **state)
{
	struct wire_text t = { .code = "no-memory", .text = "it does not fit" };

	assert_int_equal(wire_text_check(&t), 0);
	t.text[2] = '\x1b'; /* nothing that a console would obey */
	assert_int_equal(wire_text_check(&t), -EBADMSG);
	memset(t.text, 'x', sizeof(t.text));
	assert_int_equal(wire_text_check(&t), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(head_golden),
		cmocka_unit_test(head_refused),
		cmocka_unit_test(pages_checked),
		cmocka_unit_test(remain_checked),
		cmocka_unit_test(version_agreed),
		cmocka_unit_test(text_is_printable),
		cmocka_unit_test(accept_has_what_its_version_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
