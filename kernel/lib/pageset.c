/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sets of guest frame numbers: see tern/pageset.h for the interface.
 *
 * A chunk that exists may be empty; one that does not is empty. Bits at and
 * above `pages` in the last chunk are never set, so that walks need no limit.
 * Words are read and written atomically (relaxed) where pageset_mark of other
 * CPUs may meet them: drain, test, count and walks of a set that is being marked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tern/pageset.h>

static uint64_t word_read(const uint64_t *w)
{
	return __atomic_load_n(w, __ATOMIC_RELAXED);
}

int pageset_init(struct pageset *s, uint64_t pages)
{
	s->pages = pages;
	s->nr_chunks = pages / PAGESET_CHUNK_PAGES + (pages % PAGESET_CHUNK_PAGES != 0);
	s->chunk = calloc(MAX(s->nr_chunks, 1), sizeof(s->chunk[0]));
	return s->chunk ? 0 : -ENOMEM;
}

void pageset_fini(struct pageset *s)
{
	for (uint64_t c = 0; s->chunk && c < s->nr_chunks; c++)
		free(s->chunk[c]);
	free(s->chunk);
	*s = (struct pageset){ .pages = 0 };
}

static int chunk_make(struct pageset *s, uint64_t c)
{
	if (s->chunk[c])
		return 0;
	s->chunk[c] = calloc(1, sizeof(struct pageset_chunk));
	return s->chunk[c] ? 0 : -ENOMEM;
}

int pageset_reserve(struct pageset *s)
{
	for (uint64_t c = 0; c < s->nr_chunks; c++)
		if (chunk_make(s, c))
			return -ENOMEM;
	return 0;
}

/* The word of a member, NULL when its chunk is absent. */
static uint64_t *word_of(const struct pageset *s, gfn_t n)
{
	struct pageset_chunk *c;

	if (n >= s->pages)
		return NULL;
	c = s->chunk[n / PAGESET_CHUNK_PAGES];
	return c ? &c->word[n % PAGESET_CHUNK_PAGES / 64] : NULL;
}

int pageset_set(struct pageset *s, gfn_t n)
{
	if (n >= s->pages)
		return -ERANGE;
	if (chunk_make(s, n / PAGESET_CHUNK_PAGES))
		return -ENOMEM;
	*word_of(s, n) |= BIT(n % 64);
	return 0;
}

int pageset_set_range(struct pageset *s, gfn_t first, uint64_t count)
{
	if (first > s->pages || count > s->pages - first)
		return -ERANGE;
	while (count) {
		uint64_t bit = first % 64, n = MIN(count, 64 - bit);

		if (chunk_make(s, first / PAGESET_CHUNK_PAGES))
			return -ENOMEM;
		*word_of(s, first) |= UINT64_MAX >> (64 - n) << bit;
		first += n;
		count -= n;
	}
	return 0;
}

void pageset_clear(struct pageset *s, gfn_t n)
{
	uint64_t *w = word_of(s, n);

	if (w)
		*w &= ~BIT(n % 64);
}

void pageset_clear_all(struct pageset *s)
{
	for (uint64_t c = 0; c < s->nr_chunks; c++)
		if (s->chunk[c])
			memset(s->chunk[c], 0, sizeof(*s->chunk[c]));
}

bool pageset_test(const struct pageset *s, gfn_t n)
{
	const uint64_t *w = word_of(s, n);

	return w && word_read(w) & BIT(n % 64);
}

uint64_t pageset_count(const struct pageset *s)
{
	uint64_t n = 0;

	for (uint64_t c = 0; c < s->nr_chunks; c++)
		for (unsigned i = 0; s->chunk[c] && i < PAGESET_CHUNK_WORDS; i++)
			n += (uint64_t)__builtin_popcountll(word_read(&s->chunk[c]->word[i]));
	return n;
}

uint64_t pageset_count_both(const struct pageset *a, const struct pageset *b)
{
	uint64_t n = 0, chunks = MIN(a->nr_chunks, b->nr_chunks);

	for (uint64_t c = 0; c < chunks; c++)
		for (unsigned i = 0; a->chunk[c] && b->chunk[c] && i < PAGESET_CHUNK_WORDS; i++)
			n += (uint64_t)__builtin_popcountll(word_read(&a->chunk[c]->word[i]) &
							    word_read(&b->chunk[c]->word[i]));
	return n;
}

bool pageset_empty(const struct pageset *s)
{
	gfn_t first;
	uint64_t count;

	return !pageset_next_run(s, 0, 1, &first, &count);
}

bool pageset_mark(struct pageset *s, gfn_t n)
{
	uint64_t *w = word_of(s, n);

	if (!w || word_read(w) & BIT(n % 64)) /* mostly it is in: spare the locked operation */
		return false;
	return !(__atomic_fetch_or(w, BIT(n % 64), __ATOMIC_RELAXED) & BIT(n % 64));
}

/* dst's chunk is present. Taking is atomic against pageset_mark: a mark is here or stays there. */
static void chunk_drain(struct pageset_chunk *dst, struct pageset_chunk *src)
{
	for (unsigned i = 0; i < PAGESET_CHUNK_WORDS; i++)
		if (word_read(&src->word[i]))
			dst->word[i] |= __atomic_exchange_n(&src->word[i], 0, __ATOMIC_ACQ_REL);
}

static bool chunk_empty(const struct pageset_chunk *c)
{
	uint64_t any = 0;

	for (unsigned i = 0; i < PAGESET_CHUNK_WORDS; i++)
		any |= word_read(&c->word[i]);
	return !any;
}

int pageset_drain(struct pageset *dst, struct pageset *src)
{
	for (uint64_t c = 0; c < src->nr_chunks; c++) {
		if (!src->chunk[c] || chunk_empty(src->chunk[c]))
			continue;
		if (c >= dst->nr_chunks || chunk_make(dst, c))
			return -ENOMEM;
		chunk_drain(dst->chunk[c], src->chunk[c]);
	}
	return 0;
}

int pageset_merge(struct pageset *dst, const struct pageset *src)
{
	for (uint64_t c = 0; c < src->nr_chunks; c++) {
		if (!src->chunk[c] || chunk_empty(src->chunk[c]))
			continue;
		if (c >= dst->nr_chunks || chunk_make(dst, c))
			return -ENOMEM;
		for (unsigned i = 0; i < PAGESET_CHUNK_WORDS; i++)
			dst->chunk[c]->word[i] |= word_read(&src->chunk[c]->word[i]);
	}
	return 0;
}

void pageset_subtract(struct pageset *dst, const struct pageset *src)
{
	uint64_t chunks = MIN(dst->nr_chunks, src->nr_chunks);

	for (uint64_t c = 0; c < chunks; c++)
		for (unsigned i = 0; dst->chunk[c] && src->chunk[c] && i < PAGESET_CHUNK_WORDS; i++)
			dst->chunk[c]->word[i] &= ~word_read(&src->chunk[c]->word[i]);
}

/* First member >= n, or s->pages. */
static gfn_t first_member(const struct pageset *s, gfn_t n)
{
	while (n < s->pages) {
		const uint64_t *w = word_of(s, n);
		uint64_t bits;

		if (!w) {
			n = (n / PAGESET_CHUNK_PAGES + 1) * PAGESET_CHUNK_PAGES;
			continue;
		}
		bits = word_read(w) >> n % 64;
		if (bits)
			return n + (unsigned)__builtin_ctzll(bits);
		n = (n / 64 + 1) * 64;
	}
	return s->pages;
}

/* Members in a row from n on, at most max. */
static uint64_t run_length(const struct pageset *s, gfn_t n, uint64_t max)
{
	uint64_t length = 0;

	while (length < max) {
		const uint64_t *w = word_of(s, n + length);
		uint64_t bit = (n + length) % 64, absent, got;

		if (!w)
			break;
		absent = ~(word_read(w) >> bit);
		got = absent ? (uint64_t)__builtin_ctzll(absent) : 64;
		got = MIN(got, 64 - bit);
		length += got;
		if (got < 64 - bit)
			break;
	}
	return MIN(length, max);
}

bool pageset_next_run(const struct pageset *s, gfn_t from, uint64_t max, gfn_t *first,
		      uint64_t *count)
{
	gfn_t n = first_member(s, from);

	if (n >= s->pages || !max)
		return false;
	*first = n;
	*count = MAX(run_length(s, n, max), 1); /* a racing drain may have taken n itself */
	return true;
}
