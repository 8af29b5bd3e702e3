/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copying, clearing and testing whole pages with general registers.
 *
 * Which way is fastest differs (fast string operations of real CPUs against
 * emulators that step through them), so pagemove_calibrate times the
 * candidates once, at boot, on pages of its caller and keeps the fastest.
 */
#include <tern/page.h>

#include "pagemove.h"

#define WORDS (PAGE_SIZE / 8)

static void copy_unrolled(void *dst, const void *src)
{
	uint64_t *d = dst;
	const uint64_t *s = src;

	for (unsigned i = 0; i < WORDS; i += 8) {
		uint64_t a = s[i], b = s[i + 1], c = s[i + 2], e = s[i + 3];

		d[i] = a;
		d[i + 1] = b;
		d[i + 2] = c;
		d[i + 3] = e;
		a = s[i + 4];
		b = s[i + 5];
		c = s[i + 6];
		e = s[i + 7];
		d[i + 4] = a;
		d[i + 5] = b;
		d[i + 6] = c;
		d[i + 7] = e;
	}
}

static void copy_movsq(void *dst, const void *src)
{
	uint64_t n = WORDS;

	__asm__ volatile("rep movsq" : "+D"(dst), "+S"(src), "+c"(n)::"memory");
}

static void copy_movsb(void *dst, const void *src)
{
	uint64_t n = PAGE_SIZE;

	__asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(n)::"memory");
}

static void clear_unrolled(void *dst)
{
	volatile uint64_t *d = dst; /* volatile: or the compiler calls memset */

	for (unsigned i = 0; i < WORDS; i += 8) {
		d[i] = 0;
		d[i + 1] = 0;
		d[i + 2] = 0;
		d[i + 3] = 0;
		d[i + 4] = 0;
		d[i + 5] = 0;
		d[i + 6] = 0;
		d[i + 7] = 0;
	}
}

static void clear_stosq(void *dst)
{
	uint64_t n = WORDS;

	__asm__ volatile("rep stosq" : "+D"(dst), "+c"(n) : "a"(0) : "memory");
}

static void clear_stosb(void *dst)
{
	uint64_t n = PAGE_SIZE;

	__asm__ volatile("rep stosb" : "+D"(dst), "+c"(n) : "a"(0) : "memory");
}

static const struct {
	const char *name;
	void (*copy)(void *dst, const void *src);
	void (*clear)(void *dst);
} ways[] = {
	{ "unrolled", copy_unrolled, clear_unrolled },
	{ "quadwords", copy_movsq, clear_stosq },
	{ "bytes", copy_movsb, clear_stosb },
};

static unsigned copy_way, clear_way;

void page_copy(void *dst, const void *src)
{
	ways[copy_way].copy(dst, src);
}

void page_clear(void *dst)
{
	ways[clear_way].clear(dst);
}

bool page_is_zero(const void *p)
{
	const uint64_t *w = p;

	for (unsigned i = 0; i < WORDS; i += 8)
		if (w[i] | w[i + 1] | w[i + 2] | w[i + 3] | w[i + 4] | w[i + 5] | w[i + 6] |
		    w[i + 7])
			return false;
	return true;
}

/* Best of several short runs: a run that was interrupted does not count. */
static uint64_t time_way(unsigned way, bool clear, void *a, void *b, uint64_t (*now)(void))
{
	uint64_t best = UINT64_MAX;

	for (unsigned run = 0; run < 8; run++) {
		uint64_t start = now();

		for (unsigned i = 0; i < 8; i++) {
			if (clear)
				ways[way].clear(a);
			else
				ways[way].copy(a, b);
		}
		best = MIN(best, now() - start);
	}
	return best;
}

static unsigned fastest(bool clear, void *a, void *b, uint64_t (*now)(void))
{
	uint64_t best = UINT64_MAX;
	unsigned winner = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
		uint64_t t = time_way(i, clear, a, b, now);

		if (t < best) {
			best = t;
			winner = i;
		}
	}
	return winner;
}

void pagemove_calibrate(void *scratch, uint64_t (*now)(void))
{
	char *page = scratch;

	copy_way = fastest(false, page, page + PAGE_SIZE, now);
	clear_way = fastest(true, page, page + PAGE_SIZE, now);
}

const char *pagemove_copy_name(void)
{
	return ways[copy_way].name;
}

const char *pagemove_clear_name(void)
{
	return ways[clear_way].name;
}
