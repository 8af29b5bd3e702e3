/* SPDX-License-Identifier: BSD-2-Clause */
/* IDE: what a drive says of itself, and the tables that its engine is given. */
// SOURCES: drivers/ide_identify.c drivers/ide_dma.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "drivers/ide.h"

static uint16_t word[256];
static struct ide_identity id;
static const char *why;

static void put_text(unsigned at, unsigned words, const char *text)
{
	size_t len = strlen(text);

	for (unsigned i = 0; i < words * 2; i++) {
		uint8_t c = i < len ? (uint8_t)text[i] : ' ';

		word[at + i / 2] |= (uint16_t)(i & 1 ? c : c << 8);
	}
}

/* A disk of 1000 GB with all that the driver uses. */
static int modern(void **state)
{
	memset(word, 0, sizeof(word));
	put_text(10, 10, "   S3RIAL-1");
	put_text(27, 20, "A Disk\tof 1 TB");
	word[49] = 0x300;
	word[60] = 0xffff;
	word[61] = 0x0fff;
	word[75] = 31;
	word[76] = 0x100;
	word[84] = 0x4020;
	word[82] = 0x20;
	word[83] = 0x4000 | 0x400 | 0x1000 | 0x2000;
	word[85] = 0x20;
	word[87] = 0x4000;
	word[100] = 0x6db0;
	word[101] = 0x7470;
	word[105] = 8;
	word[106] = 0x6003; /* 8 logical blocks to a physical one */
	word[169] = 1;
	return 0;
}

static void test_modern(void **state)
{
	assert_int_equal(ide_parse_identify(word, &id, &why), 0);
	assert_string_equal(id.model, "A Disk of 1 TB");
	assert_string_equal(id.serial, "S3RIAL-1");
	assert_int_equal(id.blocks, 0x74706db0);
	assert_int_equal(id.block_bytes, 512);
	assert_int_equal(id.physical_bytes, 4096);
	assert_true(id.lba48 && id.flush && id.flush_ext && id.write_cache && id.trim);
	assert_int_equal(id.trim_blocks, 8);
	assert_int_equal(id.queue_depth, 32);
	assert_true(id.logs);
}

static void test_text_that_fills_its_field(void **state)
{
	memset(&word[27], 0, 40);
	put_text(27, 20, "0123456789012345678901234567890123456789");
	memset(&word[10], 0, 20);
	assert_int_equal(ide_parse_identify(word, &id, &why), 0);
	assert_int_equal(strlen(id.model), 40);
	assert_string_equal(id.serial, "");
}

static void test_old_disk(void **state)
{
	word[76] = 0xffff;
	word[84] = 0xffff;
	word[83] = word[85] = word[87] = word[106] = word[169] = 0;
	assert_int_equal(ide_parse_identify(word, &id, &why), 0);
	assert_int_equal(id.blocks, 0x0fffffff);
	assert_false(id.lba48 || id.flush_ext || id.write_cache || id.trim);
	assert_int_equal(id.physical_bytes, 512);
	assert_int_equal(id.queue_depth, 1);
	assert_false(id.logs);
}

static void test_cache_that_is_off(void **state)
{
	word[85] = 0;
	assert_int_equal(ide_parse_identify(word, &id, &why), 0);
	assert_false(id.write_cache);
}

static void test_long_blocks(void **state)
{
	word[106] = 0x5000;
	word[117] = 2048; /* words */
	assert_int_equal(ide_parse_identify(word, &id, &why), 0);
	assert_int_equal(id.block_bytes, 4096);
	assert_int_equal(id.physical_bytes, 4096);
}

static void refused(const char *reason)
{
	assert_int_equal(ide_parse_identify(word, &id, &why), -EINVAL);
	assert_string_equal(why, reason);
	modern(NULL);
}

static void test_refused(void **state)
{
	word[0] = 0x8580;
	refused("not an ATA disk");
	word[49] = 0x100;
	refused("no logical block addresses");
	word[49] = 0x200;
	refused("no DMA");
	word[106] = 0x5000;
	word[117] = 260; /* 520 bytes */
	refused("blocks of an odd size");
	word[106] = 0x5000;
	word[117] = 0xffff;
	word[118] = 0xffff;
	refused("blocks of an odd size");
	memset(&word[60], 0, 4);
	memset(&word[100], 0, 8);
	refused("no sensible size");
	word[103] = 1;
	word[102] = 0xffff;
	refused("no sensible size");
}

/* ---- tables ---- */

static struct ide_prd prds[IDE_MAX_PRDS];

static uint64_t table_bytes(unsigned n)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < n; i++) {
		uint32_t len = prds[i].len ? prds[i].len : 0x10000;

		assert_true((prds[i].addr & 0xffff) + len <= 0x10000);
		assert_int_equal(prds[i].flags, i == n - 1 ? 0x8000 : 0);
		sum += len;
	}
	return sum;
}

static void test_regions_end_at_64k(void **state)
{
	struct blk_seg segs[] = { { HPA(0x1fffe), 0x10004 }, { HPA(0x40000), 0x20000 } };

	memset(prds, 0xff, sizeof(prds));
	assert_int_equal(ide_build_prds(prds, segs, 2), 5);
	assert_int_equal(table_bytes(5), 0x30004);
	assert_int_equal(prds[0].addr, 0x1fffe);
	assert_int_equal(prds[0].len, 2);
	assert_int_equal(prds[1].len, 0);
	assert_int_equal(prds[2].addr, 0x30000);
	assert_int_equal(prds[2].len, 2);
}

static void test_worst_list_fits(void **state)
{
	struct blk_seg segs[IDE_MAX_SEGS];
	unsigned n;

	for (unsigned i = 0; i < IDE_MAX_SEGS; i++)
		segs[i] = (struct blk_seg){ HPA(0xfffe + i * 0x20000ull), 4096 };
	n = ide_build_prds(prds, segs, IDE_MAX_SEGS);
	assert_int_equal(n, 2 * IDE_MAX_SEGS);
	assert_true(n <= IDE_MAX_PRDS);
	assert_int_equal(table_bytes(n), IDE_MAX_BYTES);
}

static void test_what_the_engine_does_not_reach(void **state)
{
	struct blk_seg odd = { HPA(0x1001), 512 }, odd_len = { HPA(0x1000), 511 };
	struct blk_seg high = { HPA(1ull << 32), 512 }, across = { HPA(0xfffffe00), 1024 };
	struct blk_seg last = { HPA(0xfffffe00), 512 };

	assert_int_equal(ide_build_prds(prds, &odd, 1), 0);
	assert_int_equal(ide_build_prds(prds, &odd_len, 1), 0);
	assert_int_equal(ide_build_prds(prds, &high, 1), 0);
	assert_int_equal(ide_build_prds(prds, &across, 1), 0);
	assert_int_equal(ide_build_prds(prds, &last, 1), 1);
}

static void test_same_region(void **state)
{
	assert_int_equal(ide_build_prds_same(prds, 0x50000, 0x20200), 3);
	assert_int_equal(table_bytes(3), 0x20200);
	assert_int_equal(prds[2].addr, 0x50000);
	assert_int_equal(prds[2].len, 0x200);
}

static uint64_t range_at(const uint8_t *b, unsigned i)
{
	uint64_t v;

	memcpy(&v, b + i * 8, 8);
	return v;
}

static void test_trim_ranges(void **state)
{
	uint8_t b[1024];

	memset(b, 0xff, sizeof(b));
	assert_int_equal(ide_trim_blocks(1), 1);
	ide_build_trim(b, 0x123456789aull, 1);
	assert_true(range_at(b, 0) == (1ull << 48 | 0x123456789aull));
	assert_int_equal(range_at(b, 1), 0);
	assert_int_equal(range_at(b, 63), 0);
	assert_true(range_at(b, 64) == UINT64_MAX); /* no further than it must */

	assert_int_equal(ide_trim_blocks(64 * 0xffff), 1);
	assert_int_equal(ide_trim_blocks(64 * 0xffff + 1), 2);
	ide_build_trim(b, 7, 64 * 0xffff + 1);
	assert_true(range_at(b, 63) == (0xffffull << 48 | (7 + 63 * 0xffff)));
	assert_true(range_at(b, 64) == (1ull << 48 | (7 + 64 * 0xffff)));
	assert_int_equal(range_at(b, 65), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_modern, modern),
		cmocka_unit_test_setup(test_text_that_fills_its_field, modern),
		cmocka_unit_test_setup(test_old_disk, modern),
		cmocka_unit_test_setup(test_cache_that_is_off, modern),
		cmocka_unit_test_setup(test_long_blocks, modern),
		cmocka_unit_test_setup(test_refused, modern),
		cmocka_unit_test(test_regions_end_at_64k),
		cmocka_unit_test(test_worst_list_fits),
		cmocka_unit_test(test_what_the_engine_does_not_reach),
		cmocka_unit_test(test_same_region),
		cmocka_unit_test(test_trim_ranges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
