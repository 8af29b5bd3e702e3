/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Split virtqueue, driver's side. Descriptors, rings and indirect tables lie in
 * one block of pages. An entry of several segments takes one descriptor when the
 * device knows indirect tables: a ring of 256 then holds 256 packets.
 *
 * Order of stores: descriptors, avail ring, barrier, avail index [virtio 1.2
 * 2.7.13 "Supplying Buffers to The Device"], full barrier, avail event. x86 keeps
 * stores in order; only the store-then-load pairs need mfence.
 */
#include <errno.h>
#include <string.h>

#include <tern/cpu.h>
#include <tern/page.h>

#include "drivers/virtio_ring.h"

#define DESC_NEXT 1u
#define DESC_WRITE 2u
#define DESC_INDIRECT 4u
#define AVAIL_NO_INTERRUPT 1u
#define USED_NO_NOTIFY 1u

#define AVAIL_IDX 1
#define AVAIL_RING 2
#define USED_IDX 1
#define USED_RING 2 /* in 16-bit units; elements of four */

static inline void full_barrier(void)
{
	__asm__ volatile("mfence" ::: "memory");
}

static inline void order(void)
{
	__asm__ volatile("" ::: "memory");
}

static unsigned order_for(uint64_t bytes)
{
	unsigned o = 0;

	while ((PAGE_SIZE << o) < bytes)
		o++;
	return o;
}

static void *zeroed(uint64_t bytes)
{
	hpa_t a;

	return page_alloc(order_for(bytes), PAGE_ZERO, FRAME_NET, &a) ? NULL : hpa_ptr(a);
}

int vring_init(struct vring *r, uint32_t size, bool event_idx, bool indirect)
{
	uint64_t avail_at = size * sizeof(struct vring_desc);
	uint64_t used_at = ALIGN_UP(avail_at + 2 * (3ull + size), 64);
	uint64_t token_at = ALIGN_UP(used_at + 6 + 8ull * size, 64);
	uint64_t chain_at = token_at + 8ull * size;
	uint8_t *mem;

	memset(r, 0, sizeof(*r));
	mem = zeroed(chain_at + 2ull * size);
	if (!mem)
		return -ENOMEM;
	r->size = size;
	r->event_idx = event_idx;
	r->desc = (void *)mem;
	r->avail = (void *)(mem + avail_at);
	r->used = (void *)(mem + used_at);
	r->token = (void *)(mem + token_at);
	r->chain = (void *)(mem + chain_at);
	if (indirect) {
		r->indirect = zeroed((uint64_t)size * VRING_MAX_SEGS * sizeof(struct vring_desc));
		if (!r->indirect) {
			page_put(ptr_hpa(mem));
			return -ENOMEM;
		}
	}
	vring_clear(r);
	return 0;
}

void vring_clear(struct vring *r)
{
	memset((void *)(uintptr_t)r->avail, 0, 2 * (3ull + r->size));
	memset((void *)(uintptr_t)r->used, 0, 6 + 8ull * r->size);
	memset(r->token, 0, r->size * sizeof(*r->token));
	for (uint32_t i = 0; i < r->size; i++)
		r->desc[i].next = (uint16_t)(i + 1);
	r->free_head = 0;
	r->nr_free = (uint16_t)r->size;
	r->avail_idx = r->kicked_idx = r->used_idx = 0;
}

hpa_t vring_desc_hpa(const struct vring *r)
{
	return ptr_hpa(r->desc);
}

hpa_t vring_avail_hpa(const struct vring *r)
{
	return ptr_hpa((const void *)(uintptr_t)r->avail);
}

hpa_t vring_used_hpa(const struct vring *r)
{
	return ptr_hpa((const void *)(uintptr_t)r->used);
}

static void fill_indirect(struct vring *r, uint16_t head, const struct vring_seg *seg, unsigned out,
			  unsigned n)
{
	struct vring_desc *t = r->indirect + (size_t)head * VRING_MAX_SEGS;

	for (unsigned i = 0; i < n; i++) {
		t[i].addr = seg[i].addr.v;
		t[i].len = seg[i].len;
		t[i].flags = (uint16_t)((i >= out ? DESC_WRITE : 0) | (i + 1 < n ? DESC_NEXT : 0));
		t[i].next = (uint16_t)(i + 1);
	}
	r->desc[head].addr = ptr_hpa(t).v;
	r->desc[head].len = n * (uint32_t)sizeof(*t);
	r->desc[head].flags = DESC_INDIRECT;
}

/* Uses the free list's own links; returns the descriptor after the last one used. */
static uint16_t fill_chain(struct vring *r, uint16_t head, const struct vring_seg *seg,
			   unsigned out, unsigned n)
{
	uint16_t at = head;

	for (unsigned i = 0; i < n; i++) {
		struct vring_desc *d = &r->desc[at];

		d->addr = seg[i].addr.v;
		d->len = seg[i].len;
		d->flags = (uint16_t)((i >= out ? DESC_WRITE : 0) | (i + 1 < n ? DESC_NEXT : 0));
		at = d->next;
	}
	return at;
}

int vring_add(struct vring *r, const struct vring_seg *seg, unsigned out, unsigned in, void *token)
{
	unsigned n = out + in, need = (r->indirect && n > 1) ? 1 : n;
	uint16_t head = r->free_head;

	if (n > VRING_MAX_SEGS)
		return -EINVAL;
	if (r->nr_free < need)
		return -EAGAIN;
	if (need < n) {
		fill_indirect(r, head, seg, out, n);
		r->free_head = r->desc[head].next;
	} else {
		r->free_head = fill_chain(r, head, seg, out, n);
	}
	r->nr_free = (uint16_t)(r->nr_free - need);
	r->chain[head] = (uint16_t)need;
	r->token[head] = token;
	r->avail[AVAIL_RING + (r->avail_idx & (r->size - 1))] = head;
	r->avail_idx++;
	return 0;
}

/* [virtio 1.2 2.7.10 "Available Buffer Notification Suppression"] */
static bool device_wants_kick(const struct vring *r)
{
	uint16_t event, added = (uint16_t)(r->avail_idx - r->kicked_idx);

	if (!r->event_idx)
		return !(r->used[0] & USED_NO_NOTIFY);
	event = r->used[USED_RING + 4 * r->size];
	return (uint16_t)(r->avail_idx - event - 1) < added;
}

bool vring_kick(struct vring *r)
{
	bool rings;

	if (r->avail_idx == r->kicked_idx)
		return false;
	order();
	r->avail[AVAIL_IDX] = r->avail_idx;
	full_barrier();
	rings = device_wants_kick(r);
	if (rings) {
		r->kicks++;
		mmio_write16(r->doorbell, r->index);
	}
	r->kicked_idx = r->avail_idx;
	return rings;
}

bool vring_pending(const struct vring *r)
{
	return r->used[USED_IDX] != r->used_idx;
}

static void free_chain(struct vring *r, uint16_t head)
{
	uint16_t last = head;

	for (uint16_t i = 1; i < r->chain[head]; i++)
		last = r->desc[last].next;
	r->desc[last].next = r->free_head;
	r->free_head = head;
	r->nr_free = (uint16_t)(r->nr_free + r->chain[head]);
}

void *vring_get(struct vring *r, uint32_t *len)
{
	const volatile struct vring_used_elem *e;
	uint32_t id;
	void *token;

	while (vring_pending(r)) {
		order();
		e = (const volatile void *)(r->used + USED_RING +
					    4 * (r->used_idx & (r->size - 1)));
		id = e->id;
		*len = e->len;
		r->used_idx++;
		if (id >= r->size || !r->token[id]) {
			r->bad++; /* a device that answers what was not asked */
			continue;
		}
		token = r->token[id];
		r->token[id] = NULL;
		free_chain(r, (uint16_t)id);
		return token;
	}
	return NULL;
}

bool vring_arm(struct vring *r, uint16_t after)
{
	if (r->event_idx)
		r->avail[AVAIL_RING + r->size] = (uint16_t)(r->used_idx + after - 1);
	else
		r->avail[0] = 0;
	full_barrier();
	return (uint16_t)(r->used[USED_IDX] - r->used_idx) >= after;
}

bool vring_arm_short(struct vring *r, unsigned segments)
{
	unsigned need = r->indirect ? 1 : segments, flying = vring_in_flight(r);

	if (r->nr_free >= MAX(r->size / 2, need)) {
		vring_disarm(r);
		return false;
	}
	return vring_arm(r, (uint16_t)MAX(flying / 2, 1u));
}

/* With an event index, one that lies just behind is not reached for 65535 completions. */
void vring_disarm(struct vring *r)
{
	if (r->event_idx)
		r->avail[AVAIL_RING + r->size] = (uint16_t)(r->used_idx - 1);
	else
		r->avail[0] = AVAIL_NO_INTERRUPT;
}
