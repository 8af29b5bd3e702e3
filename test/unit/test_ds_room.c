/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Room for several files together: each fits, both do not; how much is missing is said, of the
 * datastore where it is; what is larger than anything does not become small by adding.
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

#include "test/unit/ds_fixture.h"

#define MIB (1ull << 20)

static struct ds_room room;
static char why[160];

static int check(void)
{
	memset(why, 0, sizeof(why));
	return ds_room_check(&room, " there", why, sizeof(why));
}

static void together(void **state)
{
	uint64_t is_free = dsf_free_bytes();
	char expected[160];

	room = (struct ds_room){ 0 };
	assert_int_equal(check(), 0);
	ds_room_add(&room, ds, is_free / 2);
	assert_int_equal(check(), 0);
	ds_room_add(&room, ds, is_free / 2 + 3 * MIB);
	assert_int_equal(check(), -ENOSPC);
	snprintf(expected, sizeof(expected),
		 "datastore ds1 there has %u MiB free, what is to go there takes %u MiB: 3 MiB are "
		 "missing",
		 (unsigned)(is_free / MIB), (unsigned)(is_free / MIB) + 3);
	assert_string_equal(why, expected);
}

/* Files have whole extents. */
static void in_extents(void **state)
{
	uint64_t is_free = dsf_free_bytes();

	room = (struct ds_room){ 0 };
	for (uint64_t at = 0; at < is_free; at += MIB)
		ds_room_add(&room, ds, 1);
	assert_int_equal(check(), 0);
	ds_room_add(&room, ds, 0);
	assert_int_equal(check(), 0);
	ds_room_add(&room, ds, 1);
	assert_int_equal(check(), -ENOSPC);
	assert_non_null(strstr(why, ": 1 MiB are missing"));
}

static void more_than_anything(void **state)
{
	room = (struct ds_room){ 0 };
	for (unsigned i = 0; i < 8; i++) {
		ds_room_add(&room, ds, UINT64_MAX - i);
		assert_int_equal(check(), -ENOSPC);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(together),
		test(in_extents),
		test(more_than_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
