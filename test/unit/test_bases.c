/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pages as last sent: a page that waits in a send queue is never changed,
 * memory stays within its share and all of it comes back. The page allocator
 * is a fake that counts.
 * // SOURCES: mig/bases.c kernel/lib/pageset.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tern/gmem.h>

#include "mig/bases.h"

#define HOST_PAGES 4096u
#define FRAMES 8192u

/* Host memory: pages by number, used from the bottom on. */
static char *memory;
static struct frame frames[HOST_PAGES];
static uint64_t taken, free_pages;

static uint64_t number_of(hpa_t a)
{
	return (uint64_t)((char *)hpa_ptr(a) - memory) / PAGE_SIZE;
}

struct frame *page_frame(hpa_t a)
{
	assert_in_range(number_of(a), 0, HOST_PAGES - 1);
	return &frames[number_of(a)];
}

int page_alloc(unsigned order, unsigned flags, enum frame_owner owner, hpa_t *out)
{
	assert_int_equal(owner, FRAME_MIG);
	if (free_pages < 1u << order)
		return -ENOMEM;
	free_pages -= 1u << order;
	*out = ptr_hpa(memory + taken * PAGE_SIZE);
	taken += 1u << order;
	assert_true(taken <= HOST_PAGES);
	return 0;
}

void page_split(hpa_t block, unsigned new_order)
{
	assert_int_equal(new_order, ORDER_4K);
	for (uint64_t i = number_of(block); i < taken; i++)
		frames[i].refs = 1;
}

void page_get(hpa_t a)
{
	page_frame(a)->refs++;
}

void page_put(hpa_t a)
{
	assert_true(page_frame(a)->refs > 0);
	if (--page_frame(a)->refs == 0)
		free_pages++;
}

void page_copy(void *dst, const void *src)
{
	memcpy(dst, src, PAGE_SIZE);
}

uint64_t page_spare_bytes(void)
{
	return free_pages * PAGE_SIZE;
}

static int fresh_host(void **state)
{
	if (!memory)
		memory = aligned_alloc(PAGE_SIZE, HOST_PAGES * PAGE_SIZE);
	memset(frames, 0, sizeof(frames));
	taken = 0;
	free_pages = HOST_PAGES;
	return 0;
}

static char page[PAGE_SIZE];

static hpa_t make(struct bases *b, gfn_t n, char fill)
{
	hpa_t out = HPA(0);

	memset(page, fill, sizeof(page));
	assert_true(bases_make(b, n, page, true, &out));
	return out;
}

static void sent_from_the_copy(void **state)
{
	struct bases b;
	hpa_t out;

	assert_int_equal(bases_init(&b, FRAMES), 0);
	out = make(&b, 5, 'a');
	assert_true(pageset_test(&b.have, 5));
	assert_memory_equal(hpa_ptr(out), page, PAGE_SIZE);
	assert_ptr_not_equal(hpa_ptr(out), page);
	assert_int_equal(page_frame(out)->refs, 2); /* ours and the stream's */
	assert_int_equal(b.copied_bytes, PAGE_SIZE);
	page_put(out);
	bases_fini(&b);
	assert_int_equal(free_pages, HOST_PAGES);
}

/* While the stream holds it, a base is replaced; afterwards it is changed where it is. */
static void queued_page_is_left_alone(void **state)
{
	struct bases b;
	hpa_t out;
	char *now;

	assert_int_equal(bases_init(&b, FRAMES), 0);
	out = make(&b, 5, 'a');
	now = bases_write(&b, 5);
	assert_ptr_not_equal(now, hpa_ptr(out));
	assert_memory_equal(now, page, PAGE_SIZE);
	now[0] = 'b';
	assert_memory_equal(hpa_ptr(out), page, PAGE_SIZE);
	page_put(out);				   /* acknowledged */
	assert_ptr_equal(bases_write(&b, 5), now); /* nobody else has this one */
	assert_int_equal(b.copied_bytes, 2 * PAGE_SIZE);
	bases_fini(&b);
	assert_int_equal(free_pages, HOST_PAGES);
}

static void dropped_and_given_up(void **state)
{
	struct bases b;
	hpa_t out;

	assert_int_equal(bases_init(&b, FRAMES), 0);
	page_put(make(&b, 5, 'a'));
	bases_drop(&b, 5);
	assert_null(bases_write(&b, 5));
	page_put(make(&b, 5, 'b')); /* dropped: may come again */
	bases_give_up(&b, 5);
	assert_false(bases_make(&b, 5, page, true, &out));
	assert_false(pageset_test(&b.have, 5));
	assert_false(bases_make(&b, FRAMES, page, true, &out)); /* beyond the VM's memory */
	assert_int_equal(b.count, 0);
	bases_fini(&b);
	assert_int_equal(free_pages, HOST_PAGES);
}

static unsigned make_all(struct bases *b, gfn_t from, bool written)
{
	unsigned made = 0;
	hpa_t out;

	for (gfn_t n = from; n < FRAMES && bases_make(b, n, page, written, &out); n++, made++)
		page_put(out);
	return made;
}

/* Half of the host at most, a quarter for pages that were not seen written. */
static void within_its_share(void **state)
{
	struct bases b;
	unsigned cold, warm;

	assert_int_equal(bases_init(&b, FRAMES), 0);
	cold = make_all(&b, 0, false);
	assert_in_range(cold, HOST_PAGES / 4 - 64, HOST_PAGES / 4);
	warm = make_all(&b, cold, true);
	assert_in_range(cold + warm, HOST_PAGES / 2 - 64, HOST_PAGES / 2);
	assert_true(free_pages >= HOST_PAGES / 2);
	assert_int_equal(b.count, cold + warm);
	bases_fini(&b);
	assert_int_equal(free_pages, HOST_PAGES);
}

/* No page to swap in for one under way: the base stays what it was, and the caller sends otherwise.
 */
static void no_memory_to_swap(void **state)
{
	struct bases b;
	hpa_t out, other;

	assert_int_equal(bases_init(&b, FRAMES), 0);
	out = make(&b, 0, 'a');
	for (gfn_t n = 1; b.spares; n++)
		page_put(make(&b, n, 'x'));
	other = make(&b, 100, 'x');
	while (b.spares)
		page_put(make(&b, 100 + b.spares, 'x'));
	free_pages = 0;
	assert_null(bases_write(&b, 0));
	memset(page, 'a', sizeof(page));
	assert_memory_equal(hpa_ptr(out), page, PAGE_SIZE);
	page_put(out);
	page_put(other);
	bases_fini(&b);
}

static void without_init(void **state)
{
	struct bases b = { 0 };
	hpa_t out;

	assert_false(bases_make(&b, 1, page, true, &out));
	assert_null(bases_write(&b, 1));
	bases_drop(&b, 1);
	bases_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sent_from_the_copy, fresh_host),
		cmocka_unit_test_setup(queued_page_is_left_alone, fresh_host),
		cmocka_unit_test_setup(dropped_and_given_up, fresh_host),
		cmocka_unit_test_setup(within_its_share, fresh_host),
		cmocka_unit_test_setup(no_memory_to_swap, fresh_host),
		cmocka_unit_test_setup(without_init, fresh_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
