/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Receive: a ring of descriptors with one page each. A frame longer than a page
 * lies in several, the last of which is marked [8254x 3.2.3 "Receive Descriptor
 * Format"]. A page stays with its place in the ring until the net room takes it;
 * then the place gets a new one. Places next to fill - 1 are the chip's.
 */
#include <errno.h>

#include "drivers/e1000.h"

#define MASK (E1000_RX_RING - 1)
#define RING_ORDER 2u
#define PAGES_ORDER 1u
_Static_assert((E1000_RX_RING & MASK) == 0, "a power of two");
_Static_assert(E1000_RX_RING * sizeof(struct e1000_rx_desc) <= PAGE_SIZE << RING_ORDER, "ring");
_Static_assert(E1000_RX_RING * sizeof(hpa_t) <= PAGE_SIZE << PAGES_ORDER, "pages");

int e1000_rx_init(struct e1000 *d)
{
	hpa_t ring, pages;
	int err = page_alloc(RING_ORDER, PAGE_ZERO | PAGE_LOW4G, FRAME_NET, &ring);

	if (err)
		return err;
	err = page_alloc(PAGES_ORDER, PAGE_ZERO, FRAME_NET, &pages);
	if (err) {
		page_put(ring);
		return err;
	}
	d->rx.desc = hpa_ptr(ring);
	d->rx.page = hpa_ptr(pages);
	return 0;
}

/* One place stays empty: head equal to tail means none. [8254x 3.2.6 "Receive Descriptor Queue
 * Structure"] */
void e1000_rx_fill(struct e1000 *d)
{
	struct e1000_rx *q = &d->rx;
	unsigned low = (d->chip->flags & E1000_DMA_32) ? PAGE_LOW4G : 0;
	uint32_t before = q->fill;

	while (q->fill - q->next < MASK) {
		hpa_t *page = &q->page[q->fill & MASK];

		if (!page->v && page_alloc(ORDER_4K, low, FRAME_NET, page)) {
			page->v = 0;
			break;
		}
		q->desc[q->fill++ & MASK] = (struct e1000_rx_desc){ .addr = page->v };
	}
	/* The descriptors are in memory before the tail: x86 keeps the order of stores. */
	if (q->fill != before)
		e1000_write(d, E1000_RDT, q->fill & MASK);
}

void e1000_rx_rewind(struct e1000 *d)
{
	d->rx.next = 0;
	d->rx.fill = 0;
}

/* Of the descriptor n places from the next one; 0 while it is the chip's. */
static uint8_t status_at(const struct e1000_rx *q, uint32_t n)
{
	uint8_t status;

	if (n >= q->fill - q->next)
		return 0;
	status = __atomic_load_n(&q->desc[(q->next + n) & MASK].status, __ATOMIC_ACQUIRE);
	return (status & RXD_DONE) ? status : 0;
}

/* Places of the next frame, 0 when it is not there as a whole. */
static uint32_t frame_places(const struct e1000_rx *q)
{
	for (uint32_t n = 0;; n++) {
		uint8_t status = status_at(q, n);

		if (!status)
			return 0;
		if (status & RXD_END)
			return n + 1;
	}
}

/* False when the frame is damaged or longer than any that was asked for. */
static bool collect(const struct e1000_rx *q, uint32_t places, struct nic_rx *f)
{
	const struct e1000_rx_desc *last = &q->desc[(q->next + places - 1) & MASK];

	f->nr_segs = 0;
	f->len = 0;
	f->taken = false;
	f->csum_ok = !(last->status & RXD_NO_CHECKSUM) && (last->status & RXD_TCP_CHECKED) &&
		     !(last->errors & RXD_BAD_CHECKSUM);
	if (places > NIC_MAX_SEGS || (last->errors & RXD_BAD_FRAME))
		return false;
	for (uint32_t n = 0; n < places; n++) {
		uint32_t at = (q->next + n) & MASK, len = MIN(q->desc[at].len, (uint32_t)PAGE_SIZE);

		f->seg[f->nr_segs].addr = q->page[at];
		f->seg[f->nr_segs++].len = len;
		f->len += len;
	}
	return true;
}

static void deliver(struct e1000 *d, uint32_t places)
{
	struct e1000_rx *q = &d->rx;
	struct nic *n = &d->nic;
	struct nic_rx f;

	if (collect(q, places, &f)) {
		n->rx_packets++;
		n->rx_bytes += f.len;
		n->rx(n, &f);
	} else {
		n->rx_dropped++;
	}
	for (; places; places--, q->next++)
		if (f.taken)
			q->page[q->next & MASK].v = 0;
}

unsigned e1000_rx_poll(struct e1000 *d, unsigned budget)
{
	unsigned done = 0;
	uint32_t places;

	while (done < budget && (places = frame_places(&d->rx))) {
		deliver(d, places);
		done++;
	}
	e1000_rx_fill(d); /* what was looked at, and what memory was short of before */
	return done;
}

bool e1000_rx_ready(const struct e1000_rx *q)
{
	return frame_places(q) != 0;
}
