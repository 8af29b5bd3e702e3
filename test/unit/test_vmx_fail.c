/* SPDX-License-Identifier: BSD-2-Clause */
// SOURCES: arch/x86_64/vmx/vmx_fail.c
/*
 * Every documented number of a VM entry's or a VM instruction's failure has words
 * of its own; all others say that they are unknown.
 * [SDM 3C 31.4 "VM Instruction Error Numbers"] [SDM 3C 27.8 "VM-Entry Failures During or After
 * Loading Guest State"]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86_64/mce.h"
#include "arch/x86_64/vmx/vmx.h"

#define TEXT_MAX sizeof(((struct vmexit *)NULL)->fail.text)

void vmcs_access_failed(const char *what, uint32_t field)
{
	abort();
}

void vmcs_clear(struct vmx_vcpu *s)
{
}

void vmcs_load(struct vmx_vcpu *s)
{
}

void mce_check(const char *where)
{
}

static bool documented(uint64_t error)
{
	return error && error <= 28 && error != 14 && error != 21 && error != 27;
}

static void test_instruction(void **state)
{
	const char *unknown = vmx_instruction_text(0);

	assert_string_equal(unknown, "unknown VM instruction error");
	for (uint64_t e = 1; e < 70; e++) {
		const char *text = vmx_instruction_text(e);

		assert_int_equal(strcmp(text, unknown) != 0, documented(e));
		assert_true(text[0] && strlen(text) < TEXT_MAX);
		for (uint64_t other = 1; documented(e) && other < e; other++)
			assert_string_not_equal(text, vmx_instruction_text(other));
	}
	assert_string_equal(vmx_instruction_text(UINT64_MAX), unknown);
	assert_string_equal(vmx_instruction_text(7), "invalid control fields");
	assert_string_equal(vmx_instruction_text(8), "invalid host-state fields");
}

static void test_entry(void **state)
{
	static const struct {
		uint64_t reason, qualification;
		const char *text;
	} rows[] = {
		{ 33, 0, "VM entry refused the guest state" },
		{ 33, 1, "VM entry refused the guest state" },
		{ 33, 2, "guest state: loading the PDPTEs" },
		{ 33, 3, "guest state: NMI with events blocked by STI" },
		{ 33, 4, "guest state: VMCS link pointer" },
		{ 33, 5, "VM entry refused the guest state" },
		{ 33, UINT64_MAX, "VM entry refused the guest state" },
		{ 34, 1, "VM entry could not load an MSR" }, /* which of the list */
		{ 34, 4, "VM entry could not load an MSR" },
		{ 41, 0, "machine check during VM entry" },
		{ 0, 0, "VM entry failed" },
		{ 35, 0, "VM entry failed" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *text =
			vmx_entry_text(REASON_FAILED_ENTRY | rows[i].reason, rows[i].qualification);

		assert_string_equal(text, rows[i].text);
		assert_true(strlen(text) < TEXT_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_instruction),
		cmocka_unit_test(test_entry),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
