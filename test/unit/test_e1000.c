/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The e1000 driver's transmitter against a chip of the test's own in fake registers: what it is
 * told to send, byte for byte and cut as the descriptors say; that every buffer comes back once;
 * the hang that is seen; what a 32-bit part is spared.
 */
#include "test/unit/fake_e1000.h"

#define TX_MASK (E1000_TX_RING - 1)

struct wire {
	uint8_t bytes[70000];
	uint32_t len, pieces;
	uint32_t cmd, option; /* of the last descriptor */
	struct e1000_tx_desc context;
};

/* Reads one packet; false when the driver has given no more. */
static bool chip_send(struct wire *w)
{
	w->len = w->pieces = 0;
	while (tx_head != dev.tx.rung) {
		struct e1000_tx_desc *e = &dev.tx.desc[tx_head++ & TX_MASK];
		uint32_t len = e->cmd & 0xfffff;

		if ((e->cmd & TXD_EXTENDED) && !(e->cmd & TXD_DATA)) {
			w->context = *e;
			continue;
		}
		assert_true(len > 0 && len <= E1000_TX_PIECE);
		memcpy(w->bytes + w->len, hpa_ptr(HPA(e->addr)), len);
		w->len += len;
		w->pieces++;
		w->cmd = e->cmd;
		w->option = e->option;
		if (e->cmd & TXD_END) {
			assert_true(e->cmd & TXD_REPORT);
			e->option |= TXD_DONE;
			return true;
		}
	}
	return false;
}

static void done(struct nic_tx *t)
{
	assert_true(t->nr_segs != 0);
	t->nr_segs = 0;
	came++;
}

static struct nic_tx packet(uint32_t first, uint32_t rest)
{
	struct nic_tx t = { .done = done, .nr_segs = 1 };

	t.seg[0] = (struct nic_seg){ .addr = ptr_hpa(payload), .len = first };
	if (rest)
		t.seg[t.nr_segs++] =
			(struct nic_seg){ .addr = ptr_hpa(payload + first), .len = rest };
	return t;
}

static void test_plain(void **state)
{
	static struct wire w;
	struct nic_tx t = packet(60, 0), u = packet(54, 60000);

	(void)state;
	restart(0x10d3);
	assert_int_equal(e1000_send(&dev.nic, &t), 0);
	assert_int_equal(e1000_send(&dev.nic, &u), 0);
	assert_int_equal(reg(E1000_TDT), 0); /* not before flush */
	assert_false(chip_send(&w));
	e1000_flush(&dev.nic);
	assert_int_equal(reg(E1000_TDT), 1 + 1 + 15);
	assert_true(chip_send(&w));
	assert_int_equal(w.len, 60);
	assert_int_equal(w.pieces, 1);
	assert_int_equal(w.cmd & TXD_EXTENDED, 0);
	assert_true(w.cmd & TXD_INSERT_CRC);
	assert_memory_equal(w.bytes, payload, 60);
	assert_int_equal(e1000_tx_complete(&dev), 1);
	assert_true(chip_send(&w));
	assert_int_equal(w.len, 60054);
	assert_memory_equal(w.bytes, payload, 60054);
	assert_int_equal(e1000_tx_complete(&dev), 1);
	assert_int_equal(came, 2);
	assert_int_equal(dev.nic.copies, 0);
	assert_int_equal(dev.nic.tx_bytes, 60114);
}

/* A context once for frames alike, anew for another kind. */
static void test_checksum(void **state)
{
	static struct wire w;
	struct nic_tx t[3] = { packet(1000, 0), packet(900, 0), packet(900, 0) };

	(void)state;
	restart(0x10d3);
	for (unsigned i = 0; i < 3; i++) {
		t[i].csum = true;
		t[i].csum_start = i == 2 ? 54 : 34;
		t[i].csum_offset = 16;
		t[i].ipv6 = i == 2;
		assert_int_equal(e1000_send(&dev.nic, &t[i]), 0);
	}
	e1000_flush(&dev.nic);
	assert_int_equal(dev.tx.next, 3 + 2);
	assert_true(chip_send(&w));
	assert_int_equal(w.option, TXD_TCP_SUM);
	assert_int_equal(w.context.addr,
			 14ull | 24ull << 8 | 33ull << 16 | 34ull << 32 | 50ull << 40);
	assert_int_equal(w.context.cmd, TXD_EXTENDED | TXC_TCP | TXC_IPV4);
	assert_true(chip_send(&w));
	assert_true(chip_send(&w));
	assert_int_equal(w.context.addr, 14ull | 54ull << 32 | 70ull << 40);
	assert_int_equal(w.context.cmd, TXD_EXTENDED | TXC_TCP);
}

static uint32_t sum16(const uint8_t *b, uint32_t len)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < len; i += 2)
		sum += (uint32_t)b[i] << 8 | (i + 1 < len ? b[i + 1] : 0);
	while (sum >> 16)
		sum = (sum >> 16) + (sum & 0xffff);
	return sum;
}

/* The field holds the pseudo-header's sum without any length, as the chip wants it. */
static void segmented(uint16_t device, bool ipv6, uint32_t bytes)
{
	static struct wire w;
	uint32_t l4 = ipv6 ? 54 : 34, hdr = l4 + 20, sum, length = bytes - l4;
	uint8_t pseudo[4] = { 0x12, 0x34, 0xab, (uint8_t)bytes }, with[8] = { 0 };
	struct nic_tx t;

	restart(device);
	t = packet(hdr, bytes - hdr);
	memcpy(with, pseudo, 4);
	with[4] = (uint8_t)(length >> 24);
	with[5] = (uint8_t)(length >> 16);
	with[6] = (uint8_t)(length >> 8);
	with[7] = (uint8_t)length;
	sum = sum16(with, 8);
	payload[l4 + 16] = (uint8_t)(sum >> 8);
	payload[l4 + 17] = (uint8_t)sum;
	t.csum = true;
	t.csum_start = (uint16_t)l4;
	t.csum_offset = 16;
	t.gso_size = 1448;
	t.hdr_len = (uint16_t)hdr;
	t.ipv6 = ipv6;
	assert_int_equal(e1000_send(&dev.nic, &t), 0);
	e1000_flush(&dev.nic);
	assert_true(chip_send(&w));
	assert_int_equal(w.len, bytes);
	assert_int_equal(sum16(w.bytes + l4 + 16, 2) % 0xffff, sum16(pseudo, 4) % 0xffff);
	assert_int_equal(w.context.cmd & 0xfffff, bytes - hdr);
	assert_int_equal(w.context.option, hdr << 8 | 1448u << 16);
	assert_true(w.context.cmd & TXD_SEGMENT);
	assert_true(w.cmd & TXD_SEGMENT);
	assert_int_equal(w.option & TXD_IP_SUM, ipv6 ? 0 : TXD_IP_SUM);
	if (!ipv6)
		assert_int_equal(w.bytes[24] | w.bytes[25], 0);
}

static void test_segmentation(void **state)
{
	(void)state;
	for (uint32_t bytes = 2000; bytes < 65536; bytes += 997) {
		segmented(0x100f, false, bytes);
		segmented(0x10d3, true, bytes);
	}
	segmented(0x10d3, false, 34 + 65535);
	assert_int_equal(e1000_find_chip(0x8086, 0x100e)->flags & E1000_TSO_IPV6, 0);
}

/* The IP header of a tagged frame begins four bytes later. */
static void test_tagged(void **state)
{
	static struct wire w;
	struct nic_tx t = packet(58, 8000);

	(void)state;
	restart(0x10d3);
	payload[12] = 0x81;
	payload[13] = 0;
	t.csum = true;
	t.csum_start = 38;
	t.csum_offset = 16;
	t.gso_size = 1448;
	t.hdr_len = 58;
	assert_int_equal(e1000_send(&dev.nic, &t), 0);
	e1000_flush(&dev.nic);
	assert_true(chip_send(&w));
	assert_int_equal(w.context.addr,
			 18ull | 28ull << 8 | 37ull << 16 | 38ull << 32 | 54ull << 40);
	assert_int_equal(w.bytes[28] | w.bytes[29], 0);
	assert_memory_equal(w.bytes + 24, payload + 24, 2);
}

/* Headers in pieces are put together; so is what a 32-bit part does not reach. */
static void test_copies(void **state)
{
	static struct wire w;
	struct nic_tx t = packet(40, 5000), u = packet(5000, 0);

	(void)state;
	restart(0x10d3);
	t.csum = true;
	t.csum_start = 34;
	t.csum_offset = 16;
	t.gso_size = 1448;
	t.hdr_len = 54;
	assert_int_equal(e1000_send(&dev.nic, &t), 0);
	assert_int_equal(dev.nic.copies, 1);
	assert_int_equal(t.nr_segs, 2); /* its sender gives back the pages that are in it */
	assert_ptr_equal(hpa_ptr(t.seg[0].addr), payload);
	assert_int_equal(t.seg[0].len, 40);
	no_memory = true;
	assert_int_equal(e1000_send(&dev.nic, &u), 0);
	no_memory = false;
	e1000_flush(&dev.nic);
	assert_true(chip_send(&w));
	assert_int_equal(w.len, 5040);
	assert_memory_equal(w.bytes + 54, payload + 54, 4986);
	assert_true(chip_send(&w));
	assert_int_equal(e1000_tx_complete(&dev), 2);
	assert_int_equal(pages_put, 1);

	restart(0x100e);
	t = packet(60, 1000);
	assert_int_equal(low_pages, 0);
	e1000_rx_fill(&dev);
	assert_int_equal(low_pages, RX_MASK); /* buffers too, for such a part */
	no_memory = true;
	assert_int_equal((uintptr_t)payload + sizeof(payload) > LIMIT_32, needs_copy(&dev, &t));
	t.seg[1].addr.v = LIMIT_32 - 100;
	assert_true(needs_copy(&dev, &t));
	assert_int_equal(e1000_send(&dev.nic, &t), -EAGAIN);
	assert_int_equal(dev.tx.next, 0);
	assert_int_equal(t.nr_segs, 2);
}

/* A lone piece of a PCI part ends in a descriptor of its own. */
static void test_sentinel(void **state)
{
	static struct wire w;
	struct nic_tx t = packet(60, 0);

	(void)state;
	restart(0x100f);
	assert_int_equal(e1000_send(&dev.nic, &t), 0);
	e1000_flush(&dev.nic);
	assert_true(chip_send(&w));
	assert_int_equal(w.pieces, 2);
	assert_memory_equal(w.bytes, payload, 60);
}

/* Many packets of all sizes round the ring; a full one refuses and nothing is lost. */
static void test_rounds(void **state)
{
	static struct nic_tx t[200];
	static struct wire w;
	unsigned sent = 0, refused = 0, seen = 0;

	(void)state;
	restart(0x10d3);
	srand(7);
	while (sent < 30000) {
		struct nic_tx *free = NULL;

		for (unsigned i = 0; i < ARRAY_SIZE(t) && !free; i++)
			if (!t[i].nr_segs)
				free = &t[i];
		if (free) {
			struct nic_tx try =
				packet((uint32_t)(rand() % 200 + 20), (uint32_t)(rand() % 60000));
			*free = try;
			if (e1000_send(&dev.nic, free) == 0) {
				sent++;
			} else {
				free->nr_segs = 0;
				refused++;
			}
		}
		if (!free || rand() % 150 == 0) {
			e1000_flush(&dev.nic);
			while (rand() % 30 && chip_send(&w))
				seen++;
			e1000_tx_complete(&dev);
		}
		assert_true(e1000_tx_free(&dev.tx) <= TX_MASK);
	}
	e1000_flush(&dev.nic);
	while (chip_send(&w))
		seen++;
	e1000_tx_complete(&dev);
	assert_int_equal(seen, sent);
	assert_int_equal(came, sent);
	assert_int_equal(e1000_tx_free(&dev.tx), TX_MASK);
	assert_true(refused > 0);
	assert_int_equal(dev.nic.tx_stalls, refused);
}

static void test_hang(void **state)
{
	static struct wire w;
	struct nic_tx t = packet(60, 0), u = packet(60, 0);

	(void)state;
	restart(0x10d3);
	now_ns = 100 * NSEC_PER_SEC; /* long idle is no hang */
	assert_int_equal(e1000_send(&dev.nic, &t), 0);
	e1000_flush(&dev.nic);
	assert_false(e1000_tx_hangs(&dev));
	now_ns += E1000_HANG_NS;
	assert_int_equal(e1000_send(&dev.nic, &u), 0);
	e1000_flush(&dev.nic);
	assert_true(chip_send(&w));
	assert_int_equal(e1000_tx_complete(&dev), 1);
	now_ns += E1000_HANG_NS;
	assert_false(e1000_tx_hangs(&dev));
	now_ns++;
	assert_true(e1000_tx_hangs(&dev));
	e1000_tx_drop(&dev);
	assert_int_equal(came, 2);
	assert_false(e1000_tx_hangs(&dev));
	assert_int_equal(e1000_tx_free(&dev.tx), TX_MASK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_plain, stop),
		cmocka_unit_test_teardown(test_checksum, stop),
		cmocka_unit_test_teardown(test_segmentation, stop),
		cmocka_unit_test_teardown(test_tagged, stop),
		cmocka_unit_test_teardown(test_copies, stop),
		cmocka_unit_test_teardown(test_sentinel, stop),
		cmocka_unit_test_teardown(test_rounds, stop),
		cmocka_unit_test_teardown(test_hang, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
