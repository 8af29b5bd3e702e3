/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order of pre-copy: nothing owed is forgotten, fresh before old, hot last.
 * A random guest and sender play against a plain model.
 * // SOURCES: mig/order.c kernel/lib/pageset.c
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mig/order.h"

#define PAGES 20000u

/* All of [0, backed) was ever backed. */
static uint64_t backed;

bool gmem_next_backed(struct gmem *g, gfn_t from, uint64_t max, gfn_t *first, uint64_t *count)
{
	if (from >= backed)
		return false;
	*first = from;
	*count = MIN(max, backed - from);
	return true;
}

static void harvest(struct order *o, gfn_t n)
{
	assert_int_equal(pageset_set(&o->harvested, n), 0);
}

static bool take(struct pageset *s, gfn_t *n)
{
	uint64_t count;

	if (!pageset_next_run(s, 0, 1, n, &count))
		return false;
	pageset_clear(s, *n);
	return true;
}

static void fresh_before_old(void **state)
{
	struct order o;
	struct pageset *s;
	gfn_t n;

	backed = 100;
	assert_int_equal(order_init(&o, PAGES), 0);
	assert_int_equal(order_add_backed(&o, NULL), 0);
	harvest(&o, 77);
	assert_int_equal(order_take_harvest(&o), 0);
	assert_int_equal(order_pages(&o), 100); /* owed already: not owed twice */
	s = order_next(&o);
	assert_true(take(s, &n));
	assert_int_equal(n, 77);
	s = order_next(&o);
	assert_true(take(s, &n));
	assert_int_equal(n, 0);
	order_fini(&o);
}

static void hot_waits(void **state)
{
	struct order o;
	struct pageset all;
	gfn_t n;

	backed = 10;
	assert_int_equal(order_init(&o, PAGES), 0);
	assert_int_equal(order_add_backed(&o, NULL), 0);
	for (int i = 0; i < 4; i++) {
		harvest(&o, 5);
		assert_int_equal(order_take_harvest(&o), 0);
	}
	for (struct pageset *s; (s = order_next(&o)) && take(s, &n);)
		assert_int_not_equal(n, 5);
	assert_int_equal(order_pages(&o), 1);
	assert_int_equal(pageset_init(&all, PAGES), 0);
	assert_int_equal(order_collect(&o, &all), 0);
	assert_true(pageset_test(&all, 5));
	pageset_fini(&all);
	order_fini(&o);
}

/* Pages that go as deltas wait for the round's end, however often they are written. */
static void based_is_late(void **state)
{
	struct order o;
	struct pageset based, *s;
	gfn_t n;

	backed = 10;
	assert_int_equal(order_init(&o, PAGES), 0);
	assert_int_equal(pageset_init(&based, PAGES), 0);
	assert_int_equal(order_add_backed(&o, NULL), 0);
	assert_int_equal(pageset_set(&based, 3), 0);
	o.based = &based;
	harvest(&o, 3);
	harvest(&o, 4);
	assert_int_equal(order_take_harvest(&o), 0);
	assert_true(order_was_written(&o, 3) && !order_was_written(&o, 5));
	assert_int_equal(order_pages(&o), 10);
	assert_int_equal(order_based_pages(&o), 1);
	for (int i = 0; i < 9; i++) {
		s = order_next(&o);
		assert_non_null(s);
		assert_true(take(s, &n));
		assert_int_not_equal(n, 3);
	}
	assert_null(order_next(&o));
	assert_int_equal(order_new_round(&o), 0);
	s = order_next(&o);
	assert_true(take(s, &n));
	assert_int_equal(n, 3);
	assert_int_equal(order_based_pages(&o), 0);
	pageset_fini(&based);
	order_fini(&o);
}

/* What the destination would have wrong is owed, at every moment. */
static void nothing_forgotten(void **state)
{
	static uint32_t version[PAGES], sent[PAGES];
	struct order o;
	struct pageset all, based, *s;
	gfn_t n;

	backed = PAGES;
	srand(7);
	memset(version, 1, sizeof(version));
	memset(sent, 0, sizeof(sent));
	assert_int_equal(order_init(&o, PAGES), 0);
	assert_int_equal(order_add_backed(&o, NULL), 0);
	assert_int_equal(pageset_init(&based, PAGES), 0);
	o.based = &based;
	for (int step = 0; step < 3000; step++) {
		for (int i = 0; i < 8; i++) {
			n = (gfn_t)rand() % (rand() % 2 ? PAGES : 50);
			version[n]++;
			harvest(&o, n);
		}
		if (step % 3 == 0)
			assert_int_equal(order_take_harvest(&o), 0);
		for (int i = 0; i < 12; i++) {
			s = order_next(&o);
			if (!s)
				assert_int_equal(order_new_round(&o), 0);
			else if (take(s, &n)) {
				sent[n] = version[n];
				assert_int_equal(pageset_set(&based, (gfn_t)rand() % PAGES), 0);
				pageset_clear(&based, (gfn_t)rand() % PAGES);
			}
		}
	}
	assert_int_equal(pageset_init(&all, PAGES), 0);
	assert_int_equal(order_collect(&o, &all), 0);
	for (n = 0; n < PAGES; n++)
		assert_true(sent[n] == version[n] || pageset_test(&all, n));
	assert_int_equal(order_pages(&o), 0);
	pageset_fini(&based);
	pageset_fini(&all);
	order_fini(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fresh_before_old),
		cmocka_unit_test(hot_waits),
		cmocka_unit_test(based_is_late),
		cmocka_unit_test(nothing_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
