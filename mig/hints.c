/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Free-page hints (hints.h).
 *
 * Why no page is lost. A hint says that the contents which the page had when it was
 * given are of no use. What is written to it later matters; the guest may use
 * it again at any time, told or not. Tracking is on before the question is asked,
 * so every store after the hint sets a D bit or a mark that is found by some
 * harvest. Hints take pages out of the order only here, before the first
 * harvest of this migration: the order has then nothing in it but "was backed once".
 * A page that a harvest puts in is never taken out again by a hint, however late the
 * hint is heard: hints that come after the end are dropped, and an answer counts
 * only under the id of its question, which no earlier migration had.
 *
 * What was never sent is absent at the destination, or what an earlier sending made
 * it. Nothing happens to the source's own page: after a cancel the guest goes on
 * with all of its memory, and the next attempt begins with everything backed.
 *
 * A guest that does not answer costs HINT_FIRST_NS, one that answers slowly no more than
 * HINT_MAX_NS; it runs meanwhile.
 */
#include <tern/log.h>
#include <tern/vdev.h>

#include "hints.h"

#define HINT_POLL_NS (2 * NSEC_PER_MSEC)
#define HINT_FIRST_NS (200 * NSEC_PER_MSEC)
#define HINT_GAP_NS (50 * NSEC_PER_MSEC) /* between two, once they come */
#define HINT_MAX_NS (2 * NSEC_PER_SEC)

static int listen(struct mig_job *j)
{
	uint64_t now = time_ns(), end = now + HINT_MAX_NS, due = now + HINT_FIRST_NS, before = 0;
	bool complete = false;
	int err = 0;

	while (!err && !complete && now < MIN(due, end)) {
		uint64_t seen = balloon_hints_seen(j->vm, &complete);

		if (seen != before)
			due = now + HINT_GAP_NS;
		before = seen;
		if (!complete)
			err = source_pause(j, now + HINT_POLL_NS);
		now = time_ns();
	}
	return err;
}

/* Without memory for the set all pages are sent. */
static void leave_out(struct source *s)
{
	uint64_t owed = order_pages(&s->order);
	struct mig_job *j = s->j;
	struct pageset free_pages;
	unsigned long f;
	bool room = !pageset_init(&free_pages, gmem_max_gfn(j->vm->mem));

	if (!balloon_hints_end(j->vm, room ? &free_pages : NULL) && room)
		order_leave_out(&s->order, &free_pages);
	pageset_fini(&free_pages);
	f = spin_lock(&j->lock);
	j->st.pages_hinted = owed - order_pages(&s->order);
	spin_unlock(&j->lock, f);
	log_debug("mig", "job %u: the guest does not use %u of %u pages", (unsigned)j->st.id,
		  (unsigned)j->st.pages_hinted, (unsigned)owed);
}

int source_hints(struct source *s)
{
	int err;

	if (s->j->vm->state != VM_RUNNING || !balloon_hints_start(s->j->vm))
		return 0;
	err = listen(s->j);
	leave_out(s);
	return err;
}
