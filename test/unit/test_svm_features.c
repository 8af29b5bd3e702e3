/* SPDX-License-Identifier: BSD-2-Clause */
// SOURCES: arch/x86_64/svm/svm_features.c
/* From a CPU's feature bits to what is used: required, wanted, left out, told. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86_64/svm/svm.h"

struct svm_features svm_feat;

static const char *without = "";
static char why[128];

bool guest_left_out(const char *name)
{
	return strcmp(without, name) == 0;
}

void guest_add_word(char *text, size_t len, const char *word)
{
	snprintf(text + strlen(text), len - strlen(text), "%s ", word);
}

static void test_svm(void **state)
{
	static const struct slat_format format = { .has_1g = true };
	struct virt_caps caps = { .slat = &format };

	assert_int_equal(svm_find_features(0x44e, why, sizeof(why)), -ENOTSUP);
	assert_string_equal(why, "AMD-V without nested paging");
	without = "next-rip";
	assert_int_equal(svm_find_features(0x44f, why, sizeof(why)), 0);
	without = "";
	assert_false(svm_feat.next_rip);
	assert_true(svm_feat.flush_by_asid && svm_feat.pause_filter);
	assert_false(svm_feat.decode_assist || svm_feat.tsc_rate);
	svm_describe(&caps);
	assert_string_equal(caps.features, "flush-by-asid pause-filter 1g ");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_svm) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
