/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nested page tables: changing what is mapped. slat_unmap, slat_protect
 * and slat_split; invariants at the head of slat.c.
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
