/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the driver reads and writes in BAR0 and BAR1 (virtio.h): common
 * configuration, ISR, device configuration, notifications, MSI-X table.
 * [virtio 1.2 4.1.4.3 "Common configuration structure layout"]
 */
#include <string.h>

#include "virtio.h"
#include "virtio_layout.h"

/* Common configuration. */
enum {
	OFFERED_SEL = 0x00,
	OFFERED = 0x04,
	ACCEPTED_SEL = 0x08,
	ACCEPTED = 0x0c,
	CONFIG_VECTOR = 0x10,
	NUM_QUEUES = 0x12,
	STATUS = 0x14,
	GENERATION = 0x15,
	QUEUE_SEL = 0x16,
	QUEUE_SIZE = 0x18,
	QUEUE_VECTOR = 0x1a,
	QUEUE_ENABLE = 0x1c,
	QUEUE_NOTIFY = 0x1e,
	QUEUE_DESC = 0x20,
	QUEUE_DRIVER = 0x28,
	QUEUE_DEVICE = 0x30,
	COMMON_END = 0x38,
};

uint64_t virtio_offered(const struct virtio *v)
{
	return (v->ops->features & ~v->withheld) | VIRTIO_F_INDIRECT | VIRTIO_F_EVENT_IDX |
	       VIRTIO_F_VERSION_1;
}

static struct virtq *selected(struct virtio *v)
{
	return v->queue_sel < v->nr_queues ? &v->q[v->queue_sel] : NULL;
}

static uint32_t half(uint64_t v, uint32_t sel)
{
	return sel > 1 ? 0 : (uint32_t)(v >> 32 * sel);
}

static uint64_t queue_read(struct virtio *v, uint64_t off)
{
	const struct virtq *q = selected(v);

	if (!q)
		return 0;
	switch (off) {
	case QUEUE_SIZE:
		return q->size;
	case QUEUE_VECTOR:
		return q->vector;
	case QUEUE_ENABLE:
		return q->ready;
	case QUEUE_NOTIFY:
		return v->queue_sel;
	case QUEUE_DESC:
		return q->desc;
	case QUEUE_DESC + 4:
		return q->desc >> 32;
	case QUEUE_DRIVER:
		return q->driver;
	case QUEUE_DRIVER + 4:
		return q->driver >> 32;
	case QUEUE_DEVICE:
		return q->device;
	case QUEUE_DEVICE + 4:
		return q->device >> 32;
	default:
		return 0;
	}
}

/* [virtio 1.2 2.1.2 "Device Requirements: Device Status Field": 0 says that a reset is complete] */
static uint64_t read_status(const struct virtio *v)
{
	if (!v->status && v->ops->resetting && v->ops->resetting(v))
		return VIRTIO_NEEDS_RESET;
	return v->status;
}

static uint64_t common_read(struct virtio *v, uint64_t off)
{
	switch (off) {
	case OFFERED_SEL:
		return v->offered_sel;
	case OFFERED:
		return half(virtio_offered(v), v->offered_sel);
	case ACCEPTED_SEL:
		return v->accepted_sel;
	case ACCEPTED:
		return half(v->features, v->accepted_sel);
	case CONFIG_VECTOR:
		return v->config_vector;
	case NUM_QUEUES:
		return v->nr_queues;
	case STATUS:
		return read_status(v);
	case GENERATION:
		return v->generation;
	case QUEUE_SEL:
		return v->queue_sel;
	default:
		return queue_read(v, off);
	}
}

void virtio_clear(struct virtio *v)
{
	v->features = 0;
	v->offered_sel = v->accepted_sel = 0;
	v->status = v->isr = 0;
	v->config_vector = VIRTQ_NO_VECTOR;
	v->queue_sel = 0;
	memset(v->q, 0, sizeof(v->q));
	for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++) {
		v->q[i].size = v->ops->queue_size;
		v->q[i].vector = VIRTQ_NO_VECTOR;
	}
	if (v->ops->reset)
		v->ops->reset(v);
}

static bool acceptable(const struct virtio *v)
{
	return !(v->features & ~virtio_offered(v)) && v->features & VIRTIO_F_VERSION_1;
}

static void write_status(struct virtio *v, uint8_t s)
{
	uint8_t new = s &(uint8_t)~v->status;

	if (s == 0) {
		virtio_clear(v);
		return;
	}
	s |= v->status & VIRTIO_NEEDS_RESET;
	if (new &VIRTIO_FEATURES_OK && !acceptable(v))
		s &= (uint8_t)~VIRTIO_FEATURES_OK;
	v->status = s;
	if (new &s & VIRTIO_FEATURES_OK && v->ops->negotiated)
		v->ops->negotiated(v);
}

static void write_accepted(struct virtio *v, uint32_t value)
{
	if (v->accepted_sel > 1 || v->status & VIRTIO_FEATURES_OK)
		return;
	v->features &= ~(0xffffffffull << 32 * v->accepted_sel);
	v->features |= (uint64_t)value << 32 * v->accepted_sel;
}

static void enable_queue(struct virtio *v, struct virtq *q)
{
	if (!virtq_valid(q, v->ops->queue_size))
		return; /* reads back 0: the driver sees that it failed */
	q->indirect = v->features & VIRTIO_F_INDIRECT;
	q->event_idx = v->features & VIRTIO_F_EVENT_IDX;
	q->ready = true;
}

static void set_address(uint64_t *a, uint64_t off, unsigned size, uint64_t value)
{
	if (size == 8)
		*a = value;
	else if (size == 4)
		*a = off & 4 ? (*a & 0xffffffffull) | value << 32 : (*a & ~0xffffffffull) | value;
}

static void queue_write(struct virtio *v, uint64_t off, unsigned size, uint64_t value)
{
	struct virtq *q = selected(v);

	if (!q)
		return;
	if (off == QUEUE_VECTOR) {
		q->vector = value < v->msix.nr ? (uint16_t)value : (uint16_t)VIRTQ_NO_VECTOR;
		return;
	}
	if (q->ready)
		return; /* the rest is fixed once the queue is on */
	if (off == QUEUE_SIZE)
		q->size = (uint16_t)value;
	else if (off == QUEUE_ENABLE && value == 1)
		enable_queue(v, q);
	else if ((off & ~4ull) == QUEUE_DESC)
		set_address(&q->desc, off, size, value);
	else if ((off & ~4ull) == QUEUE_DRIVER)
		set_address(&q->driver, off, size, value);
	else if ((off & ~4ull) == QUEUE_DEVICE)
		set_address(&q->device, off, size, value);
}

static void common_write(struct virtio *v, uint64_t off, unsigned size, uint64_t value)
{
	switch (off) {
	case OFFERED_SEL:
		v->offered_sel = (uint32_t)value;
		break;
	case ACCEPTED_SEL:
		v->accepted_sel = (uint32_t)value;
		break;
	case ACCEPTED:
		write_accepted(v, (uint32_t)value);
		break;
	case CONFIG_VECTOR:
		v->config_vector = value < v->msix.nr ? (uint16_t)value : (uint16_t)VIRTQ_NO_VECTOR;
		break;
	case STATUS:
		write_status(v, (uint8_t)value);
		break;
	case QUEUE_SEL:
		v->queue_sel = (uint16_t)value;
		break;
	default:
		queue_write(v, off, size, value);
		break;
	}
}

static uint64_t config_read(const struct virtio *v, uint64_t off, unsigned size)
{
	const uint8_t *c = v->config;
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		if (off + i < v->ops->config_len)
			value |= (uint64_t)c[off + i] << 8 * i;
	return value;
}

static void bar0_read(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t *value)
{
	struct virtio *v = container_of((struct vdev *)arg, struct virtio, d);

	(void)c;
	*value = 0;
	if (off < COMMON_END) {
		*value = common_read(v, off);
	} else if (off == VIRTIO_ISR_OFF) {
		*value = v->isr;
		v->isr = 0;
	} else if (off - VIRTIO_CONFIG_OFF < VIRTIO_AREA) {
		*value = config_read(v, off - VIRTIO_CONFIG_OFF, size);
	}
	if (size < 8)
		*value &= BIT(8 * size) - 1;
}

static void bar0_write(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t value)
{
	struct virtio *v = container_of((struct vdev *)arg, struct virtio, d);

	(void)c;
	if (off >= VIRTIO_NOTIFY_OFF)
		virtio_kick(v, (unsigned)((off - VIRTIO_NOTIFY_OFF) / VIRTIO_NOTIFY_STEP));
	else if (off < COMMON_END)
		common_write(v, off, size, value);
	else if (v->ops->config_write && off - VIRTIO_CONFIG_OFF < VIRTIO_AREA)
		v->ops->config_write(v, off - VIRTIO_CONFIG_OFF, size, value);
}

static bool bar0_post(void *arg, uint64_t off)
{
	struct virtio *v = container_of((struct vdev *)arg, struct virtio, d);

	return off >= VIRTIO_NOTIFY_OFF && v->ops->post &&
	       v->ops->post(v, (unsigned)((off - VIRTIO_NOTIFY_OFF) / VIRTIO_NOTIFY_STEP));
}

const struct io_ops virtio_bar0_io = { .read = bar0_read, .write = bar0_write, .post = bar0_post };

static void bar1_read(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t *value)
{
	(void)c;
	msix_table_read(&container_of((struct vdev *)arg, struct virtio, d)->msix, off, size,
			value);
}

static void bar1_write(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t value)
{
	(void)c;
	msix_table_write(&container_of((struct vdev *)arg, struct virtio, d)->msix, off, size,
			 value);
}

const struct io_ops virtio_bar1_io = { .read = bar1_read, .write = bar1_write };
