/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-balloon as a device (vballoon.h): configuration, the host's wishes, its
 * migration record. The target survives a reset of the guest, which inflates anew.
 *
 * A question for hints has an id that no earlier one had, also on the host that the
 * VM came from. The last answer counts until the question is over; then the guest is
 * told DONE and may use again what it held back.
 * [virtio 1.2 5.5 "Traditional Memory Balloon Device"]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "q35.h"
#include "vballoon.h"

#define VBALLOON_REC_VERSION 1
#define BALLOON_ID 5u
#define BALLOON_CLASS 0x00ff00u
#define BALLOON_QUEUE 128u /* reporting needs 32 or more */

static uint32_t ram_pages(const struct vm *vm)
{
	return (uint32_t)(vm->cfg.mem_bytes >> PAGE_SHIFT);
}

static void config_write(struct virtio *v, uint64_t off, unsigned size, uint64_t value)
{
	struct vballoon *b = vballoon_of(v);

	if (off == BALLOON_ACTUAL * sizeof(b->config[0]) && size == sizeof(b->config[0]))
		b->config[BALLOON_ACTUAL] = (uint32_t)value;
}

/* The driver is gone, and with it what it held. */
static void balloon_clear(struct virtio *v)
{
	struct vballoon *b = vballoon_of(v);

	b->config[BALLOON_ACTUAL] = 0;
	b->config[BALLOON_HINT_ID] = BALLOON_HINT_STOP;
	if (b->hints != HINTS_OFF)
		b->hints = HINTS_COMPLETE; /* what was named before is over: see hints_end */
	pageset_clear_all(&b->hinted);
	b->stats_known = 0;
	b->stats_ns = 0;
	vballoon_call_back(b, b->held);
}

static const struct virtio_ops balloon_ops = {
	.name = "virtio-balloon",
	.id = BALLOON_ID,
	.class = BALLOON_CLASS,
	.nr_queues = 5,
	.queue_size = BALLOON_QUEUE,
	.features = BALLOON_F_MUST_TELL_HOST | BALLOON_F_STATS | BALLOON_F_DEFLATE_ON_OOM |
		    BALLOON_F_HINT | BALLOON_F_REPORT,
	.config_len = BALLOON_CONFIG_WORDS * sizeof(uint32_t),
	.config_write = config_write,
	.kick = vballoon_kick,
	.reset = balloon_clear,
};

/* ---- what the host wants of it ---- */

static struct vballoon *balloon(struct vm *vm)
{
	return q35_of(vm)->balloon;
}

static uint64_t kept_bytes(const struct vballoon *b, unsigned word)
{
	return (uint64_t)(ram_pages(b->v.d.vm) - MIN(b->config[word], ram_pages(b->v.d.vm))) *
	       PAGE_SIZE;
}

void balloon_info(struct vm *vm, struct balloon_info *out)
{
	struct vballoon *b = balloon(vm);

	mutex_lock(&b->v.d.lock);
	*out = (struct balloon_info){
		.driver = virtio_running(&b->v, BALLOON_INFLATE),
		.reports = virtio_running(&b->v, BALLOON_REPORTQ),
		.target_bytes = kept_bytes(b, BALLOON_NUM_PAGES),
		.actual_bytes = kept_bytes(b, BALLOON_ACTUAL),
		.ballooned = b->ballooned,
		.reported = b->reported,
		.stats_known = b->stats_known,
		.stats_ns = b->stats_ns,
	};
	memcpy(out->stat, b->stat, sizeof(out->stat));
	mutex_unlock(&b->v.d.lock);
}

bool balloon_ask_stats(struct vm *vm)
{
	struct vballoon *b = balloon(vm);
	int rc = 0;

	mutex_lock(&b->v.d.lock);
	if (!b->v.quiet && virtio_running(&b->v, BALLOON_STATSQ))
		rc = vballoon_renew_stats(b);
	if (rc < 0)
		virtio_broken(&b->v, BALLOON_STATSQ, rc);
	mutex_unlock(&b->v.d.lock);
	return rc > 0;
}

int balloon_set(struct vm *vm, uint64_t bytes, char *why, size_t why_len)
{
	struct vballoon *b = balloon(vm);
	uint64_t ram = vm->cfg.mem_bytes, lent = gmem_lent_bytes(vm->mem), spare;

	if (!bytes || bytes > ram || bytes & PAGE_MASK) {
		snprintf(why, why_len, "it has %llu MiB: it can keep 1 page to all of that",
			 (unsigned long long)(ram >> 20));
		return -EINVAL;
	}
	spare = page_spare_bytes();
	if (lent > ram - bytes && lent - (ram - bytes) > spare) {
		snprintf(why, why_len,
			 "it would get %llu MiB back, other VMs were promised all but %llu MiB of "
			 "this host's",
			 (unsigned long long)((lent - (ram - bytes)) >> 20),
			 (unsigned long long)(spare >> 20));
		return -ENOMEM;
	}
	mutex_lock(&b->v.d.lock);
	b->config[BALLOON_NUM_PAGES] = (uint32_t)((ram - bytes) >> PAGE_SHIFT);
	virtio_config_changed(&b->v);
	mutex_unlock(&b->v.d.lock);
	return 0;
}

bool balloon_hints_start(struct vm *vm)
{
	struct vballoon *b = balloon(vm);
	bool can;

	mutex_lock(&b->v.d.lock);
	can = !b->v.quiet && virtio_running(&b->v, BALLOON_HINTQ) && b->v.features & BALLOON_F_HINT;
	if (can) {
		b->last_id = MAX(b->last_id + 1, BALLOON_HINT_FIRST);
		b->config[BALLOON_HINT_ID] = b->last_id;
		b->hints = HINTS_ASKED;
		b->hints_seen = 0;
		pageset_clear_all(&b->hinted);
		virtio_config_changed(&b->v);
	}
	mutex_unlock(&b->v.d.lock);
	return can;
}

uint64_t balloon_hints_seen(struct vm *vm, bool *complete)
{
	struct vballoon *b = balloon(vm);
	uint64_t seen;

	mutex_lock(&b->v.d.lock);
	seen = b->hints_seen;
	*complete = b->hints == HINTS_COMPLETE || b->hints == HINTS_OFF;
	mutex_unlock(&b->v.d.lock);
	return seen;
}

int balloon_hints_end(struct vm *vm, struct pageset *set)
{
	struct vballoon *b = balloon(vm);
	int rc;

	mutex_lock(&b->v.d.lock);
	rc = set ? pageset_merge(set, &b->hinted) : 0;
	pageset_clear_all(&b->hinted);
	b->hints = HINTS_OFF;
	b->config[BALLOON_HINT_ID] = BALLOON_HINT_DONE;
	virtio_config_changed(&b->v);
	mutex_unlock(&b->v.d.lock);
	return rc;
}

/*
 * REC_VBALLOON version 1, instance = PCI slot; REC_VIRTIO goes before it:
 *   0  u32  num_pages, actual, hint command id: the configuration
 *  12  u32  id of the latest question for hints
 *  16  u32  generation of the configuration, at most 255
 *  20  u32  pages in the balloon, by what it named
 *  24  u32  which statistics are known, a bit each
 *  28  u32  zero
 *  32  u64  each statistic
 * A question is over before a VM moves.
 */
static void balloon_save(struct vdev *d, struct rec_writer *w)
{
	struct vballoon *b = vballoon_of(container_of(d, struct virtio, d));

	virtio_save(d, w);
	mutex_lock(&d->lock); /* the user's wishes may come at any time */
	rec_begin(w, REC_VBALLOON, VBALLOON_REC_VERSION, 0, d->instance);
	for (unsigned i = 0; i < BALLOON_CONFIG_WORDS; i++)
		rec_u32(w, b->config[i]);
	rec_u32(w, b->last_id);
	rec_u32(w, b->v.generation);
	rec_u32(w, b->held);
	rec_u32(w, b->stats_known);
	rec_u32(w, 0);
	for (unsigned i = 0; i < BALLOON_STATS; i++)
		rec_u64(w, b->stat[i]);
	rec_end(w);
	mutex_unlock(&d->lock);
}

struct balloon_image {
	uint32_t config[BALLOON_CONFIG_WORDS], last_id, generation, held, stats_known, zero;
	uint64_t stat[BALLOON_STATS];
};

static int balloon_parse(const struct vm *vm, struct rec_reader *r, struct balloon_image *m)
{
	if (r->head.type != REC_VBALLOON || r->head.version != VBALLOON_REC_VERSION)
		return -EBADMSG;
	for (unsigned i = 0; i < BALLOON_CONFIG_WORDS; i++)
		m->config[i] = rec_get_u32(r);
	m->last_id = rec_get_u32(r);
	m->generation = rec_get_u32(r);
	m->held = rec_get_u32(r);
	m->stats_known = rec_get_u32(r);
	m->zero = rec_get_u32(r);
	for (unsigned i = 0; i < BALLOON_STATS; i++)
		m->stat[i] = rec_get_u64(r);
	if (m->config[BALLOON_NUM_PAGES] >= ram_pages(vm) || m->generation > UINT8_MAX ||
	    m->config[BALLOON_HINT_ID] > MAX(m->last_id, BALLOON_HINT_DONE) ||
	    m->held > ram_pages(vm) || m->stats_known >> BALLOON_STATS || m->zero)
		return -EBADMSG;
	return rec_done(r);
}

static int balloon_check(struct vdev *d, struct rec_reader *r)
{
	struct balloon_image m;

	return r->head.type == REC_VIRTIO ? virtio_check(d, r) : balloon_parse(d->vm, r, &m);
}

static int balloon_load(struct vdev *d, struct rec_reader *r)
{
	struct vballoon *b = vballoon_of(container_of(d, struct virtio, d));
	struct balloon_image m;
	int rc;

	if (r->head.type == REC_VIRTIO)
		return virtio_load(d, r);
	rc = balloon_parse(d->vm, r, &m);
	if (rc)
		return rc;
	memcpy(b->config, m.config, sizeof(b->config));
	b->last_id = m.last_id;
	b->v.generation = (uint8_t)m.generation;
	b->held = m.held;
	b->stats_known = m.stats_known;
	memcpy(b->stat, m.stat, sizeof(b->stat));
	gmem_lend(d->vm->mem, (uint64_t)b->held * PAGE_SIZE);
	return 0;
}

static void balloon_destroy(struct vdev *d)
{
	struct vballoon *b = vballoon_of(container_of(d, struct virtio, d));

	pageset_fini(&b->batch);
	pageset_fini(&b->hinted);
	free(b);
}

static const struct vdev_ops balloon_vdev = {
	.name = "virtio-balloon",
	.reset = virtio_reset,
	.quiesce = virtio_quiesce,
	.resume = virtio_resume,
	.save = balloon_save,
	.check = balloon_check,
	.load = balloon_load,
	.destroy = balloon_destroy,
};

int vballoon_create(struct vm *vm, struct pci_bus *bus, unsigned slot, struct vballoon **out)
{
	struct vballoon *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	if (pageset_init(&b->batch, gmem_max_gfn(vm->mem)) ||
	    pageset_init(&b->hinted, gmem_max_gfn(vm->mem))) {
		pageset_fini(&b->batch);
		free(b);
		return -ENOMEM;
	}
	virtio_create(&b->v, vm, bus, slot, &balloon_ops, &balloon_vdev, REC_VBALLOON);
	b->v.config = b->config;
	*out = b;
	return 0;
}
