/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cutting TCP frames, filling in and settling checksums: every piece is taken apart again
 * by a second, simple implementation. Headers that are not whole are not found.
 */
// SOURCES: net/gso.c net/headers.c net/vframe.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "net/count.h"
#include "net/headers.h"
#include "net/vframe.h"

#define PAYLOAD 9001u /* odd: the last piece too */
#define MSS 1460u
#define SEQ0 0xfffffff0u /* wraps */

struct net_stats net_counters;

static uint32_t naive_sum(const uint8_t *b, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i & 1 ? b[i] : (uint32_t)b[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint8_t payload_byte(uint32_t i)
{
	return (uint8_t)(i * 7 + i / 251);
}

/* A large TCP frame as a guest gives it; its headers' length. */
static struct vframe *large(bool ipv6, uint8_t tcp_flags)
{
	uint32_t ip = ipv6 ? 40 : 24, l4 = 14 + ip, hdr = l4 + 32;
	uint8_t *b = calloc(1, hdr + PAYLOAD);
	struct vframe *f = vframe_new(hdr + PAYLOAD);
	struct l4 l;

	put_be16(b + 12, ipv6 ? 0x86dd : 0x0800);
	if (ipv6) {
		b[14] = 0x60;
		b[20] = PROTO_TCP;
		memset(b + 22, 0xfd, 32);
	} else {
		b[14] = 0x46; /* with an option */
		put_be16(b + 18, 0xfffe);
		b[23] = PROTO_TCP;
		memset(b + 26, 0x0a, 8);
	}
	put_be16(b + l4 + 4, SEQ0 >> 16);
	put_be16(b + l4 + 6, SEQ0 & 0xffff);
	b[l4 + 12] = 0x80;
	b[l4 + 13] = tcp_flags;
	for (uint32_t i = 0; i < PAYLOAD; i++)
		b[hdr + i] = payload_byte(i);
	assert_true(l4_find(b, hdr, &l));
	assert_int_equal(l.start, l4);
	assert_int_equal(l.hdr_len, hdr);
	assert_int_equal(l.ipv6, ipv6);
	l4_put_pseudo(b, &l, hdr + PAYLOAD);
	vframe_write(f, 0, b, hdr + PAYLOAD);
	free(b);
	f->tx.csum = true;
	f->tx.csum_start = l.start;
	f->tx.csum_offset = l.csum_offset;
	f->tx.hdr_len = l.hdr_len;
	f->tx.gso_size = MSS;
	f->tx.ipv6 = ipv6;
	return f;
}

static void check_sums(const uint8_t *b, uint32_t len, bool ipv6)
{
	uint32_t ip = ipv6 ? 40 : 24, l4 = 14 + ip, sum;

	if (!ipv6)
		assert_int_equal(naive_sum(b + 14, ip, 0), 0xffff);
	sum = naive_sum(b + (ipv6 ? 22 : 26), ipv6 ? 32 : 8, PROTO_TCP + len - l4);
	assert_int_equal(naive_sum(b + l4, len - l4, sum), 0xffff);
}

static void cut(bool ipv6)
{
	struct vframe *f = gso_cut(large(ipv6, 0x80 | 0x10 | 0x08 | 0x01)), *next;
	uint32_t l4 = 14 + (ipv6 ? 40 : 24), hdr = l4 + 32, at = 0, index = 0;

	for (; f; f = next, index++) {
		uint8_t *b = malloc(f->len);
		uint32_t n = f->len - hdr, seq;
		bool last = at + n == PAYLOAD;

		next = f->next;
		vframe_read(f, 0, b, f->len);
		assert_int_equal(n, MIN(MSS, PAYLOAD - at));
		check_sums(b, f->len, ipv6);
		seq = be16(b + l4 + 4) << 16 | be16(b + l4 + 6);
		assert_int_equal(seq, SEQ0 + at);
		assert_int_equal(b[l4 + 13], 0x10 | (index ? 0 : 0x80) | (last ? 0x09 : 0));
		if (!ipv6) {
			assert_int_equal(be16(b + 16), f->len - 14);
			assert_int_equal(be16(b + 18), (0xfffe + index) & 0xffff);
		} else {
			assert_int_equal(be16(b + 18), f->len - 54);
		}
		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(b[hdr + i], payload_byte(at + i));
		at += n;
		assert_false(f->tx.csum);
		assert_int_equal(f->tx.gso_size, 0);
		free(b);
		vframe_free(f);
	}
	assert_int_equal(at, PAYLOAD);
	assert_int_equal(index, (PAYLOAD + MSS - 1) / MSS);
}

static void cuts(void **state)
{
	assert_int_equal(vframe_pool_join(), 0);
	cut(false);
	cut(true);
}

static void fills_the_sum_in(void **state)
{
	struct vframe *f = large(false, 0x10);
	uint8_t *b = malloc(f->len);

	f->tx.gso_size = 0;
	assert_true(csum_fill(f));
	assert_false(f->tx.csum);
	vframe_read(f, 0, b, f->len);
	assert_int_equal(naive_sum(b + 38, f->len - 38,
				   naive_sum(b + 26, 8, PROTO_TCP + f->len - 38)),
			 0xffff);
	free(b);
	vframe_free(f);
}

#define SHORTEST 60u /* of Ethernet's frames: what is shorter is padded on the wire */

/* From the NIC: TCP or UDP with so much payload, padded with what is no zero. */
static struct vframe *from_nic(bool ipv6, uint8_t proto, uint32_t payload, bool open)
{
	uint32_t start = 14 + (ipv6 ? 40 : 20), l4 = (proto == PROTO_TCP ? 20 : 8) + payload;
	uint32_t addrs = ipv6 ? 22 : 26, nr_addrs = ipv6 ? 32 : 8;
	uint32_t field = start + (proto == PROTO_TCP ? 16 : 6);
	uint8_t b[2048] = { 0 };
	struct vframe *f = vframe_new(MAX(start + l4, SHORTEST));

	memset(b + start + l4, 0x77, SHORTEST);
	put_be16(b + 12, ipv6 ? ETH_IPV6 : ETH_IPV4);
	b[14] = ipv6 ? 0x60 : 0x45;
	put_be16(b + (ipv6 ? 18 : 16), ipv6 ? l4 : l4 + 20);
	b[ipv6 ? 20 : 23] = proto;
	memset(b + addrs, 0x21, nr_addrs);
	memset(b + start, 0x31, l4);
	if (proto == PROTO_TCP)
		b[start + 12] = 0x50;
	put_be16(b + field, 0);
	put_be16(b + field,
		 open ? 0x1234
		      : ~naive_sum(b + start, l4, naive_sum(b + addrs, nr_addrs, proto + l4)));
	vframe_write(f, 0, b, f->len);
	f->csum_ok = true;
	return f;
}

/* As a guest looks at it: over as many bytes as the IP header says. */
static bool sum_is_right(const struct vframe *f, bool ipv6)
{
	uint32_t start = 14 + (ipv6 ? 40 : 20), l4;
	uint8_t b[2048];

	vframe_read(f, 0, b, f->len);
	l4 = be16(b + (ipv6 ? 18 : 16)) - (ipv6 ? 0 : 20);
	assert_true(start + l4 <= f->len);
	return naive_sum(b + start, l4,
			 naive_sum(b + (ipv6 ? 22 : 26), ipv6 ? 32 : 8, b[ipv6 ? 20 : 23] + l4)) ==
	       0xffff;
}

/* For a guest that checks sums itself the padding of a short frame does not count. */
static void settles_short_frames(void **state)
{
	for (unsigned i = 0; i < 8; i++)
		for (uint32_t payload = 0; payload < 1200; payload += payload < 32 ? 1 : 333) {
			struct vframe *f =
				from_nic(i & 1, i & 2 ? PROTO_UDP : PROTO_TCP, payload, i & 4);

			assert_true(csum_settle(f));
			assert_false(f->tx.csum);
			assert_true(sum_is_right(f, i & 1));
			vframe_free(f);
		}
}

/* A length that says more than came, or less than its headers: nothing is touched. */
static void leaves_lies_alone(void **state)
{
	static const uint16_t length[] = { 141, 4000, 0xffff, 39, 0 };

	for (unsigned i = 0; i < ARRAY_SIZE(length); i++) {
		struct vframe *f = from_nic(false, PROTO_TCP, 100, true);
		uint8_t before[154], after[154];

		put_be16((uint8_t *)hpa_ptr(f->tx.seg[0].addr) + 16, length[i]);
		vframe_read(f, 0, before, sizeof(before));
		assert_false(csum_settle(f));
		assert_int_equal(f->len, sizeof(after));
		vframe_read(f, 0, after, sizeof(after));
		assert_memory_equal(before, after, sizeof(before));
		vframe_free(f);
	}
}

/* A frame cut short anywhere in its headers: not found, and nothing read past its end. */
static void short_headers(void **state)
{
	for (unsigned ipv6 = 0; ipv6 < 2; ipv6++) {
		struct vframe *f = large(ipv6, 0);
		uint32_t hdr = f->tx.hdr_len;

		for (uint32_t len = 0; len <= hdr; len++) {
			uint8_t *b = malloc(len ? len : 1);
			struct l4 l;

			vframe_read(f, 0, b, len);
			assert_int_equal(l4_find(b, len, &l), len == hdr);
			free(b);
		}
		vframe_free(f);
	}
}

/* Takes frames until there are none, and puts them on *all; how many. */
static unsigned exhaust(struct vframe **all)
{
	struct vframe *f;
	unsigned n = 0;

	for (; n < 100000 && (f = vframe_new(1)); n++) {
		f->next = *all;
		*all = f;
	}
	return n;
}

/* Each port brings its share, also when all others' are in use; one that came back brings none. */
static void pool_is_bounded(void **state)
{
	struct vframe *all = NULL, *f;

	assert_int_equal(exhaust(&all), VFRAME_SHARE);
	assert_int_equal(vframe_pool_join(), 0);
	assert_int_equal(exhaust(&all), VFRAME_SHARE);
	vframe_pool_leave();
	assert_int_equal(vframe_pool_join(), 0);
	assert_int_equal(exhaust(&all), 0);
	assert_null(vframe_new(VFRAME_MAX_BYTES + 1));
	while ((f = all)) {
		all = f->next;
		vframe_free(f);
	}
	f = vframe_new(VFRAME_MAX_BYTES);
	assert_non_null(f);
	assert_int_equal(f->len, VFRAME_MAX_BYTES);
	vframe_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cuts),
		cmocka_unit_test(fills_the_sum_in),
		cmocka_unit_test(settles_short_frames),
		cmocka_unit_test(leaves_lies_alone),
		cmocka_unit_test(short_headers),
		cmocka_unit_test(pool_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
