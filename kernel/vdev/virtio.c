/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The common part of virtio devices (virtio.h): work on queues, failure, reset
 * and migration record. The PCI side is virtio_pci.c, the registers
 * virtio_regs.c.
 */
#include <errno.h>
#include <tern/log.h>

#include "virtio.h"
#include "virtio_layout.h"
#include "virtio_pci.h"

#define VIRTIO_REC_VERSION 1
#define SIGNAL_RINGS 4u /* chains in rings' worths, until the driver hears of them */

bool virtio_running(const struct virtio *v, unsigned queue)
{
	return queue < v->nr_queues && v->q[queue].ready && v->status & VIRTIO_DRIVER_OK &&
	       !(v->status & (VIRTIO_NEEDS_RESET | VIRTIO_FAILED));
}

void virtio_config_changed(struct virtio *v)
{
	v->generation++;
	if (!(v->status & VIRTIO_DRIVER_OK))
		return;
	v->isr |= VIRTIO_ISR_CONFIG;
	msix_raise(&v->msix, v->config_vector);
}

void virtio_broken(struct virtio *v, unsigned queue, int rc)
{
	log_warn("vdev", "%s: %s: queue %u: %s; the device waits for a reset", v->d.vm->cfg.name,
		 v->ops->name, queue,
		 rc == -EFAULT ? "address outside of memory" : "malformed ring");
	v->status |= VIRTIO_NEEDS_RESET;
	v->isr |= VIRTIO_ISR_CONFIG;
	msix_raise(&v->msix, v->config_vector);
}

void virtio_kick(struct virtio *v, unsigned queue)
{
	int rc;

	if (v->quiet || !virtio_running(v, queue))
		return;
	rc = v->ops->kick(v, queue);
	if (rc)
		virtio_broken(v, queue, rc);
}

int virtio_signal(struct virtio *v, unsigned queue)
{
	int rc = virtq_wants_signal(&v->q[queue], v->d.vm->mem);

	if (rc <= 0)
		return rc;
	v->isr |= VIRTIO_ISR_QUEUE;
	msix_raise(&v->msix, v->q[queue].vector);
	return 0;
}

/* One chain: 1 done, 0 the queue is empty and the driver will notify of the next. */
static int drain_one(struct virtio *v, struct virtq *q,
		     int64_t (*fn)(struct virtio *v, struct virtq_chain *c))
{
	struct gmem *g = v->d.vm->mem;
	int64_t written;
	int rc = virtq_pop(q, g, &v->chain);

	if (rc == 0)
		return virtq_arm(q, g);
	if (rc < 0)
		return rc;
	written = fn(v, &v->chain);
	if (written < 0)
		return (int)written;
	rc = virtq_push(q, g, &v->chain, (uint32_t)written);
	return rc ? rc : 1;
}

int virtio_drain(struct virtio *v, unsigned queue,
		 int64_t (*fn)(struct virtio *v, struct virtq_chain *c))
{
	struct virtq *q = &v->q[queue];
	uint32_t done = 0;
	int rc;

	while ((rc = drain_one(v, q, fn)) > 0) {
		if (++done % (SIGNAL_RINGS * q->size) == 0) {
			rc = virtio_signal(v, queue); /* other vCPUs go on filling it */
			if (rc)
				return rc;
		}
		if (world_should_yield())
			world_yield();
	}
	return rc ? rc : virtio_signal(v, queue);
}

void virtio_reset(struct vdev *d)
{
	struct virtio *v = container_of(d, struct virtio, d);

	virtio_clear(v);
	msix_reset(&v->msix);
}

/* The host's side too (console input) keeps off guest memory, which is being sent. */
int virtio_quiesce(struct vdev *d, uint64_t deadline_ns)
{
	struct virtio *v = container_of(d, struct virtio, d);

	(void)deadline_ns;
	mutex_lock(&d->lock);
	v->quiet = true;
	mutex_unlock(&d->lock);
	return 0;
}

/* A notification may have come while the device was not to work: look at every queue. */
void virtio_resume(struct vdev *d)
{
	struct virtio *v = container_of(d, struct virtio, d);

	mutex_lock(&d->lock);
	v->quiet = false;
	for (unsigned i = 0; i < v->nr_queues; i++)
		virtio_kick(v, i);
	mutex_unlock(&d->lock);
}

/*
 * REC_VIRTIO version 1, instance = PCI slot:
 *   0  u32  virtio device ID
 *   4  u16  number of queues, number of MSI-X vectors
 *   8  u64  features accepted
 *  16  u32  device feature select, driver feature select
 *  24  u8   status, ISR
 *  26  u16  configuration vector, queue select, zero
 *  32  u32  pending vectors, one bit each
 *  36  u32  zero
 *  40  each queue, 40 bytes: u64 descriptors, driver area, device area; u16 size,
 *      vector, next available, next used, used index at the last signal; u16 bit 0
 *      enabled; u32 zero
 *  ..  each vector, 16 bytes: u64 address, u32 data, u32 control
 * Enable and mask of MSI-X are in REC_PCI. Nothing is in flight: requests
 * that were taken are finished before a device is saved.
 */
static void save_queue(const struct virtq *q, struct rec_writer *w)
{
	rec_u64(w, q->desc);
	rec_u64(w, q->driver);
	rec_u64(w, q->device);
	rec_u16(w, q->size);
	rec_u16(w, q->vector);
	rec_u16(w, q->last_avail);
	rec_u16(w, q->used_idx);
	rec_u16(w, q->signalled);
	rec_u16(w, q->ready);
	rec_u32(w, 0);
}

void virtio_save(struct vdev *d, struct rec_writer *w)
{
	struct virtio *v = container_of(d, struct virtio, d);

	rec_begin(w, REC_VIRTIO, VIRTIO_REC_VERSION, 0, d->instance);
	rec_u32(w, v->ops->id);
	rec_u16(w, v->nr_queues);
	rec_u16(w, (uint16_t)v->msix.nr);
	rec_u64(w, v->features);
	rec_u32(w, v->offered_sel);
	rec_u32(w, v->accepted_sel);
	rec_u8(w, v->status);
	rec_u8(w, v->isr);
	rec_u16(w, v->config_vector);
	rec_u16(w, v->queue_sel);
	rec_u16(w, 0);
	rec_u32(w, v->msix.pending);
	rec_u32(w, 0);
	for (unsigned i = 0; i < v->nr_queues; i++)
		save_queue(&v->q[i], w);
	for (unsigned i = 0; i < v->msix.nr; i++) {
		rec_u64(w, v->msix.v[i].addr);
		rec_u32(w, v->msix.v[i].data);
		rec_u32(w, v->msix.v[i].control);
	}
	rec_end(w);
}

struct virtio_image {
	uint64_t features;
	uint32_t offered_sel, accepted_sel, pending;
	uint8_t status, isr;
	uint16_t config_vector, queue_sel;
	struct virtq q[VIRTIO_QUEUES_MAX];
	struct msix_vector v[MSIX_VECTORS_MAX];
};

static bool vector_ok(const struct virtio *v, uint16_t vector)
{
	return vector < v->msix.nr || vector == VIRTQ_NO_VECTOR;
}

static int parse_queue(const struct virtio *v, struct rec_reader *r, struct virtio_image *m,
		       struct virtq *q)
{
	uint16_t ready;

	q->desc = rec_get_u64(r);
	q->driver = rec_get_u64(r);
	q->device = rec_get_u64(r);
	q->size = rec_get_u16(r);
	q->vector = rec_get_u16(r);
	q->last_avail = rec_get_u16(r);
	q->used_idx = rec_get_u16(r);
	q->signalled = rec_get_u16(r);
	ready = rec_get_u16(r);
	q->ready = ready;
	q->indirect = m->features & VIRTIO_F_INDIRECT;
	q->event_idx = m->features & VIRTIO_F_EVENT_IDX;
	if (rec_get_u32(r) != 0 || r->bad || ready > 1 || !vector_ok(v, q->vector))
		return -EBADMSG;
	return q->ready && !virtq_valid(q, v->ops->queue_size) ? -EBADMSG : 0;
}

static int parse_head(const struct virtio *v, struct rec_reader *r, struct virtio_image *m)
{
	if (r->head.version != VIRTIO_REC_VERSION || rec_get_u32(r) != v->ops->id ||
	    rec_get_u16(r) != v->nr_queues || rec_get_u16(r) != v->msix.nr)
		return -EBADMSG;
	m->features = rec_get_u64(r);
	m->offered_sel = rec_get_u32(r);
	m->accepted_sel = rec_get_u32(r);
	m->status = rec_get_u8(r);
	m->isr = rec_get_u8(r);
	m->config_vector = rec_get_u16(r);
	m->queue_sel = rec_get_u16(r);
	if (rec_get_u16(r) != 0)
		return -EBADMSG;
	m->pending = rec_get_u32(r);
	if (rec_get_u32(r) != 0 || r->bad || !vector_ok(v, m->config_vector))
		return -EBADMSG;
	if (m->isr & ~(VIRTIO_ISR_QUEUE | VIRTIO_ISR_CONFIG) ||
	    m->pending & ~(uint32_t)(BIT(v->msix.nr) - 1))
		return -EBADMSG;
	/* What the driver was promised must be there. */
	return m->status & VIRTIO_FEATURES_OK && m->features & ~virtio_offered(v) ? -EBADMSG : 0;
}

static int parse(const struct virtio *v, struct rec_reader *r, struct virtio_image *m)
{
	int rc = parse_head(v, r, m);

	for (unsigned i = 0; i < v->nr_queues && !rc; i++)
		rc = parse_queue(v, r, m, &m->q[i]);
	for (unsigned i = 0; i < v->msix.nr && !rc; i++) {
		m->v[i].addr = rec_get_u64(r);
		m->v[i].data = rec_get_u32(r);
		m->v[i].control = rec_get_u32(r);
		if (m->v[i].control > 1)
			rc = -EBADMSG;
	}
	return rc ? rc : rec_done(r);
}

int virtio_check(struct vdev *d, struct rec_reader *r)
{
	struct virtio_image m;

	return parse(container_of(d, struct virtio, d), r, &m);
}

int virtio_load(struct vdev *d, struct rec_reader *r)
{
	struct virtio *v = container_of(d, struct virtio, d);
	struct virtio_image m;
	int rc = parse(v, r, &m);

	if (rc)
		return rc;
	v->features = m.features;
	v->offered_sel = m.offered_sel;
	v->accepted_sel = m.accepted_sel;
	v->status = m.status;
	v->isr = m.isr;
	v->config_vector = m.config_vector;
	v->queue_sel = m.queue_sel;
	v->msix.pending = m.pending;
	for (unsigned i = 0; i < v->nr_queues; i++)
		v->q[i] = m.q[i];
	for (unsigned i = 0; i < v->msix.nr; i++)
		v->msix.v[i] = m.v[i];
	return 0;
}
