/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-console, port 0 without the multiport feature (vconsole.h): queue 0
 * carries input to the guest, queue 1 its output.
 * [virtio 1.2 5.3 "Console Device"]
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vconsole.h"

#define VCONSOLE_REC_VERSION 1
#define CONSOLE_ID 3u
#define CONSOLE_CLASS 0x078000u
#define CONSOLE_QUEUE 64u
#define RX 0u
#define TX 1u
#define INPUT_MAX 4096u
#define CHUNK 256u

/* cols, rows, max_nr_ports, emerg_wr: none of their features is offered. */
static const uint8_t console_config[12];

struct vconsole {
	struct virtio v;
	struct keptlog *log; /* [const] */
	uint32_t in_count, in_head;
	uint8_t in[INPUT_MAX];
};

static struct vconsole *of(struct virtio *v)
{
	return container_of(v, struct vconsole, v);
}

static int64_t transmit(struct virtio *v, struct virtq_chain *c)
{
	/* A guest may name the same bytes many times over: no more than the log can keep. */
	uint64_t len = MIN(c->out_len, KEPTLOG_BYTES);

	for (uint64_t at = 0; at < len; at += CHUNK) {
		uint8_t bytes[CHUNK];
		size_t n = (size_t)MIN(len - at, sizeof(bytes));
		int rc = virtq_get(c, v->d.vm->mem, at, bytes, n);

		if (rc)
			return rc;
		keptlog_put(of(v)->log, bytes, n);
	}
	return 0;
}

/* Moves input into this chain; bytes moved or an error. */
static int64_t receive(struct vconsole *c, struct virtq_chain *chain)
{
	uint64_t at = 0;

	while (c->in_count > 0 && at < chain->in_len) {
		size_t n = MIN(c->in_count, INPUT_MAX - c->in_head);
		int rc;

		n = (size_t)MIN((uint64_t)n, chain->in_len - at);
		rc = virtq_put(chain, c->v.d.vm->mem, at, c->in + c->in_head, n);
		if (rc)
			return rc;
		c->in_head = (uint32_t)((c->in_head + n) % INPUT_MAX);
		c->in_count -= (uint32_t)n;
		at += n;
	}
	return (int64_t)at;
}

/* One chain gets input: 1, or 0 when the queue is empty and the driver will notify. */
static int fill_one(struct vconsole *c, struct virtq *q)
{
	struct gmem *g = c->v.d.vm->mem;
	int64_t n;
	int rc = virtq_pop(q, g, &c->v.chain);

	if (rc == 0)
		return virtq_arm(q, g);
	if (rc < 0)
		return rc;
	n = receive(c, &c->v.chain);
	if (n < 0)
		return (int)n;
	rc = virtq_push(q, g, &c->v.chain, (uint32_t)n);
	return rc ? rc : 1;
}

/* As many chains as input needs; the others stay in the ring. */
static int fill_rx(struct vconsole *c)
{
	int rc = 1;

	while (rc > 0 && c->in_count > 0) {
		rc = fill_one(c, &c->v.q[RX]);
		if (world_should_yield())
			world_yield();
	}
	return rc < 0 ? rc : virtio_signal(&c->v, RX);
}

static int console_kick(struct virtio *v, unsigned queue)
{
	return queue == RX ? fill_rx(of(v)) : virtio_drain(v, queue, transmit);
}

size_t vconsole_input(struct vconsole *c, const char *bytes, size_t len)
{
	size_t n = 0;

	mutex_lock(&c->v.d.lock);
	for (; n < len && !c->v.quiet && c->in_count < INPUT_MAX; n++)
		c->in[(c->in_head + c->in_count++) % INPUT_MAX] = (uint8_t)bytes[n];
	virtio_kick(&c->v, RX);
	mutex_unlock(&c->v.d.lock);
	return n;
}

static const struct virtio_ops console_ops = {
	.name = "virtio-console",
	.id = CONSOLE_ID,
	.class = CONSOLE_CLASS,
	.nr_queues = 2,
	.queue_size = CONSOLE_QUEUE,
	.config = console_config,
	.config_len = sizeof(console_config),
	.kick = console_kick,
};

/*
 * REC_VCONSOLE version 1, instance = PCI slot; REC_VIRTIO goes before it:
 *   0  u32  bytes of input waiting, at most INPUT_MAX
 *   4  ...  the bytes, oldest first
 */
static void console_save(struct vdev *d, struct rec_writer *w)
{
	struct vconsole *c = of(container_of(d, struct virtio, d));

	virtio_save(d, w);
	mutex_lock(&d->lock); /* input may come at any time */
	rec_begin(w, REC_VCONSOLE, VCONSOLE_REC_VERSION, 0, d->instance);
	rec_u32(w, c->in_count);
	for (uint32_t i = 0; i < c->in_count; i++)
		rec_u8(w, c->in[(c->in_head + i) % INPUT_MAX]);
	rec_end(w);
	mutex_unlock(&d->lock);
}

static int parse_input(struct rec_reader *r, uint32_t *count)
{
	if (r->head.version != VCONSOLE_REC_VERSION)
		return -EBADMSG;
	*count = rec_get_u32(r);
	if (r->bad || *count > INPUT_MAX || *count != r->end - r->at)
		return -EBADMSG;
	return 0;
}

static int console_check(struct vdev *d, struct rec_reader *r)
{
	uint32_t count;

	if (r->head.type == REC_VIRTIO)
		return virtio_check(d, r);
	return r->head.type == REC_VCONSOLE ? parse_input(r, &count) : -EBADMSG;
}

static int console_load(struct vdev *d, struct rec_reader *r)
{
	struct vconsole *c = of(container_of(d, struct virtio, d));
	uint32_t count;
	int rc;

	if (r->head.type == REC_VIRTIO)
		return virtio_load(d, r);
	rc = r->head.type == REC_VCONSOLE ? parse_input(r, &count) : -EBADMSG;
	if (rc)
		return rc;
	rec_get_bytes(r, c->in, count);
	c->in_head = 0;
	c->in_count = count;
	return rec_done(r);
}

static void console_destroy(struct vdev *d)
{
	free(of(container_of(d, struct virtio, d)));
}

static const struct vdev_ops console_vdev = {
	.name = "virtio-console",
	.reset = virtio_reset,
	.quiesce = virtio_quiesce,
	.resume = virtio_resume,
	.save = console_save,
	.check = console_check,
	.load = console_load,
	.destroy = console_destroy,
};

int vconsole_create(struct vm *vm, struct pci_bus *bus, unsigned slot, struct keptlog *log,
		    struct vconsole **out)
{
	struct vconsole *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->log = log;
	virtio_create(&c->v, vm, bus, slot, &console_ops, &console_vdev, REC_VCONSOLE);
	*out = c;
	return 0;
}
