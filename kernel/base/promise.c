/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Promised memory (page.h). A sum and a check against what is free: no page is set
 * aside, so that who keeps a promise and who only uses what is spare share one pool.
 */
#include <errno.h>

#include <tern/page.h>

/* What the hypervisor itself may come to need; and tables, 8 bytes a page, twice for splits. */
#define HOST_SLACK (8ull << 20)
#define TABLES_SHARE 256u

static uint64_t promised; /* [atom] bytes */

static bool fits(uint64_t bytes, uint64_t free_bytes)
{
	uint64_t with_slack = bytes + bytes / TABLES_SHARE + HOST_SLACK;

	return with_slack >= bytes && with_slack <= free_bytes;
}

/* What is refused was never counted: somebody else may ask in that moment. */
int page_promise(uint64_t bytes)
{
	uint64_t before = __atomic_load_n(&promised, __ATOMIC_SEQ_CST);
	struct page_stats st;

	do {
		page_stats(&st);
		if (before + bytes < bytes || !fits(before + bytes, st.free_bytes))
			return -ENOMEM;
	} while (!__atomic_compare_exchange_n(&promised, &before, before + bytes, false,
					      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	return 0;
}

void page_unpromise(uint64_t bytes)
{
	__atomic_fetch_sub(&promised, bytes, __ATOMIC_SEQ_CST);
}

void page_repromise(uint64_t bytes)
{
	__atomic_fetch_add(&promised, bytes, __ATOMIC_SEQ_CST);
}

uint64_t page_spare_bytes(void)
{
	uint64_t owed = __atomic_load_n(&promised, __ATOMIC_RELAXED);
	struct page_stats st;

	owed += owed / TABLES_SHARE + HOST_SLACK;
	page_stats(&st);
	return st.free_bytes > owed ? st.free_bytes - owed : 0;
}
