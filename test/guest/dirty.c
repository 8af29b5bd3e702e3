/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mode `dirty`: writes tern.rate MiB/s (pages touched) over a working set of
 * tern.ws MiB, in order, and checks tern.check MiB of it per heartbeat.
 *
 * A page is 512 words: [0] its index, keyed; [1] its generation; [2] the sum
 * of the rest; [3..] contents, never zero.  A write raises the generation,
 * replaces one word and mends the sum.  `wanted` holds each page's generation
 * a second time, elsewhere: a page that falls back to an older state is found
 * even though its sum still fits.
 */
#include <stdlib.h>

#include "guest.h"

#define WORDS (GUEST_PAGE / 8)
#define BODY 3u
#define KEY 0x7465726e67756573ull
#define SLICE_US 5000u

static uint64_t *set;
static uint32_t *wanted;
static uint64_t set_pages;
static struct progress total;

static uint64_t scramble(uint64_t x)
{
	x = (x + KEY) * 0x9e3779b97f4a7c15ull;
	x ^= x >> 29;
	x *= 0xd6e8feb86659fd93ull;
	return (x ^ (x >> 32)) | 1;
}

static void page_fill(uint64_t index)
{
	uint64_t *page = set + index * WORDS, sum = 0;

	for (uint64_t k = BODY; k < WORDS; k++) {
		page[k] = scramble(index * WORDS + k);
		sum += page[k];
	}
	page[0] = index ^ KEY;
	page[1] = 0;
	page[2] = sum;
}

static void page_write(uint64_t index)
{
	uint64_t *page = set + index * WORDS;
	uint64_t generation = ++page[1];
	uint64_t k = BODY + generation % (WORDS - BODY);
	uint64_t value = scramble(generation ^ (index << 24));

	page[2] += value - page[k];
	page[k] = value;
	wanted[index] = (uint32_t)generation;
}

static int page_right(uint64_t index)
{
	const uint64_t *page = set + index * WORDS;
	uint64_t sum = 0;

	for (uint64_t k = BODY; k < WORDS; k++)
		sum += page[k];
	return page[0] == (index ^ KEY) && page[2] == sum && (uint32_t)page[1] == wanted[index];
}

static void check_some(uint64_t pages)
{
	static uint64_t at;

	while (set_pages && pages--) {
		if (!page_right(at)) {
			if (total.errors++ < 16)
				say("bad page=%llu generation=%llu wanted=%u",
				    (unsigned long long)at, (unsigned long long)set[at * WORDS + 1],
				    wanted[at]);
			page_fill(at); /* report each loss once */
			wanted[at] = 0;
		}
		if (++at == set_pages) {
			at = 0;
			total.passes++;
		}
	}
}

static void write_some(uint64_t pages)
{
	static uint64_t at;

	for (; set_pages && pages; pages--) {
		page_write(at);
		total.pages++;
		if (++at == set_pages)
			at = 0;
	}
}

void run_dirty(void)
{
	uint64_t mib = (uint64_t)param("tern.ws", 64);
	uint64_t check = (uint64_t)param("tern.check", 2) * PAGES_PER_MIB;
	struct pace pace = { .rate_mib = param("tern.rate", 20) };

	set_pages = mib * PAGES_PER_MIB;
	set = (uint64_t *)range_alloc(mib);
	wanted = calloc(set_pages + 1, sizeof(*wanted));
	for (uint64_t i = 0; i < set_pages; i++)
		page_fill(i);
	say("guest: dirty ws=%llu rate=%ld", (unsigned long long)mib, pace.rate_mib);
	beat_start();
	pace.last_us = now_us();
	for (;;) {
		uint64_t now = now_us();

		write_some(pace_due(&pace, now));
		if (beat_due(now)) {
			beat(now, &total);
			check_some(check);
		}
		if (pace.rate_mib >= 0)
			sleep_until_us(now + (pace.rate_mib ? SLICE_US : 100000));
	}
}
