/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest says in its balloon's queues (vballoon.h). All of it is believed
 * only as far as it harms nobody else: a guest that gives up what it uses loses it.
 *
 * The statistics buffer stays in the ring, unused, until newer statistics are
 * wanted; it is looked at and put back, so nothing is in flight when a VM moves.
 * [virtio 1.2 5.5.6 "Device Operation"]
 */
#include <errno.h>

#include <tern/log.h>
#include <tern/timer.h>

#include "vballoon.h"

/* A chain names at most so many pages; the rest of a longer one is not looked at. */
#define CHAIN_PAGES_MAX 16384u
#define CHUNK 64u
#define STAT_BYTES 10u /* u16 tag, u64 value, packed */
#define CHAIN_STATS_MAX 64u

static uint32_t named_pages(const struct virtq_chain *c)
{
	return (uint32_t)MIN(c->out_len / sizeof(uint32_t), CHAIN_PAGES_MAX);
}

/* The frames of b->batch go; a host that lacks the memory to do it keeps them. */
static uint64_t give_back(struct vballoon *b)
{
	int64_t given = gmem_give_back(b->v.d.vm, &b->batch);

	pageset_clear_all(&b->batch);
	return given > 0 ? (uint64_t)given : 0;
}

/* A set that lacks memory for a page leaves the page with the guest. */
static int add(struct pageset *s, gfn_t first, uint64_t count)
{
	return pageset_set_range(s, first, count) == -ERANGE ? -EFAULT : 0;
}

static int64_t inflate(struct virtio *v, struct virtq_chain *c)
{
	struct vballoon *b = vballoon_of(v);
	uint32_t named = named_pages(c), left = named, pfn[CHUNK];
	uint64_t off = 0;
	int rc = 0;

	while (!rc && left) {
		uint32_t n = MIN(left, CHUNK);

		rc = virtq_get(c, v->d.vm->mem, off, pfn, n * sizeof(pfn[0]));
		for (uint32_t i = 0; !rc && i < n; i++)
			rc = add(&b->batch, pfn[i], 1);
		off += n * sizeof(pfn[0]);
		left -= n;
	}
	if (!rc) {
		b->ballooned += give_back(b);
		b->held = (uint32_t)MIN((uint64_t)b->held + named, b->batch.pages);
		gmem_lend(v->d.vm->mem, (uint64_t)b->held * PAGE_SIZE);
	}
	pageset_clear_all(&b->batch);
	return rc;
}

void vballoon_call_back(struct vballoon *b, uint32_t pages)
{
	uint64_t lent = gmem_lent_bytes(b->v.d.vm->mem), held;
	bool lacks;

	b->held -= MIN(pages, b->held);
	held = (uint64_t)b->held * PAGE_SIZE;
	lacks = lent > held && gmem_call_back(b->v.d.vm->mem, lent - held);
	if (lacks && !b->short_said)
		log_warn("vdev",
			 "%s: its balloon shrinks, but other VMs were promised that memory: it "
			 "stops if it uses it before one of them ends",
			 b->v.d.vm->cfg.name);
	b->short_said = lacks;
}

static int64_t deflate(struct virtio *v, struct virtq_chain *c)
{
	vballoon_call_back(vballoon_of(v), named_pages(c));
	return 0;
}

/* The whole pages of a chain's writable part. */
static int add_buffers(const struct virtq_chain *c, struct pageset *s, uint64_t *pages)
{
	int rc = 0;

	for (unsigned i = c->nr_out; !rc && i < (unsigned)c->nr_out + c->nr_in; i++) {
		gfn_t first = ALIGN_UP(c->seg[i].gpa, PAGE_SIZE) >> PAGE_SHIFT;
		gfn_t end = (c->seg[i].gpa + c->seg[i].len) >> PAGE_SHIFT;

		if (first >= end)
			continue;
		rc = add(s, first, end - first);
		*pages += end - first;
	}
	return rc;
}

static int64_t report(struct virtio *v, struct virtq_chain *c)
{
	struct vballoon *b = vballoon_of(v);
	uint64_t pages = 0;
	int rc = add_buffers(c, &b->batch, &pages);

	if (!rc)
		b->reported += give_back(b);
	pageset_clear_all(&b->batch);
	return rc;
}

static void hear_id(struct vballoon *b, uint32_t id)
{
	if (id == BALLOON_HINT_STOP && b->hints == HINTS_COMING)
		b->hints = HINTS_COMPLETE;
	else if (b->hints == HINTS_ASKED && id == b->config[BALLOON_HINT_ID])
		b->hints = HINTS_COMING;
}

static int64_t hint(struct virtio *v, struct virtq_chain *c)
{
	struct vballoon *b = vballoon_of(v);
	uint32_t id;
	int rc;

	if (c->out_len >= sizeof(id)) {
		rc = virtq_get(c, v->d.vm->mem, 0, &id, sizeof(id));
		if (rc)
			return rc;
		hear_id(b, id);
	}
	return b->hints == HINTS_COMING ? add_buffers(c, &b->hinted, &b->hints_seen) : 0;
}

static int take_stats(struct vballoon *b, const struct virtq_chain *c)
{
	uint64_t count = MIN(c->out_len / STAT_BYTES, CHAIN_STATS_MAX);

	for (uint64_t i = 0; i < count; i++) {
		struct {
			uint16_t tag;
			uint64_t value;
		} __attribute__((packed)) s;
		int rc = virtq_get(c, b->v.d.vm->mem, i * STAT_BYTES, &s, sizeof(s));

		_Static_assert(sizeof(s) == STAT_BYTES, "statistic");
		if (rc)
			return rc;
		if (s.tag >= BALLOON_STATS)
			continue;
		b->stat[s.tag] = s.value;
		b->stats_known |= (uint32_t)BIT(s.tag);
	}
	b->stats_ns = time_ns();
	return 0;
}

static int look_at_stats(struct vballoon *b)
{
	struct virtq *q = &b->v.q[BALLOON_STATSQ];
	int rc = virtq_pop(q, b->v.d.vm->mem, &b->v.chain);

	if (rc <= 0)
		return rc;
	virtq_unpop(q, 1);
	return take_stats(b, &b->v.chain);
}

int vballoon_renew_stats(struct vballoon *b)
{
	struct virtq *q = &b->v.q[BALLOON_STATSQ];
	struct gmem *g = b->v.d.vm->mem;
	int rc = virtq_pop(q, g, &b->v.chain);

	if (rc <= 0)
		return rc;
	rc = virtq_push(q, g, &b->v.chain, 0);
	if (!rc)
		rc = virtq_arm(q, g);
	rc = rc < 0 ? rc : virtio_signal(&b->v, BALLOON_STATSQ);
	return rc ? rc : 1;
}

int vballoon_kick(struct virtio *v, unsigned queue)
{
	static int64_t (*const fn[])(struct virtio *, struct virtq_chain *) = {
		[BALLOON_INFLATE] = inflate,
		[BALLOON_DEFLATE] = deflate,
		[BALLOON_HINTQ] = hint,
		[BALLOON_REPORTQ] = report,
	};

	return queue == BALLOON_STATSQ ? look_at_stats(vballoon_of(v))
				       : virtio_drain(v, queue, fn[queue]);
}
