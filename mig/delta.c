/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page deltas (delta.h). Comparing is by eight words at a time: most of a page
 * is the same, and this is all the work that such a stretch costs.
 */
#include <errno.h>
#include <string.h>

#include "delta.h"

#define WORDS (PAGE_SIZE / 8)
#define COUNT_BITS 7u /* of a piece: first word << 7 | (words - 1) */
#define PIECE_WORDS (1u << COUNT_BITS)
#define PIECES_MAX (DELTA_ENTRY_MAX / 8)

struct changes {
	unsigned pieces, words;
	unsigned next; /* word after the last one noted */
	uint16_t piece[PIECES_MAX];
	uint64_t word[PIECES_MAX];
};

static size_t entry_bytes(unsigned pieces, unsigned words)
{
	return sizeof(uint64_t) * (1 + (pieces + 3) / 4 + words);
}

static void note(struct changes *c, unsigned at, uint64_t value)
{
	if (c->pieces && c->next == at &&
	    (c->piece[c->pieces - 1] & (PIECE_WORDS - 1)) != PIECE_WORDS - 1)
		c->piece[c->pieces - 1]++;
	else
		c->piece[c->pieces++] = (uint16_t)(at << COUNT_BITS);
	c->word[c->words++] = value;
	c->next = at + 1;
}

/* Eight words that differ by x; false when the entry becomes too long. */
static bool note_eight(struct changes *c, unsigned at, const uint64_t x[8], uint64_t *base)
{
	for (unsigned k = 0; k < 8; k++) {
		if (!x[k])
			continue;
		if (entry_bytes(c->pieces + 1, c->words + 1) > DELTA_ENTRY_MAX)
			return false;
		base[at + k] ^= x[k];
		note(c, at + k, base[at + k]);
	}
	return true;
}

static bool compare(struct changes *c, const volatile uint64_t *live, uint64_t *base)
{
	for (unsigned i = 0; i < WORDS; i += 8) {
		uint64_t a = live[i] ^ base[i], b = live[i + 1] ^ base[i + 1];
		uint64_t d = live[i + 2] ^ base[i + 2], e = live[i + 3] ^ base[i + 3];
		uint64_t f = live[i + 4] ^ base[i + 4], g = live[i + 5] ^ base[i + 5];
		uint64_t h = live[i + 6] ^ base[i + 6], j = live[i + 7] ^ base[i + 7];

		if (!(a | b | d | e | f | g | h | j))
			continue;
		if (!note_eight(c, i, (const uint64_t[8]){ a, b, d, e, f, g, h, j }, base))
			return false;
	}
	return true;
}

size_t delta_encode(gfn_t n, const void *live, void *base, void *out)
{
	struct changes c;
	uint64_t head;
	uint8_t *at = out;
	size_t len;

	c.pieces = c.words = c.next = 0;
	if (!compare(&c, live, base))
		return 0;
	head = n << PAGE_SHIFT | c.pieces;
	len = entry_bytes(c.pieces, c.words);
	memcpy(at, &head, sizeof(head));
	at += sizeof(head);
	memset(at + c.pieces / 4 * 8, 0, c.pieces % 4 ? 8 : 0); /* what pads the last */
	memcpy(at, c.piece, c.pieces * sizeof(c.piece[0]));
	at += (c.pieces + 3) / 4 * 8;
	memcpy(at, c.word, c.words * sizeof(c.word[0]));
	return len;
}

static unsigned piece_first(uint16_t piece)
{
	return piece >> COUNT_BITS;
}

static unsigned piece_count(uint16_t piece)
{
	return (piece & (PIECE_WORDS - 1)) + 1;
}

/* Takes the entry's parts apart without a look at its words: the bytes of its head and pieces; 0
 * when cut short. */
static size_t open_entry(const uint8_t *at, size_t left, struct delta_entry *e)
{
	uint64_t head;
	size_t len;

	if (left < sizeof(head))
		return 0;
	memcpy(&head, at, sizeof(head));
	e->gfn = head >> PAGE_SHIFT;
	e->pieces = (uint32_t)(head & (PAGE_SIZE - 1));
	len = entry_bytes(e->pieces, 0);
	if (e->pieces > PIECES_MAX || len > left)
		return 0;
	e->piece = (const uint16_t *)(at + sizeof(head));
	e->word = (const uint64_t *)(at + len);
	return len;
}

/* Words of all pieces; UINT32_MAX when they overlap, run backwards or leave the page, or the
 * padding is not zero. */
static uint32_t count_words(const struct delta_entry *e)
{
	uint32_t words = 0, next = 0;

	for (uint32_t i = 0; i < e->pieces; i++) {
		uint32_t first = piece_first(e->piece[i]), count = piece_count(e->piece[i]);

		if (first < next || first + count > WORDS)
			return UINT32_MAX;
		next = first + count;
		words += count;
	}
	for (uint32_t i = e->pieces; i % 4; i++)
		if (e->piece[i])
			return UINT32_MAX;
	return words;
}

int delta_check(const void *body, size_t len, uint64_t max_gfn)
{
	const struct wire_delta *d = body;
	const uint8_t *at = (const uint8_t *)(d + 1), *end = (const uint8_t *)body + len;
	struct delta_entry e;
	gfn_t next = 0;

	if (len < sizeof(*d) || d->reserved || !d->pages || d->pages > WIRE_BATCH_MAX)
		return -EBADMSG;
	for (uint32_t i = 0; i < d->pages; i++) {
		size_t size = open_entry(at, (size_t)(end - at), &e);
		uint32_t words = size ? count_words(&e) : UINT32_MAX;

		if (words == UINT32_MAX || e.gfn < next || e.gfn >= max_gfn)
			return -EBADMSG;
		next = e.gfn + 1;
		size += words * sizeof(uint64_t);
		if (size > DELTA_ENTRY_MAX || size > (size_t)(end - at))
			return -EBADMSG;
		at += size;
	}
	return at == end ? 0 : -EBADMSG;
}

bool delta_next(const uint8_t **at, const uint8_t *end, struct delta_entry *e)
{
	size_t size = open_entry(*at, (size_t)(end - *at), e);

	if (!size)
		return false;
	*at += size + count_words(e) * sizeof(uint64_t);
	return true;
}

void delta_apply(const struct delta_entry *e, void *page)
{
	const uint64_t *from = e->word;
	uint64_t *to = page;

	for (uint32_t i = 0; i < e->pieces; i++)
		for (unsigned k = 0; k < piece_count(e->piece[i]); k++)
			to[piece_first(e->piece[i]) + k] = *from++;
}
