/* SPDX-License-Identifier: BSD-2-Clause */
/* Files and tern.conf: what is kept, and that odd text does no harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DIRECT_MAP 0ull /* host-physical addresses are the test's own */

#include "kernel/base/bootfs.c"

static struct bootinfo bi;

static void boot(const char *config, uint64_t size)
{
	bi.config_start = (uint64_t)config;
	bi.config_size = size;
	bootfs_init(&bi);
}

static void test_files(void **state)
{
	(void)state;
	bi.file_count = 2;
	strcpy(bi.files[0].name, "/boot/vmlinuz");
	bi.files[0].size = 17;
	memset(bi.files[1].name, 'x', BOOT_NAME_MAX); /* not terminated */
	boot(NULL, 0);
	memset(bi.files, 0, sizeof(bi.files));
	assert_int_equal(bootfs_find("/boot/vmlinuz")->size, 17);
	assert_null(bootfs_find("/boot/vmlinu"));
	assert_int_equal(strlen(bootfs_at(1)->name), BOOT_NAME_MAX - 1);
	assert_null(bootfs_at(2));
	assert_null(config_get("hostname"));
	bi.file_count = UINT32_MAX;
	boot(NULL, 0);
	assert_non_null(bootfs_at(BOOT_MAX_FILES - 1));
	assert_null(bootfs_at(BOOT_MAX_FILES));
	bi.file_count = 0;
}

static void test_config(void **state)
{
	static const char text[] = "# a comment\r\n"
				   "hostname = a\r\n"
				   "\tnet0.addr=10.0.0.1/24 # inline\n"
				   "empty =\n"
				   "no equals sign\n"
				   "hostname = b c\n"
				   "cmdline = quiet x=1";

	(void)state;
	boot(text, sizeof(text) - 1);
	assert_string_equal(config_get("hostname"), "b c"); /* the last one */
	assert_string_equal(config_get("net0.addr"), "10.0.0.1/24");
	assert_string_equal(config_get("empty"), "");
	assert_string_equal(config_get("cmdline"), "quiet x=1");
	assert_null(config_get("no equals sign"));
	assert_null(config_get("net0"));
	assert_string_equal(config_key_at(2), "empty");
	assert_non_null(config_key_at(4));
	assert_null(config_key_at(5));
}

static void test_limits(void **state)
{
	static char big[3 * CONFIG_SIZE];

	(void)state;
	memset(big, 'k', sizeof(big));
	boot(big, sizeof(big));
	for (unsigned i = 0; i + 4 <= sizeof(big); i += 4)
		memcpy(big + i, "a=b\n", 4);
	boot(big, sizeof(big));
	assert_string_equal(config_get("a"), "b");
	memset(big, 0, sizeof(big));
	boot(big, sizeof(big));
	assert_null(config_get("a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
