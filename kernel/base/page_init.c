/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the loader's memory map to the page allocator.
 *
 * The frame array (8 bytes per 4 KiB, up to the last page of memory) is cut
 * from the end of the highest free region that holds it. Memory below 1 MiB is
 * left out: firmware and the other CPUs' start code live there. The loader's
 * own memory stays untouched until page_reclaim_loader.
 */
#include <string.h>

#include <tern/bootinfo.h>
#include <tern/cpu.h>
#include <tern/log.h>
#include <tern/page.h>

#include "base.h"

#define LOW_END (1ull << 20)
#define LOADER_MAX 64

static struct {
	uint64_t start, size;
} loader[LOADER_MAX];
static unsigned loader_count;

static bool is_ram(const struct boot_mem *m)
{
	return m->type == BOOT_MEM_FREE || m->type == BOOT_MEM_LOADER ||
	       m->type == BOOT_MEM_KERNEL || m->type == BOOT_MEM_FILE;
}

static uint64_t ram_end(const struct bootinfo *bi)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < bi->mem_count; i++)
		if (is_ram(&bi->mem[i]))
			end = MAX(end, bi->mem[i].start + bi->mem[i].size);
	return end;
}

/* Index of the region that the array is cut from; *array is where it starts. */
static uint32_t place_frames(const struct bootinfo *bi, uint64_t bytes, uint64_t *array)
{
	for (uint32_t i = bi->mem_count; i-- > 0;) {
		const struct boot_mem *m = &bi->mem[i];

		if (m->type != BOOT_MEM_FREE || m->size < bytes ||
		    m->start + m->size - bytes < LOW_END)
			continue;
		*array = m->start + m->size - bytes;
		return i;
	}
	panic("no room for %llu KiB of frame array", (unsigned long long)bytes >> 10);
}

static void keep_loader_region(const struct boot_mem *m)
{
	if (loader_count == LOADER_MAX) {
		log_warn("page", "too many loader regions: %llu KiB stay unused",
			 (unsigned long long)m->size >> 10);
		return;
	}
	loader[loader_count].start = m->start;
	loader[loader_count].size = m->size;
	loader_count++;
}

static void add_range(uint64_t start, uint64_t end)
{
	start = MAX(start, LOW_END);
	if (start < end)
		page_add(start >> PAGE_SHIFT, (end - start) >> PAGE_SHIFT);
}

void page_init(const struct bootinfo *bi)
{
	uint64_t count = ram_end(bi) >> PAGE_SHIFT, bytes, bits = 0, array, boot_pages = 0;
	uint32_t host;

	bytes = ALIGN_UP(count * sizeof(struct frame), PAGE_SIZE);
	if (cpu_identity()->has_hypervisor)
		bits = ALIGN_UP(ALIGN_UP(count, 64) / 8, PAGE_SIZE);
	bytes += bits;
	host = place_frames(bi, bytes, &array);
	memset(hpa_ptr(HPA(array)), 0, bytes - bits);
	page_setup(hpa_ptr(HPA(array)), count);
	if (bits) {
		memset(hpa_ptr(HPA(array + bytes - bits)), 0xff, bits);
		page_set_fresh(hpa_ptr(HPA(array + bytes - bits)));
	}
	page_account(FRAME_KERNEL, bytes >> PAGE_SHIFT);
	for (uint32_t i = 0; i < bi->mem_count; i++) {
		const struct boot_mem *m = &bi->mem[i];

		if (m->type == BOOT_MEM_FREE)
			add_range(m->start, i == host ? array : m->start + m->size);
		else if (is_ram(m))
			boot_pages += m->size >> PAGE_SHIFT;
		if (m->type == BOOT_MEM_LOADER)
			keep_loader_region(m);
	}
	page_account(FRAME_BOOT, boot_pages);
}

void page_reclaim_loader(void)
{
	for (unsigned i = 0; i < loader_count; i++) {
		page_account(FRAME_BOOT, -(loader[i].size >> PAGE_SHIFT));
		if (loader[i].start < LOW_END)
			continue; /* low memory is not the allocator's */
		add_range(loader[i].start, loader[i].start + loader[i].size);
	}
	loader_count = 0;
}
