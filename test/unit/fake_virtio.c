/* SPDX-License-Identifier: BSD-2-Clause */
/* A virtio driver's beginning (fake_virtio.h), by [virtio 1.2 3.1.1 "Driver Requirements: Device
 * Initialization"] and [4.1.4.3 "Common configuration structure layout"]. */
#include "test/unit/fake_virtio.h"

#define FEATURE_SELECT 0x08u
#define FEATURES 0x0cu
#define STATUS 0x14u
#define QUEUE_SELECT 0x16u
#define QUEUE_SIZE 0x18u
#define QUEUE_ENABLE 0x1cu
#define QUEUE_DESC 0x20u
#define QUEUE_AVAIL 0x28u
#define QUEUE_USED 0x30u

void fake_virtio_map(struct vm *vm, unsigned slot, uint64_t bar0, uint64_t bar1)
{
	fake_cfg_write(vm, slot, 0x10, 4, (uint32_t)bar0);
	fake_cfg_write(vm, slot, 0x14, 4, (uint32_t)bar1);
	fake_cfg_write(vm, slot, 0x04, 2, 6); /* memory space, bus master */
}

bool fake_virtio_negotiate(struct vm *vm, uint64_t bar, uint32_t features)
{
	fake_write(vm, bar + STATUS, 1, 3); /* ACKNOWLEDGE, DRIVER */
	fake_write(vm, bar + FEATURE_SELECT, 4, 0);
	fake_write(vm, bar + FEATURES, 4, features);
	fake_write(vm, bar + FEATURE_SELECT, 4, 1);
	fake_write(vm, bar + FEATURES, 4, 1);
	fake_write(vm, bar + STATUS, 1, 0x0b);
	return fake_read(vm, bar + STATUS, 1) == 0x0b;
}

bool fake_virtio_queue(struct vm *vm, uint64_t bar, unsigned queue, unsigned entries, uint32_t desc,
		       uint32_t avail, uint32_t used)
{
	fake_write(vm, bar + QUEUE_SELECT, 2, queue);
	fake_write(vm, bar + QUEUE_SIZE, 2, entries);
	fake_write(vm, bar + QUEUE_DESC, 4, desc);
	fake_write(vm, bar + QUEUE_AVAIL, 4, avail);
	fake_write(vm, bar + QUEUE_USED, 4, used);
	fake_write(vm, bar + QUEUE_ENABLE, 2, 1);
	return fake_read(vm, bar + QUEUE_ENABLE, 2) == 1;
}

void fake_virtio_go(struct vm *vm, uint64_t bar)
{
	fake_write(vm, bar + STATUS, 1, 0x0f);
}
