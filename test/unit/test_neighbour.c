/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Announcements, byte for byte where they are short, by their checksum where not; and
 * that what one host announces another would learn.
 */
// SOURCES: net/neighbour.c net/headers.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "net/neighbour.h"

static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 0x32 };
static const struct net_addr v4 = { .family = 4, .ip = { 10, 77, 0, 50 } };
static const struct net_addr v6 = { .family = 6, .ip = { 0xfd, 0x77, [15] = 0x50 } };

static void rarp(void **state)
{
	static const uint8_t golden[60] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0x32, 0x80,
		0x35, 0,    1,	  8,	0,    6,    4, 0, 3, 2, 0, 0,	 0,
		0,    0x32, 0,	  0,	0,    0,    2, 0, 0, 0, 0, 0x32,
	};
	uint8_t out[NEIGHBOUR_FRAME_MAX];

	assert_int_equal(neighbour_rarp(out, mac), sizeof(golden));
	assert_memory_equal(out, golden, sizeof(golden));
}

static void gratuitous_arp(void **state)
{
	uint8_t out[NEIGHBOUR_FRAME_MAX];

	assert_int_equal(neighbour_here(out, mac, &v4), 60);
	assert_int_equal(out[12] << 8 | out[13], 0x0806);
	assert_int_equal(out[20] << 8 | out[21], 1);
	assert_memory_equal(out + 28, v4.ip, 4);
	assert_memory_equal(out + 38, v4.ip, 4);
}

static void advertisement(void **state)
{
	uint8_t out[NEIGHBOUR_FRAME_MAX];
	uint32_t sum = 58 + 32;

	assert_int_equal(neighbour_here(out, mac, &v6), 86);
	assert_int_equal(out[0] << 8 | out[1], 0x3333);
	for (unsigned i = 14 + 8; i < 86; i += 2)
		sum += (uint32_t)out[i] << 8 | out[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	assert_int_equal(sum, 0xffff);
	assert_int_equal(out[54], 136);
	assert_memory_equal(out + 80, mac, 6);
}

/* Cut short anywhere, nothing is learned and nothing is read past the end. */
static void learns_whole_frames_only(void **state)
{
	const struct net_addr *const addrs[] = { &v4, &v6 };
	static const uint32_t needed[] = { 42, 78 };

	for (unsigned k = 0; k < 2; k++) {
		uint8_t out[NEIGHBOUR_FRAME_MAX];
		uint32_t len = neighbour_here(out, mac, addrs[k]);

		for (uint32_t n = 0; n <= len; n++) {
			uint8_t *b = malloc(n ? n : 1);
			struct net_addr got;
			bool ok;

			memcpy(b, out, n);
			ok = neighbour_seen(b, n, &got);
			assert_int_equal(ok, n >= needed[k]);
			if (ok)
				assert_memory_equal(&got, addrs[k], sizeof(got));
			free(b);
		}
	}
}

static void probes_are_not_addresses(void **state)
{
	static const struct net_addr none = { .family = 4 };
	uint8_t out[NEIGHBOUR_FRAME_MAX];
	struct net_addr got;
	uint32_t len = neighbour_here(out, mac, &none);

	assert_false(neighbour_seen(out, len, &got));
	len = neighbour_here(out, mac, &v4);
	out[22] ^= 1; /* another's address in the body */
	assert_false(neighbour_seen(out, len, &got));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rarp),
		cmocka_unit_test(gratuitous_arp),
		cmocka_unit_test(advertisement),
		cmocka_unit_test(learns_whole_frames_only),
		cmocka_unit_test(probes_are_not_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
