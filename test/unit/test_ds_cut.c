/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A datastore after a power cut at any moment: the metadata agree, and what was there
 * before is untouched.
 */
// SOURCES: drivers/blkdev.c kernel/lib/crc32c.c kernel/store/ds_*.c
// SOURCES: test/unit/fake_disk.c test/unit/ds_fixture.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include <tern/page.h>

#include "test/unit/ds_fixture.h"

static bool workload_agrees(void)
{
	struct ds_entry e;
	int kept = ds_stat(ds, "kept", &e);

	/* what was there before is untouched, what is there now is whole */
	if (kept || !dsf_has("kept", 0, 1 << 20, 11))
		return false;
	if (!ds_stat(ds, "thin", &e) && !dsf_has("thin", 0, 512, 3) && !dsf_has("thin", 0, 512, 0))
		return false;
	if (!ds_stat(ds, "flat", &e) && e.backed_bytes != 2 << 20)
		return false;
	return true;
}

static void nothing_is_lost_at_any_cut(void **state)
{
	uint8_t *start;

	assert_int_equal(ds_create(ds, "kept", DS_KIND_FLAT, 1 << 20, 0), 0);
	assert_int_equal(dsf_write("kept", 0, 1 << 20, 11), 0);
	assert_int_equal(ds_create(ds, "gone", DS_KIND_FLAT, 2 << 20, 0), 0);
	start = dsf_copy_of(disk.bytes);
	fake_disk_record(&disk);
	assert_int_equal(ds_create(ds, "thin", DS_KIND_THIN, 64 << 20, 0), 0);
	assert_int_equal(dsf_write("thin", 0, 512, 3), 0);
	assert_int_equal(ds_create(ds, "flat", DS_KIND_FLAT, 2 << 20, 0), 0);
	assert_int_equal(ds_rename(ds, "thin", "thin2"), 0);
	assert_int_equal(ds_rename(ds, "thin2", "thin"), 0);
	assert_int_equal(ds_remove(ds, "gone"), 0);
	disk.recording = false;
	assert_true(disk.nr_log > 40);
	dsf_check_prefixes(start, workload_agrees);
	dsf_check_reordered(start, workload_agrees, 150);
	free(start);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(nothing_is_lost_at_any_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
