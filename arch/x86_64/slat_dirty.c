/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nested page tables: reading and clearing A and D. Invariants at the head of
 * slat.c; who calls slat_harvest_dirty and what must follow, in kernel/vm/dirty.c.
 *
 * The scan is the cost of every round, so a table is read eight entries at a
 * time, and one word of the set takes 64 of them.
 * [APM2 15.25.5 "Nested Table Walk"] [SDM 3C "Accessed and Dirty Flags for EPT"]
 */
#include <errno.h>

#include "slat_int.h"

struct harvest {
	struct pageset *out;
	bool split, changed;
};

/* Which of 64 entries have any of the bits. */
static uint64_t entries_with(const uint64_t *t, uint64_t bits)
{
	uint64_t found = 0;

	for (unsigned i = 0; i < 64; i += 8) {
		uint64_t any = slat_read(&t[i]) | slat_read(&t[i + 1]) | slat_read(&t[i + 2]) |
			       slat_read(&t[i + 3]) | slat_read(&t[i + 4]) | slat_read(&t[i + 5]) |
			       slat_read(&t[i + 6]) | slat_read(&t[i + 7]);

		if (!(any & bits))
			continue;
		for (unsigned k = i; k < i + 8; k++)
			if (slat_read(&t[k]) & bits)
				found |= BIT(k);
	}
	return found;
}

/* Bits of [first, last) that fall into the word of entries that begins at w. */
static uint64_t word_mask(unsigned w, unsigned first, unsigned last)
{
	uint64_t mask = ~0ull;

	if (first > w)
		mask &= ~0ull << (first - w);
	if (last < w + 64)
		mask &= ~(~0ull << (last - w));
	return mask;
}

/* Adds 64 aligned pages at once. */
static int record(struct pageset *out, gfn_t base, uint64_t bits)
{
	gfn_t low = base + (unsigned)__builtin_ctzll(bits);
	gfn_t high = base + 63 - (unsigned)__builtin_clzll(bits);
	int r;

	if (high >= out->pages)
		return -ERANGE;
	r = pageset_set(out, low); /* makes the chunk present */
	if (r)
		return r;
	out->chunk[base / PAGESET_CHUNK_PAGES]->word[base % PAGESET_CHUNK_PAGES / 64] |= bits;
	return 0;
}

static int harvest_table(struct slat *s, uint64_t *t, uint64_t base, unsigned first, unsigned last,
			 void *arg)
{
	struct harvest *h = arg;

	for (unsigned w = first & ~63u; w < last; w += 64) {
		uint64_t bits = entries_with(t + w, s->fmt->dirty);
		int r;

		if (w < first || w + 64 > last)
			bits &= word_mask(w, first, last);
		if (!bits)
			continue;
		r = record(h->out, (base >> PAGE_SHIFT) + w, bits);
		if (r)
			return r;
		h->changed = true;
		for (; bits; bits &= bits - 1)
			slat_clear_bits(&t[w + (unsigned)__builtin_ctzll(bits)], s->fmt->dirty);
	}
	return 0;
}

/*
 * A dirty large leaf: all its pages. Splitting needs a page of memory; without
 * it the leaf stays large and the next round is coarse here, but complete.
 */
static int harvest_large(struct slat *s, uint64_t *slot, unsigned level, uint64_t base, void *arg)
{
	struct harvest *h = arg;
	int r;

	if (!(slat_read(slot) & s->fmt->dirty))
		return 0;
	r = pageset_set_range(h->out, base >> PAGE_SHIFT, slat_level_size(level) >> PAGE_SHIFT);
	if (r)
		return r;
	h->changed = true;
	/* Parts of 1 GiB keep D, so that the walk comes back and splits each of them too. */
	if (h->split && !slat_split_leaf(s, slot, level, level > 1))
		return SLAT_AGAIN;
	slat_clear_bits(slot, s->fmt->dirty);
	return 0;
}

int slat_harvest_dirty(struct slat *s, gpa_t a, uint64_t len, bool split, struct pageset *out,
		       struct slat_flush *owed)
{
	static const struct slat_visitor v = { harvest_large, harvest_table };
	struct harvest h = { .out = out, .split = split };
	int r = slat_walk(s, a, len, &v, &h);

	if (h.changed)
		slat_owe(s, owed);
	return r;
}

struct scan {
	void (*fn)(void *arg, const struct slat_leaf *leaf);
	void *arg;
	bool clear, changed;
};

static void scan_slot(struct slat *s, uint64_t *slot, unsigned level, uint64_t base, struct scan *c)
{
	uint64_t e = slat_read(slot);
	struct slat_leaf leaf;

	if (!(e & s->fmt->present))
		return;
	if (c->clear && (e & s->fmt->accessed)) {
		slat_clear_bits(slot, s->fmt->accessed);
		c->changed = true;
	}
	slat_describe(s->fmt, e, level, base, &leaf);
	c->fn(c->arg, &leaf);
}

static int scan_large(struct slat *s, uint64_t *slot, unsigned level, uint64_t base, void *arg)
{
	scan_slot(s, slot, level, base, arg);
	return 0;
}

static int scan_table(struct slat *s, uint64_t *t, uint64_t base, unsigned first, unsigned last,
		      void *arg)
{
	for (unsigned i = first; i < last; i++)
		scan_slot(s, &t[i], 0, base + i * PAGE_SIZE, arg);
	return 0;
}

void slat_scan(struct slat *s, gpa_t a, uint64_t len, bool clear_accessed,
	       void (*fn)(void *arg, const struct slat_leaf *leaf), void *arg,
	       struct slat_flush *owed)
{
	static const struct slat_visitor v = { scan_large, scan_table };
	struct scan c = { .fn = fn, .arg = arg, .clear = clear_accessed };

	(void)slat_walk(s, a, len, &v, &c);
	if (c.changed)
		slat_owe(s, owed);
}
