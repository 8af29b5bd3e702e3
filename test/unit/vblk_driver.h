/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver of a guest's disk: machine() has the device, start() negotiates and sets its queues up,
 * put() leaves a request in one, notify() has the device look. One test program, one include.
 */
#ifndef TEST_VBLK_DRIVER_H
#define TEST_VBLK_DRIVER_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_blk.h"
#include "test/unit/fake_virtio.h"
#include "kernel/vdev/vblk.h"

#define SLOT 8u
#define B0 0xc0000000ull
#define B1 0xc0010000ull
#define QSIZE 256u
#define DESC 0x10000u /* of queue 0; queue 1 is 0x10000 behind */
#define AVAIL 0x12000u
#define USED 0x14000u
#define QUEUE1 0x10000u
#define HEADERS 0x40000u
#define STATUS 0x50000u
#define DATA 0x100000u
#define IN 2u
#define NEXT 1u

static struct vblk *dev;
static uint16_t next_desc[2], next_avail[2];

static void set16(uint32_t at, uint16_t v)
{
	memcpy(fake_ram + at, &v, 2);
}

static uint16_t used_idx(unsigned q)
{
	uint16_t v;

	memcpy(&v, fake_ram + USED + q * QUEUE1 + 2, 2);
	return v;
}

static struct vm *machine(unsigned vcpus, bool read_only)
{
	struct vm *vm = fake_vm();
	struct pci_bus *bus;
	char why[200];

	fake_blk_reset();
	memset(next_desc, 0, sizeof(next_desc));
	memset(next_avail, 0, sizeof(next_avail));
	vm->cfg.vcpus = vcpus;
	vm->cfg.disks = 1;
	vm->cfg.disk[0] =
		(struct vm_disk){ .path = "disk0", .serial = "S1", .read_only = read_only };
	assert_int_equal(pci_bus_create(vm, &bus), 0);
	assert_int_equal(vblk_create(vm, bus, SLOT, 0, &dev), 0);
	assert_int_equal(vblk_open(dev, why, sizeof(why)), 0);
	vdevs_reset(vm);
	fake_virtio_map(vm, SLOT, B0, B1);
	return vm;
}

static void start(struct vm *vm, uint32_t features, unsigned queues)
{
	assert_true(fake_virtio_negotiate(vm, B0, features));
	for (unsigned i = 0; i < queues; i++) {
		assert_true(fake_virtio_queue(vm, B0, i, QSIZE, DESC + i * QUEUE1,
					      AVAIL + i * QUEUE1, USED + i * QUEUE1));
	}
	fake_virtio_go(vm, B0);
}

static struct vm *running(uint32_t features)
{
	struct vm *vm = machine(2, false);

	start(vm, features, 2);
	return vm;
}

static void done(struct vm *vm)
{
	fake_blk_run(dev);
	assert_int_equal(fake_pins, 0);
	fake_vm_done(vm);
}

static void desc(unsigned q, uint64_t addr, uint32_t len, uint16_t flags)
{
	uint16_t n = next_desc[q]++ % QSIZE;
	uint32_t at = DESC + q * QUEUE1 + n * 16u;
	uint64_t d[2] = { addr, len | (uint64_t)flags << 32 | (uint64_t)((n + 1) % QSIZE) << 48 };

	memcpy(fake_ram + at, d, sizeof(d));
}

/* A request of one buffer, not yet notified; where its status will be. */
static uint32_t put(unsigned q, uint32_t type, uint64_t sector, uint64_t data, uint32_t len)
{
	struct vblk_header h = { .type = type, .sector = sector };
	uint16_t n = next_avail[q]++, head = next_desc[q] % QSIZE;
	uint32_t header = HEADERS + (q * QSIZE + n % QSIZE) * 16u;
	uint32_t status = STATUS + q * QSIZE + n % QSIZE;
	bool in = type == VBLK_T_IN || type == VBLK_T_GET_ID;

	memcpy(fake_ram + header, &h, sizeof(h));
	fake_ram[status] = 0xff;
	desc(q, header, sizeof(h), NEXT);
	if (len)
		desc(q, data, len, (uint16_t)(NEXT | (in ? IN : 0)));
	desc(q, status, 1, IN);
	set16(AVAIL + q * QUEUE1 + 4 + 2 * (n % QSIZE), head);
	set16(AVAIL + q * QUEUE1 + 2, next_avail[q]);
	return status;
}

static void notify(struct vm *vm, unsigned q)
{
	fake_write(vm, B0 + 0x3000 + 4 * q, 2, q);
}

#endif
