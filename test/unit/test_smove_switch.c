/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The switch of a Storage vMotion step by step: whichever step fails, the instance that was goes
 * on, once, and the other one is gone; what succeeds leaves the new one alone. While nobody can say
 * which description of a home counts, neither goes on.
 */
// SOURCES: mig/smove_switch.c test/unit/fake_smove.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "test/unit/fake_smove.h"

/* What its home, its record and the datastores say. */
static struct {
	int held, new_held, finish;
	int home, look[4], stay;
	unsigned looks, waits, stays_at; /* the operator's word; 0: none */
	unsigned files;
	bool went_on_in_doubt;
} said;

/* ---- what the source takes from elsewhere ---- */

uint64_t time_ns(void)
{
	return 1000;
}

int job_wait_locked(struct mig_job *j, unsigned long *flags, uint64_t deadline_ns)
{
	assert_int_equal(j->st.phase, MIG_IN_DOUBT);
	assert_int_not_equal(vm.state, VM_RUNNING);
	said.went_on_in_doubt |= fake.runs || fake.heir_runs;
	j->stays = ++said.waits == said.stays_at;
	return -ETIMEDOUT;
}

const char *ds_error_code(int err)
{
	return "io";
}

const char *ds_error_text(int err)
{
	return "the disk failed";
}

int ds_lease_held(struct ds_file *f)
{
	return f == s.disk[0].file ? said.new_held : said.held;
}

int ds_finish(struct datastore *ds, const char *name)
{
	return said.finish;
}

int home_carry_switch(struct home_carry *c, const char *const *also, unsigned n, const char *gone,
		      char *why, size_t len)
{
	assert_string_equal(gone, "the record");
	snprintf(why, len, "the switch");
	return said.home;
}

const char *journal_name(const struct journal *j)
{
	return "the record";
}

int smove_record_done(struct smove *m)
{
	abort(); /* of a VM without a home */
}

int home_carry_look(struct home_carry *c, char *why, size_t len)
{
	return said.look[said.looks++];
}

int home_carry_stay(struct home_carry *c, char *why, size_t len)
{
	snprintf(why, len, "the old one cannot be written");
	return said.stay;
}

int vm_set_files(struct vm *v, const struct vm_config *cfg)
{
	said.files++;
	return 0;
}

static int begin(void **state)
{
	fake_smove_begin();
	memset(&said, 0, sizeof(said));
	strcpy(job.req.disks.all, "new");
	s.disk[0].file = (struct ds_file *)&s;
	s.home = (struct home_carry *)&said;
	s.home_goes = true;
	s.record = (struct journal *)&said;
	assert_int_equal(smove_promise(&s), 0);
	return 0;
}

static void goes_on_as_it_was(int err)
{
	assert_int_equal(smove_switch(&s), err);
	assert_int_equal(vm.state, VM_RUNNING);
	assert_int_equal(fake.runs, 1);
	assert_int_equal(fake.parked + fake.heir_runs + fake.inherited + fake.heirs, 0);
	assert_ptr_equal(job.vm, &vm);
	assert_null(s.old);
	assert_true(job.st.error[0]);
	assert_false(said.went_on_in_doubt);
}

static void has_moved(void)
{
	assert_int_equal(smove_switch(&s), 0);
	assert_int_equal(heir.state, VM_RUNNING);
	assert_int_equal(fake.heir_runs, 1);
	assert_int_equal(fake.runs, 0);
	assert_ptr_equal(job.vm, &heir);
	assert_ptr_equal(s.old, &vm);
	assert_string_equal(job.st.error, "");
	assert_false(said.went_on_in_doubt);
}

static void test_moves(void **state)
{
	has_moved();
	assert_int_equal(fake.promised, 0);
}

/* ---- a step fails ---- */

static void fails(int *step, int err, const char *code, const char *says)
{
	*step = err;
	goes_on_as_it_was(err);
	assert_string_equal(job.st.error_code, code);
	if (!strstr(job.st.error, says))
		fail_msg("it says '%s', not '%s'", job.st.error, says);
	begin(NULL);
}

static void test_any_step_fails(void **state)
{
	fails(&fake.rest, -EIO, "io", "disk");
	s.disk[0].old_ds = (struct datastore *)&fake;
	s.disk[0].old_name = "g/root.disk";
	fails(&said.held, -ESTALE, "io", "another host has taken its lease");
	fails(&fake.adopt, -EIO, "io", "adopt");
	fails(&fake.config, -ENAMETOOLONG, "invalid", "too long");
	fails(&fake.create, -ENOMEM, "no-memory", "no heir");
	fails(&fake.hand_over, -EBADMSG, "failed", "no records");
	fails(&fake.hand_over, -ENOMEM, "no-memory", "no records");
	fails(&fake.prepare, -ENOMEM, "no-memory", "no memory for its processors");
	fails(&fake.prepare, -EINVAL, "failed", "its state is incomplete");
	fails(&said.finish, -EIO, "io", "the disk failed");
	fails(&said.home, -EIO, "io", "the switch");
}

static void not_ready(int *what, int err, const char *says)
{
	*what = err;
	assert_int_equal(smove_ready(&s), err);
	assert_string_equal(job.st.error, says);
	begin(NULL);
}

/* Before anything is said of the new files: they may be gone, and that is not what failed. */
static void test_the_new_disk_is_lost(void **state)
{
	strcpy(s.disk[0].to.path, "/ds/new/g/root.disk");
	strcpy(vm.cfg.disk[0].path, "/ds/old/g/root.disk");
	assert_int_equal(smove_ready(&s), 0);
	assert_string_equal(job.st.error, "");
	not_ready(&said.new_held, -ESTALE,
		  "/ds/new/g/root.disk: another host has taken its lease; the VM stays on "
		  "/ds/old/g/root.disk");
	not_ready(&fake.ends, -EIO, "disk");
}

/* Who asked for it is not told that something failed. */
static void test_cancel(void **state)
{
	job.cancel = true;
	assert_int_equal(smove_switch(&s), -ECANCELED);
	assert_string_equal(job.st.error, "");
	assert_int_equal(fake.runs, 1);
	assert_int_equal(fake.heirs, 0);
	assert_false(job.no_return);
}

static void test_not_just_now(void **state)
{
	static const int stun_says[] = { -ESRCH, -EBUSY, -ETIMEDOUT };

	for (unsigned i = 0; i < ARRAY_SIZE(stun_says); i++) {
		fake.stun = stun_says[i];
		assert_int_equal(smove_switch(&s), -EAGAIN);
	}
	assert_int_equal(fake.runs + fake.heirs, 0);
	assert_string_equal(job.st.error, "");
}

/* ---- one that does not run ---- */

static void test_suspended(void **state)
{
	vm.state = VM_SUSPENDED;
	assert_int_equal(smove_switch(&s), 0);
	assert_int_equal(heir.state, VM_SUSPENDED);
	assert_int_equal(fake.runs + fake.heir_runs, 0);
	assert_ptr_equal(s.old, &vm);
}

static void test_off(void **state)
{
	vm.state = VM_OFF;
	assert_int_equal(smove_switch(&s), 0);
	assert_int_equal(said.files, 1);
	assert_int_equal(fake.heirs, 0);
	assert_null(s.old);
}

static void test_off_in_doubt(void **state)
{
	vm.state = VM_OFF;
	said.home = -EINPROGRESS;
	said.look[0] = -EIO;
	assert_int_equal(smove_switch(&s), -EIO);
	assert_int_equal(said.files, 0);
	assert_int_equal(vm.state, VM_OFF);
}

/* ---- nobody can say which description counts ---- */

static void test_it_waits_and_has_moved(void **state)
{
	said.home = said.look[0] = said.look[1] = -EINPROGRESS;
	has_moved();
	assert_int_equal(said.looks, 3);
	assert_int_equal(job.st.phase, MIG_SWITCH);
	assert_string_equal(job.st.disk.waits_for, "");
}

static void test_it_waits_and_goes_on(void **state)
{
	said.home = said.look[0] = -EINPROGRESS;
	said.look[1] = -EIO;
	goes_on_as_it_was(-EIO);
	assert_int_equal(said.looks, 2);
}

static void test_the_operator_lets_it_go_on(void **state)
{
	said.home = said.look[0] = -EINPROGRESS;
	said.stays_at = 2;
	goes_on_as_it_was(-EIO);
	assert_int_equal(said.looks, 1);
	assert_string_equal(job.st.error_code, "resolved");
}

/* What the operator has said must be durable before it counts. */
static void test_the_operators_word_is_not_noted(void **state)
{
	said.home = said.look[0] = -EINPROGRESS;
	said.stays_at = 1;
	said.stay = -EIO;
	has_moved();
	assert_int_equal(said.looks, 2);
}

#define test(f) cmocka_unit_test_setup(f, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_moves),
		test(test_any_step_fails),
		test(test_the_new_disk_is_lost),
		test(test_cancel),
		test(test_not_just_now),
		test(test_suspended),
		test(test_off),
		test(test_off_in_doubt),
		test(test_it_waits_and_has_moved),
		test(test_it_waits_and_goes_on),
		test(test_the_operator_lets_it_go_on),
		test(test_the_operators_word_is_not_noted),
	};

	return cmocka_run_group_tests_name("smove_switch", tests, NULL, NULL);
}
