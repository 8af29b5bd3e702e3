/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-rng (vrng.h). The generator is the host's (tern/random.h), which never
 * blocks; a large buffer is filled in part, as the device may. Nothing of the
 * generator's state leaves the host: a guest that moved gets the other host's.
 * [virtio 1.2 5.4 "Entropy Device"]
 */
#include <errno.h>
#include <stdlib.h>
#include <tern/random.h>

#include "vrng.h"

#define RNG_ID 4u
#define RNG_CLASS 0x00ff00u
#define RNG_QUEUE 64u
#define CHUNK 256u
#define FILL_MAX 4096u /* of one buffer at a time */

static int64_t fill(struct virtio *v, struct virtq_chain *c)
{
	uint64_t want = MIN(c->in_len, FILL_MAX), at = 0;

	while (at < want) {
		uint8_t bytes[CHUNK];
		size_t n = (size_t)MIN(want - at, sizeof(bytes));
		int rc;

		random_bytes(bytes, n);
		rc = virtq_put(c, v->d.vm->mem, at, bytes, n);
		if (rc)
			return rc;
		at += n;
	}
	return (int64_t)at;
}

static int rng_kick(struct virtio *v, unsigned queue)
{
	return virtio_drain(v, queue, fill);
}

static const struct virtio_ops rng_ops = {
	.name = "virtio-rng",
	.id = RNG_ID,
	.class = RNG_CLASS,
	.nr_queues = 1,
	.queue_size = RNG_QUEUE,
	.kick = rng_kick,
};

static void rng_destroy(struct vdev *d)
{
	free(container_of(d, struct virtio, d));
}

static const struct vdev_ops rng_vdev = {
	.name = "virtio-rng",
	.reset = virtio_reset,
	.quiesce = virtio_quiesce,
	.resume = virtio_resume,
	.save = virtio_save,
	.check = virtio_check,
	.load = virtio_load,
	.destroy = rng_destroy,
};

int vrng_create(struct vm *vm, struct pci_bus *bus, unsigned slot)
{
	struct virtio *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	virtio_create(v, vm, bus, slot, &rng_ops, &rng_vdev, REC_VIRTIO);
	return 0;
}
