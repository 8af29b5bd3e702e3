/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The limits of a guest's disk, in requests and in bytes a second, and how long its requests took.
 */
// SOURCES: kernel/vdev/virtq.c kernel/vdev/msix.c kernel/vdev/virtio.c kernel/vdev/virtio_pci.c
// SOURCES: kernel/vdev/virtio_regs.c kernel/vdev/vblk*.c kernel/vdev/pci.c
// SOURCES: kernel/vdev/pci_func.c kernel/vdev/vdev.c kernel/lib/rec.c kernel/lib/bucket.c
// SOURCES: test/unit/fake_vdev.c test/unit/fake_blk.c
// SOURCES: test/unit/fake_virtio.c
#include "test/unit/vblk_driver.h"

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
		cmocka_unit_test(test_limit_of_requests), cmocka_unit_test(test_limit_of_bytes),
		cmocka_unit_test(test_limit_is_shared),	  cmocka_unit_test(test_limit_and_reset),
		cmocka_unit_test(test_latencies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
