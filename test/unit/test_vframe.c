/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The switch's pool: what a port promises and brings, that frames never have more pages
 * than were promised, and a walk over a frame's bytes.
 */
// SOURCES: net/vframe.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "net/count.h"
#include "net/vframe.h"

struct net_stats net_counters;
static uint64_t promised, free_bytes;
static unsigned frame_pages;

int page_promise(uint64_t bytes)
{
	if (promised + bytes > free_bytes)
		return -ENOMEM;
	promised += bytes;
	return 0;
}

void page_unpromise(uint64_t bytes)
{
	assert_true(bytes <= promised);
	promised -= bytes;
}

int page_alloc(unsigned order, unsigned flags, enum frame_owner owner, hpa_t *out)
{
	*out = ptr_hpa(aligned_alloc(PAGE_SIZE, PAGE_SIZE << order));
	if (order == ORDER_4K)
		frame_pages++;
	return 0;
}

void page_put(hpa_t block)
{
	frame_pages--;
	free(hpa_ptr(block));
}

static struct vframe *take_all(uint32_t len)
{
	struct vframe *f, *list = NULL;

	while ((f = vframe_new(len))) {
		f->next = list;
		list = f;
	}
	return list;
}

static void free_all(struct vframe *f)
{
	while (f) {
		struct vframe *next = f->next;

		vframe_free(f);
		f = next;
	}
}

static void a_port_promises_its_share(void **state)
{
	free_bytes = (VFRAME_PAGES_CARDS + 2 * VFRAME_PAGES) * PAGE_SIZE;
	assert_int_equal(vframe_pool_join(), 0);
	assert_int_equal(promised, (VFRAME_PAGES_CARDS + VFRAME_PAGES) * PAGE_SIZE);
	assert_int_equal(vframe_pool_join(), 0);
	assert_int_equal(vframe_pool_join(), -ENOMEM);
	assert_int_equal(promised, free_bytes);
	vframe_pool_leave();
	assert_int_equal(promised, (VFRAME_PAGES_CARDS + VFRAME_PAGES) * PAGE_SIZE);
	vframe_pool_leave();
	assert_int_equal(promised, 0);
}

/* Both ways of taking pages count: the pool's own, and a card's that come with a frame. */
static void frames_have_no_more_pages_than_promised(void **state)
{
	struct vframe *all, *one;
	uint64_t limit = VFRAME_PAGES_CARDS + VFRAME_PAGES;

	free_bytes = UINT64_MAX;
	assert_int_equal(vframe_pool_join(), 0);
	all = take_all(VFRAME_MAX_BYTES);
	assert_non_null(all);
	assert_int_equal(frame_pages, limit / 17 * 17);
	assert_null(vframe_empty((unsigned)(limit % 17) + 1));
	one = vframe_empty((unsigned)(limit % 17));
	assert_non_null(one);
	assert_null(vframe_new(1));
	vframe_free(one);
	free_all(all);
	assert_int_equal(frame_pages, 0);
	all = take_all(VFRAME_MAX_BYTES);
	assert_int_equal(frame_pages, limit / 17 * 17);
	free_all(all);
	vframe_pool_leave();
}

static void a_port_that_leaves_takes_its_pages_along(void **state)
{
	struct vframe *all;

	free_bytes = UINT64_MAX;
	assert_int_equal(vframe_pool_join(), 0);
	assert_int_equal(vframe_pool_join(), 0);
	all = take_all(VFRAME_MAX_BYTES);
	vframe_pool_leave();
	free_all(all->next);
	all->next = NULL;
	free_all(all);
	all = take_all(VFRAME_MAX_BYTES);
	assert_true(frame_pages <= VFRAME_PAGES_CARDS + VFRAME_PAGES);
	free_all(all);
	vframe_pool_leave();
}

static void a_walk_gives_each_byte_once(void **state)
{
	static const uint32_t at[] = { 0, 1, 4031, 4032, 4033, 8127, 8128, 9999, 10000, 12000 };
	struct vframe *f;
	uint8_t want[10000], got[10000];

	free_bytes = UINT64_MAX;
	assert_int_equal(vframe_pool_join(), 0);
	f = vframe_new(sizeof(want));
	for (unsigned i = 0; i < sizeof(want); i++)
		want[i] = (uint8_t)(i * 7 + i / 256);
	vframe_write(f, 0, want, sizeof(want));
	for (unsigned i = 0; i < ARRAY_SIZE(at); i++)
		for (unsigned j = 0; j < ARRAY_SIZE(at); j++) {
			struct vframe_walk w = vframe_walk(f, at[i], at[j]);
			uint32_t have = MIN(at[j], sizeof(want) - MIN(at[i], sizeof(want)));
			uint32_t n = 0;

			for (; vframe_step(&w); n += w.len)
				memcpy(got + n, w.bytes, w.len);
			assert_int_equal(n, have);
			assert_memory_equal(got, want + MIN(at[i], sizeof(want)), n);
		}
	vframe_free(f);
	vframe_pool_leave();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_port_promises_its_share),
		cmocka_unit_test(frames_have_no_more_pages_than_promised),
		cmocka_unit_test(a_port_that_leaves_takes_its_pages_along),
		cmocka_unit_test(a_walk_gives_each_byte_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
