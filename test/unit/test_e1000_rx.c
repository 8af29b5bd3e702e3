/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The e1000 driver's receiver against a chip of the test's own in fake registers: frames over many
 * rounds, odd ones, no memory for new buffers, and the filter of addresses. Sending is in
 * test_e1000.c.
 */
#include "test/unit/fake_e1000.h"

static uint32_t rx_head, expect_len, frames;
static uint8_t expect_first;
static bool take_all, expect_ok;

/* The chip fills as many buffers as the frame needs; false when it has too few. */
static bool chip_receive(uint8_t first, uint32_t len, uint8_t status, uint8_t errors, bool whole)
{
	uint32_t need = (len + PAGE_SIZE - 1) / PAGE_SIZE, at = 0;

	if (((reg(E1000_RDT) - rx_head) & RX_MASK) < need)
		return false;
	for (uint32_t i = 0; i < need; i++, rx_head++) {
		struct e1000_rx_desc *e = &dev.rx.desc[rx_head & RX_MASK];
		uint32_t n = MIN(len - at, (uint32_t)PAGE_SIZE);

		assert_true(e->addr != 0 && e->status == 0);
		memset(hpa_ptr(HPA(e->addr)), first, n);
		at += n;
		e->len = (uint16_t)n;
		e->errors = errors;
		e->status = RXD_DONE | (at == len && whole ? RXD_END | status : 0);
	}
	return true;
}

static void on_rx(struct nic *n, struct nic_rx *f)
{
	uint32_t len = 0;

	(void)n;
	for (unsigned i = 0; i < f->nr_segs; i++) {
		const uint8_t *b = hpa_ptr(f->seg[i].addr);

		assert_int_equal(f->seg[i].addr.v & PAGE_MASK, 0);
		assert_int_equal(b[0], expect_first);
		assert_int_equal(b[f->seg[i].len - 1], expect_first);
		len += f->seg[i].len;
	}
	assert_int_equal(len, f->len);
	assert_int_equal(len, expect_len);
	assert_int_equal(f->csum_ok, expect_ok);
	f->taken = take_all;
	frames++;
}

static void test_receive(void **state)
{
	(void)state;
	restart(0x10d3);
	dev.nic.rx = on_rx;
	rx_head = frames = 0;
	e1000_rx_fill(&dev);
	assert_int_equal(reg(E1000_RDT), RX_MASK); /* one place stays empty */
	for (uint32_t n = 0; n < 2500; n++) {
		expect_first = (uint8_t)n;
		expect_len = 60 + n * 37 % 9000;
		take_all = n % 3 == 0;
		expect_ok = n % 2;
		assert_true(chip_receive(expect_first, expect_len,
					 expect_ok ? RXD_TCP_CHECKED : RXD_NO_CHECKSUM, 0, true));
		assert_true(e1000_rx_ready(&dev.rx));
		assert_int_equal(e1000_rx_poll(&dev, 64), 1);
		assert_false(e1000_rx_ready(&dev.rx));
		assert_int_equal((reg(E1000_RDT) - rx_head) & RX_MASK, RX_MASK);
	}
	assert_int_equal(frames, 2500);
	assert_int_equal(dev.nic.rx_packets, 2500);
	assert_int_equal(dev.nic.rx_dropped, 0);
}

/* A frame whose end has not come waits; a damaged one, or a bad sum, is told. */
static void test_receive_odd(void **state)
{
	(void)state;
	restart(0x10d3);
	dev.nic.rx = on_rx;
	rx_head = frames = 0;
	take_all = false;
	e1000_rx_fill(&dev);
	assert_true(chip_receive(1, 8192, 0, 0, false));
	assert_false(e1000_rx_ready(&dev.rx));
	assert_int_equal(e1000_rx_poll(&dev, 64), 0);
	expect_first = 1;
	expect_len = 8192 + 10;
	expect_ok = false;
	assert_true(chip_receive(1, 10, RXD_TCP_CHECKED, RXD_BAD_CHECKSUM, true));
	assert_int_equal(e1000_rx_poll(&dev, 64), 1);
	assert_int_equal(frames, 1);
	assert_true(chip_receive(1, 60, RXD_TCP_CHECKED, 1, true)); /* CRC */
	assert_int_equal(e1000_rx_poll(&dev, 64), 1);
	assert_int_equal(dev.nic.rx_dropped, 1);
	for (unsigned n = 0; n < NIC_MAX_SEGS + 1; n++)
		assert_true(chip_receive(1, PAGE_SIZE, 0, 0, n == NIC_MAX_SEGS));
	assert_int_equal(e1000_rx_poll(&dev, 64), 1);
	assert_int_equal(dev.nic.rx_dropped, 2);
	assert_int_equal(frames, 1);
}

/* Without memory the ring runs dry, and is filled again when there is some. */
static void test_short_memory(void **state)
{
	(void)state;
	restart(0x10d3);
	dev.nic.rx = on_rx;
	rx_head = frames = 0;
	take_all = true;
	expect_first = 9;
	expect_len = 100;
	expect_ok = false;
	e1000_rx_fill(&dev);
	no_memory = true;
	while (chip_receive(9, 100, RXD_NO_CHECKSUM, 0, true))
		assert_int_equal(e1000_rx_poll(&dev, 64), 1);
	assert_int_equal(frames, RX_MASK);
	no_memory = false;
	assert_int_equal(e1000_rx_poll(&dev, 64), 0);
	assert_true(chip_receive(9, 100, RXD_NO_CHECKSUM, 0, true));
	assert_int_equal(e1000_rx_poll(&dev, 64), 1);
	e1000_rx_rewind(&dev);
	rx_head = 0;
	e1000_rx_fill(&dev);
	assert_int_equal(reg(E1000_RDT), RX_MASK);
	assert_true(chip_receive(9, 100, RXD_NO_CHECKSUM, 0, true));
	assert_int_equal(e1000_rx_poll(&dev, 64), 1);
}

/* The guests' addresses beside the card's own; more than it has registers for: all. */
static void test_filter(void **state)
{
	(void)state;
	restart(0x100e);
	memcpy(dev.nic.mac, (const uint8_t[6]){ 2, 0, 0, 0, 0, 1 }, 6);
	for (unsigned n = 0; n < NIC_MAX_ALSO; n++)
		memcpy(dev.nic.also[n], (const uint8_t[6]){ 2, 0, 0, 0, 1, (uint8_t)n }, 6);
	dev.nic.nr_also = 14;
	e1000_filter(&dev.nic);
	assert_int_equal(reg(E1000_RAH), RAH_VALID | 0x0100);
	assert_int_equal(reg(E1000_RAL + 8), 0x00000002);
	assert_int_equal(reg(E1000_RAH + 8), RAH_VALID | 0x0001);
	assert_int_equal(reg(E1000_RAH + 14 * 8), RAH_VALID | 0x0d01);
	assert_int_equal(reg(E1000_RCTL) & RCTL_ALL_UNICAST, 0);
	dev.nic.nr_also = 15;
	e1000_filter(&dev.nic);
	assert_int_not_equal(reg(E1000_RCTL) & RCTL_ALL_UNICAST, 0);
	dev.nic.nr_also = 1;
	e1000_filter(&dev.nic);
	assert_int_equal(reg(E1000_RAH + 2 * 8), 0);
	assert_int_equal(reg(E1000_RCTL) & RCTL_ALL_UNICAST, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_receive, stop),
		cmocka_unit_test_teardown(test_receive_odd, stop),
		cmocka_unit_test_teardown(test_short_memory, stop),
		cmocka_unit_test_teardown(test_filter, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
