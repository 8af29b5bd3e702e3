/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that is taken, used, checked and freed again: beside a mode, for ever
 * (tern.churn=MIB), or once (`/init fill MIB`). What was freed has contents that
 * nobody needs; what is taken anew must keep what is written to it.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"

#define WORDS (GUEST_PAGE / 8)

/* No page is all zeros, none is like another, none is like those of the turn before. */
static uint64_t word(uint64_t turn, uint64_t i)
{
	return (turn << 40 ^ i) + 1;
}

static uint64_t wrong_pages(const uint64_t *range, uint64_t pages, uint64_t turn)
{
	uint64_t wrong = 0;

	for (uint64_t p = 0; p < pages; p++)
		for (uint64_t i = p * WORDS; i < (p + 1) * WORDS; i++)
			if (range[i] != word(turn, i)) {
				wrong++;
				break;
			}
	return wrong;
}

static uint64_t use(uint64_t mib, uint64_t turn)
{
	uint64_t pages = mib * PAGES_PER_MIB, wrong;
	uint64_t *range = (uint64_t *)range_alloc(mib);

	for (uint64_t i = 0; i < pages * WORDS; i++)
		range[i] = word(turn, i);
	wrong = wrong_pages(range, pages, turn);
	if (wrong)
		say("bad pages=%llu of turn %llu", (unsigned long long)wrong,
		    (unsigned long long)turn);
	munmap(range, mib << 20);
	return wrong;
}

uint64_t churn_once(uint64_t mib)
{
	uint64_t wrong = use(mib, 0);

	say("filled %llu MiB", (unsigned long long)mib);
	return wrong;
}

void churn_start(uint64_t mib)
{
	if (fork())
		return;
	for (uint64_t turn = 1;; turn++) {
		use(mib, turn);
		if (turn % 4 == 0)
			say("churn %llu", (unsigned long long)turn);
	}
}
