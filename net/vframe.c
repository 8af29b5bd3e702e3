/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames of the virtual switch: a bounded pool of descriptors, and pages from the
 * allocator, as many as were promised to it. Each port brings its share of the pool: more
 * than its queues hold, so that guests which take nothing do not keep the others'
 * frames. Pages in use are still counted as promised, so the host errs on the safe
 * side by what is under way. The first page keeps HEADROOM free, so that a VLAN tag is
 * put in front without moving more than the addresses.
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
static unsigned ports, shares; /* shares of descriptors stay for later ports */
static unsigned pages;	       /* that frames have or are about to have */

static uint64_t pages_of(unsigned nr_ports)
{
	return nr_ports ? VFRAME_PAGES_CARDS + (uint64_t)nr_ports * VFRAME_PAGES : 0;
}

static void add_share_locked(struct vframe *f)
{
	for (unsigned n = 0; n < VFRAME_SHARE; n++) {
		f[n].next = free_list;
		free_list = &f[n];
	}
	shares++;
}

static int add_share(void)
{
	unsigned long flags;
	hpa_t a;
	int err = page_alloc(SHARE_ORDER, PAGE_ZERO, FRAME_NET, &a);

	if (err)
		return err;
	flags = spin_lock(&lock);
	add_share_locked(hpa_ptr(a));
	spin_unlock(&lock, flags);
	return 0;
}

/* One port more or less; what it brings in pages. */
static uint64_t count_port(int one, bool *enough)
{
	unsigned long flags = spin_lock(&lock);
	unsigned before = ports;
	uint64_t now;

	ports = (unsigned)((int)ports + one);
	*enough = ports <= shares;
	now = pages_of(MAX(ports, before)) - pages_of(MIN(ports, before));
	spin_unlock(&lock, flags);
	return now;
}

int vframe_pool_join(void)
{
	bool enough;
	int err = page_promise(count_port(1, &enough) * PAGE_SIZE);

	if (err) {
		(void)count_port(-1, &enough);
		return err;
	}
	err = enough ? 0 : add_share();
	if (err)
		vframe_pool_leave();
	return err;
}

void vframe_pool_leave(void)
{
	bool enough;

	page_unpromise(count_port(-1, &enough) * PAGE_SIZE);
}

static void done(struct nic_tx *t)
{
	vframe_free((struct vframe *)t);
}

struct vframe *vframe_empty(unsigned nr_pages)
{
	unsigned long flags = spin_lock(&lock);
	struct vframe *f = pages + nr_pages <= pages_of(ports) ? free_list : NULL;

	if (f) {
		free_list = f->next;
		pages += nr_pages;
	}
	spin_unlock(&lock, flags);
	if (!f) {
		NET_COUNT(pool_exhausted, 1);
		return NULL;
	}
	memset(f, 0, sizeof(*f));
	f->pages = (uint16_t)nr_pages;
	f->tx.done = done;
	return f;
}

static unsigned pages_for(uint32_t len)
{
	return (unsigned)((len + VFRAME_HEADROOM + PAGE_SIZE - 1) / PAGE_SIZE);
}

struct vframe *vframe_new(uint32_t len)
{
	struct vframe *f = len <= VFRAME_MAX_BYTES ? vframe_empty(pages_for(len)) : NULL;
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
	pages -= f->pages;
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
	return f;
}
