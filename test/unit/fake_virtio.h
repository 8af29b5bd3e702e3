/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The beginning of a driver of a virtio device behind PCI, for tests and fuzzers: map its two BARs,
 * negotiate, set its queues up one by one, go. bar is where BAR 0 was put.
 */
#ifndef TEST_UNIT_FAKE_VIRTIO_H
#define TEST_UNIT_FAKE_VIRTIO_H

#include "test/unit/fake_vdev.h"

void fake_virtio_map(struct vm *vm, unsigned slot, uint64_t bar0, uint64_t bar1);
/* Up to FEATURES_OK, with these of the first 32 features and with VERSION_1: does it stand? */
bool fake_virtio_negotiate(struct vm *vm, uint64_t bar, uint32_t features);
/* Where its descriptors, available and used ring are: is it on? */
bool fake_virtio_queue(struct vm *vm, uint64_t bar, unsigned queue, unsigned entries, uint32_t desc,
		       uint32_t avail, uint32_t used);
void fake_virtio_go(struct vm *vm, uint64_t bar); /* DRIVER_OK */

#endif
