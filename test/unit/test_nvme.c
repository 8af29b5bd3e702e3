/* SPDX-License-Identifier: BSD-2-Clause */
/* NVMe: what controllers say of themselves, lists of pages, what a status means. */
// SOURCES: drivers/nvme_identify.c drivers/nvme_prp.c drivers/nvme_status.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "drivers/nvme.h"

static uint8_t page[4096];
static struct nvme_identity id;
static struct nvme_ns_identity ns;
static const char *why;

static void put(unsigned at, uint64_t v, unsigned bytes)
{
	memcpy(page + at, &v, bytes);
}

/* ---- controllers ---- */

static int a_controller(void **state)
{
	memset(page, 0, sizeof(page));
	memset(page + 4, ' ', 60);
	memcpy(page + 4, "  SN\t1", 6);
	memcpy(page + 24, "A controller of a model with a long name", 40);
	page[77] = 5;
	put(516, 3, 4);
	put(520, 0xc, 2);
	page[525] = 7;
	return 0;
}

static void test_controller(void **state)
{
	nvme_parse_ctrl(page, &id);
	assert_string_equal(id.serial, "SN 1");
	assert_string_equal(id.model, "A controller of a model with a long name");
	assert_int_equal(id.namespaces, 3);
	assert_int_equal(id.max_bytes, 128 << 10);
	assert_true(id.volatile_cache && id.dataset && id.zeroes);
	put(520, 0, 2);
	page[525] = 6;
	nvme_parse_ctrl(page, &id);
	assert_false(id.volatile_cache || id.dataset || id.zeroes);
}

static void test_transfer_size(void **state)
{
	static const uint8_t mdts[] = { 0, 1, 6, 7, 8, 31, 32, 255 };
	static const uint32_t kib[] = { 512, 8, 256, 512, 512, 512, 512, 512 };

	for (unsigned i = 0; i < sizeof(mdts); i++) {
		page[77] = mdts[i];
		nvme_parse_ctrl(page, &id);
		assert_int_equal(id.max_bytes, kib[i] << 10);
	}
}

/* ---- namespaces ---- */

/* Format 2 is in use: blocks of 4096 bytes. */
static int a_namespace(void **state)
{
	memset(page, 0, sizeof(page));
	put(0, 1000, 8);
	page[26] = 0x12;
	put(128, 9 << 16, 4);
	put(128 + 8, 12 << 16, 4);
	return 0;
}

static void test_namespace(void **state)
{
	assert_int_equal(nvme_parse_ns(page, &ns, &why), 0);
	assert_int_equal(ns.blocks, 1000);
	assert_int_equal(ns.block_bytes, 4096);
	assert_int_equal(ns.physical_bytes, 4096);
	assert_false(ns.read_only);
	page[26] = 0;
	page[24] = 0x10;
	put(64, 31, 2);
	page[99] = 1;
	assert_int_equal(nvme_parse_ns(page, &ns, &why), 0);
	assert_int_equal(ns.block_bytes, 512);
	assert_int_equal(ns.physical_bytes, 16384);
	assert_true(ns.read_only);
	put(64, 2, 2); /* three blocks: no power of two */
	assert_int_equal(nvme_parse_ns(page, &ns, &why), 0);
	assert_int_equal(ns.physical_bytes, 512);
}

static void refused(const char *reason)
{
	assert_int_equal(nvme_parse_ns(page, &ns, &why), -EINVAL);
	assert_string_equal(why, reason);
	a_namespace(NULL);
}

static void test_refused(void **state)
{
	put(128 + 8, 12 << 16 | 8, 4);
	refused("it has metadata");
	put(128 + 8, 8 << 16, 4);
	refused("blocks of an odd size");
	put(128 + 8, 13 << 16, 4);
	refused("blocks of an odd size");
	page[26] = 0xf; /* a format that is not there */
	refused("blocks of an odd size");
	put(0, 0, 8);
	refused("no sensible size");
	put(0, 1ull << 52, 8);
	refused("no sensible size");
}

/* ---- lists ---- */

static struct nvme_sqe e;
static uint64_t list[NVME_PRPS + 1];

static unsigned build(const struct blk_seg *segs, uint32_t n)
{
	memset(list, 0xee, sizeof(list));
	e.prp2 = 1;
	assert_true(nvme_prp_fits(segs, n));
	return nvme_prp_build(&e, list, HPA(0x9000), segs, n);
}

static void test_one_page(void **state)
{
	struct blk_seg whole = { HPA(0x5000), 4096 }, inside = { HPA(0x5a04), 0x5fc };

	assert_int_equal(build(&whole, 1), 1);
	assert_true(e.prp1 == 0x5000 && e.prp2 == 0);
	assert_int_equal(build(&inside, 1), 1);
	assert_true(e.prp1 == 0x5a04 && e.prp2 == 0);
}

static void test_two_pages(void **state)
{
	struct blk_seg across = { HPA(0x5e00), 1024 };
	struct blk_seg apart[] = { { HPA(0x5e00), 512 }, { HPA(0x2000), 4096 } };

	assert_int_equal(build(&across, 1), 2);
	assert_true(e.prp1 == 0x5e00 && e.prp2 == 0x6000);
	assert_int_equal(build(apart, 2), 2);
	assert_true(e.prp1 == 0x5e00 && e.prp2 == 0x2000);
}

static void test_list(void **state)
{
	struct blk_seg segs[] = { { HPA(0x5800), 0x1800 },
				  { HPA(0x20000), 4096 },
				  { HPA(0x1000), 512 } };

	assert_int_equal(build(segs, 3), 4);
	assert_true(e.prp1 == 0x5800 && e.prp2 == 0x9000);
	assert_true(list[0] == 0x6000 && list[1] == 0x20000 && list[2] == 0x1000);
	assert_true(list[3] == 0xeeeeeeeeeeeeeeee);
}

static void test_longest_list(void **state)
{
	struct blk_seg unaligned = { HPA(0x5004), NVME_MAX_BYTES },
		       aligned = { HPA(0x5000), NVME_MAX_BYTES };

	assert_int_equal(build(&aligned, 1), NVME_PRPS);
	assert_true(list[NVME_PRPS - 1] == 0xeeeeeeeeeeeeeeee);
	assert_int_equal(build(&unaligned, 1), NVME_PRPS + 1);
	assert_true(list[NVME_PRPS - 1] == 0x5000 + NVME_MAX_BYTES);
	assert_true(list[NVME_PRPS] == 0xeeeeeeeeeeeeeeee);
}

static void test_what_must_be_copied(void **state)
{
	struct blk_seg odd = { HPA(0x1002), 512 };
	struct blk_seg short_first[] = { { HPA(0x1000), 512 }, { HPA(0x2000), 512 } };
	struct blk_seg late_second[] = { { HPA(0x1000), 4096 }, { HPA(0x2200), 512 } };

	assert_false(nvme_prp_fits(&odd, 1));
	assert_false(nvme_prp_fits(short_first, 2));
	assert_false(nvme_prp_fits(late_second, 2));
}

/* ---- statuses ---- */

static void test_statuses(void **state)
{
	static const struct {
		uint16_t status;
		int error;
		bool retry;
	} all[] = {
		{ 0, 0, true },
		{ 0x4001, -ENOTSUP, false },
		{ 0x007, -ETIMEDOUT, true },
		{ 0x400b, -ENODEV, false },
		{ 0x4020, -EROFS, false },
		{ 0x4080, -EINVAL, false },
		{ 0x4182, -EROFS, false },
		{ 0x280, -EIO, true },
		{ 0x281, -EIO, true },
		{ 0x4281, -EIO, false },
		{ 0x082, -EIO, true },
		{ 0x2287, -EIO, true },
		{ 0x370, -EIO, true },
		{ 0x3fff, -EIO, true },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		assert_int_equal(nvme_status_error(all[i].status), all[i].error);
		assert_int_equal(nvme_status_retry(all[i].status), all[i].retry);
	}
	assert_string_equal(nvme_status_text(0x4281), "data cannot be corrected");
	assert_string_equal(nvme_status_text(0x287), "error of the medium");
	assert_string_equal(nvme_status_text(0x370), "error of the path");
	assert_string_equal(nvme_status_text(0x006), "error of the controller");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_controller, a_controller),
		cmocka_unit_test_setup(test_transfer_size, a_controller),
		cmocka_unit_test_setup(test_namespace, a_namespace),
		cmocka_unit_test_setup(test_refused, a_namespace),
		cmocka_unit_test(test_one_page),
		cmocka_unit_test(test_two_pages),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_longest_list),
		cmocka_unit_test(test_what_must_be_copied),
		cmocka_unit_test(test_statuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
