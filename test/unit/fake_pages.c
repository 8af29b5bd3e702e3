/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page allocator, the flush and the CPU's walker that tests of guest memory
 * use (fake_pages.h).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tern/dirty.h>

#include "fake_pages.h"

#define D 0x40ull

const struct slat_format fake_npt = {
	.name = "npt",
	.table_bits = 0x27,
	.present = 1,
	.read = 5,
	.write = 2,
	.no_exec = 1ull << 63,
	.large = 0x80,
	.accessed = 0x20,
	.dirty = D,
};

/* Of a block that was cut, each part has an entry; the first of them keeps the memory of all. */
struct block {
	char *at;
	size_t len;
	unsigned refs, parts;
	struct block *whole;
	char *memory;
};
static struct block blocks[8192];
uint64_t fake_pages_out;
bool fake_no_large;
uint64_t fake_host_free = 16ull << 30;

static struct block *block_of(hpa_t a)
{
	char *p = hpa_ptr(a);

	for (unsigned i = 0; i < 8192; i++)
		if (blocks[i].at && p >= blocks[i].at && p < blocks[i].at + blocks[i].len)
			return &blocks[i];
	fail_msg("not a block");
	return NULL;
}

int page_alloc(unsigned order, unsigned flags, enum frame_owner owner, hpa_t *out)
{
	struct block *b = blocks;

	if (order >= ORDER_2M && fake_no_large)
		return -ENOMEM;
	while (b->at || b->parts)
		b++;
	b->len = PAGE_SIZE << order;
	b->at = aligned_alloc(b->len, b->len);
	b->refs = b->parts = 1;
	b->whole = b;
	b->memory = b->at;
	memset(b->at, flags & PAGE_ZERO ? 0 : 0xa5, b->len);
	fake_pages_out += 1u << order;
	*out = ptr_hpa(b->at);
	return 0;
}

void page_get(hpa_t a)
{
	block_of(a)->refs++;
}

void page_put(hpa_t a)
{
	struct block *b = block_of(a);

	if (--b->refs)
		return;
	fake_pages_out -= b->len / PAGE_SIZE;
	if (!--b->whole->parts)
		free(b->whole->memory);
	b->at = NULL;
}

bool page_is_shared(hpa_t a)
{
	return block_of(a)->refs > 1;
}

void page_split(hpa_t a, unsigned order)
{
	struct block *whole = block_of(a), *b = blocks;
	size_t len = whole->len;

	assert_int_equal(whole->refs, 1);
	whole->len = PAGE_SIZE << order;
	for (size_t off = whole->len; off < len; off += whole->len) {
		while (b->at || b->parts)
			b++;
		*b = (struct block){ whole->at + off, whole->len, 1, 0, whole, NULL };
		whole->parts++;
	}
}

void page_clear(void *p)
{
	memset(p, 0, PAGE_SIZE);
}

void page_stats(struct page_stats *out)
{
	out->free_bytes = fake_host_free;
}

uint64_t time_ns(void)
{
	return 0;
}

const struct virt_ops *virt = &(const struct virt_ops){ .name = "none" };
struct virt_caps virt_caps;
const char *fake_dirty_setting;
struct pageset *const *fake_cpu_log;

const char *config_get(const char *key)
{
	return strcmp(key, "dirty") ? NULL : fake_dirty_setting;
}

uint64_t fake_flushed;

void vm_flush(struct vm *vm, struct slat_flush owed)
{
	fake_flushed = MAX(owed.gen, fake_flushed);
}

/* The CPU stores: false = nested page fault. */
static bool cpu_store(struct gmem *g, uint64_t gpa, uint8_t v)
{
	uint64_t *t = hpa_ptr(gmem_slat(g)->root);
	int level = 3;

	for (;; level--) {
		uint64_t *slot = &t[gpa >> (12 + 9 * level) & 511];

		if (!(*slot & 2))
			return false;
		if (!level || (*slot & 0x80)) {
			uint64_t size = PAGE_SIZE << (9 * level);

			if (!(*slot & D) && fake_cpu_log && *fake_cpu_log)
				(void)pageset_mark(*fake_cpu_log, gpa >> PAGE_SHIFT);
			*slot |= D | 0x20;
			((uint8_t *)hpa_ptr(HPA(*slot & 0xffffffffff000ull &
						~(size - 1))))[gpa & (size - 1)] = v;
			return true;
		}
		t = hpa_ptr(HPA(*slot & 0xffffffffff000ull));
	}
}

void fake_guest_store(struct gmem *g, uint64_t gpa, uint8_t v)
{
	if (!cpu_store(g, gpa, v)) {
		assert_int_equal(gmem_fault(g, GPA(gpa), true, false), 0);
		assert_true(cpu_store(g, gpa, v));
	}
}
