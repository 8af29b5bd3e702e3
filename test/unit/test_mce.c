/* SPDX-License-Identifier: BSD-2-Clause */
// SOURCES: arch/x86_64/mce.c
/*
 * Machine checks against a fake CPU's banks: what is logged, what is cleared,
 * what ends the host and what that leaves behind.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <tern/cpu.h>
#include <tern/log.h>

#include "arch/x86_64/lapic.h"
#include "arch/x86_64/mce.h"

#define VALID (1ull << 63)
#define OVERFLOW (1ull << 62)
#define UNCORRECTED (1ull << 61)
#define MISCV (1ull << 59)
#define ADDRV (1ull << 58)
#define PCC (1ull << 57)

static uint64_t cap, mcg_status, bank[64][4]; /* control, status, address, misc */
static unsigned kicks, lines, refused;
static char line[256], said[256];
static jmp_buf ended;

/* The register that an MSR number is; address and misc only where the status says so. */
static uint64_t *reg(uint32_t msr)
{
	uint64_t *b;

	if (msr == 0x179)
		return &cap;
	if (msr == 0x17a)
		return &mcg_status;
	if (msr < 0x400 || msr >= 0x400 + 4 * (uint32_t)(cap & 0xff))
		return NULL;
	b = bank[(msr - 0x400) / 4];
	if ((msr % 4 == 2 && !(b[1] & ADDRV)) || (msr % 4 == 3 && !(b[1] & MISCV)))
		return NULL;
	return &b[msr % 4];
}

int rdmsr_safe(uint32_t msr, uint64_t *v)
{
	if (!reg(msr)) {
		refused++;
		return -EFAULT;
	}
	*v = *reg(msr);
	return 0;
}

int wrmsr_safe(uint32_t msr, uint64_t v)
{
	if (!reg(msr)) {
		refused++;
		return -EFAULT;
	}
	*reg(msr) = v;
	return 0;
}

unsigned cpu_self(void)
{
	return 0;
}

void apic_kick_self(void)
{
	kicks++;
}

void log_line(enum log_level level, const char *room, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	lines++;
}

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said, sizeof(said), fmt, ap);
	va_end(ap);
	longjmp(ended, 1);
}

static int fresh(void **state)
{
	cap = 6;
	mcg_status = 5; /* RIPV, MCIP */
	memset(bank, 0, sizeof(bank));
	kicks = lines = refused = 0;
	line[0] = said[0] = 0;
	return 0;
}

static bool ends(const char *where)
{
	if (setjmp(ended))
		return true;
	mce_check(where);
	return false;
}

static void test_goes_on(void **state)
{
	bank[2][1] = VALID | UNCORRECTED | ADDRV | 0x135;
	bank[2][2] = 0x12345000;
	assert_false(ends("in a guest"));
	assert_int_equal(lines, 0); /* nothing is logged in the check itself */
	assert_int_equal(kicks, 1);
	mce_report();
	assert_int_equal(lines, 1);
	assert_non_null(strstr(line, "CPU 0: machine check in a guest: bank 2: uncorrected"));
	assert_non_null(strstr(line, "context intact, address 12345000, code 0135"));
	assert_int_equal(bank[2][1], 0);
	assert_int_equal(mcg_status, 0);
	assert_int_equal(refused, 0);
	mce_report();
	assert_int_equal(lines, 1); /* once */
}

static void test_every_bank(void **state)
{
	for (unsigned i = 0; i < 6; i++)
		bank[i][1] = VALID | MISCV | OVERFLOW;
	bank[5][3] = 0x8c;
	assert_false(ends("in the host"));
	mce_report();
	assert_int_equal(lines, 6);
	assert_non_null(strstr(line, "bank 5: corrected, context intact, others overwritten, "
				     "no address, misc 8c"));
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(bank[i][1], 0);
}

static void test_more_than_kept(void **state)
{
	cap = 32;
	for (unsigned i = 0; i < 32; i++)
		bank[i][1] = VALID;
	assert_false(ends("in the host"));
	mce_report();
	assert_int_equal(lines, 8 + 1);
	assert_string_equal(line, "CPU 0: 24 more machine checks");
}

/* Numbers behind the 32nd bank belong to other registers. */
static void test_bank_numbers(void **state)
{
	cap = 40;
	bank[35][1] = VALID | PCC;
	assert_false(ends("in the host"));
	assert_int_equal(bank[35][1], VALID | PCC);
}

static void test_context_corrupt(void **state)
{
	bank[0][1] = VALID | UNCORRECTED;
	bank[3][1] = VALID | UNCORRECTED | PCC | ADDRV;
	bank[3][2] = 0xfee0;
	assert_true(ends("in a guest"));
	assert_non_null(strstr(said, "the processor's context is corrupt"));
	assert_non_null(strstr(said, "in a guest: bank 3: uncorrected, processor context corrupt, "
				     "address fee0"));
	assert_true(bank[3][1] & VALID); /* for firmware, after the reset */
}

static void test_no_return(void **state)
{
	mcg_status = 4;
	assert_true(ends("at VM entry"));
	assert_string_equal(said, "machine check at VM entry: the interrupted program cannot be "
				  "continued; no bank says more");
	bank[1][1] = VALID | UNCORRECTED;
	assert_true(ends("at VM entry"));
	assert_non_null(strstr(said, "cannot be continued; at VM entry: bank 1: uncorrected"));
}

/* Left over from before: not valid, and not part of it. */
static void test_not_valid(void **state)
{
	bank[1][1] = PCC | UNCORRECTED;
	assert_false(ends("in the host"));
	mce_report();
	assert_int_equal(lines, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_goes_on, fresh),
		cmocka_unit_test_setup(test_every_bank, fresh),
		cmocka_unit_test_setup(test_more_than_kept, fresh),
		cmocka_unit_test_setup(test_bank_numbers, fresh),
		cmocka_unit_test_setup(test_context_corrupt, fresh),
		cmocka_unit_test_setup(test_no_return, fresh),
		cmocka_unit_test_setup(test_not_valid, fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
