/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The split ring (virtq.h). Each value of the guest's is read once and checked
 * in the copy. A chain is taken whole before any of its bytes is touched; its
 * length is bounded by VIRTQ_SEGS_MAX, so a loop in the descriptors ends.
 *
 * Ordering: entries are written before the index that publishes them, and the
 * index before the flags or event index of the other side are read; that second
 * order needs a full fence on x86. [virtio 1.2 2.7.13 "Supplying Buffers to The
 * Device", 2.7.14 "Receiving Used Buffers From The Device"]
 */
#include <errno.h>

#include "virtq.h"

#define DESC_SIZE 16u
#define DESC_NEXT 1u
#define DESC_WRITE 2u
#define DESC_INDIRECT 4u
#define AVAIL_NO_INTERRUPT 1u

/* Offsets in the rings. */
#define RING_FLAGS 0u
#define RING_IDX 2u
#define RING_ENTRIES 4u
#define AVAIL_ENTRY 2u
#define USED_ENTRY 8u

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};
_Static_assert(sizeof(struct desc) == DESC_SIZE, "descriptor");

/* Or the device's own used entries would count as buffers that the driver supplies, for ever. */
static bool rings_apart(const struct virtq *q)
{
	uint64_t avail = RING_ENTRIES + AVAIL_ENTRY * q->size + sizeof(uint16_t);
	uint64_t used = RING_ENTRIES + USED_ENTRY * q->size + sizeof(uint16_t);

	return q->driver + avail <= q->device || q->device + used <= q->driver;
}

bool virtq_valid(const struct virtq *q, uint16_t size_max)
{
	const uint64_t limit = BIT(52);

	if (q->size == 0 || q->size > size_max || q->size & (q->size - 1) || !rings_apart(q))
		return false;
	return !(q->desc & 15) && !(q->driver & 1) && !(q->device & 3) && q->desc < limit &&
	       q->driver < limit && q->device < limit;
}

static int get16(struct gmem *g, uint64_t at, uint16_t *v)
{
	return gmem_read(g, GPA(at), v, sizeof(*v));
}

static int put16(struct gmem *g, uint64_t at, uint16_t v)
{
	return gmem_write(g, GPA(at), &v, sizeof(v));
}

static int add_seg(struct virtq_chain *c, const struct desc *d)
{
	unsigned n = (unsigned)c->nr_out + c->nr_in;

	if (d->addr + d->len < d->addr)
		return -EPROTO;
	if (!(d->flags & DESC_WRITE) && c->nr_in)
		return -EPROTO; /* readable after writable */
	if (d->len == 0)
		return 0;
	if (n == VIRTQ_SEGS_MAX)
		return -EPROTO;
	c->seg[n] = (struct virtq_seg){ .gpa = d->addr, .len = d->len };
	if (d->flags & DESC_WRITE) {
		c->nr_in++;
		c->in_len += d->len;
	} else {
		c->nr_out++;
		c->out_len += d->len;
	}
	return 0;
}

/* Follows a table of count descriptors from index; an indirect one at its start goes one level
 * down. */
static int walk(struct virtq *q, struct gmem *g, struct virtq_chain *c, uint64_t table,
		uint32_t count, uint32_t index, bool nested)
{
	for (uint32_t steps = 0; steps < count; steps++) {
		struct desc d;
		int rc;

		if (index >= count)
			return -EPROTO;
		rc = gmem_read(g, GPA(table + (uint64_t)index * DESC_SIZE), &d, sizeof(d));
		if (rc)
			return rc;
		if (d.flags & DESC_INDIRECT) {
			if (nested || !q->indirect || d.flags & DESC_NEXT || d.len == 0 ||
			    d.len % DESC_SIZE || d.len / DESC_SIZE > VIRTQ_SIZE_MAX ||
			    d.addr >= BIT(52))
				return -EPROTO;
			c->nr_descs++;
			return walk(q, g, c, d.addr, d.len / DESC_SIZE, 0, true);
		}
		rc = add_seg(c, &d);
		c->nr_descs = (uint16_t)(c->nr_descs + !nested);
		if (rc || !(d.flags & DESC_NEXT))
			return rc;
		index = d.next;
	}
	return -EPROTO; /* more steps than descriptors: a loop */
}

int virtq_pop(struct virtq *q, struct gmem *g, struct virtq_chain *c)
{
	uint16_t avail, head;
	int rc = get16(g, q->driver + RING_IDX, &avail);

	if (rc)
		return rc;
	if (avail == q->last_avail)
		return 0;
	if ((uint16_t)(avail - q->last_avail) > q->size)
		return -EPROTO;
	rc = get16(g, q->driver + RING_ENTRIES + AVAIL_ENTRY * (q->last_avail & (q->size - 1u)),
		   &head);
	if (rc)
		return rc;
	c->head = head;
	c->nr_out = c->nr_in = c->nr_descs = 0;
	c->out_len = c->in_len = 0;
	rc = walk(q, g, c, q->desc, q->size, head, false);
	if (rc)
		return rc;
	q->last_avail++;
	return 1;
}

static int copy(const struct virtq_chain *c, struct gmem *g, unsigned first, unsigned count,
		uint64_t off, uint8_t *buf, size_t len, bool in)
{
	for (unsigned i = first; i < first + count && len > 0; i++) {
		const struct virtq_seg *s = &c->seg[i];
		size_t n;
		int rc;

		if (off >= s->len) {
			off -= s->len;
			continue;
		}
		n = (size_t)MIN((uint64_t)len, s->len - off);
		rc = in ? gmem_write(g, GPA(s->gpa + off), buf, n)
			: gmem_read(g, GPA(s->gpa + off), buf, n);
		if (rc)
			return rc;
		buf += n;
		len -= n;
		off = 0;
	}
	return len ? -EPROTO : 0;
}

int virtq_get(const struct virtq_chain *c, struct gmem *g, uint64_t off, void *buf, size_t len)
{
	return copy(c, g, 0, c->nr_out, off, buf, len, false);
}

int virtq_put(const struct virtq_chain *c, struct gmem *g, uint64_t off, const void *buf,
	      size_t len)
{
	return copy(c, g, c->nr_out, c->nr_in, off, (uint8_t *)(uintptr_t)buf, len, true);
}

int virtq_push_at(struct virtq *q, struct gmem *g, uint16_t head, uint32_t written, uint16_t k)
{
	const uint32_t entry[2] = { head, written };
	uint64_t slot = (uint16_t)(q->used_idx + k) & (q->size - 1u);

	return gmem_write(g, GPA(q->device + RING_ENTRIES + USED_ENTRY * slot), entry,
			  sizeof(entry));
}

int virtq_publish(struct virtq *q, struct gmem *g, uint16_t count)
{
	q->used_idx = (uint16_t)(q->used_idx + count);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	return put16(g, q->device + RING_IDX, q->used_idx);
}

void virtq_unpop(struct virtq *q, uint16_t count)
{
	q->last_avail = (uint16_t)(q->last_avail - count);
}

int virtq_push(struct virtq *q, struct gmem *g, const struct virtq_chain *c, uint32_t written)
{
	int rc = virtq_push_at(q, g, c->head, written, 0);

	return rc ? rc : virtq_publish(q, g, 1);
}

int virtq_arm(struct virtq *q, struct gmem *g)
{
	uint16_t avail;
	int rc = 0;

	if (q->event_idx)
		rc = put16(g, q->device + RING_ENTRIES + USED_ENTRY * q->size, q->last_avail);
	if (rc)
		return rc;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	rc = get16(g, q->driver + RING_IDX, &avail);
	return rc ? rc : avail != q->last_avail;
}

int virtq_waiting(const struct virtq *q, struct gmem *g)
{
	uint16_t avail, n;
	int rc = get16(g, q->driver + RING_IDX, &avail);

	n = (uint16_t)(avail - q->last_avail);
	if (rc)
		return rc;
	return n > q->size ? -EPROTO : n;
}

int virtq_wants_signal(struct virtq *q, struct gmem *g)
{
	uint16_t old = q->signalled, v;
	int rc;

	if (old == q->used_idx)
		return 0;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (q->event_idx)
		rc = get16(g, q->driver + RING_ENTRIES + AVAIL_ENTRY * q->size, &v);
	else
		rc = get16(g, q->driver + RING_FLAGS, &v);
	if (rc)
		return rc;
	q->signalled = q->used_idx;
	if (!q->event_idx)
		return !(v & AVAIL_NO_INTERRUPT);
	/* Did used_idx pass the event index since old? [virtio 1.2 2.7.7.2] */
	return (uint16_t)(q->used_idx - v - 1) < (uint16_t)(q->used_idx - old);
}
