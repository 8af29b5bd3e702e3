/* SPDX-License-Identifier: BSD-2-Clause */
/* A range of 4 KiB pages for the checks to map as they like (rt.h). */
#include "rt.h"

extern uint64_t pml4[512];

uint8_t pages[16][4096] __attribute__((aligned(4096)));
static uint64_t tables[3][512] __attribute__((aligned(4096)));

volatile uint64_t *map_pte(unsigned i)
{
	for (unsigned level = 0; level < 2; level++)
		tables[level][0] = (uint64_t)tables[level + 1] | PTE_P | PTE_W | PTE_U;
	pml4[MAP_AT >> 39] = (uint64_t)tables[0] | PTE_P | PTE_W | PTE_U;
	return &tables[2][i];
}

void *map(unsigned i, uint64_t physical, uint64_t flags)
{
	void *at = (void *)(MAP_AT + i * 4096ull);

	*map_pte(i) = physical | flags;
	invlpg(at);
	return at;
}
