/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's disk as a driver drives it, on a disk that takes little at once and completes when it
 * is told to: contents, parts, errors, a reset and a quiesce with requests in flight, a full pool,
 * a move. Limits are in test_vblk_limit.c.
 */
// SOURCES: kernel/vdev/virtq.c kernel/vdev/msix.c kernel/vdev/virtio.c kernel/vdev/virtio_pci.c
// SOURCES: kernel/vdev/virtio_regs.c kernel/vdev/vblk*.c kernel/vdev/pci.c
// SOURCES: kernel/vdev/pci_func.c kernel/vdev/vdev.c kernel/lib/rec.c kernel/lib/bucket.c
// SOURCES: test/unit/fake_vdev.c test/unit/fake_blk.c
// SOURCES: test/unit/fake_virtio.c
#include "test/unit/vblk_driver.h"

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

/* What was taken ends, what comes stays in the ring; a reset and a quiesce change nothing of it. */
static void test_pause(void **state)
{
	struct vm *vm = running(VBLK_F_FLUSH);
	uint32_t status = put(0, VBLK_T_IN, 0, DATA, 512), later;

	notify(vm, 0);
	vblk_pause(dev, true);
	later = put(0, VBLK_T_IN, 0, DATA, 512);
	notify(vm, 0);
	assert_int_equal(fake_blk_busy, 1);
	fake_blk_run(dev);
	assert_int_equal(fake_ram[status], VBLK_S_OK);
	assert_int_equal(vdevs_quiesce(vm, fake_now_ns), 0);
	vdevs_resume(vm);
	assert_int_equal(used_idx(0), 1);
	assert_int_equal(fake_blk_busy, 0);
	assert_int_equal(vdevs_quiesce(vm, fake_now_ns), 0);
	vblk_pause(dev, false); /* it takes none yet: it stands still */
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
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
