/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nested page tables: changing what is mapped. slat_unmap, slat_protect,
 * slat_split, slat_merge and slat_reap; invariants at the head of slat.c.
 */
#include <errno.h>

#include "slat_int.h"

struct change {
	uint64_t a, end;
	unsigned prot;
	bool changed;
};

static bool covered(const struct change *c, uint64_t base, unsigned level)
{
	return c->a <= base && base + slat_level_size(level) <= c->end;
}

/* ---- splitting ---- */

static void fill_children(const struct slat_format *f, uint64_t *t, uint64_t e, unsigned level)
{
	uint64_t step = slat_level_size(level - 1);

	if (level == 1)
		e &= ~f->large;
	for (unsigned i = 0; i < SLAT_ENTRIES; i++)
		t[i] = e + i * step;
}

int slat_split_leaf(struct slat *s, uint64_t *slot, unsigned level, bool keep_dirty)
{
	const struct slat_format *f = s->fmt;
	uint64_t e = slat_read(slot), late;
	uint64_t watch = f->accessed | (keep_dirty ? f->dirty : 0);
	uint64_t *t;
	hpa_t table;
	int r = slat_table_alloc(s, &table);

	if (r)
		return r;
	t = hpa_ptr(table);
	fill_children(f, t, keep_dirty ? e : e & ~f->dirty, level);
	/* A or D may have been set since e was read: what the exchange gives back is final. */
	late = __atomic_exchange_n(slot, table.v | f->table_bits, __ATOMIC_SEQ_CST) & ~e & watch;
	for (unsigned i = 0; late && i < SLAT_ENTRIES; i++)
		slat_set_bits(&t[i], late);
	s->splits++;
	return 0;
}

static int split_large(struct slat *s, uint64_t *slot, unsigned level, uint64_t base, void *arg)
{
	struct change *c = arg;
	int r = slat_split_leaf(s, slot, level, true);

	(void)base;
	if (r)
		return r;
	c->changed = true;
	return SLAT_AGAIN;
}

static int skip_table(struct slat *s, uint64_t *t, uint64_t base, unsigned first, unsigned last,
		      void *arg)
{
	(void)s, (void)t, (void)base, (void)first, (void)last, (void)arg;
	return 0;
}

static int change_range(struct slat *s, gpa_t a, uint64_t len, const struct slat_visitor *v,
			struct change *c, struct slat_flush *owed)
{
	int r;

	c->a = ALIGN_DOWN(a.v, PAGE_SIZE);
	c->end = ALIGN_UP(a.v + len, PAGE_SIZE);
	r = slat_walk(s, a, len, v, c);
	if (c->changed)
		slat_owe(s, owed);
	return r;
}

int slat_split(struct slat *s, gpa_t a, uint64_t len, struct slat_flush *owed)
{
	static const struct slat_visitor v = { split_large, skip_table };
	struct change c = { 0 };

	return change_range(s, a, len, &v, &c, owed);
}

/* ---- unmapping, protection ---- */

static int unmap_large(struct slat *s, uint64_t *slot, unsigned level, uint64_t base, void *arg)
{
	struct change *c = arg;

	if (!covered(c, base, level))
		return split_large(s, slot, level, base, arg);
	__atomic_store_n(slot, 0, __ATOMIC_SEQ_CST);
	c->changed = true;
	return 0;
}

static int unmap_table(struct slat *s, uint64_t *t, uint64_t base, unsigned first, unsigned last,
		       void *arg)
{
	struct change *c = arg;

	(void)s, (void)base;
	for (unsigned i = first; i < last; i++)
		if (__atomic_exchange_n(&t[i], 0, __ATOMIC_SEQ_CST))
			c->changed = true;
	return 0;
}

int slat_unmap(struct slat *s, gpa_t a, uint64_t len, struct slat_flush *owed)
{
	static const struct slat_visitor v = { unmap_large, unmap_table };
	struct change c = { 0 };

	return change_range(s, a, len, &v, &c, owed);
}

static void protect_slot(const struct slat_format *f, uint64_t *slot, struct change *c)
{
	uint64_t all = f->read | f->write | f->exec | f->no_exec;
	uint64_t want = slat_leaf_bits(f, c->prot) & all;
	uint64_t e = slat_read(slot);

	while ((e & f->present) && (e & all) != want) {
		if (!__atomic_compare_exchange_n(slot, &e, (e & ~all) | want, false,
						 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			continue;
		c->changed = true;
		return;
	}
}

static int protect_large(struct slat *s, uint64_t *slot, unsigned level, uint64_t base, void *arg)
{
	struct change *c = arg;

	if (!covered(c, base, level))
		return split_large(s, slot, level, base, arg);
	protect_slot(s->fmt, slot, c);
	return 0;
}

static int protect_table(struct slat *s, uint64_t *t, uint64_t base, unsigned first, unsigned last,
			 void *arg)
{
	(void)base;
	for (unsigned i = first; i < last; i++)
		protect_slot(s->fmt, &t[i], arg);
	return 0;
}

int slat_protect(struct slat *s, gpa_t a, uint64_t len, unsigned prot, struct slat_flush *owed)
{
	static const struct slat_visitor v = { protect_large, protect_table };
	struct change c = { .prot = prot };

	if (!(prot & SLAT_R))
		return -EINVAL;
	return change_range(s, a, len, &v, &c, owed);
}

/* ---- merging ---- */

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

static void merge_slot(struct slat *s, uint64_t *slot, unsigned level, struct change *c)
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

static void merge_at(struct slat *s, uint64_t a, unsigned level, struct change *c)
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
	struct change c = { .end = MIN(a.v + len, SLAT_GPA_LIMIT) };

	for (unsigned level = 1; level <= (s->fmt->has_1g ? 2u : 1u); level++) {
		uint64_t size = slat_level_size(level);

		for (c.a = ALIGN_UP(a.v, size); c.a + size <= c.end; c.a += size)
			merge_at(s, c.a, level, &c);
	}
	if (c.changed)
		slat_owe(s, owed);
}
