/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bitmap of changed blocks (cbt.h). A bit is cleared before the blocks are read and
 * set after they were written: whatever a reading misses is marked when it ends.
 */
#include <errno.h>
#include <stdlib.h>

#include "cbt.h"

#define BITS_MAX (1ull << 24)

static int make(struct cbt *c, uint64_t blocks, unsigned shift)
{
	*c = (struct cbt){ .blocks = blocks,
			   .shift = shift,
			   .words = ((blocks + BIT(shift) - 1) >> shift) / 64 + 1 };
	c->bits = calloc(c->words, sizeof(*c->bits));
	return c->bits ? 0 : -ENOMEM;
}

int cbt_init(struct cbt *c, uint64_t blocks, uint32_t block_bytes, uint32_t granule)
{
	unsigned shift = 0;

	while ((block_bytes << shift) < granule)
		shift++;
	while (blocks >> shift >= BITS_MAX)
		shift++;
	return make(c, blocks, shift);
}

int cbt_init_each(struct cbt *c, uint64_t things)
{
	return make(c, things, 0);
}

void cbt_fini(struct cbt *c)
{
	free(c->bits);
	c->bits = NULL;
}

void cbt_mark(struct cbt *c, uint64_t from, uint64_t to)
{
	for (uint64_t i = from >> c->shift; i <= (to - 1) >> c->shift; i++) {
		uint64_t bit = BIT(i % 64);
		uint64_t old = __atomic_fetch_or(&c->bits[i / 64], bit, __ATOMIC_ACQ_REL);

		if (!(old & bit))
			__atomic_fetch_add(&c->granules, 1, __ATOMIC_RELAXED);
	}
}

/* Index of the first bit that is set from i on, or all of them. */
static uint64_t next_set(const struct cbt *c, uint64_t i)
{
	uint64_t word;

	if (i / 64 >= c->words)
		return c->words * 64;
	word = __atomic_load_n(&c->bits[i / 64], __ATOMIC_ACQUIRE) & ~0ull << i % 64;
	for (i /= 64; !word && ++i < c->words;)
		word = __atomic_load_n(&c->bits[i], __ATOMIC_ACQUIRE);
	return word ? i * 64 + (unsigned)__builtin_ctzll(word) : c->words * 64;
}

static bool clear_bit(struct cbt *c, uint64_t i)
{
	uint64_t bit = BIT(i % 64);

	if (i / 64 >= c->words ||
	    !(__atomic_fetch_and(&c->bits[i / 64], ~bit, __ATOMIC_ACQ_REL) & bit))
		return false;
	__atomic_fetch_sub(&c->granules, 1, __ATOMIC_RELAXED);
	return true;
}

void cbt_unmark(struct cbt *c, uint64_t from, uint64_t to)
{
	uint64_t round = BIT(c->shift) - 1, end = (to == c->blocks ? to + round : to) >> c->shift;

	for (uint64_t i = (from + round) >> c->shift; (i = next_set(c, i)) < end; i++)
		(void)clear_bit(c, i);
}

bool cbt_take(struct cbt *c, uint64_t *at, uint64_t most, uint64_t *from, uint64_t *to)
{
	uint64_t first = next_set(c, *at >> c->shift), i = first, n = most >> c->shift;

	while (i - first < MAX(n, 1ull) && clear_bit(c, i))
		i++;
	if (i == first)
		return false;
	*from = first << c->shift;
	*at = i << c->shift; /* behind a last granule that the disk has a part of, too */
	*to = MIN(*at, c->blocks);
	return true;
}

bool cbt_marks(const struct cbt *c, uint64_t block)
{
	uint64_t i = block >> c->shift;

	return __atomic_load_n(&c->bits[i / 64], __ATOMIC_ACQUIRE) & BIT(i % 64);
}

void cbt_clear(struct cbt *c, uint64_t block)
{
	(void)clear_bit(c, block >> c->shift);
}

uint64_t cbt_marked(const struct cbt *c)
{
	return __atomic_load_n(&c->granules, __ATOMIC_RELAXED) << c->shift;
}
