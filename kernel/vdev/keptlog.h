/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kept output of a guest's port: the last KEPTLOG_BYTES bytes in a ring, each
 * with an absolute offset that never changes, also across a migration. Readers
 * name the offset they want and wait for bytes past it.
 *
 * Interface in order of use: keptlog_create (a device of its own in the VM's
 * list, destroyed with it); keptlog_put by the port's model; keptlog_read,
 * keptlog_end, keptlog_wait by any world.
 */
#ifndef KERNEL_VDEV_KEPTLOG_H
#define KERNEL_VDEV_KEPTLOG_H

#include <tern/world.h>

#include "device.h"

#define KEPTLOG_ORDER 6u
#define KEPTLOG_BYTES ((size_t)(PAGE_SIZE << KEPTLOG_ORDER))

struct keptlog {
	struct vdev d;	      /* record REC_SERIAL_LOG, instance = port */
	struct spinlock lock; /* guards what follows; LOCK_VDEV_LOG */
	uint8_t *ring;	      /* [const] KEPTLOG_BYTES */
	uint64_t end;	      /* absolute offset of the next byte */
	uint64_t first;	      /* oldest byte kept: end - first <= KEPTLOG_BYTES */
	unsigned waiters;
	struct waitq waitq;
};

/* -ENOMEM. */
MUST_CHECK int keptlog_create(struct vm *vm, uint16_t port, struct keptlog **out);
void keptlog_put(struct keptlog *k, const void *bytes, size_t len);
/* As serial_log_read, serial_log_end and serial_log_wait say (vdev.h). */
size_t keptlog_read(struct keptlog *k, uint64_t *from, char *buf, size_t len);
uint64_t keptlog_end(struct keptlog *k);
int keptlog_wait(struct keptlog *k, uint64_t from, uint64_t deadline_ns);

#endif
