/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CRC32C by the SSE4.2 instruction, eight bytes at a time, which works on general
 * registers: the hypervisor needs no vector state for it. All processors that can
 * run Tern have it (VT-x with EPT and AMD-V with nested paging are younger but for
 * AMD's family 10h), so a table, built at the first use, serves the others.
 */
#include <string.h>

#include "crc32c.h"

#define POLYNOMIAL_REFLECTED 0x82f63b78u
#define CPUID_1_ECX_SSE42 (1u << 20)

static uint32_t table[256];

static uint32_t by_instruction(uint32_t crc, const uint8_t *p, size_t len)
{
	uint64_t wide = crc;

	for (; len >= 8; p += 8, len -= 8) {
		uint64_t v;

		memcpy(&v, p, 8);
		__asm__("crc32q %1, %0" : "+r"(wide) : "r"(v));
	}
	crc = (uint32_t)wide;
	for (; len; p++, len--)
		__asm__("crc32b %1, %0" : "+r"(crc) : "rm"(*p));
	return crc;
}

/* Every entry is written with the same value whoever does it, so two at once do no harm. */
static void build_table(void)
{
	for (uint32_t i = 255; i < 256; i--) {
		uint32_t c = i;

		for (unsigned bit = 0; bit < 8; bit++)
			c = c & 1 ? (c >> 1) ^ POLYNOMIAL_REFLECTED : c >> 1;
		table[i] = c;
	}
}

static uint32_t by_table(uint32_t crc, const uint8_t *p, size_t len)
{
	if (!table[1])
		build_table();
	for (; len; p++, len--)
		crc = table[(crc ^ *p) & 0xff] ^ (crc >> 8);
	return crc;
}

static bool has_instruction(void)
{
	uint32_t a = 1, b, c = 0, d;

	__asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return c & CPUID_1_ECX_SSE42;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	static int known; /* 0 not yet, 1 table, 2 instruction */

	if (!known)
		known = has_instruction() ? 2 : 1;
	return ~(known == 2 ? by_instruction(~crc, data, len) : by_table(~crc, data, len));
}
