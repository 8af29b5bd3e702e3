/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's disk as a driver drives it, on a disk that takes little at once and completes
 * when it is told to: contents, parts, errors, a reset and a quiesce with requests in flight,
 * a full pool, a move.
 */
// SOURCES: kernel/vdev/virtq.c kernel/vdev/msix.c kernel/vdev/virtio.c kernel/vdev/virtio_pci.c
// SOURCES: kernel/vdev/virtio_regs.c kernel/vdev/vblk*.c kernel/vdev/pci.c
// SOURCES: kernel/vdev/pci_func.c kernel/vdev/vdev.c kernel/lib/rec.c kernel/lib/bucket.c
// SOURCES: test/unit/fake_vdev.c test/unit/fake_blk.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_blk.h"
#include "fake_vdev.h"
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
	fake_cfg_write(vm, SLOT, 0x10, 4, (uint32_t)B0);
	fake_cfg_write(vm, SLOT, 0x14, 4, (uint32_t)B1);
	fake_cfg_write(vm, SLOT, 0x04, 2, 6);
	return vm;
}

static void start(struct vm *vm, uint32_t features, unsigned queues)
{
	fake_write(vm, B0 + 0x14, 1, 3);
	fake_write(vm, B0 + 0x0c, 4, features);
	fake_write(vm, B0 + 0x08, 4, 1);
	fake_write(vm, B0 + 0x0c, 4, 1);
	fake_write(vm, B0 + 0x14, 1, 0x0b);
	assert_int_equal(fake_read(vm, B0 + 0x14, 1), 0x0b);
	for (unsigned i = 0; i < queues; i++) {
		fake_write(vm, B0 + 0x16, 2, i);
		fake_write(vm, B0 + 0x18, 2, QSIZE);
		fake_write(vm, B0 + 0x20, 4, DESC + i * QUEUE1);
		fake_write(vm, B0 + 0x28, 4, AVAIL + i * QUEUE1);
		fake_write(vm, B0 + 0x30, 4, USED + i * QUEUE1);
		fake_write(vm, B0 + 0x1c, 2, 1);
		assert_int_equal(fake_read(vm, B0 + 0x1c, 2), 1);
	}
	fake_write(vm, B0 + 0x14, 1, 0x0f);
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

static uint8_t ask(struct vm *vm, uint32_t type, uint64_t sector, uint64_t data, uint32_t len)
{
	uint32_t status = put(0, type, sector, data, len);

	notify(vm, 0);
	fake_blk_run(dev);
	return fake_ram[status];
}

static void fill(uint32_t at, uint32_t len, uint8_t seed)
{
	for (uint32_t i = 0; i < len; i++)
		fake_ram[at + i] = (uint8_t)(seed + i * 7 + (i >> 8));
}

static void test_contents(void **state)
{
	struct vm *vm = running(VBLK_F_FLUSH);
	uint32_t len = 100 * 512;

	/* Off a page's start, in parts of 8 KiB and of 4 segments. */
	fill(DATA + 512, len, 3);
	assert_int_equal(ask(vm, VBLK_T_OUT, 5, DATA + 512, len), VBLK_S_OK);
	assert_memory_equal(fake_blk_bytes + 5 * 512, fake_ram + DATA + 512, len);
	assert_true(fake_blk_seen[BLK_WRITE] >= len / 8192);
	assert_int_equal(fake_blk_seen[BLK_FLUSH], 0);
	assert_int_equal(ask(vm, VBLK_T_IN, 5, DATA + 0x40000, len), VBLK_S_OK);
	assert_memory_equal(fake_ram + DATA + 0x40000, fake_ram + DATA + 512, len);
	assert_int_equal(ask(vm, VBLK_T_FLUSH, 0, 0, 0), VBLK_S_OK);
	assert_int_equal(fake_blk_seen[BLK_FLUSH], 1);
	assert_int_equal(ask(vm, VBLK_T_GET_ID, 0, DATA, 20), VBLK_S_OK);
	assert_string_equal((char *)fake_ram + DATA, "S1");
	assert_int_equal(used_idx(0), 4);
	assert_int_equal(dev->stats.bytes[BLK_WRITE], len);
	assert_int_equal(dev->stats.requests[BLK_READ], 1);
	assert_int_equal(fake_read(vm, B0 + 0x2000, 4), FAKE_BLK_BYTES / 512);
	assert_int_equal(fake_read(vm, B0 + 0x2000 + 24, 1), 3);
	done(vm);
}

/* Its world may take the request, and the device end, as soon as the lock is free. */
static void test_completion_is_done_with_the_device(void **state)
{
	struct vm *vm = running(VBLK_F_FLUSH);

	put(0, VBLK_T_IN, 0, DATA, 512);
	notify(vm, 0);
	fake_blk_signal_held = false;
	assert_true(fake_blk_complete(0));
	assert_true(fake_blk_signal_held);
	done(vm);
}

/* A driver that cannot ask for a flush is given durable writes. */
static void test_write_through(void **state)
{
	struct vm *vm = running(0);
	uint32_t status = put(0, VBLK_T_OUT, 0, DATA, 512);

	notify(vm, 0);
	assert_true(fake_blk_complete(0));
	fake_blk_world(dev);
	assert_int_equal(fake_ram[status], 0xff);
	assert_int_equal(fake_blk_seen[BLK_FLUSH], 1);
	fake_blk_run(dev);
	assert_int_equal(fake_ram[status], VBLK_S_OK);
	done(vm);
}

static uint8_t range(struct vm *vm, uint32_t type, uint64_t sector, uint32_t sectors,
		     uint32_t flags)
{
	struct vblk_range r = { .sector = sector, .sectors = sectors, .flags = flags };

	memcpy(fake_ram + DATA, &r, sizeof(r));
	return ask(vm, type, 0, DATA, sizeof(r));
}

static void test_ranges(void **state)
{
	struct vm *vm = running(VBLK_F_FLUSH);

	memset(fake_blk_bytes, 0x11, sizeof(fake_blk_bytes));
	/* The disk can do neither: zeroes are written, a discard is nothing. */
	assert_int_equal(range(vm, VBLK_T_WRITE_ZEROES, 3, 70, 1), VBLK_S_OK);
	assert_int_equal(fake_blk_seen[BLK_WRITE_ZEROES], 0);
	for (unsigned i = 0; i < 76 * 512; i++)
		assert_int_equal(fake_blk_bytes[i], i < 3 * 512 || i >= 73 * 512 ? 0x11 : 0);
	assert_int_equal(range(vm, VBLK_T_DISCARD, 0, 2, 0), VBLK_S_OK);
	assert_int_equal(fake_blk_bytes[0], 0x11);
	fake_blk.geo.max_discard_blocks = 16;
	fake_blk.geo.max_zeroes_blocks = 16;
	assert_int_equal(range(vm, VBLK_T_DISCARD, 0, 40, 0), VBLK_S_OK);
	assert_int_equal(fake_blk_seen[BLK_DISCARD], 3);
	assert_int_equal(fake_blk_bytes[40 * 512], 0);
	assert_int_equal(fake_blk_bytes[40 * 512 - 1], 0xdd);
	assert_int_equal(range(vm, VBLK_T_WRITE_ZEROES, 0, 40, 0), VBLK_S_OK);
	assert_int_equal(fake_blk_seen[BLK_WRITE_ZEROES], 3);
	/* Flags that are none. */
	assert_int_equal(range(vm, VBLK_T_DISCARD, 0, 1, 1), VBLK_S_UNSUPP);
	assert_int_equal(range(vm, VBLK_T_WRITE_ZEROES, 0, 1, 2), VBLK_S_UNSUPP);
	assert_int_equal(range(vm, VBLK_T_DISCARD, FAKE_BLK_BYTES / 512, 1, 0), VBLK_S_IOERR);
	done(vm);
}

static uint8_t ranges(struct vm *vm, uint32_t type, const struct vblk_range *r, size_t bytes)
{
	memcpy(fake_ram + DATA, r, bytes);
	return ask(vm, type, 0, DATA, (uint32_t)bytes);
}

/* Several ranges in a request: all of them, or none when one of them is bad. */
static void test_several_ranges(void **state)
{
	struct vm *vm = running(VBLK_F_FLUSH);
	uint32_t end = FAKE_BLK_BYTES / 512;
	struct vblk_range r[VBLK_RANGES_MAX + 1] = { { 2, 20, 1 }, { 9, 0, 0 }, { 100, 1, 0 } };
	size_t one = sizeof(r[0]);

	fake_blk.geo.max_discard_blocks = fake_blk.geo.max_zeroes_blocks = 16;
	assert_int_equal(fake_read(vm, B0 + 0x2000 + 40, 4), VBLK_RANGES_MAX);
	assert_int_equal(fake_read(vm, B0 + 0x2000 + 52, 4), VBLK_RANGES_MAX);
	memset(fake_blk_bytes, 0x11, sizeof(fake_blk_bytes));
	assert_int_equal(ranges(vm, VBLK_T_WRITE_ZEROES, r, 3 * one), VBLK_S_OK);
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(fake_blk_bytes[i * 512],
				 (i >= 2 && i < 22) || i == 100 ? 0 : 0x11);
	assert_int_equal(fake_blk_seen[BLK_WRITE_ZEROES], 3);
	assert_int_equal(fake_blk_unmaps, 2); /* the parts of the first, which asks for it */
	assert_int_equal(dev->stats.bytes[BLK_WRITE_ZEROES], 21 * 512);
	memset(r, 0, sizeof(r));
	for (unsigned i = 0; i < VBLK_RANGES_MAX; i++)
		r[i] = (struct vblk_range){ 200 + 3 * i, 1, 0 };
	assert_int_equal(ranges(vm, VBLK_T_DISCARD, r, VBLK_RANGES_MAX * one), VBLK_S_OK);
	assert_int_equal(fake_blk_seen[BLK_DISCARD], VBLK_RANGES_MAX);
	/* Too many, a part of one, none, the last one bad: nothing is done. */
	assert_int_equal(ranges(vm, VBLK_T_DISCARD, r, sizeof(r)), VBLK_S_IOERR);
	assert_int_equal(ranges(vm, VBLK_T_DISCARD, r, one + 8), VBLK_S_IOERR);
	assert_int_equal(ask(vm, VBLK_T_DISCARD, 0, DATA, 0), VBLK_S_IOERR);
	r[1] = (struct vblk_range){ end - 1, 2, 0 };
	assert_int_equal(ranges(vm, VBLK_T_DISCARD, r, 2 * one), VBLK_S_IOERR);
	r[1] = (struct vblk_range){ UINT64_MAX, UINT32_MAX, 0 };
	assert_int_equal(ranges(vm, VBLK_T_DISCARD, r, 2 * one), VBLK_S_IOERR);
	r[1] = (struct vblk_range){ 0, 1, 1 };
	assert_int_equal(ranges(vm, VBLK_T_DISCARD, r, 2 * one), VBLK_S_UNSUPP);
	assert_int_equal(fake_blk_seen[BLK_DISCARD], VBLK_RANGES_MAX);
	done(vm);
}

static void test_what_is_refused(void **state)
{
	struct vm *vm = running(VBLK_F_FLUSH);
	uint64_t end = FAKE_BLK_BYTES / 512;

	assert_int_equal(ask(vm, VBLK_T_IN, end, DATA, 512), VBLK_S_IOERR);
	assert_int_equal(ask(vm, VBLK_T_IN, end - 1, DATA, 1024), VBLK_S_IOERR);
	assert_int_equal(ask(vm, VBLK_T_OUT, UINT64_MAX, DATA, 512), VBLK_S_IOERR);
	assert_int_equal(ask(vm, VBLK_T_OUT, 0, DATA, 511), VBLK_S_IOERR);
	assert_int_equal(ask(vm, 77, 0, DATA, 512), VBLK_S_UNSUPP);
	assert_int_equal(ask(vm, VBLK_T_IN, 0, FAKE_RAM - 512, 1024), VBLK_S_IOERR);
	assert_int_equal(fake_blk_seen[BLK_READ] + fake_blk_seen[BLK_WRITE], 0);
	/* All of these were its own doing: it works on. */
	assert_int_equal(ask(vm, VBLK_T_IN, end - 1, DATA, 512), VBLK_S_OK);
	assert_int_equal(fake_read(vm, B0 + 0x14, 1), 0x0f);
	done(vm);
}

static void test_errors_of_the_disk(void **state)
{
	struct vm *vm = running(VBLK_F_FLUSH);
	uint32_t status = put(0, VBLK_T_OUT, 0, DATA, 3 * 8192);

	notify(vm, 0);
	assert_true(fake_blk_complete(0));
	fake_blk_world(dev);
	assert_true(fake_blk_complete(-EIO));
	fake_blk_world(dev);
	assert_int_equal(fake_ram[status], VBLK_S_IOERR);
	assert_int_equal(fake_blk_seen[BLK_WRITE], 2); /* the rest is not tried */
	assert_int_equal(dev->stats.errors, 1);
	assert_int_equal(ask(vm, VBLK_T_OUT, 0, DATA, 512), VBLK_S_OK);
	done(vm);
}

static void test_read_only(void **state)
{
	struct vm *vm = machine(1, true);

	assert_true(fake_read(vm, B0 + 0x04, 4) & VBLK_F_RO);
	assert_false(fake_read(vm, B0 + 0x04, 4) & VBLK_F_MQ);
	start(vm, VBLK_F_FLUSH, 1); /* a driver that does not care */
	assert_int_equal(ask(vm, VBLK_T_OUT, 0, DATA, 512), VBLK_S_IOERR);
	assert_int_equal(range(vm, VBLK_T_WRITE_ZEROES, 0, 8, 0), VBLK_S_IOERR);
	assert_int_equal(range(vm, VBLK_T_DISCARD, 0, 8, 0), VBLK_S_IOERR);
	assert_int_equal(fake_blk_seen[BLK_WRITE], 0);
	assert_int_equal(ask(vm, VBLK_T_IN, 0, DATA, 512), VBLK_S_OK);
	done(vm);
}

/* More requests than the device works at: the rest waits in the rings, and none is lost. */
static void test_a_full_pool(void **state)
{
	struct vm *vm = running(VBLK_F_FLUSH);

	for (unsigned i = 0; i < 80; i++)
		put(0, VBLK_T_IN, i, DATA, 512);
	notify(vm, 0);
	put(1, VBLK_T_IN, 0, DATA, 512);
	notify(vm, 1);
	assert_int_equal(fake_blk_busy, VBLK_POOL);
	fake_blk_run(dev);
	assert_int_equal(used_idx(0), 80);
	assert_int_equal(used_idx(1), 1);
	done(vm);
}

/* The driver does not see the reset as over while the disk may write to its memory. */
static void test_reset_in_flight(void **state)
{
	struct vm *vm = running(VBLK_F_FLUSH);
	uint32_t status = put(0, VBLK_T_IN, 0, DATA, 2 * 8192), again;

	notify(vm, 0);
	fake_write(vm, B0 + 0x14, 1, 0);
	assert_int_not_equal(fake_read(vm, B0 + 0x14, 1), 0);
	assert_true(fake_blk_complete(0));
	fake_blk_world(dev);
	assert_int_equal(fake_read(vm, B0 + 0x14, 1), 0);
	assert_int_equal(fake_blk_busy, 0); /* its second part is not begun */
	assert_int_equal(fake_ram[status], 0xff);
	assert_int_equal(fake_pins, 0);
	memset(next_avail, 0, sizeof(next_avail));
	memset(fake_ram + AVAIL, 0, 0x4000);
	start(vm, VBLK_F_FLUSH, 2);
	again = put(0, VBLK_T_IN, 0, DATA, 512);
	notify(vm, 0);
	fake_blk_run(dev);
	assert_int_equal(fake_ram[again], VBLK_S_OK);
	done(vm);
}

static void test_quiesce(void **state)
{
	struct vm *vm = running(VBLK_F_FLUSH);
	uint32_t status = put(0, VBLK_T_IN, 0, DATA, 512), later;

	notify(vm, 0);
	assert_int_equal(vdevs_quiesce(vm, fake_now_ns), -ETIMEDOUT); /* the disk does not answer */
	fake_blk_run(dev);
	assert_int_equal(fake_ram[status], VBLK_S_OK);
	assert_int_equal(vdevs_quiesce(vm, fake_now_ns), 0);
	later = put(0, VBLK_T_IN, 0, DATA, 512);
	notify(vm, 0);
	assert_int_equal(fake_blk_busy, 0);
	vdevs_resume(vm);
	fake_blk_run(dev);
	assert_int_equal(fake_ram[later], VBLK_S_OK);
	done(vm);
}

static bool disk_hangs;

static void disk_works(void)
{
	if (!disk_hangs)
		fake_blk_run(dev);
	disk_hangs = false;
}

/* A request under way ends at the device that it began at; those that come meanwhile are the
 * filter's. */
static void test_filter(void **state)
{
	struct vm *vm = running(VBLK_F_FLUSH);
	uint32_t status = put(0, VBLK_T_IN, 0, DATA, 2 * 8192), later;
	struct blkdev filter = fake_blk;

	notify(vm, 0);
	fake_slept = disk_works;
	disk_hangs = true; /* at the first look it still works at it */
	assert_int_equal(vblk_filter(dev, &filter), 0);
	fake_slept = NULL;
	assert_int_equal(fake_ram[status], VBLK_S_OK);
	assert_ptr_equal(fake_blk_last, &fake_blk);
	later = put(0, VBLK_T_IN, 0, DATA, 512);
	notify(vm, 0);
	assert_ptr_equal(fake_blk_last, &filter);
	fake_blk_run(dev);
	assert_int_equal(fake_ram[later], VBLK_S_OK);
	assert_int_equal(vdevs_quiesce(vm, fake_now_ns), 0);
	assert_int_equal(vblk_filter(dev, NULL), 0);
	later = put(0, VBLK_T_IN, 0, DATA, 512);
	notify(vm, 0);
	assert_int_equal(fake_blk_busy, 0); /* what was quiet stays so */
	vdevs_resume(vm);
	assert_ptr_equal(fake_blk_last, &fake_blk);
	fake_blk_run(dev);
	assert_int_equal(fake_ram[later], VBLK_S_OK);
	vblk_close(dev);
	assert_int_equal(vblk_filter(dev, &filter), -ENODEV);
	assert_int_equal(vblk_filter(dev, NULL), 0);
	done(vm);
}

/* The driver finds its queues, and the disk as it was told, though it is open later. */
static void test_move(void **state)
{
	struct vm *vm = running(VBLK_F_FLUSH), *to = calloc(1, sizeof(*to));
	struct vblk *from = dev;
	struct pci_bus *bus;
	char why[200];
	uint32_t later;

	assert_int_equal(vdevs_quiesce(vm, fake_now_ns), 0);
	later = put(0, VBLK_T_IN, 0, DATA, 512);
	*to = *vm;
	to->devs = NULL;
	to->io = NULL;
	assert_int_equal(pci_bus_create(to, &bus), 0);
	assert_int_equal(vblk_create(to, bus, SLOT, 0, &dev), 0);
	assert_int_equal(fake_move(vm, to), 0);
	assert_int_equal(dev->config.capacity, from->config.capacity);
	assert_int_equal(vblk_open(dev, why, sizeof(why)), 0);
	vdevs_resume(to);
	fake_blk_run(dev);
	assert_int_equal(fake_ram[later], VBLK_S_OK);
	done(to);
	fake_vm_done(vm);
}

static void test_records(void **state)
{
	struct vm *vm = running(VBLK_F_FLUSH);
	struct {
		uint64_t capacity;
		uint32_t block;
		uint8_t exp, ro;
		uint16_t zero;
		uint32_t iops, mbps;
	} good = { 2048, 512, 3, 0, 0, 70, 80 }, r;

	_Static_assert(sizeof(r) == 24, "record");
	assert_int_equal(fake_check(vm, REC_VBLK, SLOT, 2, &good, 24), 0);
	r = good, r.mbps = VM_DISK_MBPS_MAX + 1;
	assert_int_not_equal(fake_check(vm, REC_VBLK, SLOT, 2, &r, 24), 0);
	assert_int_not_equal(fake_check(vm, REC_VBLK, SLOT, 2, &good, 16), 0);
	/* As hosts without limits wrote it. */
	assert_int_equal(fake_check(vm, REC_VBLK, SLOT, 1, &good, 16), 0);
	assert_int_not_equal(fake_check(vm, REC_VBLK, SLOT, 3, &good, 24), 0);
	assert_int_not_equal(fake_check(vm, REC_VBLK, SLOT, 1, &good, 8), 0);
	r = good, r.capacity = 2049; /* more than the disk here has */
	assert_int_not_equal(fake_check(vm, REC_VBLK, SLOT, 1, &r, 16), 0);
	r = good, r.block = 513;
	assert_int_not_equal(fake_check(vm, REC_VBLK, SLOT, 1, &r, 16), 0);
	r = good, r.ro = 1;
	assert_int_not_equal(fake_check(vm, REC_VBLK, SLOT, 1, &r, 16), 0);
	r = good, r.zero = 1;
	assert_int_not_equal(fake_check(vm, REC_VBLK, SLOT, 1, &r, 16), 0);
	done(vm);
}

/* Without a header, or without room for the status, there is nothing to answer. */
static void test_malformed(void **state)
{
	struct vm *vm = running(VBLK_F_FLUSH);

	desc(0, STATUS, 1, IN);
	set16(AVAIL + 4, 0);
	set16(AVAIL + 2, 1);
	notify(vm, 0);
	assert_true(fake_read(vm, B0 + 0x14, 1) & VIRTIO_NEEDS_RESET);
	assert_int_equal(fake_blk_busy, 0);
	done(vm);
}

/* ---- limits ---- */

#define MSEC 1000000ull

static void limit(uint32_t iops, uint32_t mbps)
{
	assert_int_equal(vblk_limit(dev, &(struct vm_disk_limit){ iops, mbps }), 0);
}

/* A time in which the disk is as fast as it is asked. */
static void pass(unsigned ms)
{
	fake_blk_run(dev);
	while (ms--) {
		fake_now_ns += MSEC;
		if (fake_timer_run())
			fake_blk_run(dev);
	}
}

static void test_limit_of_requests(void **state)
{
	struct vm *vm = running(VBLK_F_FLUSH);

	limit(100, 0);
	for (unsigned i = 0; i < 60; i++)
		put(0, VBLK_T_IN, i, DATA, 512);
	notify(vm, 0);
	fake_blk_run(dev);
	assert_int_equal(used_idx(0), 11); /* what it had saved up in 100 ms, and one */
	assert_false(fake_timer_run());	   /* nobody looks before it is time */
	pass(200);
	assert_int_equal(used_idx(0), 31);
	pass(1000);
	assert_int_equal(used_idx(0), 60);
	assert_int_equal(dev->stats.held, 49);
	assert_int_equal(dev->stats.held_ns, 490 * MSEC);
	assert_false(vblk_limit_holds(dev));
	/* An idle hour is worth no more than a tenth of a second. */
	fake_now_ns += 3600 * 1000 * MSEC;
	for (unsigned i = 0; i < 60; i++)
		put(0, VBLK_T_IN, i, DATA, 512);
	notify(vm, 0);
	fake_blk_run(dev);
	assert_int_equal(used_idx(0), 71);
	limit(0, 0);
	fake_blk_run(dev);
	assert_int_equal(used_idx(0), 120);
	done(vm);
}

static void test_limit_of_bytes(void **state)
{
	struct vm *vm = running(VBLK_F_FLUSH);

	limit(0, 1);
	for (unsigned i = 0; i < 30; i++)
		put(0, i & 1 ? VBLK_T_IN : VBLK_T_OUT, 0, DATA, 50000 / 512 * 512);
	notify(vm, 0);
	pass(500);
	assert_in_range(used_idx(0), 12, 14); /* 600 ms' worth, and the last one's debt */
	assert_true(vblk_limit_holds(dev));
	/* What is held is in the ring: a move does not wait for it. */
	assert_int_equal(vdevs_quiesce(vm, fake_now_ns), 0);
	vdevs_resume(vm);
	pass(1000);
	assert_int_equal(used_idx(0), 30);
	done(vm);
}

/* A queue with little to do gets as many turns as one that is full, though that one came first. */
static void test_limit_is_shared(void **state)
{
	struct vm *vm = running(VBLK_F_FLUSH);

	limit(100, 0);
	for (unsigned i = 0; i < 80; i++)
		put(0, VBLK_T_IN, i, DATA, 512);
	notify(vm, 0);
	fake_blk_run(dev);
	assert_int_equal(used_idx(0), 11);
	for (unsigned i = 0; i < 20; i++)
		put(1, VBLK_T_IN, i, DATA, 512);
	notify(vm, 1);
	fake_blk_run(dev);
	assert_int_equal(used_idx(1), 0);
	pass(200);
	assert_int_equal(used_idx(0), 21);
	assert_int_equal(used_idx(1), 10);
	done(vm);
}

/* A reset takes what was held with it. */
static void test_limit_and_reset(void **state)
{
	struct vm *vm = running(VBLK_F_FLUSH);
	uint32_t status;

	limit(1, 0);
	for (unsigned i = 0; i < 5; i++)
		put(0, VBLK_T_IN, i, DATA, 512);
	notify(vm, 0);
	fake_blk_run(dev);
	assert_true(vblk_limit_holds(dev));
	fake_write(vm, B0 + 0x14, 1, 0);
	assert_false(vblk_limit_holds(dev));
	memset(next_avail, 0, sizeof(next_avail));
	memset(fake_ram + AVAIL, 0, 0x4000);
	start(vm, VBLK_F_FLUSH, 2);
	status = put(0, VBLK_T_IN, 0, DATA, 512);
	notify(vm, 0);
	pass(3000);
	assert_int_equal(fake_ram[status], VBLK_S_OK);
	assert_int_equal(used_idx(0), 1);
	done(vm);
}

static void test_latencies(void **state)
{
	struct vm *vm = running(VBLK_F_FLUSH);
	const struct vdisk_latency *w = &dev->stats.of[BLK_WRITE];

	for (unsigned us = 10; us <= 1000000; us *= 10) {
		put(0, VBLK_T_OUT, 0, DATA, 512);
		notify(vm, 0);
		fake_now_ns += us * 1000;
		fake_blk_run(dev);
	}
	assert_int_equal(w->count, 6);
	assert_int_equal(w->total_ns, 1111110000);
	assert_int_equal(w->max_ns, 1000000000);
	assert_int_equal(w->step[0], 1);	       /* 10 us */
	assert_int_equal(w->step[3], 1);	       /* 100 us */
	assert_int_equal(w->step[6], 1);	       /* 1 ms */
	assert_int_equal(w->step[VDISK_STEPS - 1], 1); /* 1 s */
	assert_int_equal(dev->stats.of[BLK_READ].count, 0);
	done(vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_contents),
		cmocka_unit_test(test_completion_is_done_with_the_device),
		cmocka_unit_test(test_write_through),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_several_ranges),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_errors_of_the_disk),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_a_full_pool),
		cmocka_unit_test(test_reset_in_flight),
		cmocka_unit_test(test_quiesce),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_limit_of_requests),
		cmocka_unit_test(test_limit_of_bytes),
		cmocka_unit_test(test_limit_is_shared),
		cmocka_unit_test(test_limit_and_reset),
		cmocka_unit_test(test_latencies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
