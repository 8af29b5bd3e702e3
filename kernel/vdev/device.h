/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the device models share: putting a device on its VM.
 *
 * A model allocates its structure zeroed, calls vdev_init, adds its regions and
 * then lives until ops->destroy, which frees it. Records find their device by
 * type (rec_first..rec_last) and instance, so instances are unique per type.
 *
 * Handlers run under the device's mutex and may touch guest memory under it:
 * gmem may put the world to sleep, and the mutex allows that. Locks nest in
 * the order LOCK_VDEV_BUS, LOCK_VDEV, LOCK_VDEV_LOG.
 */
#ifndef KERNEL_VDEV_DEVICE_H
#define KERNEL_VDEV_DEVICE_H

#include <tern/vdev.h>
#include <tern/vmio.h>

#define LOCK_VDEV_BUS ((enum lock_level)(LOCK_VDEV - 5)) /* PCI configuration */
#define LOCK_VDEV_LOG ((enum lock_level)(LOCK_VDEV + 5)) /* kept logs */

/* Legacy interrupt lines, as global system interrupts. */
#define GSI_COM2 3u
#define GSI_COM1 4u
#define GSI_RTC 8u
#define GSI_SCI 9u

/* Appends d to vm->devs; d->lock is ready afterwards. */
void vdev_init(struct vdev *d, struct vm *vm, const struct vdev_ops *ops, enum rec_type first,
	       enum rec_type last, uint16_t instance);
void vdevs_reset(struct vm *vm);
/* Destroys all, newest first; vm->devs is empty afterwards. */
void vdevs_destroy(struct vm *vm);

/* Fills a region and adds it to the VM: enabled at once, except at base 0, which vm_io_move
 * changes. */
void vdev_region(struct vdev *d, struct io_region *r, enum io_space space, uint64_t base,
		 uint64_t size, const struct io_ops *ops, struct mutex *lock);

#endif
