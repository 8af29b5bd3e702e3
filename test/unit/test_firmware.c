/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Firmware for guests: which files are taken, where they end, and that a machine which has
 * its ROM asks for no file again.
 */
// SOURCES: kernel/vdev/firmware.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include <tern/page.h>

#include "kernel/vdev/bootfile.h"
#include "kernel/vdev/firmware.h"

#define SIZE (3u * PAGE_SIZE)

static uint8_t image[SIZE];
static uint64_t file_size, written_from, written_to;
static unsigned opens, closes, loads;
static bool filled;
static char why[96];
static struct vm *vm;

int bootfile_open(struct bootfile *f, const char *path, char *text, size_t len)
{
	if (strcmp(path, "/ds/ds1/fw"))
		return -ENOENT;
	*f = (struct bootfile){ .name = path, .size = file_size };
	opens++;
	return 0;
}

int bootfile_load(struct bootfile *f, char *text, size_t len)
{
	f->whole = image;
	loads++;
	return 0;
}

void bootfile_close(struct bootfile *f)
{
	closes++;
}

int gmem_write_rom(struct gmem *g, gpa_t a, const void *buf, size_t len)
{
	assert_memory_equal(buf, image + (a.v - (GMEM_ROM_END - SIZE)), len);
	written_from = MIN(written_from, a.v);
	written_to = MAX(written_to, a.v + len);
	return 0;
}

/* Memory above 4 GiB is there, and is not ROM. */
bool gmem_next_backed(struct gmem *g, gfn_t from, uint64_t max, gfn_t *first, uint64_t *count)
{
	*first = (GMEM_ROM_END >> PAGE_SHIFT) - filled;
	*count = 1;
	return *first >= from;
}

bool world_should_yield(void)
{
	return false;
}

void world_yield(void)
{
}

static int begin(void **state)
{
	vm = calloc(1, sizeof(*vm));
	strcpy(vm->cfg.kernel, "/ds/ds1/fw");
	memset(image, 0x90, SIZE);
	image[SIZE - 16] = 0xe9;
	file_size = SIZE;
	written_from = UINT64_MAX;
	written_to = 0;
	opens = closes = loads = 0;
	filled = false;
	return 0;
}

static int end(void **state)
{
	free(vm);
	return opens - closes;
}

static void refused(const char *says)
{
	assert_int_equal(firmware_boot(vm, why, sizeof(why)), -EINVAL);
	if (!strstr(why, says))
		fail_msg("'%s' is not '%s'", why, says);
	assert_int_equal(written_to, 0);
}

static void which_files(void **state)
{
	static const uint64_t sizes[] = { 0, SIZE - 1, VM_ROM_BYTES + PAGE_SIZE, 1ull << 40 };

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		file_size = sizes[i];
		refused("/ds/ds1/fw: firmware is a multiple of 4 KiB, at most 4 MiB");
	}
	assert_int_equal(loads, 0);
	file_size = SIZE;
	memset(image, 0, SIZE);
	refused("without a first instruction");
	memset(image, 0xff, SIZE);
	refused("without a first instruction");
}

static void ends_at_4_gib(void **state)
{
	assert_int_equal(firmware_boot(vm, why, sizeof(why)), 0);
	assert_int_equal(written_from, GMEM_ROM_END - SIZE);
	assert_int_equal(written_to, GMEM_ROM_END);
}

/* On the host that it came to the file need not be. */
static void once(void **state)
{
	strcpy(vm->cfg.kernel, "/boot/other");
	assert_int_equal(firmware_boot(vm, why, sizeof(why)), -ENOENT);
	filled = true;
	assert_int_equal(firmware_boot(vm, why, sizeof(why)), 0);
	assert_int_equal(written_to, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(which_files, begin, end),
		cmocka_unit_test_setup_teardown(ends_at_4_gib, begin, end),
		cmocka_unit_test_setup_teardown(once, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
