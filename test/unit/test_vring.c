/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver's side of a virtqueue against a device of the test's own: every
 * buffer goes round and comes back once, whatever the order; indices wrap; the
 * doorbell rings exactly when the device asked; lies of the device do no harm.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tern/page.h>

/* The direct map is the test's own address space. */
#undef DIRECT_MAP
#define DIRECT_MAP 0ull
#define hpa_ptr(a) ((void *)(uintptr_t)(a).v)
#define ptr_hpa(p) HPA((uintptr_t)(p))

#include "drivers/virtio_ring.c"

static void *blocks[64];
static unsigned nr_blocks;

int page_alloc(unsigned order, unsigned flags, enum frame_owner owner, hpa_t *out)
{
	void *p = aligned_alloc(PAGE_SIZE, PAGE_SIZE << order);

	(void)flags;
	(void)owner;
	assert_non_null(p);
	memset(p, 0, PAGE_SIZE << order);
	blocks[nr_blocks++] = p;
	*out = HPA((uintptr_t)p);
	return 0;
}

void page_put(hpa_t block)
{
	(void)block;
}

static int free_blocks(void **state)
{
	(void)state;
	while (nr_blocks)
		free(blocks[--nr_blocks]);
	return 0;
}

struct device {
	struct vring *r;
	uint16_t seen; /* avail index that was looked at */
	uint16_t used; /* used index that was published */
	uint16_t doorbell;
};

static void start(struct device *d, struct vring *r, uint32_t size, bool event_idx, bool indirect)
{
	memset(d, 0, sizeof(*d));
	assert_int_equal(vring_init(r, size, event_idx, indirect), 0);
	d->r = r;
	r->doorbell = (volatile uint8_t *)&d->doorbell;
	r->index = 7;
}

static uint16_t take(struct device *d)
{
	return d->r->avail[AVAIL_RING + (d->seen++ & (d->r->size - 1))];
}

static void put(struct device *d, uint32_t id, uint32_t len)
{
	volatile uint32_t *e =
		(volatile void *)(d->r->used + USED_RING + 4 * (d->used & (d->r->size - 1)));

	e[0] = id;
	e[1] = len;
	d->r->used[USED_IDX] = ++d->used;
}

static void set_avail_event(struct device *d, uint16_t at)
{
	d->r->used[USED_RING + 4 * d->r->size] = at;
}

static int add(struct vring *r, unsigned out, unsigned in, uintptr_t token)
{
	struct vring_seg seg[VRING_MAX_SEGS];

	for (unsigned i = 0; i < out + in; i++)
		seg[i] = (struct vring_seg){ .addr = HPA(token * 100 + i), .len = i + 1 };
	return vring_add(r, seg, out, in, (void *)token);
}

static void test_chain(void **state)
{
	struct vring r;
	struct device d;
	uint16_t at;

	(void)state;
	start(&d, &r, 8, false, false);
	assert_int_equal(add(&r, 2, 1, 5), 0);
	vring_kick(&r);
	assert_int_equal(d.doorbell, 7);
	at = take(&d);
	assert_int_equal(r.desc[at].addr, 500);
	assert_int_equal(r.desc[at].flags, DESC_NEXT);
	at = r.desc[at].next;
	assert_int_equal(r.desc[at].flags, DESC_NEXT);
	at = r.desc[at].next;
	assert_int_equal(r.desc[at].addr, 502);
	assert_int_equal(r.desc[at].flags, DESC_WRITE);
	assert_int_equal(r.nr_free, 5);
	assert_int_equal(add(&r, 3, 3, 6), -EAGAIN);
	assert_int_equal(add(&r, 3, 2, 6), 0);
	assert_true(vring_full(&r));
}

static void test_indirect(void **state)
{
	struct vring r;
	struct device d;
	const struct vring_desc *t;
	uint16_t at;

	(void)state;
	start(&d, &r, 4, true, true);
	for (uintptr_t i = 1; i <= 4; i++)
		assert_int_equal(add(&r, 20, 0, i), 0);
	assert_int_equal(add(&r, 1, 0, 9), -EAGAIN);
	for (unsigned i = 1; i <= 4; i++) {
		at = take(&d);
		assert_int_equal(r.desc[at].flags, DESC_INDIRECT);
		assert_int_equal(r.desc[at].len, 20 * sizeof(*t));
		t = (const void *)(uintptr_t)r.desc[at].addr;
		assert_int_equal(t[0].addr, i * 100);
		assert_int_equal(t[19].flags, 0);
		assert_int_equal(t[18].flags, DESC_NEXT);
	}
}

/* Many times round a small ring, completions out of order. */
static void test_rounds(void **state)
{
	struct vring r;
	struct device d;
	uint16_t flying[16];
	unsigned nr = 0, next = 1, came = 0;
	uint8_t *seen = calloc(1, 200001);
	uint32_t len;
	void *token;

	(void)state;
	srand(42);
	start(&d, &r, 16, true, false);
	while (came < 200000) {
		while (next <= 200000 && rand() % 3 && add(&r, 1, rand() % 2, next) == 0)
			next++;
		vring_kick(&r);
		while (d.seen != r.avail[AVAIL_IDX])
			flying[nr++] = take(&d);
		while (nr && (rand() % 3 || next > 200000)) {
			unsigned k = (unsigned)rand() % nr;

			put(&d, flying[k], flying[k]);
			flying[k] = flying[--nr];
		}
		while ((token = vring_get(&r, &len))) {
			assert_int_equal(seen[(uintptr_t)token]++, 0);
			came++;
		}
	}
	assert_int_equal(r.bad, 0);
	assert_int_equal(r.nr_free, 16);
	free(seen);
}

/* [virtio 1.2 2.7.10]: only when the index that the device named is passed. */
static void test_doorbell(void **state)
{
	struct vring r;
	struct device d;
	uint32_t len;

	(void)state;
	start(&d, &r, 4, true, false);
	for (unsigned i = 0; i < 70000; i++) {
		bool wanted = i % 5 == 0;

		set_avail_event(&d, wanted ? (uint16_t)i : (uint16_t)(i + 100));
		d.doorbell = 0;
		assert_int_equal(add(&r, 1, 0, 1), 0);
		vring_kick(&r);
		assert_int_equal(d.doorbell, wanted ? 7 : 0);
		put(&d, take(&d), 0);
		assert_non_null(vring_get(&r, &len));
	}
}

static void test_arm(void **state)
{
	struct vring r;
	struct device d;
	uint32_t len;

	(void)state;
	start(&d, &r, 8, true, false);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(add(&r, 0, 1, i + 1), 0);
	vring_kick(&r);
	assert_false(vring_arm(&r, 2));
	assert_int_equal(r.avail[AVAIL_RING + 8], 1); /* the second completion has index 1 */
	put(&d, take(&d), 1);
	assert_false(vring_arm(&r, 2));
	put(&d, take(&d), 1);
	assert_true(vring_arm(&r, 2));
	assert_true(vring_arm(&r, 1));
	while (vring_get(&r, &len))
		;
	assert_false(vring_arm(&r, 1));
	assert_int_equal(r.avail[AVAIL_RING + 8], 2);
}

/* Descriptors run out before entries do: completions are asked for in time, and in entries. */
static void test_arm_short(void **state)
{
	struct vring r;
	struct device d;
	uint32_t len;

	(void)state;
	start(&d, &r, 32, true, false);
	assert_false(vring_arm_short(&r, 25));
	assert_int_equal(add(&r, 8, 0, 1), 0);
	vring_kick(&r);
	assert_int_equal(r.nr_free, 24); /* more than half, but less than 25 */
	assert_false(vring_arm_short(&r, 25));
	assert_int_equal(r.avail[AVAIL_RING + 32], 0); /* the next completion */
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(add(&r, 6, 0, 2 + i), 0);
	vring_kick(&r);
	assert_false(vring_arm_short(&r, 25));
	assert_int_equal(r.avail[AVAIL_RING + 32], 1); /* half of four entries, not of 26 */
	for (unsigned i = 0; i < 4; i++)
		put(&d, take(&d), 0);
	assert_true(vring_arm_short(&r, 25));
	while (vring_get(&r, &len))
		;
	assert_false(vring_arm_short(&r, 25));
	assert_int_equal(r.avail[AVAIL_RING + 32], (uint16_t)(r.used_idx - 1)); /* quiet */
}

static void test_lies(void **state)
{
	struct vring r;
	struct device d;
	uint32_t len;

	(void)state;
	start(&d, &r, 8, true, false);
	assert_int_equal(add(&r, 0, 1, 1), 0);
	vring_kick(&r);
	put(&d, 8, 1); /* beyond the ring */
	put(&d, UINT32_MAX, 1);
	put(&d, 5, 1); /* not in flight */
	put(&d, take(&d), 1);
	put(&d, 0, 1); /* twice */
	assert_ptr_equal(vring_get(&r, &len), (void *)1);
	assert_null(vring_get(&r, &len));
	assert_int_equal(r.bad, 4);
	assert_int_equal(r.nr_free, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_chain, free_blocks),
		cmocka_unit_test_teardown(test_indirect, free_blocks),
		cmocka_unit_test_teardown(test_rounds, free_blocks),
		cmocka_unit_test_teardown(test_doorbell, free_blocks),
		cmocka_unit_test_teardown(test_arm, free_blocks),
		cmocka_unit_test_teardown(test_arm_short, free_blocks),
		cmocka_unit_test_teardown(test_lies, free_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
