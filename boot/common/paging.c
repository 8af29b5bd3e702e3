/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Provisional page tables, in use from the jump until the kernel has made its
 * own: all RAM and the first 4 GiB 1:1 and in the direct map (both share their
 * tables), and the kernel where it is linked. Everything is writable and
 * executable; W^X begins with the kernel's tables.
 */
#include "load.h"

#define PTE_P 1ull
#define PTE_W 2ull
#define PTE_LARGE 0x80ull
#define DIRECT_SLOT 256u /* PML4 index of 0xffff800000000000 */
#define ENTRIES 512u
#define SIZE_512G (512ull << 30)
#define SLOTS_MAX 64u /* 32 TiB */

static bool has_1g_pages(void)
{
	uint32_t eax = 0x80000000u, ebx, ecx, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	if (eax < 0x80000001u)
		return false;
	eax = 0x80000001u;
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
	return (edx & BIT(26)) != 0;
}

/* One GiB by 2 MiB pages. */
static uint64_t fill_2m(uint64_t base)
{
	uint64_t *pd = (uint64_t *)loader_alloc(PAGE_SIZE);

	for (unsigned i = 0; pd && i < ENTRIES; i++)
		pd[i] = (base + i * SIZE_2M) | PTE_P | PTE_W | PTE_LARGE;
	return (uint64_t)pd;
}

/* One PML4 slot's worth of RAM from base up to top. */
static uint64_t fill_slot(uint64_t base, uint64_t top, bool gib_pages)
{
	uint64_t *pdpt = (uint64_t *)loader_alloc(PAGE_SIZE);

	for (unsigned i = 0; pdpt && i < ENTRIES && base < top; i++, base += SIZE_1G) {
		if (gib_pages) {
			pdpt[i] = base | PTE_P | PTE_W | PTE_LARGE;
			continue;
		}
		uint64_t pd = fill_2m(base);

		if (pd == 0)
			return 0;
		pdpt[i] = pd | PTE_P | PTE_W;
	}
	return (uint64_t)pdpt;
}

static bool map_ram(uint64_t *pml4, uint64_t ram_top)
{
	bool gib_pages = has_1g_pages();
	uint64_t base = 0;

	for (unsigned i = 0; i < SLOTS_MAX && base < ram_top; i++, base += SIZE_512G) {
		uint64_t pdpt = fill_slot(base, ram_top, gib_pages);

		if (pdpt == 0)
			return false;
		pml4[i] = pml4[DIRECT_SLOT + i] = pdpt | PTE_P | PTE_W;
	}
	return true;
}

/* elf_load() places the image at the same offset within 2 MiB as it is linked. */
static bool map_kernel(uint64_t *pml4, const struct kernel_image *k)
{
	uint64_t *pdpt = (uint64_t *)loader_alloc(PAGE_SIZE);
	uint64_t *pd = (uint64_t *)loader_alloc(PAGE_SIZE);
	uint64_t phys = ALIGN_DOWN(k->mem.start, SIZE_2M);
	uint64_t virt = ALIGN_DOWN(k->virt, SIZE_2M);

	if (!pdpt || !pd)
		return false;
	for (; virt < k->virt + k->mem.size; virt += SIZE_2M, phys += SIZE_2M)
		pd[(virt >> 21) & (ENTRIES - 1)] = phys | PTE_P | PTE_W | PTE_LARGE;
	pdpt[(k->virt >> 30) & (ENTRIES - 1)] = (uint64_t)pd | PTE_P | PTE_W;
	pml4[(k->virt >> 39) & (ENTRIES - 1)] = (uint64_t)pdpt | PTE_P | PTE_W;
	return true;
}

uint64_t paging_build(uint64_t ram_top, const struct kernel_image *k)
{
	uint64_t *pml4 = (uint64_t *)loader_alloc(PAGE_SIZE);

	ram_top = MAX(ram_top, 4 * SIZE_1G);
	if (!pml4 || !map_ram(pml4, ram_top) || !map_kernel(pml4, k))
		return 0;
	return (uint64_t)pml4;
}
