/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames of the virtual switch: a bounded pool of descriptors, and pages from the
 * allocator. Each port brings its share of the pool: more than its two queues hold, so
 * that guests which take nothing do not keep the others' frames. The first page keeps
 * HEADROOM free, so that a VLAN tag is put in front without moving more than the
 * addresses.
 */
#include <string.h>

#include <tern/lock.h>

#include "net/count.h"
#include "net/vframe.h"

#define SHARE_ORDER 7u
_Static_assert(VFRAME_SHARE * sizeof(struct vframe) <= (PAGE_SIZE << SHARE_ORDER), "share");
_Static_assert((VFRAME_MAX_BYTES + VFRAME_HEADROOM) / PAGE_SIZE < NIC_MAX_SEGS, "segments");

static struct spinlock lock = SPINLOCK_INIT(LOCK_NET, "vframes"); /* guards the rest */
static struct vframe *free_list;
static unsigned ports, shares; /* shares stay for later ports */

static void add_share_locked(struct vframe *f)
{
	for (unsigned n = 0; n < VFRAME_SHARE; n++) {
		f[n].next = free_list;
		free_list = &f[n];
	}
	shares++;
}

int vframe_pool_join(void)
{
	unsigned long flags = spin_lock(&lock);
	bool enough = ports < shares;
	hpa_t a;
	int err;

	ports += enough;
	spin_unlock(&lock, flags);
	if (enough)
		return 0;
	err = page_alloc(SHARE_ORDER, PAGE_ZERO, FRAME_NET, &a);
	if (err)
		return err;
	flags = spin_lock(&lock);
	add_share_locked(hpa_ptr(a));
	ports++;
	spin_unlock(&lock, flags);
	return 0;
}

void vframe_pool_leave(void)
{
	unsigned long flags = spin_lock(&lock);

	ports--;
	spin_unlock(&lock, flags);
}

static void done(struct nic_tx *t)
{
	vframe_free((struct vframe *)t);
}

struct vframe *vframe_empty(void)
{
	unsigned long flags = spin_lock(&lock);
	struct vframe *f = free_list;

	if (f)
		free_list = f->next;
	spin_unlock(&lock, flags);
	if (!f) {
		NET_COUNT(pool_exhausted, 1);
		return NULL;
	}
	memset(f, 0, sizeof(*f));
	f->tx.done = done;
	return f;
}

struct vframe *vframe_new(uint32_t len)
{
	struct vframe *f = len <= VFRAME_MAX_BYTES ? vframe_empty() : NULL;
	uint32_t off = VFRAME_HEADROOM;

	while (f && f->len < len) {
		uint32_t n = MIN(len - f->len, (uint32_t)PAGE_SIZE - off);
		hpa_t a;

		if (page_alloc(ORDER_4K, 0, FRAME_NET, &a)) {
			NET_COUNT(pool_exhausted, 1);
			vframe_free(f);
			return NULL;
		}
		f->tx.seg[f->tx.nr_segs++] = (struct nic_seg){ .addr = HPA(a.v + off), .len = n };
		f->len += n;
		off = 0;
	}
	return f;
}

void vframe_free(struct vframe *f)
{
	unsigned long flags;

	for (unsigned n = 0; n < f->tx.nr_segs; n++)
		page_put(HPA(f->tx.seg[n].addr.v & ~PAGE_MASK));
	flags = spin_lock(&lock);
	f->next = free_list;
	free_list = f;
	spin_unlock(&lock, flags);
}

void vframe_trim(struct vframe *f, uint32_t len)
{
	while (f->len > len) {
		struct nic_seg *s = &f->tx.seg[f->tx.nr_segs - 1];
		uint32_t cut = MIN(f->len - len, s->len);

		s->len -= cut;
		f->len -= cut;
		if (s->len)
			continue;
		page_put(HPA(s->addr.v & ~PAGE_MASK));
		f->tx.nr_segs--;
	}
}

struct vframe_walk vframe_walk(const struct vframe *f, uint32_t off, uint32_t len)
{
	return (struct vframe_walk){ .f = f, .off = off, .left = len };
}

bool vframe_step(struct vframe_walk *w)
{
	const struct nic_tx *t = &w->f->tx;

	while (w->seg < t->nr_segs && w->off >= t->seg[w->seg].len)
		w->off -= t->seg[w->seg++].len;
	if (!w->left || w->seg == t->nr_segs)
		return false;
	w->bytes = (uint8_t *)hpa_ptr(t->seg[w->seg].addr) + w->off;
	w->len = MIN(w->left, t->seg[w->seg].len - w->off);
	w->left -= w->len;
	w->off += w->len;
	return true;
}

void vframe_read(const struct vframe *f, uint32_t off, void *buf, uint32_t len)
{
	struct vframe_walk w = vframe_walk(f, off, len);

	for (uint8_t *to = buf; vframe_step(&w); to += w.len)
		memcpy(to, w.bytes, w.len);
}

void vframe_write(struct vframe *f, uint32_t off, const void *buf, uint32_t len)
{
	struct vframe_walk w = vframe_walk(f, off, len);

	for (const uint8_t *from = buf; vframe_step(&w); from += w.len)
		memcpy(w.bytes, from, w.len);
}

struct vframe *vframe_copy_of(const struct nic_tx *t)
{
	struct vframe *f;
	uint32_t len = 0, at = 0;

	for (unsigned n = 0; n < t->nr_segs; n++)
		len += t->seg[n].len;
	f = vframe_new(len);
	if (!f)
		return NULL;
	for (unsigned n = 0; n < t->nr_segs; n++) {
		vframe_write(f, at, hpa_ptr(t->seg[n].addr), t->seg[n].len);
		at += t->seg[n].len;
	}
	f->tx.csum = t->csum;
	f->tx.csum_start = t->csum_start;
	f->tx.csum_offset = t->csum_offset;
	f->tx.gso_size = t->gso_size;
	f->tx.hdr_len = t->hdr_len;
	f->tx.ipv6 = t->ipv6;
	f->csum_ok = true;
	NET_COUNT(switch_copied_bytes, len);
	return f;
}
