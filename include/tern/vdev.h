/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest-facing devices. Each has one mutex, taken by the access dispatch around
 * its handlers, and a table with what a migration needs. Device models run in
 * worlds (a vCPU's or their own), never in interrupt handlers; timers of a
 * device only set interrupt lines or wake a world.
 */
#ifndef TERN_VDEV_H
#define TERN_VDEV_H

#include <tern/lock.h>
#include <tern/rec.h>
#include <tern/vm.h>

struct vdev;

struct vdev_ops {
	const char *name;
	void (*reset)(struct vdev *d);
	/* No new work; in flight is finished by the deadline, else -ETIMEDOUT and the device goes
	 * on. */
	int (*quiesce)(struct vdev *d, uint64_t deadline_ns);
	void (*resume)(struct vdev *d);
	void (*save)(struct vdev *d, struct rec_writer *w);
	/* Refuses what load could not take; changes nothing. The reader stands at one of this
	 * device's records. */
	int (*check)(struct vdev *d, struct rec_reader *r);
	int (*load)(struct vdev *d, struct rec_reader *r);
	void (*destroy)(struct vdev *d);
};

struct vdev {
	const struct vdev_ops *ops;   /* [const] */
	struct vm *vm;		      /* [const] */
	struct mutex lock;	      /* the device's state; LOCK_VDEV */
	uint16_t instance;	      /* [const] record instance: unique per record type */
	uint16_t rec_first, rec_last; /* [const] record types it takes */
	struct vdev *next;
};

/* All devices of a VM, for migration; vCPUs parked. */
MUST_CHECK int vdevs_quiesce(struct vm *vm, uint64_t deadline_ns);
void vdevs_resume(struct vm *vm);
void vdevs_save(struct vm *vm, struct rec_writer *w);
/* Is this record a device's? 0 checked / loaded, -ENOENT nobody's, -EBADMSG refused. */
MUST_CHECK int vdevs_check(struct vm *vm, struct rec_reader *r);
MUST_CHECK int vdevs_load(struct vm *vm, struct rec_reader *r);

extern const struct vm_platform q35_platform; /* kernel/vdev/q35.c */

/*
 * Guest serial ports 0 and 1: kept log and input. The functions take
 * SERIAL_VCONSOLE as well: the virtio console's log and input.
 */
#define SERIAL_PORTS 2
#define SERIAL_VCONSOLE 2
#define SERIAL_LOGS 3
/* Copies kept output from absolute offset *from (advanced past what was lost and given); returns
 * bytes. */
size_t serial_log_read(struct vm *vm, unsigned port, uint64_t *from, char *buf, size_t len);
uint64_t serial_log_end(struct vm *vm, unsigned port); /* absolute offset of the next byte */
/* Waits until output past from exists: 0 or -ETIMEDOUT. */
int serial_log_wait(struct vm *vm, unsigned port, uint64_t from, uint64_t deadline_ns);
/*
 * How many of the bytes it took: what the port has room for, none while the VM is
 * between two hosts. Those taken reach the guest, wherever it then runs.
 */
MUST_CHECK size_t serial_input(struct vm *vm, unsigned port, const char *bytes, size_t len);

#endif
