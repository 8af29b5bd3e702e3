/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory of the multiboot2 loader. GRUB has put this loader, its information
 * and the modules anywhere in free memory; the largest hole between them and
 * below 4 GiB becomes a pool, from which everything is taken in order.
 */
#include "boot/common/memmap.h"
#include "mb2.h"

#define LOW_1M (1ull << 20)
#define MAP_LIMIT (1ull << 32) /* what start.S has mapped */

extern char __loader_start[], __loader_end[];

static uint64_t pool_start, pool_next, pool_end;

static void *copy8(void *to, const void *from, uint64_t n)
{
	uint8_t *d = to;
	const uint8_t *s = from;

	for (uint64_t i = 0; i < n; i++)
		d[i] = s[i];
	return to;
}

/* The compiler calls these by itself. */
void *memcpy(void *to, const void *from, __SIZE_TYPE__ n);
void *memset(void *to, int c, __SIZE_TYPE__ n);

__attribute__((optimize("no-tree-loop-distribute-patterns"))) void *memcpy(void *to,
									   const void *from,
									   __SIZE_TYPE__ n)
{
	return copy8(to, from, n);
}

__attribute__((optimize("no-tree-loop-distribute-patterns"))) void *memset(void *to, int c,
									   __SIZE_TYPE__ n)
{
	uint8_t *d = to;

	for (__SIZE_TYPE__ i = 0; i < n; i++)
		d[i] = (uint8_t)c;
	return to;
}

void loader_copy(uint64_t to, uint64_t from, uint64_t bytes)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes)::"memory");
}

uint64_t loader_alloc(uint64_t bytes)
{
	uint64_t a = pool_next, words, to;

	bytes = ALIGN_UP(bytes, PAGE_SIZE);
	if (bytes > pool_end - pool_next)
		return 0;
	pool_next += bytes;
	words = bytes / 8;
	to = a;
	__asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(0ull) : "memory");
	return a;
}

/* ---- what is taken ---- */

/* End of the taken range that touches [start, end), 0 when none does. */
static uint64_t taken_until(uint64_t info, uint64_t start, uint64_t end)
{
	uint64_t info_end = info + *(const uint32_t *)info;

	if (start < (uint64_t)__loader_end && end > (uint64_t)__loader_start)
		return (uint64_t)__loader_end;
	if (start < info_end && end > info)
		return info_end;
	for (const struct mb2_tag *t = mb2_first(info); t; t = mb2_next(t)) {
		const struct mb2_module *m = (const void *)t;

		if (t->type == MB2_MODULE && start < m->end && end > m->start)
			return m->end;
	}
	return 0;
}

/* The hole from start on: moved behind what is taken, cut at the next that is. */
static void consider(uint64_t info, uint64_t start, uint64_t end)
{
	while (start + PAGE_SIZE <= end) {
		uint64_t until = taken_until(info, start, start + PAGE_SIZE), hole = start;

		if (until) {
			start = ALIGN_UP(until, PAGE_SIZE);
			continue;
		}
		while (hole + SIZE_2M <= end && !taken_until(info, hole, hole + SIZE_2M))
			hole += SIZE_2M;
		while (hole + PAGE_SIZE <= end && !taken_until(info, hole, hole + PAGE_SIZE))
			hole += PAGE_SIZE;
		if (hole - start > pool_end - pool_start) {
			pool_start = pool_next = start;
			pool_end = hole;
		}
		start = hole;
	}
}

/* ---- the firmware's map ---- */

static const struct mb2_mmap *find_map(uint64_t info)
{
	for (const struct mb2_tag *t = mb2_first(info); t; t = mb2_next(t))
		if (t->type == MB2_MMAP)
			return (const void *)t;
	mb2_fail("the boot loader gave no memory map");
}

static const struct mb2_mmap_entry *map_at(const struct mb2_mmap *m, uint32_t i)
{
	uint64_t offset = sizeof(*m) + (uint64_t)i * m->entry_size;

	if (m->entry_size < sizeof(struct mb2_mmap_entry) || offset + m->entry_size > m->tag.size)
		return NULL;
	return (const void *)((const uint8_t *)m + offset);
}

static enum boot_mem_type mem_type(const struct mb2_mmap_entry *e)
{
	switch (e->type) {
	case MB2_MEM_AVAILABLE:
		return BOOT_MEM_FREE;
	case MB2_MEM_ACPI:
	case MB2_MEM_NVS:
		return BOOT_MEM_ACPI;
	default:
		return BOOT_MEM_RESERVED;
	}
}

void mem_init(uint64_t info)
{
	const struct mb2_mmap *m = find_map(info);
	const struct mb2_mmap_entry *e;

	for (uint32_t i = 0; (e = map_at(m, i)) != NULL; i++) {
		uint64_t start = MAX(e->start, LOW_1M), end = MIN(e->start + e->size, MAP_LIMIT);

		if (e->type == MB2_MEM_AVAILABLE && start < end)
			consider(info, ALIGN_UP(start, PAGE_SIZE), ALIGN_DOWN(end, PAGE_SIZE));
	}
}

uint64_t mem_top(uint64_t info)
{
	const struct mb2_mmap *m = find_map(info);
	const struct mb2_mmap_entry *e;
	uint64_t top = 0;

	for (uint32_t i = 0; (e = map_at(m, i)) != NULL; i++)
		if (mem_type(e) != BOOT_MEM_RESERVED)
			top = MAX(top, e->start + e->size);
	return top;
}

/* The safer type is painted later; then what lies in free memory. */
void mem_fill(uint64_t info, struct bootinfo *bi)
{
	static const enum boot_mem_type order[] = { BOOT_MEM_FREE, BOOT_MEM_ACPI,
						    BOOT_MEM_RESERVED };
	const struct mb2_mmap *m = find_map(info);
	const struct mb2_mmap_entry *e;

	for (unsigned pass = 0; pass < ARRAY_SIZE(order); pass++)
		for (uint32_t i = 0; (e = map_at(m, i)) != NULL; i++)
			if (mem_type(e) == order[pass])
				memmap_set(bi, e->start, e->size, order[pass]);
	memmap_set(bi, 0, PAGE_SIZE, BOOT_MEM_RESERVED);
	memmap_set(bi, (uint64_t)__loader_start, (uint64_t)(__loader_end - __loader_start),
		   BOOT_MEM_LOADER);
	memmap_set(bi, info, *(const uint32_t *)info, BOOT_MEM_LOADER);
	memmap_set(bi, pool_start, pool_next - pool_start, BOOT_MEM_LOADER);
	memmap_set(bi, bi->kernel_start, bi->kernel_size, BOOT_MEM_KERNEL);
	if (bi->config_start)
		memmap_set(bi, bi->config_start, MAX(bi->config_size, 1ull), BOOT_MEM_FILE);
	for (uint32_t i = 0; i < bi->file_count; i++)
		memmap_set(bi, bi->files[i].start, MAX(bi->files[i].size, 1ull), BOOT_MEM_FILE);
}
