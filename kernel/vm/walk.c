/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's own page tables: linear to guest-physical, for accesses that the
 * kernel makes in the guest's place. Real mode and no paging, 32-bit (with
 * 4 MiB pages), PAE, 4 and 5 levels; rights as the CPU checks them; A and D are
 * set in the guest's entries, atomically, as the CPU would.
 * [SDM 3A 4 "Paging"] [APM2 5 "Page Translation and Protection"]
 *
 * Tables are read through gmem: a table outside of RAM reads as not present.
 */
#include <errno.h>

#include "vm_int.h"

#define PTE_W BIT(1)
#define PTE_U BIT(2)
#define PTE_A BIT(5)
#define PTE_D BIT(6)
#define PTE_NX BIT(63)

/* Rights and progress of one walk. */
struct state {
	const struct walk *w;
	uint64_t linear;
	struct walk_shape sh;
	bool writable, user, no_exec; /* of all levels so far */
};

struct walk_shape walk_shape(const struct virt_mode *m)
{
	if (mode_long(m))
		return (struct walk_shape){ m->cr4 & G_CR4_LA57 ? 5 : 4, 9, 8 };
	if (m->cr4 & G_CR4_PAE)
		return (struct walk_shape){ 3, 9, 8 };
	return (struct walk_shape){ 2, 10, 4 };
}

static bool is_pdpte(const struct state *s, unsigned level)
{
	return s->sh.levels == 3 && level == 3; /* PAE's four: no rights of their own, no A */
}

static bool may_be_large(const struct state *s, unsigned level)
{
	if (s->sh.entry == 4)
		return level == 2 && (s->w->mode->cr4 & G_CR4_PSE);
	return level == 2 || (level == 3 && s->sh.levels >= 4);
}

static unsigned level_shift(const struct state *s, unsigned level)
{
	return PAGE_SHIFT + (level - 1) * s->sh.bits;
}

static int entry_read(const struct state *s, gpa_t at, uint64_t *e)
{
	uint32_t e32 = 0;
	int err;

	if (s->sh.entry == 8)
		return gmem_read(s->w->mem, at, e, 8);
	err = gmem_read(s->w->mem, at, &e32, 4);
	*e = e32;
	return err;
}

/* Sets bits in the entry unless it changed meanwhile; the next walk then sees the change. */
static void entry_mark(const struct state *s, gpa_t at, uint64_t old, uint64_t set)
{
	void *p;

	if ((old & set) == set || gmem_pin(s->w->mem, at, s->sh.entry, true, &p))
		return;
	if (s->sh.entry == 8) {
		(void)__atomic_compare_exchange_n((uint64_t *)p, &old, old | set, false,
						  __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
	} else {
		uint32_t was = (uint32_t)old;

		(void)__atomic_compare_exchange_n((uint32_t *)p, &was, (uint32_t)(old | set), false,
						  __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
	}
	gmem_unpin(s->w->mem, at, p, true);
}

static bool reserved_bits(const struct state *s, unsigned level, uint64_t e, bool large)
{
	uint64_t addr = WALK_ADDR_MASK & ~((BIT(s->w->phys_bits)) - 1);

	if (s->sh.entry == 4)
		return large && (e & BIT(21));
	if (e & addr)
		return true;
	if ((e & PTE_NX) && !(s->w->mode->efer & G_EFER_NXE))
		return true;
	if (is_pdpte(s, level))
		return (e & 0x1e6) != 0;
	if (large)
		return (e & ((BIT(level_shift(s, level)) - 1) & ~0x1fffull)) != 0;
	return level >= 4 && (e & WALK_PTE_PS);
}

/* Bits of the page fault's error code that the access itself gives. */
static uint32_t access_error(const struct walk *w)
{
	uint32_t error =
		(w->access & WALK_WRITE ? PF_WRITE : 0) | (w->access & WALK_USER ? PF_USER : 0);

	if ((w->access & WALK_FETCH) &&
	    ((w->mode->efer & G_EFER_NXE) || (w->mode->cr4 & G_CR4_SMEP)))
		error |= PF_FETCH;
	return error;
}

static bool rights_ok(const struct state *s)
{
	const struct walk *w = s->w;
	uint64_t cr4 = w->mode->cr4;

	if ((w->access & WALK_FETCH) && s->no_exec)
		return false;
	if (w->access & WALK_USER)
		return s->user && (!(w->access & WALK_WRITE) || s->writable);
	if (s->user && (w->access & WALK_FETCH) && (cr4 & G_CR4_SMEP))
		return false;
	if (s->user && !(w->access & (WALK_FETCH | WALK_AC)) && (cr4 & G_CR4_SMAP))
		return false;
	return !(w->access & WALK_WRITE) || s->writable || !(w->mode->cr0 & G_CR0_WP);
}

static uint64_t leaf_address(const struct state *s, unsigned level, uint64_t e)
{
	uint64_t offset = BIT(level_shift(s, level)) - 1, base = e & WALK_ADDR_MASK & ~offset;

	if (s->sh.entry == 4) {
		base = e & 0xfffff000ull & ~offset;
		if (level == 2)
			base |= (e >> 13 & 0xff) << 32; /* PSE-36 */
	}
	return base | (s->linear & offset);
}

static int fault(uint32_t *error, uint32_t code)
{
	*error = code;
	return -EFAULT;
}

static int walk_tables(struct state *s, gpa_t *out, uint32_t *error)
{
	uint64_t table = s->w->mode->cr3 & (s->sh.levels == 3 ? 0xffffffe0ull : WALK_ADDR_MASK);
	uint32_t code = access_error(s->w);

	if (s->sh.entry == 4)
		table &= 0xfffff000ull;
	for (unsigned level = s->sh.levels;; level--) {
		uint64_t index = s->linear >> level_shift(s, level) & (BIT(s->sh.bits) - 1), e = 0;
		gpa_t at = GPA(table + index * s->sh.entry);
		bool large, leaf;

		if (entry_read(s, at, &e) || !(e & WALK_PTE_P))
			return fault(error, code);
		large = may_be_large(s, level) && (e & WALK_PTE_PS);
		leaf = large || level == 1;
		if (reserved_bits(s, level, e, large))
			return fault(error, code | PF_PRESENT | PF_RESERVED);
		if (!is_pdpte(s, level)) {
			s->writable &= (e & PTE_W) != 0;
			s->user &= (e & PTE_U) != 0;
			s->no_exec |= s->sh.entry == 8 && (e & PTE_NX);
		}
		if (leaf && !rights_ok(s))
			return fault(error, code | PF_PRESENT);
		if (!is_pdpte(s, level))
			entry_mark(s, at, e,
				   PTE_A | (leaf && (s->w->access & WALK_WRITE) ? PTE_D : 0));
		if (leaf) {
			*out = GPA(leaf_address(s, level, e));
			return 0;
		}
		table = e & (s->sh.entry == 4 ? 0xfffff000ull : WALK_ADDR_MASK);
	}
}

int walk_linear(const struct walk *w, uint64_t linear, gpa_t *out, uint32_t *error)
{
	struct state s = {
		.w = w, .linear = linear, .sh = walk_shape(w->mode), .writable = true, .user = true
	};

	*error = 0;
	if (!mode_long(w->mode))
		s.linear &= 0xffffffffull;
	if (!(w->mode->cr0 & G_CR0_PG)) {
		*out = GPA(s.linear);
		return 0;
	}
	return walk_tables(&s, out, error);
}
