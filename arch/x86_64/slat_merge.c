/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nested page tables: one large leaf again where a table's leaves allow it.
 * Tables taken out may still be in a CPU's paging-structure caches; they lie in
 * the grave, with the generation that has to be flushed first, until slat_reap.
 * Invariants at the head of slat.c.
 */
#include <errno.h>

#include "slat_int.h"

struct merge {
	uint64_t a, end;
	bool changed;
};

struct grave {
	uint64_t next; /* hpa, 0 = none */
	uint64_t count;
	struct {
		uint64_t table, gen;
	} dead[255];
};
_Static_assert(sizeof(struct grave) == PAGE_SIZE, "one page");

/* Room for one more table; false when memory is out, and then nothing may die. */
static bool grave_ready(struct slat *s)
{
	struct grave *g = hpa_ptr(s->grave);
	hpa_t page;

	if (s->grave.v && g->count < ARRAY_SIZE(g->dead))
		return true;
	if (page_alloc(ORDER_4K, PAGE_ZERO, FRAME_SLAT, &page))
		return false;
	g = hpa_ptr(page);
	g->next = s->grave.v;
	s->grave = page;
	return true;
}

/* A token taken after this has at least this generation, and its flush makes the table unreachable.
 */
static void bury(struct slat *s, hpa_t table)
{
	struct grave *g = hpa_ptr(s->grave);

	g->dead[g->count].table = table.v;
	g->dead[g->count].gen = __atomic_load_n(&s->gen, __ATOMIC_SEQ_CST) + 1;
	g->count++;
}

static void reap_page(struct slat *s, struct grave *g, uint64_t gen)
{
	uint64_t kept = 0;

	for (uint64_t i = 0; i < g->count; i++) {
		if (g->dead[i].gen > gen) {
			g->dead[kept++] = g->dead[i];
			continue;
		}
		page_put(HPA(g->dead[i].table));
		s->table_pages--;
	}
	g->count = kept;
}

void slat_reap(struct slat *s, struct slat_flush done)
{
	unsigned long flags = spin_lock(&s->lock);
	uint64_t next = s->grave.v;
	hpa_t kept = HPA(0);

	while (next) {
		struct grave *g = hpa_ptr(HPA(next));
		hpa_t self = HPA(next);

		next = g->next;
		reap_page(s, g, done.gen);
		if (g->count) {
			g->next = kept.v;
			kept = self;
		} else {
			page_put(self);
		}
	}
	s->grave = kept;
	spin_unlock(&s->lock, flags);
}

/* The leaf that could replace this table, 0 when there is none. */
static uint64_t merged_leaf(const struct slat_format *f, const uint64_t *t, unsigned child)
{
	uint64_t ad = f->accessed | f->dirty, seen = 0;
	uint64_t first = slat_read(&t[0]), step = slat_level_size(child);

	if (!(first & f->present) || !slat_is_leaf(f, first, child))
		return 0;
	if (slat_leaf_addr(first, child) & (slat_level_size(child + 1) - 1))
		return 0;
	for (unsigned i = 0; i < SLAT_ENTRIES; i++) {
		uint64_t e = slat_read(&t[i]);

		if ((e & ~ad) != (first & ~ad) + i * step)
			return 0;
		seen |= e & ad;
	}
	return (first & ~ad) | seen | f->large;
}

static void merge_slot(struct slat *s, uint64_t *slot, unsigned level, struct merge *c)
{
	const struct slat_format *f = s->fmt;
	uint64_t e = slat_read(slot), leaf, late = 0;
	uint64_t *t = slat_table(e);

	if (!(e & f->present) || slat_is_leaf(f, e, level))
		return;
	leaf = merged_leaf(f, t, level - 1);
	if (!leaf || !grave_ready(s))
		return;
	__atomic_store_n(slot, leaf, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < SLAT_ENTRIES; i++)
		late |= slat_read(&t[i]) & (f->accessed | f->dirty);
	slat_set_bits(slot, late);
	bury(s, HPA(e & SLAT_ADDR_MASK));
	s->merges++;
	c->changed = true;
}

static void merge_at(struct slat *s, uint64_t a, unsigned level, struct merge *c)
{
	unsigned long flags = spin_lock(&s->lock);
	uint64_t *t = hpa_ptr(s->root);
	unsigned l;

	for (l = SLAT_TOP; l > level; l--) {
		uint64_t e = slat_read(&t[slat_index(a, l)]);

		if (!(e & s->fmt->present) || slat_is_leaf(s->fmt, e, l))
			break;
		t = slat_table(e);
	}
	if (l == level)
		merge_slot(s, &t[slat_index(a, level)], level, c);
	spin_unlock(&s->lock, flags);
}

void slat_merge(struct slat *s, gpa_t a, uint64_t len, struct slat_flush *owed)
{
	struct merge c = { .end = MIN(a.v + len, SLAT_GPA_LIMIT) };

	for (unsigned level = 1; level <= (s->fmt->has_1g ? 2u : 1u); level++) {
		uint64_t size = slat_level_size(level);

		for (c.a = ALIGN_UP(a.v, size); c.a + size <= c.end; c.a += size)
			merge_at(s, c.a, level, &c);
	}
	if (c.changed)
		slat_owe(s, owed);
}
