/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver of the guest's network device, on a fake port: machine() has a device that is started
 * with those features; offer() gives it buffers, used() says how many are back. One test program,
 * one include.
 */
#ifndef TEST_VNET_DRIVER_H
#define TEST_VNET_DRIVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "kernel/vdev/vnet.h"
#include "test/unit/fake_switch.h"
#include "test/unit/fake_virtio.h"

#define NET 3u
#define BAR0 0xc0000000ull
#define BAR1 0xc0008000ull
#define RING(n) (0x10000u + (n)*0x3000u) /* descriptors, +0x1000 available, +0x2000 used */
#define DATA 0x80000u
#define PAIRS 4u

#define CONTROL_FEATURES (VNET_F_CONTROL | VNET_F_MQ)
#define QSIZE 16u

static struct vnet_dev *dev;

static void set16(uint64_t at, uint16_t v)
{
	memcpy(fake_ram + at, &v, 2);
}

static uint16_t get16(uint64_t at)
{
	uint16_t v;

	memcpy(&v, fake_ram + at, 2);
	return v;
}

static struct vm *machine_with(unsigned queues, uint64_t features)
{
	struct vm *vm = fake_vm();
	const struct vm_nic *nic = &vm->cfg.nic[0];
	struct pci_bus *bus;

	vm->cfg.nic[0] = (struct vm_nic){ .network = "lan",
					  .mac = { 2, 0, 0, 0, 0, 7 },
					  .queues = (uint8_t)queues };

	assert_int_equal(pci_bus_create(vm, &bus), 0);
	assert_int_equal(vnet_create(vm, bus, NET, nic), 0);
	for (struct vdev *d = vm->devs; d; d = d->next)
		if (!strcmp(d->ops->name, "virtio-net"))
			dev = container_of(container_of(d, struct virtio, d), struct vnet_dev, v);
	vdevs_reset(vm);
	fake_virtio_map(vm, NET, BAR0, BAR1);
	assert_true(fake_virtio_negotiate(vm, BAR0, (uint32_t)features));
	for (unsigned i = 0; i < fake_read(vm, BAR0 + 0x12, 2); i++) {
		(void)fake_virtio_queue(vm, BAR0, i, QSIZE, RING(i), RING(i) + 0x1000,
					RING(i) + 0x2000);
	}
	fake_virtio_go(vm, BAR0);
	return vm;
}

/* One pair and no control queue, as devices were at first. */
static struct vm *machine(uint64_t features)
{
	return machine_with(0, features);
}

static void offer(unsigned queue, uint64_t addr, uint32_t len, bool writable)
{
	uint64_t r = RING(queue), d[2] = { addr, len | (writable ? 2ull << 32 : 0) };
	uint16_t idx = get16(r + 0x1002);

	memcpy(fake_ram + r + 16 * (idx % QSIZE), d, 16);
	set16(r + 0x1004 + 2 * (idx % QSIZE), idx % QSIZE);
	set16(r + 0x1002, (uint16_t)(idx + 1));
}

static uint16_t used(unsigned queue)
{
	return get16(RING(queue) + 0x2002);
}

static struct vframe *frame(uint32_t len)
{
	struct vframe *f = vframe_new(len);

	for (uint32_t i = 0; i < len; i++) {
		uint8_t b = (uint8_t)(i * 3 + 1);

		vframe_write(f, i, &b, 1);
	}
	return f;
}

static void load(struct vm *vm, const struct rec_writer *w)
{
	struct rec_reader r;

	rec_reader_init(&r, w->buf, w->len);
	while (rec_next(&r) == 1)
		assert_int_equal(vdevs_load(vm, &r), 0);
}

#endif
