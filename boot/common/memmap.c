/* SPDX-License-Identifier: BSD-2-Clause */
/* Painting of the memory map; see memmap.h. */
#include "memmap.h"

static void insert_at(struct bootinfo *bi, uint32_t i, uint64_t start, uint64_t end, uint32_t type)
{
	if (start >= end || bi->mem_count == BOOT_MAX_MEM)
		return;
	for (uint32_t k = bi->mem_count; k > i; k--)
		bi->mem[k] = bi->mem[k - 1];
	bi->mem[i] = (struct boot_mem){ .start = start, .size = end - start, .type = type };
	bi->mem_count++;
}

static void remove_at(struct bootinfo *bi, uint32_t i)
{
	bi->mem_count--;
	for (uint32_t k = i; k < bi->mem_count; k++)
		bi->mem[k] = bi->mem[k + 1];
}

/* Takes [start, end) out of every entry; returns where a new entry belongs. */
static uint32_t carve(struct bootinfo *bi, uint64_t start, uint64_t end)
{
	uint32_t i = 0;

	while (i < bi->mem_count) {
		struct boot_mem *m = &bi->mem[i];
		uint64_t m_end = m->start + m->size;

		if (m_end <= start) {
			i++;
		} else if (m->start >= end) {
			break;
		} else if (m->start < start) {
			m->size = start - m->start;
			i++;
			insert_at(bi, i, end, m_end, m->type); /* nothing when m_end <= end */
		} else if (m_end > end) {
			m->start = end;
			m->size = m_end - end;
			break;
		} else {
			remove_at(bi, i);
		}
	}
	return i;
}

static void merge_around(struct bootinfo *bi, uint32_t i)
{
	uint32_t k = i > 0 ? i - 1 : 0;

	while (k + 1 < bi->mem_count && k <= i) {
		struct boot_mem *a = &bi->mem[k], *b = &bi->mem[k + 1];

		if (a->type == b->type && a->start + a->size == b->start) {
			a->size += b->size;
			remove_at(bi, k + 1);
			if (i > 0)
				i--;
		} else {
			k++;
		}
	}
}

void memmap_set(struct bootinfo *bi, uint64_t start, uint64_t size, enum boot_mem_type type)
{
	uint64_t end = start + size;

	if (end < start)
		end = ALIGN_DOWN(UINT64_MAX, PAGE_SIZE);
	if (type == BOOT_MEM_FREE) {
		start = ALIGN_UP(start, PAGE_SIZE);
		end = ALIGN_DOWN(end, PAGE_SIZE);
	} else {
		start = ALIGN_DOWN(start, PAGE_SIZE);
		end = end > UINT64_MAX - PAGE_MASK ? ALIGN_DOWN(end, PAGE_SIZE)
						   : ALIGN_UP(end, PAGE_SIZE);
	}
	if (start >= end)
		return;
	uint32_t i = carve(bi, start, end);

	insert_at(bi, i, start, end, (uint32_t)type);
	merge_around(bi, i);
}
