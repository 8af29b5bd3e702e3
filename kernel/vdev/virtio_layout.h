/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the parts of a virtio device lie in its BAR0, as its capabilities say.
 */
#ifndef KERNEL_VDEV_VIRTIO_LAYOUT_H
#define KERNEL_VDEV_VIRTIO_LAYOUT_H

#define VIRTIO_AREA 0x1000u
#define VIRTIO_COMMON_OFF 0x0000u
#define VIRTIO_ISR_OFF 0x1000u
#define VIRTIO_CONFIG_OFF 0x2000u
#define VIRTIO_NOTIFY_OFF 0x3000u
#define VIRTIO_NOTIFY_STEP 4u
#define VIRTIO_BAR0_SIZE 0x4000u

#define VIRTIO_ISR_QUEUE 0x1u
#define VIRTIO_ISR_CONFIG 0x2u

#endif
