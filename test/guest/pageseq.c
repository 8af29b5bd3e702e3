/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mode `pageseq`: the first byte of each page of tern.ws MiB is counted up by
 * one, in page order, round after round, at tern.rate MiB/s (< 0, the
 * default: as fast as it goes).
 *
 * At any moment the bytes are N+1 up to the place where it works and N from
 * there on.  So each byte is known before it is written, and a page that was
 * lost, or came from an older round, shows as a break in the sequence.
 */
#include "guest.h"

#define SLICE_US 2000u

static unsigned char *range;
static uint64_t range_pages, at;
static unsigned char round_value;
static struct progress total;

static void step(void)
{
	unsigned char *byte = range + at * GUEST_PAGE;

	if (*byte != round_value && total.errors++ < 16)
		say("bad page=%llu value=%u wanted=%u", (unsigned long long)at, (unsigned)*byte,
		    (unsigned)round_value);
	*byte = (unsigned char)(round_value + 1);
	total.pages++;
	if (++at == range_pages) {
		at = 0;
		round_value++;
		total.passes++;
	}
}

void run_pageseq(void)
{
	uint64_t mib = (uint64_t)param("tern.ws", 64);
	struct pace pace = { .rate_mib = param("tern.rate", -1) };

	range_pages = mib * PAGES_PER_MIB;
	range = range_alloc(mib);
	round_value = 1; /* one round in 256 leaves pages that are all zero: wanted */
	for (uint64_t i = 0; i < range_pages; i++)
		range[i * GUEST_PAGE] = round_value;
	say("guest: pageseq ws=%llu rate=%ld", (unsigned long long)mib, pace.rate_mib);
	beat_start();
	pace.last_us = now_us();
	for (;;) {
		uint64_t now = now_us(), due = pace_due(&pace, now);

		while (range_pages && due--)
			step();
		if (beat_due(now))
			beat(now, &total);
		if (pace.rate_mib >= 0)
			sleep_until_us(now + SLICE_US);
	}
}
