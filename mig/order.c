/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order of pre-copy (order.h). Invariant: a page that was harvested or
 * never sent is in exactly one of old, fresh, late, hot and harvested; only the
 * sender takes one out. Pure code.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>

#include "order.h"

#define HOT_STREAK 3u

int order_init(struct order *o, uint64_t pages)
{
	int err;

	memset(o, 0, sizeof(*o));
	err = pageset_init(&o->fresh, pages);
	if (!err)
		err = pageset_init(&o->old, pages);
	if (!err)
		err = pageset_init(&o->late, pages);
	if (!err)
		err = pageset_init(&o->hot, pages);
	if (!err)
		err = pageset_init(&o->harvested, pages);
	o->last = calloc(2, pages);
	o->streak = o->last ? o->last + pages : NULL;
	if (!err && o->last)
		return 0;
	order_fini(o);
	return -ENOMEM;
}

void order_fini(struct order *o)
{
	pageset_fini(&o->fresh);
	pageset_fini(&o->old);
	pageset_fini(&o->late);
	pageset_fini(&o->hot);
	pageset_fini(&o->harvested);
	free(o->last);
	memset(o, 0, sizeof(*o));
}

int order_add_backed(struct order *o, struct gmem *g)
{
	gfn_t at = 0, first;
	uint64_t count;
	int err = 0;

	while (!err && gmem_next_backed(g, at, PAGESET_CHUNK_PAGES, &first, &count)) {
		err = pageset_set_range(&o->old, first, count);
		at = first + count;
	}
	return err;
}

void order_leave_out(struct order *o, const struct pageset *unused)
{
	tern_assert(!o->seq);
	pageset_subtract(&o->old, unused);
}

/* Notes that n was written; is it hot? */
static bool heat(struct order *o, gfn_t n)
{
	bool in_a_row = o->streak[n] && o->last[n] == (uint8_t)(o->seq - 1);

	o->last[n] = o->seq;
	o->streak[n] = in_a_row ? (uint8_t)MIN(o->streak[n] + 1u, 255u) : 1;
	return o->streak[n] >= HOT_STREAK;
}

static int take_page(struct order *o, gfn_t n)
{
	struct pageset *all[] = { &o->fresh, &o->old, &o->late, &o->hot, &o->harvested };
	bool based = o->based && pageset_test(o->based, n);
	struct pageset *into = heat(o, n) ? &o->hot : based ? &o->late : &o->fresh;
	int err = pageset_set(into, n);

	for (unsigned i = 0; !err && i < ARRAY_SIZE(all); i++)
		if (all[i] != into)
			pageset_clear(all[i], n);
	return err;
}

int order_take_harvest(struct order *o)
{
	gfn_t at = 0, first;
	uint64_t count;
	int err = 0;

	o->seq++;
	while (!err && pageset_next_run(&o->harvested, at, PAGESET_CHUNK_PAGES, &first, &count)) {
		for (uint64_t i = 0; !err && i < count; i++)
			err = take_page(o, first + i);
		at = first + count;
	}
	return err;
}

/* Fresh before old, but old gets every other batch: it must end, or rounds would not. */
struct pageset *order_next(struct order *o)
{
	o->fresh_turn = !o->fresh_turn;
	if (pageset_empty(&o->old))
		return NULL;
	if (o->fresh_turn && !pageset_empty(&o->fresh))
		return &o->fresh;
	return &o->old;
}

static int pour(struct pageset *into, struct pageset *from)
{
	int err = pageset_merge(into, from);

	if (!err)
		pageset_clear_all(from);
	return err;
}

/* Hot pages take part when nothing else is left, or when they have cooled down. */
int order_new_round(struct order *o)
{
	bool only_hot = pageset_empty(&o->fresh) && pageset_empty(&o->late);
	gfn_t at = 0, first;
	uint64_t count;
	int err = pour(&o->old, &o->fresh);

	if (!err)
		err = pour(&o->old, &o->late);
	if (!err && only_hot)
		return pour(&o->old, &o->hot);
	while (!err && pageset_next_run(&o->hot, at, 1, &first, &count)) {
		at = first + 1;
		if (o->last[first] == o->seq)
			continue;
		err = pageset_set(&o->old, first);
		if (!err)
			pageset_clear(&o->hot, first);
	}
	return err;
}

int order_collect(struct order *o, struct pageset *all)
{
	int err = pour(all, &o->old);

	if (!err)
		err = pour(all, &o->fresh);
	if (!err)
		err = pour(all, &o->late);
	if (!err)
		err = pour(all, &o->hot);
	if (!err)
		err = pour(all, &o->harvested);
	return err;
}

uint64_t order_pages(const struct order *o)
{
	return pageset_count(&o->old) + pageset_count(&o->fresh) + pageset_count(&o->late) +
	       pageset_count(&o->hot) + pageset_count(&o->harvested);
}

uint64_t order_based_pages(const struct order *o)
{
	const struct pageset *owed[] = { &o->old, &o->fresh, &o->late, &o->hot, &o->harvested };
	uint64_t n = 0;

	for (unsigned i = 0; o->based && i < ARRAY_SIZE(owed); i++)
		n += pageset_count_both(owed[i], o->based);
	return n;
}

bool order_was_written(const struct order *o, gfn_t n)
{
	return o->streak[n] != 0;
}
