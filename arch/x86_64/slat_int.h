/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the three slat files share: geometry, entries, the walk. Level 0 tables
 * hold 4 KiB leaves, level 1 slots are 2 MiB, level 2 slots 1 GiB, the root is
 * level 3. A slot is one 8-byte entry, read and changed atomically only.
 */
#ifndef ARCH_X86_64_SLAT_INT_H
#define ARCH_X86_64_SLAT_INT_H

#include <tern/slat.h>

#define SLAT_TOP 3u
#define SLAT_ENTRIES 512u
#define SLAT_ADDR_MASK 0x000ffffffffff000ull
#define SLAT_GPA_LIMIT (1ull << 48)
#define SLAT_AGAIN 1 /* a visitor changed the structure: visit this address again */

static inline uint64_t slat_level_size(unsigned level)
{
	return PAGE_SIZE << (9 * level);
}

static inline unsigned slat_index(uint64_t a, unsigned level)
{
	return (unsigned)(a >> (PAGE_SHIFT + 9 * level)) & (SLAT_ENTRIES - 1);
}

static inline uint64_t slat_read(const uint64_t *slot)
{
	return __atomic_load_n(slot, __ATOMIC_RELAXED);
}

static inline void slat_clear_bits(uint64_t *slot, uint64_t bits)
{
	__atomic_fetch_and(slot, ~bits, __ATOMIC_SEQ_CST);
}

static inline void slat_set_bits(uint64_t *slot, uint64_t bits)
{
	__atomic_fetch_or(slot, bits, __ATOMIC_SEQ_CST);
}

static inline bool slat_is_leaf(const struct slat_format *f, uint64_t e, unsigned level)
{
	return level == 0 || (e & f->large) != 0;
}

static inline uint64_t *slat_table(uint64_t e)
{
	return hpa_ptr(HPA(e & SLAT_ADDR_MASK));
}

static inline uint64_t slat_leaf_addr(uint64_t e, unsigned level)
{
	return e & SLAT_ADDR_MASK & ~(slat_level_size(level) - 1);
}

/* What a walk calls, the lock held, for what is present in [a, end). */
struct slat_visitor {
	/* A large leaf at base, level 1 or 2. 0, SLAT_AGAIN or an error that ends the walk. */
	int (*large)(struct slat *s, uint64_t *slot, unsigned level, uint64_t base, void *arg);
	/* Entries [first, last) of the 4 KiB table whose first page is at base. */
	int (*table)(struct slat *s, uint64_t *table, uint64_t base, unsigned first, unsigned last,
		     void *arg);
};
/* Takes and drops the lock for each table or large leaf, so that interrupts are never off for long.
 */
int slat_walk(struct slat *s, gpa_t a, uint64_t len, const struct slat_visitor *v, void *arg);

/* Replaces a large leaf by a table of smaller ones that have its A, and its D with keep_dirty.
 * -ENOMEM. */
MUST_CHECK int slat_split_leaf(struct slat *s, uint64_t *slot, unsigned level, bool keep_dirty);
/* A table page of zeros, counted. */
MUST_CHECK int slat_table_alloc(struct slat *s, hpa_t *out);
uint64_t slat_leaf_bits(const struct slat_format *f, unsigned prot);
void slat_describe(const struct slat_format *f, uint64_t e, unsigned level, uint64_t base,
		   struct slat_leaf *out);

#endif
