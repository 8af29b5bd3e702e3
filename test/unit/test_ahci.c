/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AHCI against a port and a disk of the test's own: what is put into slots, what may
 * be there together, an error among queued commands found by the disk's log or one
 * by one, time-outs, and that what is handed over again keeps its order.
 */
// SOURCES: drivers/ide_error.c test/unit/fake_drive.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_drive.h"

#include <tern/cpu.h>

/* Registers are the fake port's. */
static uint32_t fake_read(const volatile void *reg);
static void fake_write(volatile void *reg, uint32_t v);
#define mmio_read32 fake_read
#define mmio_write32 fake_write

#include "drivers/ahci_command.c"
#include "drivers/ahci_port.c"
#include "drivers/ahci_recover.c"
#include "drivers/ahci_request.c"
#include "drivers/disk.c"
#define copy_list ide_copy_list
#include "drivers/ide_dma.c"

static unsigned comresets;
static bool dead, mute; /* no link after a reset; the log is not read */
static uint32_t reg[AHCI_PORT_BYTES / 4];
static struct ahci_port port;
static struct { /* commands in the order in which they came */
	unsigned tag;
	uint8_t fis[AHCI_FIS_BYTES];
} came[256];
static unsigned nr_came;
static unsigned failed_tag;

/* ---- the port ---- */

static void command(uint32_t slots)
{
	unsigned tag = (unsigned)__builtin_ctz(slots);

	assert_int_equal(slots & (slots - 1), 0);
	assert_true(reg[AHCI_PORT_CMD / 4] & AHCI_CMD_START);
	came[nr_came].tag = tag;
	memcpy(came[nr_came].fis, port.tables[tag].fis, AHCI_FIS_BYTES);
	if (came[nr_came].fis[2] == ATA_READ_LOG_EXT && !mute) {
		port.bounce[0] = (char)failed_tag;
		reg[AHCI_PORT_TFD / 4] = IDE_STATUS_DRDY;
	} else {
		reg[AHCI_PORT_CI / 4] |= slots;
	}
	nr_came++;
}

static uint32_t fake_read(const volatile void *at)
{
	unsigned off = (unsigned)((uintptr_t)at - (uintptr_t)reg);

	assert_true(off < sizeof(reg));
	return reg[off / 4];
}

static void fake_write(volatile void *at, uint32_t v)
{
	unsigned off = (unsigned)((uintptr_t)at - (uintptr_t)reg);

	assert_true(off < sizeof(reg));
	if (off == AHCI_PORT_CI) {
		command(v);
		return;
	}
	if (off == AHCI_PORT_IS || off == AHCI_PORT_SERR) {
		reg[off / 4] &= ~v;
		return;
	}
	if (off == AHCI_PORT_SACT) {
		reg[off / 4] |= v;
		return;
	}
	if (off == AHCI_PORT_CMD && !(v & AHCI_CMD_START))
		reg[AHCI_PORT_CI / 4] = reg[AHCI_PORT_SACT / 4] = 0;
	if (off == AHCI_PORT_SCTL && (v & AHCI_DETECTION) == AHCI_DET_RESET) {
		comresets++;
		reg[AHCI_PORT_SSTS / 4] = dead ? AHCI_DET_NONE : AHCI_DET_LINK_UP;
		reg[AHCI_PORT_TFD / 4] = IDE_STATUS_DRDY;
	}
	reg[off / 4] = v;
}

/* The disk takes these back. */
static void finish(uint32_t slots, uint32_t events)
{
	reg[AHCI_PORT_CI / 4] &= ~slots;
	reg[AHCI_PORT_SACT / 4] &= ~slots;
	reg[AHCI_PORT_IS / 4] |= events;
	ahci_port_interrupt(&port);
}

static void report_error(void)
{
	reg[AHCI_PORT_TFD / 4] = IDE_STATUS_DRDY | IDE_STATUS_ERR | IDE_ERROR_UNC << 8;
	finish(0, 1u << 30);
	assert_int_equal(fake_broken, 1);
	fake_broken = 0;
	ahci_recover(&port);
}

int ide_parse_identify(const uint16_t word[256], struct ide_identity *out, const char **why)
{
	(void)word;
	(void)out;
	*why = "not here";
	return -EINVAL;
}

static void recover(void *arg)
{
	ahci_recover(arg);
}

static void let_time_pass(uint64_t ns)
{
	fake_drive_pass(ns, recover, &port);
}

/* ---- requests ---- */

static struct blk_seg seg[64];
static struct blk_req req[64];
static char memory[2][2 * PAGE_SIZE];

static void submitted(unsigned i, enum blk_op op, uint64_t block, uint64_t blocks)
{
	seg[i] = (struct blk_seg){ HPA((uintptr_t)memory[i & 1] & ~1ull),
				   (uint32_t)blocks * port.blk.geo.block_bytes };
	req[i] = (struct blk_req){ .op = op,
				   .block = block,
				   .blocks = blocks,
				   .segs = &seg[i],
				   .nr_segs = 1,
				   .dev = &port.blk };
	port.blk.ops->submit(&port.blk, &req[i]);
}

static uint64_t lba(unsigned i)
{
	const uint8_t *f = came[i].fis;

	return f[4] | f[5] << 8 | f[6] << 16 | (uint64_t)f[8] << 24 | (uint64_t)f[9] << 32 |
	       (uint64_t)f[10] << 40;
}

static int start(void **state)
{
	(void)state;
	memset(&port, 0, sizeof(port));
	memset(reg, 0, sizeof(reg));
	fake_drive_reset(&port.lock);
	comresets = nr_came = 0;
	dead = mute = false;
	port.regs = (volatile uint8_t *)reg;
	port.dma_limit = UINT64_MAX;
	port.nr_slots = 8;
	port.id = (struct ide_identity){ .blocks = 1u << 20,
					 .block_bytes = 512,
					 .physical_bytes = 512,
					 .flush_ext = true,
					 .write_cache = true,
					 .trim = true,
					 .trim_blocks = 1,
					 .queue_depth = 8 };
	spin_init(&port.lock, LOCK_DRIVER, "test");
	assert_int_equal(take_memory(&port), 0);
	assert_int_equal(start_disk(&port), 0);
	ahci_start(&port);
	return 0;
}

static int end(void **state)
{
	(void)state;
	give_memory(&port);
	return 0;
}

static void test_slot(void **state)
{
	const struct ahci_table *t = port.tables;

	(void)state;
	submitted(0, BLK_READ, 0x123456789aull, 3);
	submitted(1, BLK_WRITE, 7, 16);
	assert_int_equal(nr_came, 2);
	assert_int_equal(t[0].fis[0], 0x27);
	assert_int_equal(t[0].fis[1], 0x80);
	assert_int_equal(t[0].fis[2], 0x60);
	assert_int_equal(t[0].fis[3], 3);
	assert_int_equal(t[0].fis[7], 0x40);
	assert_int_equal(t[0].fis[12], 0);
	assert_true(lba(0) == 0x123456789aull);
	assert_int_equal(port.list[0].flags, 5);
	assert_int_equal(port.list[0].prds, 1);
	assert_int_equal(t[0].prd[0].len, 3 * 512 - 1);
	assert_int_equal(t[1].fis[2], 0x61);
	assert_int_equal(t[1].fis[12], 1 << 3);
	assert_int_equal(port.list[1].flags, 5 | 0x40);
	assert_int_equal(reg[AHCI_PORT_SACT / 4], 3);
	finish(2, 8);
	assert_int_equal(fake_nr_done, 1);
	assert_ptr_equal(fake_done[0], &req[1]);
	assert_int_equal(req[1].status, 0);
	finish(1, 8);
	assert_int_equal(fake_nr_done, 2);
}

/* A flush waits for what is queued, and what comes later waits for it. */
static void test_flush_goes_alone(void **state)
{
	(void)state;
	submitted(0, BLK_WRITE, 1, 1);
	submitted(1, BLK_FLUSH, 0, 0);
	submitted(2, BLK_WRITE, 2, 1);
	assert_int_equal(nr_came, 1);
	finish(1, 8);
	assert_int_equal(nr_came, 2);
	assert_int_equal(came[1].fis[2], ATA_FLUSH_EXT);
	assert_int_equal(reg[AHCI_PORT_SACT / 4], 0);
	finish(1, 1);
	assert_int_equal(nr_came, 3);
	assert_int_equal(fake_nr_done, 2);
	submitted(3, BLK_DISCARD, 5, 9);
	finish(1, 8);
	assert_int_equal(came[3].fis[2], ATA_DATA_SET_MANAGEMENT);
	assert_int_equal(came[3].fis[3], 1);
	assert_int_equal(came[3].fis[12], 1);
	assert_int_equal(port.bounce[0], 5);
	assert_int_equal(port.bounce[6], 9);
}

static void test_more_than_slots(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++)
		submitted(i, BLK_READ, 100 + i, 1);
	assert_int_equal(nr_came, 8);
	finish(1u << 5, 8);
	assert_int_equal(nr_came, 9);
	assert_int_equal(came[8].tag, 5);
	assert_int_equal(lba(8), 108);
}

/* Memory at an odd address is copied; one request at a time has the buffer. */
static void test_bounce(void **state)
{
	struct blk_seg odd = { HPA((uintptr_t)memory[0] | 1), 512 };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		req[i] = (struct blk_req){ .op = BLK_READ,
					   .block = i,
					   .blocks = 1,
					   .segs = &odd,
					   .nr_segs = 1,
					   .dev = &port.blk };
		port.blk.ops->submit(&port.blk, &req[i]);
	}
	assert_int_equal(nr_came, 1);
	memset(port.bounce, 0x5a, 512);
	finish(1, 8);
	assert_int_equal(memory[0][1], 0x5a);
	assert_int_equal(memory[0][512], 0x5a);
	assert_int_equal(nr_came, 2);
}

static void test_zeroes(void **state)
{
	(void)state;
	submitted(0, BLK_WRITE_ZEROES, 1, 300);
	assert_int_equal(port.list[0].prds, 3);
	assert_int_equal(port.tables[0].prd[2].len, 300 * 512 - 2 * 65536 - 1);
	assert_true(port.tables[0].prd[2].addr == (uintptr_t)port.zeroes);
}

/* The log tells who it was: that one is tried again with the others, in order. */
static void test_error_by_log(void **state)
{
	(void)state;
	port.id.logs = true;
	for (unsigned i = 0; i < 4; i++)
		submitted(i, BLK_READ, 10 + i, 1);
	finish(1u << 1, 8);
	failed_tag = 2;
	report_error();
	assert_int_equal(comresets, 0);
	assert_int_equal(came[4].fis[2], ATA_READ_LOG_EXT);
	assert_int_equal(came[4].fis[4], 0x10);
	assert_int_equal(nr_came, 8);
	assert_int_equal(lba(5), 10);
	assert_int_equal(lba(6), 12);
	assert_int_equal(lba(7), 13);
	assert_int_equal(req[2].tries, 1);
	assert_int_equal(req[0].tries + req[3].tries, 0);
	for (unsigned i = 0; i < 2; i++) {
		failed_tag = 1;
		report_error();
	}
	assert_int_equal(req[2].status, -EIO);
	assert_int_equal(fake_nr_done, 2);
	finish(3, 8);
	assert_int_equal(fake_nr_done, 4);
	assert_int_equal(req[0].status | req[3].status, 0);
}

/* Without a log each goes by itself until the one is found; then they queue again. */
static void test_error_one_by_one(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		submitted(i, BLK_READ, 10 + i, 1);
	report_error();
	assert_int_equal(comresets, 1);
	assert_int_equal(nr_came, 4);
	assert_int_equal(lba(3), 10);
	finish(1, 8);
	assert_int_equal(lba(4), 11);
	for (unsigned i = 0; i < 3; i++)
		report_error();
	assert_int_equal(req[1].status, -EIO);
	assert_int_equal(lba(nr_came - 1), 12);
	finish(1, 8);
	assert_int_equal(fake_nr_done, 3);
	assert_int_equal(req[0].status | req[2].status, 0);
	assert_int_equal(port.blk.stats.retries, 2);
	nr_came = 0;
	submitted(0, BLK_READ, 1, 1);
	submitted(1, BLK_READ, 2, 1);
	assert_int_equal(nr_came, 2);
}

/* Some adapters take a command back that failed. */
static void test_error_of_a_flush(void **state)
{
	(void)state;
	submitted(0, BLK_FLUSH, 0, 0);
	for (unsigned i = 0; i < 3; i++) {
		reg[AHCI_PORT_CI / 4] = 0;
		assert_int_equal(fake_nr_done, 0);
		report_error();
	}
	assert_int_equal(fake_nr_done, 1);
	assert_int_equal(req[0].status, -EIO);
}

static void test_silence(void **state)
{
	(void)state;
	submitted(0, BLK_READ, 1, 1);
	submitted(1, BLK_READ, 2, 1);
	let_time_pass(DISK_TRY_NS);
	assert_int_equal(comresets, 1);
	assert_int_equal(nr_came, 4);
	assert_int_equal(lba(2), 1);
	assert_int_equal(lba(3), 2);
	finish(2, 8);
	assert_int_equal(fake_nr_done, 1);
	assert_int_equal(req[1].status, 0);
	let_time_pass(DISK_TRY_NS);
	let_time_pass(DISK_TRY_NS);
	assert_int_equal(comresets, 3);
	assert_int_equal(fake_nr_done, 2);
	assert_int_equal(req[0].status, -ETIMEDOUT);
	assert_true(fake_now_ns - NSEC_PER_SEC < DISK_IO_TIMEOUT_NS);
}

/* One that has ended without its interrupt is found, and not taken for a silent disk. */
static void test_lost_interrupt(void **state)
{
	(void)state;
	submitted(0, BLK_READ, 1, 1);
	submitted(1, BLK_READ, 2, 1);
	reg[AHCI_PORT_CI / 4] = reg[AHCI_PORT_SACT / 4] = 0;
	let_time_pass(DISK_TRY_NS);
	assert_int_equal(fake_nr_done, 2);
	assert_int_equal(port.blk.stats.lost, 2);
	assert_int_equal(port.blk.stats.timeouts + comresets, 0);
}

/* One that waits for a slot has no more time than those that have one. */
static void test_waits_in_time(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 9; i++)
		submitted(i, BLK_WRITE, i, 1);
	for (unsigned i = 0; i < 3; i++)
		let_time_pass(DISK_TRY_NS);
	assert_int_equal(fake_nr_done, 9);
	assert_int_equal(req[8].status, -ETIMEDOUT);
	assert_int_equal(comresets, 3);
	assert_int_equal(nr_came, 3 * 8);
}

/* An error, its log unreadable, and the reset after that: no longer than a reset may take. */
static void test_recovery_in_time(void **state)
{
	uint64_t start_ns;

	(void)state;
	port.id.logs = mute = true;
	submitted(0, BLK_READ, 1, 1);
	submitted(1, BLK_READ, 2, 1);
	start_ns = fake_now_ns;
	dead = true;
	report_error();
	assert_int_equal(comresets, 1);
	assert_int_equal(fake_nr_done, 2);
	assert_true(fake_now_ns - start_ns <= DISK_RESET_NS);
}

/* What it had and what waited ends, in time; so does what comes later. */
static void test_gone(void **state)
{
	(void)state;
	dead = true;
	for (unsigned i = 0; i < 10; i++)
		submitted(i, BLK_READ, i, 1);
	let_time_pass(DISK_TRY_NS);
	assert_int_equal(fake_nr_done, 10);
	assert_int_equal(req[0].status, -ETIMEDOUT);
	assert_int_equal(req[9].status, -ENODEV);
	assert_true(fake_now_ns - NSEC_PER_SEC < DISK_IO_TIMEOUT_NS);
	submitted(0, BLK_READ, 0, 1);
	assert_int_equal(req[0].status, -ENODEV);
}

/* A disk that does not queue, with long blocks. */
static void test_no_queueing(void **state)
{
	(void)state;
	port.nr_slots = 1;
	port.id.block_bytes = 4096;
	port.blk.geo = geometry(&port);
	assert_int_equal(port.blk.geo.max_zeroes_blocks, 256);
	submitted(0, BLK_READ, 5, 2);
	submitted(1, BLK_WRITE, 6, 1);
	assert_int_equal(nr_came, 1);
	assert_int_equal(came[0].fis[2], ATA_READ_DMA_EXT);
	assert_int_equal(came[0].fis[12], 2);
	assert_int_equal(port.tables[0].prd[0].len, 8191);
	finish(1, 1);
	assert_int_equal(came[1].fis[2], ATA_WRITE_DMA_EXT);
}

static void test_what_the_adapter_does_not_reach(void **state)
{
	struct blk_seg across = { HPA(0xfffffe00), 1024 }, last = { HPA(0xfffffe00), 512 };

	(void)state;
	assert_int_equal(ahci_build_prds(port.tables[0].prd, &across, 1, 1ull << 32), 0);
	assert_int_equal(ahci_build_prds(port.tables[0].prd, &last, 1, 1ull << 32), 1);
	assert_int_equal(ahci_build_prds(port.tables[0].prd, &across, 1, UINT64_MAX), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_slot),
		TEST(test_flush_goes_alone),
		TEST(test_more_than_slots),
		TEST(test_bounce),
		TEST(test_zeroes),
		TEST(test_error_by_log),
		TEST(test_error_one_by_one),
		TEST(test_error_of_a_flush),
		TEST(test_silence),
		TEST(test_lost_interrupt),
		TEST(test_waits_in_time),
		TEST(test_recovery_in_time),
		TEST(test_gone),
		TEST(test_no_queueing),
		TEST(test_what_the_adapter_does_not_reach),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
