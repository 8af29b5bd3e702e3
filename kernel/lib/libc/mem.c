/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memcpy, memmove, memset: the compiler calls them too, so they must be there
 * under these names and must not be compiled into calls of themselves
 * (mk/kernel.mk gives this directory the flags for that).
 *
 * Eight bytes at a time through unaligned accesses, four at a round: no vector
 * register, no string instruction (slow for short lengths and in emulators), no
 * weakly ordered store, so that what a device reads is ordered as usual. Whole
 * pages have page_copy() and page_clear().
 */
#include <stdint.h>
#include <string.h>

typedef uint64_t __attribute__((aligned(1), may_alias)) word_t;

#define WORD sizeof(word_t)

static inline word_t get(const char *p)
{
	return *(const word_t *)(const void *)p;
}

static inline void put(char *p, word_t v)
{
	*(word_t *)(void *)p = v;
}

/* From the start; right for any dst below src too: every word is read before it is written over. */
static inline void copy_up(char *d, const char *s, size_t n)
{
	for (; n >= 4 * WORD; n -= 4 * WORD, d += 4 * WORD, s += 4 * WORD) {
		word_t a = get(s), b = get(s + WORD), c = get(s + 2 * WORD), e = get(s + 3 * WORD);

		put(d, a);
		put(d + WORD, b);
		put(d + 2 * WORD, c);
		put(d + 3 * WORD, e);
	}
	for (; n >= WORD; n -= WORD, d += WORD, s += WORD)
		put(d, get(s));
	for (; n > 0; n--)
		*d++ = *s++;
}

/* From the end: dst lies above src and overlaps it. */
static void copy_down(char *d, const char *s, size_t n)
{
	for (; n >= WORD; n -= WORD)
		put(d + n - WORD, get(s + n - WORD));
	for (; n > 0; n--)
		d[n - 1] = s[n - 1];
}

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	copy_up(dst, src, n);
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	/* Modulo 2^64: also true when dst is below src. */
	if ((uintptr_t)dst - (uintptr_t)src >= n)
		copy_up(dst, src, n);
	else
		copy_down(dst, src, n);
	return dst;
}

void *memset(void *dst, int value, size_t n)
{
	char *d = dst;
	word_t v = (uint8_t)value * 0x0101010101010101ull;

	for (; n >= 4 * WORD; n -= 4 * WORD, d += 4 * WORD) {
		put(d, v);
		put(d + WORD, v);
		put(d + 2 * WORD, v);
		put(d + 3 * WORD, v);
	}
	for (; n >= WORD; n -= WORD, d += WORD)
		put(d, v);
	for (; n > 0; n--)
		*d++ = (char)value;
	return dst;
}
