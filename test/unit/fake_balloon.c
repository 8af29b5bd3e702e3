/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest memory as a balloon asks it (fake_balloon.h). */
#include <errno.h>
#include <string.h>

#include "fake_balloon.h"
#include "fake_vdev.h"

bool fake_given[FAKE_PAGES];
uint64_t fake_lent, fake_spare;

uint64_t gmem_max_gfn(const struct gmem *g)
{
	return FAKE_PAGES;
}

int64_t gmem_give_back(struct vm *vm, const struct pageset *set)
{
	gfn_t at = 0, first;
	uint64_t count;
	int64_t given = 0;

	for (; pageset_next_run(set, at, 1, &first, &count); at = first + 1) {
		if (first < FAKE_RAM >> PAGE_SHIFT)
			memset(fake_ram + (first << PAGE_SHIFT), 0, PAGE_SIZE);
		given += !fake_given[first];
		fake_given[first] = true;
	}
	return given;
}

int gmem_call_back(struct gmem *g, uint64_t bytes)
{
	bytes = MIN(bytes, fake_lent);
	if (bytes > fake_spare)
		return -ENOMEM;
	fake_lent -= bytes;
	return 0;
}

uint64_t gmem_lent_bytes(const struct gmem *g)
{
	return fake_lent;
}

uint64_t page_spare_bytes(void)
{
	return fake_spare;
}

void gmem_lend(struct gmem *g, uint64_t total)
{
	fake_lent = MAX(total, fake_lent);
}
