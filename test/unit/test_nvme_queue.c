/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The NVMe driver against a controller in memory: queues that wrap, requests that
 * wait, errors and tries, a controller that does not answer, does not stop, is gone.
 */
// SOURCES: drivers/nvme_prp.c drivers/nvme_status.c drivers/nvme_ring.c drivers/nvme_admin.c
// SOURCES: drivers/nvme_ctrl.c drivers/nvme_command.c drivers/nvme_queue.c drivers/nvme_recover.c
// SOURCES: drivers/blkdev.c drivers/disk.c test/unit/fake_nvme.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "fake_nvme.h"

#define REQS 64u

static struct blk_req req[REQS];
static unsigned order[REQS], nr_ended;
static uint64_t ended_ns[REQS];
static bool early; /* something ended while the controller could still touch its memory */
static uint8_t data[4 * PAGE_SIZE] __attribute__((aligned(4096)));
static struct blk_seg seg;

static void done(struct blk_req *r)
{
	unsigned i = (unsigned)(r - req);

	assert_true(nr_ended < REQS);
	order[nr_ended++] = i;
	ended_ns[i] = fake_now_ns;
	if (r->status == -ETIMEDOUT && fake_master &&
	    (nvme_ctrl_status(&fake_ctrl) & NVME_CSTS_RDY))
		early = true;
}

static int setup(void **state)
{
	fake_nvme_setup(2, 4);
	memset(req, 0, sizeof(req));
	memset(data, 0, sizeof(data));
	nr_ended = 0;
	early = false;
	seg = (struct blk_seg){ ptr_hpa(data), 512 };
	return 0;
}

static int teardown(void **state)
{
	fake_nvme_teardown();
	return 0;
}

/* A request of the block with its number. */
static void go(unsigned i, enum blk_op op)
{
	req[i] = (struct blk_req){
		.op = op, .block = i, .blocks = 1, .segs = &seg, .nr_segs = 1, .done = done
	};
	blk_submit(&fake_ns.blk, &req[i]);
	fake_nvme_step();
}

static void poll(void)
{
	for (unsigned i = 0; i < fake_ctrl.nr_queues; i++)
		nvme_queue_poll(&fake_ctrl.queue[i]);
	fake_nvme_step();
}

/* The n-th command that the controller has seen since its start is this one's. */
static void saw(unsigned n, uint16_t queue, uint8_t opcode, unsigned i)
{
	assert_true(n < fake_nr_seen);
	assert_int_equal(fake_seen[n].queue, queue);
	assert_int_equal(fake_seen[n].e.opcode, opcode);
	assert_int_equal(fake_seen[n].e.nsid, 7);
	if (opcode != NVME_FLUSH)
		assert_int_equal(fake_seen[n].e.cdw10, i);
}

static void answer(unsigned n, uint16_t status)
{
	fake_nvme_answer(fake_seen[n].queue, fake_seen[n].e.cid, status);
}

/* ---- queues ---- */

static void test_wraps(void **state)
{
	fake_answers = true;
	for (unsigned i = 0; i < 23; i++) {
		go(i, i & 1 ? BLK_WRITE : BLK_READ);
		assert_int_equal(nr_ended, i);
		poll();
		assert_int_equal(nr_ended, i + 1);
		assert_int_equal(req[i].status, 0);
		saw(i, 1, i & 1 ? NVME_WRITE : NVME_READ, i);
		assert_int_equal(fake_nvme_bell(1, false), (i + 1) % 4);
		assert_int_equal(fake_nvme_bell(1, true), (i + 1) % 4);
	}
	poll(); /* what the last pass left is not new */
	assert_int_equal(nr_ended, 23);
	assert_int_equal(fake_ns.blk.stats.doorbells, 23);
	assert_int_equal(fake_ns.blk.stats.interrupts, 23);
	assert_int_equal(fake_ns.blk.stats.copied_bytes, 0);
}

static void test_each_cpu_its_queue(void **state)
{
	for (fake_cpu = 0; fake_cpu < 4; fake_cpu++)
		go(fake_cpu, BLK_READ);
	for (unsigned i = 0; i < 4; i++)
		saw(i, (uint16_t)(i % 2 + 1), NVME_READ, i);
}

static void test_more_than_slots(void **state)
{
	for (unsigned i = 0; i < 9; i++)
		go(i, BLK_WRITE);
	assert_int_equal(fake_nr_seen, 3);
	answer(1, 0);
	answer(0, 0);
	poll();
	assert_int_equal(nr_ended, 2);
	assert_true(order[0] == 1 && order[1] == 0);
	assert_int_equal(fake_nr_seen, 5);
	fake_answers = true;
	for (unsigned n = 2; n < 5; n++)
		answer(n, 0);
	for (unsigned i = 0; i < 4; i++)
		poll();
	assert_int_equal(nr_ended, 9);
	for (unsigned n = 0; n < 9; n++)
		saw(n, 1, NVME_WRITE, n);
}

static void test_stray_answer(void **state)
{
	go(0, BLK_READ);
	fake_nvme_answer(1, 99, 0);
	fake_nvme_answer(1, (uint16_t)(fake_seen[0].e.cid ^ 1), 0);
	answer(0, 0);
	answer(0, 0);
	poll();
	assert_int_equal(nr_ended, 1);
}

static void test_commands(void **state)
{
	const struct nvme_range *range;

	go(0, BLK_FLUSH);
	req[1] = (struct blk_req){
		.op = BLK_WRITE_ZEROES, .block = 9, .blocks = 65536, .done = done
	};
	blk_submit(&fake_ns.blk, &req[1]);
	req[2] = (struct blk_req){ .op = BLK_DISCARD, .block = 5, .blocks = 65536, .done = done };
	blk_submit(&fake_ns.blk, &req[2]);
	fake_nvme_step();
	saw(0, 1, NVME_FLUSH, 0);
	saw(1, 1, NVME_WRITE_ZEROES, 9);
	assert_int_equal(fake_seen[1].e.cdw12, 65535);
	assert_int_equal(fake_seen[2].e.opcode, NVME_DATASET);
	assert_int_equal(fake_seen[2].e.cdw10, 0);
	assert_int_equal(fake_seen[2].e.cdw11, 4);
	range = hpa_ptr(HPA(fake_seen[2].e.prp1));
	assert_int_equal(range->block, 5);
	assert_int_equal(range->blocks, 65536);
}

/* Pieces that do not meet at a page boundary: copied, from queue 1, one at a time. */
static void test_bounced(void **state)
{
	struct blk_seg odd[] = { { ptr_hpa(data + 1), 100 }, { ptr_hpa(data + 4097), 412 } };
	char *bounce = fake_ctrl.bounce;

	fake_cpu = 1;
	for (unsigned i = 0; i < 2; i++) {
		req[i] = (struct blk_req){ .op = i ? BLK_WRITE : BLK_READ,
					   .blocks = 1,
					   .segs = odd,
					   .nr_segs = 2,
					   .done = done };
		blk_submit(&fake_ns.blk, &req[i]);
	}
	fake_nvme_step();
	assert_int_equal(fake_nr_seen, 1);
	assert_int_equal(fake_seen[0].queue, 1);
	assert_true(fake_seen[0].e.prp1 == ptr_hpa(bounce).v);
	for (unsigned i = 0; i < 512; i++)
		bounce[i] = (char)(i * 7);
	answer(0, 0);
	poll();
	for (unsigned i = 0; i < 512; i++)
		assert_int_equal(data[i < 100 ? 1 + i : 4097 + i - 100], (uint8_t)(i * 7));
	assert_int_equal(data[0] | data[101] | data[4096] | data[4509], 0);
	memset(data, 0x5a, sizeof(data));
	assert_int_equal(fake_nr_seen, 2); /* the second was built before its data changed */
	assert_int_equal((uint8_t)bounce[511], (uint8_t)(511 * 7));
	assert_int_equal(fake_ns.blk.stats.copied_bytes, 2 * 512);
}

/* ---- errors ---- */

static void test_tried_again(void **state)
{
	go(0, BLK_READ);
	go(1, BLK_READ);
	answer(0, NVME_SC_UNRECOVERED_READ);
	poll();
	assert_int_equal(nr_ended, 0);
	saw(2, 1, NVME_READ, 0);
	answer(2, 0);
	poll();
	assert_int_equal(req[0].status, 0);
	assert_int_equal(fake_ns.blk.stats.retries, 1);
	for (unsigned n = 1; n < 5; n += n == 1 ? 2 : 1) {
		answer(n, NVME_SC_UNRECOVERED_READ);
		poll();
	}
	assert_int_equal(nr_ended, 2);
	assert_int_equal(req[1].status, -EIO);
	assert_int_equal(fake_nr_seen, 5);
	assert_int_equal(fake_ns.blk.stats.retries, 3);
	assert_int_equal(fake_ns.blk.stats.errors, 1);
}

static void test_not_tried_again(void **state)
{
	go(0, BLK_WRITE);
	answer(0, NVME_STATUS_DNR | NVME_SC_WRITE_PROTECTED);
	poll();
	assert_int_equal(req[0].status, -EROFS);
	assert_int_equal(fake_nr_seen, 1);
	assert_int_equal(fake_ns.blk.stats.retries, 0);
}

/* ---- no answer ---- */

static void test_lost_interrupt(void **state)
{
	go(0, BLK_READ);
	answer(0, 0);
	fake_nvme_pass(DISK_TRY_NS + 2 * NVME_TICK_NS);
	assert_int_equal(nr_ended, 1);
	assert_int_equal(req[0].status, 0);
	assert_int_equal(fake_nr_aborts, 0);
	assert_int_equal(fake_nr_started, 1);
}

static void test_idle_has_no_timer(void **state)
{
	fake_answers = true;
	go(0, BLK_READ);
	poll();
	fake_nvme_pass(2 * NVME_TICK_NS);
	assert_false(fake_ctrl.ticking);
	go(1, BLK_READ);
	assert_true(fake_ctrl.ticking);
}

static void test_aborted(void **state)
{
	fake_aborts = true;
	go(0, BLK_READ);
	fake_nvme_pass(DISK_TRY_NS + 2 * NVME_TICK_NS);
	assert_int_equal(fake_nr_aborts, 1);
	assert_int_equal(fake_nr_started, 1);
	assert_int_equal(nr_ended, 0);
	saw(1, 1, NVME_READ, 0);
	answer(1, 0);
	poll();
	assert_int_equal(req[0].status, 0);
	assert_int_equal(fake_ns.blk.stats.timeouts, 1);
	assert_int_equal(fake_ns.blk.stats.resets, 0);
}

static void done_while_it_stops(void)
{
	answer(2, 0);
}

/* What was done, even at the last moment, is not done again; the rest is, in the old order. */
static void test_replayed_in_order(void **state)
{
	for (unsigned i = 0; i < 3; i++)
		go(i, BLK_WRITE);
	fake_cpu = 1;
	go(10, BLK_WRITE);
	go(11, BLK_FLUSH);
	fake_cpu = 0;
	answer(0, 0);
	poll();
	go(3, BLK_WRITE); /* in the first one's slot: slots are not the order */
	go(4, BLK_WRITE); /* waits */
	assert_int_equal(nr_ended, 1);
	fake_before_stop = done_while_it_stops;
	fake_nvme_pass(DISK_TRY_NS + NVME_ABORT_NS + 3 * NVME_TICK_NS);
	assert_int_equal(fake_nr_started, 2);
	assert_int_equal(fake_ns.blk.stats.resets, 1);
	assert_int_equal(nr_ended, 2);
	assert_int_equal(order[1], 2);
	assert_int_equal(fake_nr_seen, 5);
	saw(0, 1, NVME_WRITE, 1);
	saw(1, 1, NVME_WRITE, 3);
	saw(2, 1, NVME_WRITE, 4);
	saw(3, 2, NVME_WRITE, 10);
	saw(4, 2, NVME_FLUSH, 11);
	for (unsigned n = 0; n < 5; n++)
		answer(n, 0);
	poll();
	assert_int_equal(nr_ended, 7);
	for (unsigned n = 0; n < nr_ended; n++)
		assert_int_equal(req[order[n]].status, 0);
}

/* All that was handed over ends in time, what waited too, and only when it is safe. */
static void all_time_out(unsigned n)
{
	uint64_t from = fake_now_ns;

	for (unsigned i = 0; i < n; i++)
		go(i, BLK_WRITE);
	fake_nvme_pass(6 * NSEC_PER_SEC);
	assert_int_equal(nr_ended, n);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(req[i].status, -ETIMEDOUT);
		assert_true(ended_ns[i] - from < 5 * NSEC_PER_SEC);
	}
}

static void test_never_answers(void **state)
{
	all_time_out(3);
	assert_false(early);
	assert_true(fake_nr_started >= 3);
	fake_answers = true; /* it is used again afterwards */
	go(20, BLK_READ);
	poll();
	assert_int_equal(req[20].status, 0);
}

static void test_what_waits_ends_too(void **state)
{
	all_time_out(7);
}

static void test_admin_queue_is_silent_too(void **state)
{
	go(30, BLK_READ);
	nr_ended = 0;
	fake_deaf = true;
	fake_nvme_pass(DISK_TRY_NS + NVME_ABORT_NS + 3 * NVME_TICK_NS);
	assert_int_equal(fake_nr_aborts, 0);
	assert_true(fake_nr_started >= 2);
}

static void test_does_not_stop(void **state)
{
	fake_will_not_stop = true;
	all_time_out(2);
	assert_false(early);
	assert_false(fake_master);
	go(20, BLK_READ);
	assert_int_equal(req[20].status, -ENODEV);
}

static void test_does_not_start(void **state)
{
	fake_will_not_start = true;
	all_time_out(2);
	assert_int_equal(fake_nr_started, 1);
	go(20, BLK_READ);
	assert_int_equal(req[20].status, -ENODEV);
}

static void test_gone(void **state)
{
	go(0, BLK_READ);
	mmio_write32(fake_ctrl.regs + NVME_CSTS, NVME_CSTS_GONE);
	fake_nvme_pass(3 * NVME_TICK_NS);
	assert_int_equal(nr_ended, 1);
	assert_int_equal(req[0].status, -ENODEV);
}

static void test_fatal_status(void **state)
{
	go(0, BLK_READ);
	mmio_write32(fake_ctrl.regs + NVME_CSTS, NVME_CSTS_RDY | NVME_CSTS_CFS);
	fake_nvme_pass(3 * NVME_TICK_NS);
	assert_int_equal(fake_nr_started, 2);
	saw(0, 1, NVME_READ, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(wraps),
		T(each_cpu_its_queue),
		T(more_than_slots),
		T(stray_answer),
		T(commands),
		T(bounced),
		T(tried_again),
		T(not_tried_again),
		T(lost_interrupt),
		T(idle_has_no_timer),
		T(aborted),
		T(replayed_in_order),
		T(never_answers),
		T(what_waits_ends_too),
		T(admin_queue_is_silent_too),
		T(does_not_stop),
		T(does_not_start),
		T(gone),
		T(fatal_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
