/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nested page tables: life, mapping, look-up, and the one walk that everything
 * else is built on. slat_change.c changes what is mapped, slat_merge.c makes large
 * leaves again, slat_dirty.c reads A and D.
 *
 * Invariants
 *  - One generic walker and two leaf formats (EPT, NPT): a vendor is a table of
 *    bits, nothing here asks which.
 *  - Hardware sets A and D in leaves at any time, so every access to an entry is
 *    an atomic operation, and a leaf is only ever replaced by an exchange.
 *  - A change that a TLB may hold a stale copy of gives a flush token, whose
 *    generation is taken after the change: who flushes to it has seen the change.
 *  - 2 MiB of backing stay together while their leaf is split; merging makes one
 *    leaf of them again. Tables taken out wait in the grave for their flush.
 */
#include <errno.h>

#include <tern/log.h>

#include "slat_int.h"

int slat_table_alloc(struct slat *s, hpa_t *out)
{
	int r = page_alloc(ORDER_4K, PAGE_ZERO, FRAME_SLAT, out);

	if (!r)
		s->table_pages++;
	return r;
}

void slat_owe(struct slat *s, struct slat_flush *owed)
{
	struct slat_flush t = { __atomic_add_fetch(&s->gen, 1, __ATOMIC_SEQ_CST) };

	slat_flush_merge(owed, t);
}

uint64_t slat_leaf_bits(const struct slat_format *f, unsigned prot)
{
	uint64_t e = f->memtype_wb;

	if (prot & SLAT_R)
		e |= f->read;
	if (prot & SLAT_W)
		e |= f->write;
	e |= (prot & SLAT_X) ? f->exec : f->no_exec;
	return e;
}

void slat_describe(const struct slat_format *f, uint64_t e, unsigned level, uint64_t base,
		   struct slat_leaf *out)
{
	out->gpa = GPA(base);
	out->hpa = HPA(slat_leaf_addr(e, level));
	out->size = slat_level_size(level);
	out->prot = 0;
	if (e & f->read)
		out->prot |= SLAT_R;
	if (e & f->write)
		out->prot |= SLAT_W;
	if (f->exec ? (e & f->exec) != 0 : !(e & f->no_exec))
		out->prot |= SLAT_X;
	out->accessed = (e & f->accessed) != 0;
	out->dirty = (e & f->dirty) != 0;
}

int slat_init(struct slat *s, const struct slat_format *fmt)
{
	*s = (struct slat){ .fmt = fmt };
	spin_init(&s->lock, LOCK_SLAT, "slat");
	return slat_table_alloc(s, &s->root);
}

static void free_tables(struct slat *s, hpa_t table, unsigned level)
{
	uint64_t *t = hpa_ptr(table);

	for (unsigned i = 0; level && i < SLAT_ENTRIES; i++) {
		uint64_t e = slat_read(&t[i]);

		if ((e & s->fmt->present) && !slat_is_leaf(s->fmt, e, level))
			free_tables(s, HPA(e & SLAT_ADDR_MASK), level - 1);
	}
	page_put(table);
}

void slat_fini(struct slat *s)
{
	slat_reap(s, (struct slat_flush){ UINT64_MAX });
	if (s->root.v)
		free_tables(s, s->root, SLAT_TOP);
	s->root = HPA(0);
}

/* The slot for a at that level, making the tables above it. -EEXIST: a larger leaf is in the way.
 */
static int slot_make(struct slat *s, uint64_t a, unsigned level, uint64_t **out)
{
	uint64_t *t = hpa_ptr(s->root);

	for (unsigned l = SLAT_TOP; l > level; l--) {
		uint64_t *slot = &t[slat_index(a, l)];
		uint64_t e = slat_read(slot);
		hpa_t next;
		int r;

		if (e & s->fmt->present) {
			if (slat_is_leaf(s->fmt, e, l))
				return -EEXIST;
		} else {
			r = slat_table_alloc(s, &next);
			if (r)
				return r;
			e = next.v | s->fmt->table_bits;
			__atomic_store_n(slot, e, __ATOMIC_RELEASE);
		}
		t = slat_table(e);
	}
	*out = &t[slat_index(a, level)];
	return 0;
}

static int level_of(const struct slat *s, uint64_t size, unsigned *level)
{
	for (unsigned l = 0; l <= 2; l++) {
		if (size != slat_level_size(l))
			continue;
		*level = l;
		return l == 2 && !s->fmt->has_1g ? -EINVAL : 0;
	}
	return -EINVAL;
}

int slat_map(struct slat *s, gpa_t a, hpa_t to, uint64_t size, unsigned prot)
{
	unsigned level = 0;
	unsigned long flags;
	uint64_t *slot;
	int r = level_of(s, size, &level);

	if (r || ((a.v | to.v) & (size - 1)) || a.v >= SLAT_GPA_LIMIT)
		return -EINVAL;
	flags = spin_lock(&s->lock);
	r = slot_make(s, a.v, level, &slot);
	if (!r && slat_read(slot))
		r = -EEXIST;
	if (!r)
		__atomic_store_n(slot,
				 to.v | slat_leaf_bits(s->fmt, prot) | (level ? s->fmt->large : 0),
				 __ATOMIC_RELEASE);
	spin_unlock(&s->lock, flags);
	return r;
}

bool slat_lookup(struct slat *s, gpa_t a, struct slat_leaf *out)
{
	unsigned long flags;
	uint64_t *t = hpa_ptr(s->root);
	bool found = false;

	if (a.v >= SLAT_GPA_LIMIT)
		return false;
	flags = spin_lock(&s->lock);
	for (unsigned level = SLAT_TOP;; level--) {
		uint64_t e = slat_read(&t[slat_index(a.v, level)]);

		if (!(e & s->fmt->present))
			break;
		if (slat_is_leaf(s->fmt, e, level)) {
			slat_describe(s->fmt, e, level, a.v & ~(slat_level_size(level) - 1), out);
			found = true;
			break;
		}
		t = slat_table(e);
	}
	spin_unlock(&s->lock, flags);
	return found;
}

/* One table or large leaf, or a gap; *a moves behind it. */
static int walk_step(struct slat *s, uint64_t *a, uint64_t end, const struct slat_visitor *v,
		     void *arg)
{
	uint64_t *t = hpa_ptr(s->root);
	uint64_t base = 0, size = 0;
	int r = 0;

	for (unsigned level = SLAT_TOP; level; level--) {
		uint64_t *slot = &t[slat_index(*a, level)];
		uint64_t e = slat_read(slot);

		size = slat_level_size(level);
		base = *a & ~(size - 1);
		if (!(e & s->fmt->present))
			break;
		t = slat_table(e);
		if (slat_is_leaf(s->fmt, e, level)) {
			r = v->large ? v->large(s, slot, level, base, arg) : 0;
			break;
		}
		if (level == 1)
			r = v->table(s, t, base, slat_index(*a, 0),
				     (unsigned)(MIN(end - base, size) >> PAGE_SHIFT), arg);
	}
	if (!r)
		*a = base + size;
	return r;
}

int slat_walk(struct slat *s, gpa_t from, uint64_t len, const struct slat_visitor *v, void *arg)
{
	uint64_t a = ALIGN_DOWN(from.v, PAGE_SIZE);
	uint64_t end = MIN(ALIGN_UP(from.v + len, PAGE_SIZE), SLAT_GPA_LIMIT);
	int r = 0;

	while (a < end && r >= 0) {
		unsigned long flags = spin_lock(&s->lock);

		r = walk_step(s, &a, end, v, arg);
		spin_unlock(&s->lock, flags);
	}
	return r < 0 ? r : 0;
}
