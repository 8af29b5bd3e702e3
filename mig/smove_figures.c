/* SPDX-License-Identifier: BSD-2-Clause */
/* What a Storage vMotion shows of itself (smove.h): bytes, and how long the guest's requests take.
 */
#include <errno.h>

#include <tern/store.h>

#include "smove.h"

#define LOOK_NS (200 * NSEC_PER_MSEC)
#define SHOW_NS (100 * NSEC_PER_MSEC)
#define COPY_PERCENT 95u

void smove_guest_requests(struct smove *s, uint64_t *requests, uint64_t *busy_ns)
{
	*requests = *busy_ns = 0;
	for (unsigned i = 0; i < s->nr; i++) {
		struct mirror_figures m;

		mirror_figures(s->disk[i].copy.m, &m);
		*requests += m.requests;
		*busy_ns += m.busy_ns;
	}
}

uint64_t smove_bytes(const struct smove_disk *d, uint64_t blocks)
{
	return blocks * d->source->geo.block_bytes;
}

void smove_show(struct smove *s)
{
	disk_copies_show(&s->copies, s->j, s->started_ns, COPY_PERCENT);
	s->shown_ns = time_ns();
}

int smove_asked(void *user)
{
	return smove_asked_all(container_of(user, struct smove_disk, copy)->s);
}

int smove_asked_all(void *user)
{
	struct smove *s = user;

	if (time_ns() - s->shown_ns >= SHOW_NS)
		smove_show(s);
	return s->j->cancel ? -ECANCELED : 0;
}

uint64_t smove_mean_now(struct smove *s)
{
	uint64_t requests = 0, busy_ns = 0;

	if (s->j->vm->state != VM_RUNNING)
		return 0;
	disk_copies_watch(&s->copies);
	for (unsigned i = 0; i < s->nr; i++) {
		requests += s->disk[i].copy.guest.requests;
		busy_ns += s->disk[i].copy.guest.busy_ns;
	}
	return requests ? busy_ns / requests : 0;
}

/* All that the new disks have done so far. */
static void done_so_far(struct smove *s, uint64_t *requests, uint64_t *busy_ns)
{
	*requests = *busy_ns = 0;
	for (unsigned i = 0; i < s->nr; i++) {
		struct blk_stats b;

		blk_stats(ds_file_blk(s->disk[i].file), &b);
		*requests += b.requests[BLK_READ] + b.requests[BLK_WRITE];
		*busy_ns += b.busy_ns[BLK_READ] + b.busy_ns[BLK_WRITE];
	}
}

uint64_t smove_mean_after(struct smove *s)
{
	uint64_t r0, ns0, r1, ns1;

	if (s->j->vm->state != VM_RUNNING)
		return 0;
	done_so_far(s, &r0, &ns0);
	world_sleep_ns(LOOK_NS);
	done_so_far(s, &r1, &ns1);
	return r1 > r0 ? (ns1 - ns0) / (r1 - r0) : 0;
}
