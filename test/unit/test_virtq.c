/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring engine alone: chains, indirect tables, event index, and what a
 * hostile guest can put into the rings.
 */
// SOURCES: kernel/vdev/virtq.c kernel/vdev/vdev.c kernel/lib/rec.c test/unit/fake_vdev.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "kernel/vdev/virtq.h"
#include "test/unit/fake_vdev.h"

#define SIZE 8u
#define DESC 0x1000u
#define AVAIL 0x2000u
#define USED 0x3000u
#define DATA 0x10000u

#define NEXT 1u
#define WRITE 2u
#define INDIRECT 4u

static struct virtq q;
static struct virtq_chain c;
static uint16_t avail_idx;

static int fresh(void **state)
{
	memset(fake_ram, 0, sizeof(fake_ram));
	q = (struct virtq){
		.desc = DESC, .driver = AVAIL, .device = USED, .size = SIZE, .ready = true
	};
	avail_idx = 0;
	return 0;
}

static void desc_at(uint64_t table, unsigned i, uint64_t addr, uint32_t len, uint16_t flags,
		    uint16_t next)
{
	uint8_t *d = fake_ram + table + 16 * i;

	memcpy(d, &addr, 8);
	memcpy(d + 8, &len, 4);
	memcpy(d + 12, &flags, 2);
	memcpy(d + 14, &next, 2);
}

static void put16(uint64_t at, uint16_t v)
{
	memcpy(fake_ram + at, &v, 2);
}

static uint16_t get16(uint64_t at)
{
	uint16_t v;

	memcpy(&v, fake_ram + at, 2);
	return v;
}

static void offer(uint16_t head)
{
	put16(AVAIL + 4 + 2 * (avail_idx % SIZE), head);
	put16(AVAIL + 2, ++avail_idx);
}

static int pop(void)
{
	return virtq_pop(&q, NULL, &c);
}

static void rings_are_apart(void **state)
{
	assert_true(virtq_valid(&q, SIZE));
	q.device = q.driver;
	assert_false(virtq_valid(&q, SIZE));
	q.device = q.driver + 4 + 2 * SIZE; /* on the available ring's last field */
	assert_false(virtq_valid(&q, SIZE));
	q.device += 4;
	assert_true(virtq_valid(&q, SIZE));
	q.device = q.driver - 4 - 8 * SIZE;
	assert_false(virtq_valid(&q, SIZE));
	q.device -= 4;
	assert_true(virtq_valid(&q, SIZE));
}

static void layout(void **state)
{
	assert_true(virtq_valid(&q, SIZE));
	assert_false(virtq_valid(&q, SIZE / 2));
	q.size = 6;
	assert_false(virtq_valid(&q, SIZE));
	q.size = 0;
	assert_false(virtq_valid(&q, SIZE));
	q.size = SIZE;
	q.desc = 0x1008;
	assert_false(virtq_valid(&q, SIZE));
	q.desc = UINT64_MAX - 15;
	assert_false(virtq_valid(&q, SIZE));
	q.desc = DESC;
	q.device = 0x3002;
	assert_false(virtq_valid(&q, SIZE));
}

static void chain(void **state)
{
	uint8_t buf[8];

	assert_int_equal(pop(), 0);
	memcpy(fake_ram + DATA, "abcdef", 6);
	desc_at(DESC, 3, DATA, 4, NEXT, 0);
	desc_at(DESC, 0, DATA + 4, 2, NEXT, 5);
	desc_at(DESC, 5, DATA + 0x100, 3, NEXT | WRITE, 1);
	desc_at(DESC, 1, DATA + 0x200, 5, WRITE, 0);
	offer(3);
	assert_int_equal(pop(), 1);
	assert_int_equal(c.head, 3);
	assert_int_equal(c.nr_out, 2);
	assert_int_equal(c.nr_in, 2);
	assert_int_equal(c.out_len, 6);
	assert_int_equal(c.in_len, 8);
	assert_int_equal(virtq_get(&c, NULL, 3, buf, 3), 0);
	assert_memory_equal(buf, "def", 3);
	assert_int_equal(virtq_get(&c, NULL, 3, buf, 4), -EPROTO);
	assert_int_equal(virtq_put(&c, NULL, 1, "12345", 5), 0);
	assert_memory_equal(fake_ram + DATA + 0x100, "\00012", 3);
	assert_memory_equal(fake_ram + DATA + 0x200, "345\0\0", 5);
	assert_int_equal(virtq_put(&c, NULL, 8, "1", 1), -EPROTO);
	assert_int_equal(virtq_push(&q, NULL, &c, 6), 0);
	assert_int_equal(get16(USED + 2), 1);
	assert_int_equal(get16(USED + 4), 3);
	assert_int_equal(get16(USED + 8), 6);
	assert_int_equal(pop(), 0);
}

static void indirect(void **state)
{
	desc_at(DESC, 2, 0x8000, 3 * 16, INDIRECT, 0);
	desc_at(0x8000, 0, DATA, 10, NEXT, 2);
	desc_at(0x8000, 2, DATA, 20, NEXT | WRITE, 1);
	desc_at(0x8000, 1, DATA, 30, WRITE, 0);
	offer(2);
	assert_int_equal(pop(), -EPROTO); /* not negotiated */
	q.indirect = true;
	assert_int_equal(pop(), 1);
	assert_int_equal(c.out_len, 10);
	assert_int_equal(c.in_len, 50);
	/* After direct descriptors. */
	desc_at(DESC, 4, DATA, 1, NEXT, 2);
	offer(4);
	assert_int_equal(pop(), 1);
	assert_int_equal(c.out_len, 11);
}

static void one_bad_chain(uint16_t head, int expected)
{
	q.indirect = true;
	offer(head);
	assert_int_equal(pop(), expected);
}

static void bad_index(void **state)
{
	put16(AVAIL + 2, SIZE + 1);
	assert_int_equal(pop(), -EPROTO);
	put16(AVAIL + 2, 0xffff);
	assert_int_equal(pop(), -EPROTO);
}

static void bad_head(void **state)
{
	one_bad_chain(SIZE, -EPROTO);
}

static void bad_next(void **state)
{
	desc_at(DESC, 0, DATA, 1, NEXT, 0xffff);
	one_bad_chain(0, -EPROTO);
}

static void loop(void **state)
{
	desc_at(DESC, 0, DATA, 1, NEXT, 1);
	desc_at(DESC, 1, DATA, 1, NEXT, 0);
	one_bad_chain(0, -EPROTO);
	fresh(state);
	desc_at(DESC, 0, DATA, 0, NEXT, 0); /* of empty ones */
	one_bad_chain(0, -EPROTO);
}

static void readable_after_writable(void **state)
{
	desc_at(DESC, 0, DATA, 1, NEXT | WRITE, 1);
	desc_at(DESC, 1, DATA, 1, 0, 0);
	one_bad_chain(0, -EPROTO);
}

static void address_wraps(void **state)
{
	desc_at(DESC, 0, UINT64_MAX - 3, 8, 0, 0);
	one_bad_chain(0, -EPROTO);
}

static void nested_indirect(void **state)
{
	desc_at(DESC, 0, 0x8000, 16, INDIRECT, 0);
	desc_at(0x8000, 0, 0x8000, 16, INDIRECT, 0);
	one_bad_chain(0, -EPROTO);
}

static void odd_indirect(void **state)
{
	desc_at(DESC, 0, 0x8000, 17, INDIRECT, 0);
	one_bad_chain(0, -EPROTO);
	fresh(state);
	desc_at(DESC, 0, 0x8000, 0, INDIRECT, 0);
	one_bad_chain(0, -EPROTO);
	fresh(state);
	desc_at(DESC, 0, 0x8000, 0xfffffff0, INDIRECT, 0);
	one_bad_chain(0, -EPROTO);
	fresh(state);
	desc_at(DESC, 0, 0x8000, 16, INDIRECT | NEXT, 0);
	one_bad_chain(0, -EPROTO);
	fresh(state);
	desc_at(DESC, 0, FAKE_RAM - 16, 32, INDIRECT, 0);
	desc_at(FAKE_RAM - 16, 0, DATA, 1, NEXT, 1);
	one_bad_chain(0, -EFAULT);
}

static void too_long(void **state)
{
	q.indirect = true;
	desc_at(DESC, 0, 0x8000, 16 * (VIRTQ_SEGS_MAX + 1), INDIRECT, 0);
	for (unsigned i = 0; i <= VIRTQ_SEGS_MAX; i++)
		desc_at(0x8000, i, DATA, 1, i < VIRTQ_SEGS_MAX ? NEXT : 0, (uint16_t)(i + 1));
	one_bad_chain(0, -EPROTO);
}

static void no_memory_there(void **state)
{
	uint8_t b;

	desc_at(DESC, 0, FAKE_RAM, 1, 0, 0);
	offer(0);
	assert_int_equal(pop(), 1); /* only a touch tells */
	assert_int_equal(virtq_get(&c, NULL, 0, &b, 1), -EFAULT);
	q.driver = FAKE_RAM;
	assert_int_equal(pop(), -EFAULT);
	q.device = FAKE_RAM;
	assert_int_equal(virtq_push(&q, NULL, &c, 0), -EFAULT);
	q.device = USED;
	assert_int_equal(virtq_push(&q, NULL, &c, 0), 0);
	assert_int_equal(virtq_wants_signal(&q, NULL), -EFAULT);
}

static void wraps_around(void **state)
{
	desc_at(DESC, 1, DATA, 1, WRITE, 0);
	q.last_avail = q.used_idx = q.signalled = 0xfffe;
	put16(AVAIL + 2, avail_idx = 0xfffe);
	for (unsigned i = 0; i < 4; i++) {
		offer(1);
		assert_int_equal(pop(), 1);
		assert_int_equal(virtq_push(&q, NULL, &c, 1), 0);
		assert_int_equal(virtq_wants_signal(&q, NULL), 1);
	}
	assert_int_equal(get16(USED + 2), 2);
	assert_int_equal(pop(), 0);
}

static void signals(void **state)
{
	desc_at(DESC, 0, DATA, 1, WRITE, 0);
	assert_int_equal(virtq_wants_signal(&q, NULL), 0); /* nothing pushed */
	put16(AVAIL, 1);
	offer(0);
	assert_int_equal(pop(), 1);
	assert_int_equal(virtq_push(&q, NULL, &c, 1), 0);
	assert_int_equal(virtq_wants_signal(&q, NULL), 0);
	q.event_idx = true;
	put16(AVAIL + 4 + 2 * SIZE, 2); /* used_event: after entry 2 */
	for (unsigned i = 0; i < 2; i++) {
		offer(0);
		assert_int_equal(pop(), 1);
		assert_int_equal(virtq_push(&q, NULL, &c, 1), 0);
		assert_int_equal(virtq_wants_signal(&q, NULL), i);
	}
	assert_int_equal(virtq_arm(&q, NULL), 0);
	assert_int_equal(get16(USED + 4 + 8 * SIZE), 3); /* avail_event */
	offer(0);
	assert_int_equal(virtq_arm(&q, NULL), 1);
}

#define T(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(rings_are_apart),
		T(layout),
		T(chain),
		T(indirect),
		T(bad_index),
		T(bad_head),
		T(bad_next),
		T(loop),
		T(readable_after_writable),
		T(address_wraps),
		T(nested_indirect),
		T(odd_indirect),
		T(too_long),
		T(no_memory_there),
		T(wraps_around),
		T(signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
