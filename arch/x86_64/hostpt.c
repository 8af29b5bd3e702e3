/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host's own page tables, made once on the boot CPU and shared by all:
 *
 *   DIRECT_MAP    all memory of the boot map but reserved ranges, RW NX, with the
 *                 largest pages the CPU has; the image's text and rodata R NX
 *   MMIO_BASE     mmio_map(): device registers, uncached, RW NX
 *   KERNEL_BASE   text R X, rodata R NX, data and bss RW NX
 *
 * Mappings are only ever added, so other CPUs need no shoot-down. Only the
 * start page of other CPUs is ever mapped 1:1, in tables of its own.
 * tables_lock guards all levels; a PML4 entry, once made, stays.
 */
#include <tern/bootinfo.h>
#include <tern/lock.h>
#include <tern/log.h>
#include <tern/page.h>

#include <string.h>

#include "arch.h"
#include "regs.h"

#define PTE_P 1ull
#define PTE_W 2ull
#define PTE_PWT 8ull
#define PTE_PCD 0x10ull
#define PTE_LARGE 0x80ull
#define PTE_G 0x100ull
#define PTE_NX BIT(63)
#define PTE_ADDR 0x000ffffffffff000ull

#define MAP_TEXT (PTE_P | PTE_G)
#define MAP_RO (PTE_P | PTE_G | PTE_NX)
#define MAP_RW (PTE_P | PTE_W | PTE_G | PTE_NX)
#define MAP_MMIO (MAP_RW | PTE_PCD | PTE_PWT) /* PAT index 3: uncached */
#define MAP_TABLE (PTE_P | PTE_W)

#define MMIO_BASE 0xffffc00000000000ull
#define MMIO_SIZE (64ull << 30)
#define LOW_FIRMWARE_END 0x100000ull

/* From kernel/kernel.ld. */
extern char __image_start[], __text_start[], __text_end[], __rodata_start[], __rodata_end[];
extern char __data_start[], __image_end[];

static struct spinlock tables_lock = SPINLOCK_INIT(LOCK_HOSTPT, "hostpt");
static uint64_t *pml4;		       /* [const] after hostpt_init */
static uint64_t kernel_phys;	       /* [const] of __image_start */
static uint64_t mmio_next = MMIO_BASE; /* [tables_lock] */

static uint64_t *new_table(unsigned flags)
{
	hpa_t a;

	if (page_alloc(ORDER_4K, PAGE_ZERO | flags, FRAME_KERNEL, &a))
		return NULL;
	return hpa_ptr(a);
}

static uint64_t *entry_table(uint64_t e)
{
	return hpa_ptr(HPA(e & PTE_ADDR));
}

/* The entry for va at a level (0: 4 KiB, 1: 2 MiB, 2: 1 GiB), making tables above it; NULL: no
 * memory. */
static uint64_t *walk(uint64_t *root, uint64_t va, unsigned level)
{
	uint64_t *t = root;

	for (unsigned l = 3; l > level; l--) {
		uint64_t *e = &t[va >> (PAGE_SHIFT + 9 * l) & 511];

		if (!(*e & PTE_P)) {
			uint64_t *fresh = new_table(0);

			if (!fresh)
				return NULL;
			*e = ptr_hpa(fresh).v | MAP_TABLE;
		}
		tern_assert(!(*e & PTE_LARGE));
		t = entry_table(*e);
	}
	return &t[va >> (PAGE_SHIFT + 9 * level) & 511];
}

static unsigned best_level(uint64_t va, uint64_t pa, uint64_t left)
{
	if (cpu_identity()->has_1g_pages && (va | pa) % SIZE_1G == 0 && left >= SIZE_1G)
		return 2;
	return (va | pa) % SIZE_2M == 0 && left >= SIZE_2M ? 1 : 0;
}

static bool map_range(uint64_t *root, uint64_t va, uint64_t pa, uint64_t size, uint64_t flags)
{
	while (size > 0) {
		unsigned level = best_level(va, pa, size);
		uint64_t step = PAGE_SIZE << (9 * level);
		uint64_t *e = walk(root, va, level);

		if (!e)
			return false;
		*e = pa | flags | (level ? PTE_LARGE : 0);
		va += step;
		pa += step;
		size -= step;
	}
	return true;
}

static void map_or_panic(uint64_t va, uint64_t pa, uint64_t size, uint64_t flags)
{
	if (!map_range(pml4, va, pa, size, flags))
		panic("no memory for the host's page tables");
}

/* [start, end) of the direct map, with text and rodata of the image read-only there as well. */
static void map_direct(uint64_t start, uint64_t end)
{
	uint64_t ro_start = kernel_phys;
	uint64_t ro_end = kernel_phys + (uint64_t)(__data_start - __image_start);

	if (start < ro_start && ro_start < end) {
		map_direct(start, ro_start);
		map_direct(ro_start, end);
	} else if (start < ro_end && ro_end < end) {
		map_direct(start, ro_end);
		map_direct(ro_end, end);
	} else {
		bool ro = start >= ro_start && end <= ro_end;

		map_or_panic(DIRECT_MAP + start, start, end - start, ro ? MAP_RO : MAP_RW);
	}
}

/* Neighbours of whatever usable type are mapped as one, so that pages come out large. */
static void map_memory(const struct bootinfo *bi)
{
	uint64_t start = 0, end = 0;

	for (uint32_t i = 0; i < bi->mem_count; i++) {
		const struct boot_mem *m = &bi->mem[i];

		if (m->type == BOOT_MEM_RESERVED)
			continue;
		if (m->start != end) {
			if (start < end)
				map_direct(start, end);
			start = m->start;
		}
		end = m->start + m->size;
	}
	if (start < end)
		map_direct(start, end);
}

static void map_kernel_part(const char *start, const char *end, uint64_t flags)
{
	uint64_t va = (uint64_t)start;

	map_or_panic(va, kernel_phys + (va - (uint64_t)__image_start), (uint64_t)(end - start),
		     flags);
}

void hostpt_init(const struct bootinfo *bi)
{
	kernel_phys = bi->kernel_start;
	pml4 = new_table(0);
	if (!pml4)
		panic("no memory for the host's page tables");
	map_memory(bi);
	map_kernel_part(__text_start, __text_end, MAP_TEXT);
	map_kernel_part(__rodata_start, __data_start, MAP_RO);
	map_kernel_part(__data_start, __image_end, MAP_RW);
	/* Made now, so that a copy of the PML4 for starting CPUs holds all there will ever be. */
	if (!walk(pml4, MMIO_BASE, 2))
		panic("no memory for the host's page tables");
	__asm__ volatile("movq %0, %%cr3" ::"r"(hostpt_cr3()) : "memory");
}

uint64_t hostpt_cr3(void)
{
	return ptr_hpa(pml4).v;
}

void *mmio_map(hpa_t a, uint64_t size)
{
	uint64_t offset = a.v & PAGE_MASK;
	uint64_t len = ALIGN_UP(offset + size, PAGE_SIZE);
	unsigned long flags = spin_lock(&tables_lock);
	uint64_t va = mmio_next;
	bool ok;

	/* Same offset within a large page, so that large BARs take few tables. */
	if (len >= SIZE_2M)
		va = ALIGN_UP(va, SIZE_2M) + (a.v & (SIZE_2M - 1) & ~PAGE_MASK);
	ok = va - MMIO_BASE + len <= MMIO_SIZE && map_range(pml4, va, a.v - offset, len, MAP_MMIO);
	if (ok)
		mmio_next = va + len;
	spin_unlock(&tables_lock, flags);
	return ok ? (void *)(va + offset) : NULL;
}

/* True when the direct map has the page of this address. */
static bool in_direct_map(uint64_t phys)
{
	uint64_t va = DIRECT_MAP + phys;
	uint64_t *t = pml4;

	for (unsigned l = 3;; l--) {
		uint64_t e = t[va >> (PAGE_SHIFT + 9 * l) & 511];

		if (!(e & PTE_P))
			return false;
		if (l == 0 || e & PTE_LARGE)
			return true;
		t = entry_table(e);
	}
}

const void *hostpt_firmware(uint64_t phys, uint64_t size)
{
	uint64_t limit = 1ull << cpu_identity()->phys_bits;

	if (size == 0 || phys >= limit || size > limit - phys)
		return NULL;
	for (uint64_t a = ALIGN_DOWN(phys, PAGE_SIZE); a < phys + size; a += PAGE_SIZE)
		if (!in_direct_map(a))
			return mmio_map(HPA(phys), size);
	return hpa_ptr(HPA(phys));
}

uint64_t hostpt_tramp_open(hpa_t page)
{
	uint64_t *root = new_table(PAGE_LOW4G);

	if (!root)
		return 0;
	memcpy(root + 256, pml4 + 256, 256 * sizeof(*root));
	uint64_t *e = walk(root, page.v, 0);

	if (!e) {
		hostpt_tramp_close(ptr_hpa(root).v);
		return 0;
	}
	*e = page.v | PTE_P | PTE_W;
	return ptr_hpa(root).v;
}

/* Frees the chain of tables of the lower half, which has one entry at each level. */
void hostpt_tramp_close(uint64_t cr3)
{
	uint64_t *t = hpa_ptr(HPA(cr3));

	for (unsigned l = 3; l > 0; l--) {
		uint64_t next = 0;

		for (unsigned i = 0; i < (l == 3 ? 256u : 512u); i++)
			if (t[i] & PTE_P)
				next = t[i] & PTE_ADDR;
		page_put(ptr_hpa(t));
		if (next == 0)
			return;
		t = hpa_ptr(HPA(next));
	}
	page_put(ptr_hpa(t));
}
