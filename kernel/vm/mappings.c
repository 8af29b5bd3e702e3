/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All that a guest's page tables map, for a debugger that opens a dump: the same tables as
 * walk.c's, read through gmem, nothing marked in them. Whatever a guest has put there,
 * the work is bounded: tables may point at themselves. [SDM 3A 4 "Paging"]
 */
#include <stdlib.h>

#include "vm_int.h"

#define TABLES_MAX 65536u /* 256 MiB of tables */
#define LEVELS_MAX 5u

struct mapper {
	struct gmem *mem;
	struct walk_shape sh;
	bool pse;
	bool (*fn)(void *arg, const struct vm_mapping *run);
	void *arg;
	unsigned tables;       /* read so far */
	struct vm_mapping run; /* not yet told; bytes 0: none */
	uint8_t *table;	       /* a page for each level */
};

static bool tell(struct mapper *m)
{
	bool go_on = !m->run.bytes || m->fn(m->arg, &m->run);

	m->run.bytes = 0;
	return go_on;
}

static bool add(struct mapper *m, uint64_t linear, uint64_t at, uint64_t bytes)
{
	struct vm_mapping *r = &m->run;

	if (r->bytes && r->linear + r->bytes == linear && r->at.v + r->bytes == at) {
		r->bytes += bytes;
		return true;
	}
	if (!tell(m))
		return false;
	*r = (struct vm_mapping){ .linear = linear, .at = GPA(at), .bytes = bytes };
	return true;
}

static uint64_t entry_at(const struct mapper *m, const uint8_t *table, unsigned i)
{
	return m->sh.entry == 8 ? ((const uint64_t *)table)[i] : ((const uint32_t *)table)[i];
}

static bool is_leaf(const struct mapper *m, unsigned level, uint64_t e)
{
	if (level == 1)
		return true;
	if (!(e & WALK_PTE_PS))
		return false;
	return m->sh.entry == 4 ? m->pse : level == 2 || (level == 3 && m->sh.levels >= 4);
}

/* The highest bit that a table index reaches stands for all above it. */
static uint64_t canonical(const struct mapper *m, uint64_t linear)
{
	unsigned top = PAGE_SHIFT + m->sh.levels * m->sh.bits - 1;

	if (m->sh.levels >= 4 && (linear & BIT(top)))
		linear |= ~(BIT(top) - 1);
	return linear;
}

/* A table's entries as leaves; false: enough. Depth is bounded by the levels, at most five. */
static bool map_table(struct mapper *m, unsigned level, uint64_t at, uint64_t linear)
{
	unsigned shift = PAGE_SHIFT + (level - 1) * m->sh.bits;
	unsigned entries = m->sh.levels == 3 && level == 3 ? 4 : 1u << m->sh.bits;
	uint8_t *table = m->table + (level - 1) * PAGE_SIZE;

	if (++m->tables > TABLES_MAX)
		return false;
	if (gmem_read(m->mem, GPA(at), table, entries * m->sh.entry))
		return true; /* outside of RAM: nothing is mapped by it */
	for (unsigned i = 0; i < entries; i++) {
		uint64_t e = entry_at(m, table, i), to = e & WALK_ADDR_MASK;
		uint64_t here = canonical(m, linear + ((uint64_t)i << shift));

		if (!(e & WALK_PTE_P))
			continue;
		if (m->sh.entry == 4)
			to = e & 0xfffff000ull;
		if (is_leaf(m, level, e) ? !add(m, here, to & ~(BIT(shift) - 1), BIT(shift))
					 : !map_table(m, level - 1, to, here))
			return false;
	}
	return true;
}

bool vm_mappings(struct gmem *mem, const struct virt_mode *mode,
		 bool (*fn)(void *arg, const struct vm_mapping *run), void *arg)
{
	struct mapper m = { .mem = mem,
			    .sh = walk_shape(mode),
			    .pse = (mode->cr4 & G_CR4_PSE) != 0,
			    .fn = fn,
			    .arg = arg };
	uint64_t root = mode->cr3 & WALK_ADDR_MASK;
	bool all;

	if (!(mode->cr0 & G_CR0_PG))
		return true;
	m.table = malloc(LEVELS_MAX * PAGE_SIZE);
	if (!m.table)
		return false;
	if (m.sh.levels == 3)
		root = mode->cr3 & 0xffffffe0ull;
	all = map_table(&m, m.sh.levels, root, 0) && tell(&m);
	free(m.table);
	return all;
}
