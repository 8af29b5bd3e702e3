/* SPDX-License-Identifier: BSD-2-Clause */
/* The 8254 as a device, for pit.c and pit_state.c. */
#ifndef KERNEL_VDEV_PIT_INT_H
#define KERNEL_VDEV_PIT_INT_H

#include "device.h"
#include "pit_count.h"

#define PORT61_SPEAKER 0x02u

struct pit {
	struct vdev dev;
	struct io_region region[2];
	struct spinlock lock;
	struct pit_channel ch[3]; /* [lock] */
	uint8_t speaker;	  /* [lock] port 0x61 bit 1 */
	uint8_t refresh;	  /* [lock] toggles at each read */
	uint64_t next_ns;	  /* [lock] channel 0's next rise */
	bool quiet;		  /* [lock] from quiesce to resume: no rise, what is due waits */
	struct timer timer;
};

static inline struct pit *pit_of(struct vdev *d)
{
	return container_of(d, struct pit, dev);
}

void pit_save(struct vdev *d, struct rec_writer *w);
MUST_CHECK int pit_check(struct vdev *d, struct rec_reader *r);
MUST_CHECK int pit_load(struct vdev *d, struct rec_reader *r);

#endif
