/* SPDX-License-Identifier: BSD-2-Clause */
/* Lock levels: every wrong order panics, every right one does not. */
#include "fake_cpu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "kernel/base/lock.c"

static jmp_buf caught;

void panic(const char *fmt, ...)
{
	longjmp(caught, 1);
}

void timer_interrupt(void)
{
}

static struct spinlock low = SPINLOCK_INIT(LOCK_VM, "low");
static struct spinlock mid = SPINLOCK_INIT(LOCK_NET, "mid");
static struct spinlock high = SPINLOCK_INIT(LOCK_LOG, "high");

static void fresh(void)
{
	fake_cpus = 1;
	fake_cpu_init(0);
	fake_self = &percpu[0];
	this_cpu()->irqs_on = true;
	low.word = mid.word = high.word = 0;
}

#define PANICS(what)                                                                               \
	do {                                                                                       \
		if (!setjmp(caught)) {                                                             \
			what;                                                                      \
			fail();                                                                    \
		}                                                                                  \
	} while (0)

static void test_right_order(void **state)
{
	unsigned long a, b, c;

	(void)state;
	fresh();
	a = spin_lock(&low);
	b = spin_lock(&mid);
	c = spin_lock(&high);
	assert_true(spin_held(&low) && spin_held(&mid) && spin_held(&high));
	assert_int_equal(this_cpu()->spin_depth, 3);
	assert_false(this_cpu()->irqs_on);
	spin_unlock(&mid, b); /* not the innermost */
	assert_false(spin_held(&mid));
	spin_unlock(&high, c);
	b = spin_lock(&mid);
	spin_unlock(&mid, b);
	assert_false(this_cpu()->irqs_on);
	spin_unlock(&low, a);
	assert_true(this_cpu()->irqs_on);
	assert_int_equal(this_cpu()->spin_depth, 0);
}

static unsigned long ignored;

static void test_wrong_order(void **state)
{
	struct spinlock twin = SPINLOCK_INIT(LOCK_NET, "twin");

	(void)state;
	fresh();
	ignored = spin_lock(&mid);
	PANICS(ignored = spin_lock(&low));
	PANICS(ignored = spin_lock(&mid));
	PANICS(ignored = spin_lock(&twin));
	PANICS(spin_unlock(&high, 0));
}

static void test_other_cpu(void **state)
{
	(void)state;
	fresh();
	ignored = spin_lock(&mid);
	fake_cpu_init(1);
	fake_self = &percpu[1];
	assert_false(spin_held(&mid));
	PANICS(spin_unlock(&mid, 0));
	ignored = spin_lock(&low); /* levels are per CPU */
	spin_unlock(&low, ignored);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right_order),
		cmocka_unit_test(test_wrong_order),
		cmocka_unit_test(test_other_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
