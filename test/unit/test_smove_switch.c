/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The switch of a Storage vMotion step by step: whichever step fails, the instance that was goes
 * on, once, and the other one is gone; what succeeds leaves the new one alone. While nobody can say
 * which description of a home counts, neither goes on.
 */
// SOURCES: mig/smove_switch.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include <tern/vdev.h>

#include "mig/smove.h"
#include "mig/stun.h"

static struct vm vm, heir;
static struct mig_job job;
static struct smove s;
static struct {
	int stun, rest, held, adopt, config, create, hand_over, prepare,
		finish; /* what each gives */
	int home, look[4], stay;
	unsigned looks, waits, stays_at; /* the operator's word; 0: none */
	int heirs, parked, runs, heir_runs, files, inherited;
	bool went_on_in_doubt;
} fake;

/* ---- what the source takes from elsewhere ---- */

uint64_t time_ns(void)
{
	return 1000;
}

void job_error(struct mig_job *j, const char *code, const char *fmt, ...)
{
	va_list ap;

	if (j->st.error[0])
		return;
	va_start(ap, fmt);
	snprintf(j->st.error_code, sizeof(j->st.error_code), "%s", code);
	vsnprintf(j->st.error, sizeof(j->st.error), fmt, ap);
	va_end(ap);
}

void job_phase(struct mig_job *j, enum mig_phase p)
{
	j->st.phase = p;
}

int job_wait_locked(struct mig_job *j, unsigned long *flags, uint64_t deadline_ns)
{
	assert_int_equal(j->st.phase, MIG_IN_DOUBT);
	assert_int_not_equal(vm.state, VM_RUNNING);
	fake.went_on_in_doubt |= fake.runs || fake.heir_runs;
	j->stays = ++fake.waits == fake.stays_at;
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

struct ds_file *vdisk_file(struct vdisk *d)
{
	return NULL;
}

int ds_lease_held(struct ds_file *f)
{
	return fake.held;
}

bool disk_copy_left(const struct disk_copy *c, uint64_t most, uint64_t *uncompared)
{
	return false;
}

uint64_t smove_little(const struct smove *m)
{
	return 0;
}

int smove_disk_verify(struct smove_disk *d)
{
	return 0;
}

void pace_hurry(struct pace *p)
{
}

int bulk_marked(struct bulk *b)
{
	return fake.rest;
}

int bulk_flush(struct bulk *b)
{
	return 0;
}

int mirror_error(struct mirror *m)
{
	return 0;
}

void smove_disk_failed(struct smove_disk *d, int err)
{
	job_error(d->s->j, "io", "disk");
}

int smove_disk_adopt(struct smove_disk *d)
{
	if (fake.adopt)
		job_error(d->s->j, "io", "adopt");
	return fake.adopt;
}

int smove_new_config(const struct smove *m, struct vm_config *cfg)
{
	*cfg = vm.cfg;
	return fake.config;
}

int ds_finish(struct datastore *ds, const char *name)
{
	return fake.finish;
}

int home_carry_switch(struct home_carry *c, const char *const *also, unsigned n, const char *gone,
		      char *why, size_t len)
{
	assert_string_equal(gone, "the record");
	snprintf(why, len, "the switch");
	return fake.home;
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
	return fake.look[fake.looks++];
}

int home_carry_stay(struct home_carry *c, char *why, size_t len)
{
	snprintf(why, len, "the old one cannot be written");
	return fake.stay;
}

/* ---- the instances ---- */

void vm_set_state(struct vm *v, enum vm_state state)
{
	v->state = state;
}

void vm_disown(struct vm *v)
{
	assert_ptr_equal(v->mig, &job);
	v->mig = NULL;
}

int vm_stop(struct vm *v, char *why, size_t len)
{
	assert_ptr_equal(v, &heir);
	return 0;
}

void vm_put(struct vm *v)
{
	assert_ptr_equal(v, &heir);
	fake.heirs--;
}

uint64_t vm_overhead_bytes(const struct vm_config *cfg)
{
	return 4096;
}

uint64_t page_spare_bytes(void)
{
	return 0;
}

static uint64_t promised;

int page_promise(uint64_t bytes)
{
	promised += bytes;
	return 0;
}

void page_unpromise(uint64_t bytes)
{
	promised -= bytes;
}

int vm_create_heir(struct vm *v, const struct vm_config *cfg, struct vm **out, char *why,
		   size_t len)
{
	assert_int_equal(promised, 4096); /* nobody else is given that meanwhile */
	if (fake.create) {
		snprintf(why, len, "no heir");
		return fake.create;
	}
	heir = (struct vm){ .cfg = *cfg, .state = VM_INCOMING };
	fake.heirs++;
	*out = &heir;
	return 0;
}

int stun_hand_over(struct vm *v, struct vm *h, char *why, size_t len)
{
	if (fake.hand_over)
		snprintf(why, len, "no records");
	return fake.hand_over;
}

int vm_prepare_incoming(struct vm *v)
{
	assert_ptr_equal(v, &heir);
	assert_int_equal(promised, 4096);
	return fake.prepare;
}

int vm_inherit(struct vm *v, struct vm *h)
{
	fake.inherited++;
	h->state = VM_SUSPENDED;
	return 0;
}

void vdevs_resume(struct vm *v)
{
}

void vm_run_incoming(struct vm *v)
{
	assert_ptr_equal(v, &heir);
	v->state = VM_RUNNING;
	fake.heir_runs++;
}

int vm_set_files(struct vm *v, const struct vm_config *cfg)
{
	fake.files++;
	return 0;
}

int stun(struct vm *v, char *why, size_t len)
{
	if (fake.stun)
		return fake.stun;
	v->state = VM_STUNNED;
	fake.parked++;
	return 0;
}

void stun_end(struct vm *v)
{
	assert_ptr_equal(v, &vm);
	v->state = VM_RUNNING;
	fake.parked--;
	fake.runs++;
}

static int begin(void **state)
{
	memset(&fake, 0, sizeof(fake));
	memset(&job, 0, sizeof(job));
	memset(&s, 0, sizeof(s));
	promised = 0;
	vm = (struct vm){ .state = VM_RUNNING, .mig = &job };
	strcpy(job.st.vm, "g");
	strcpy(job.req.disks.all, "new");
	job.vm = &vm;
	s.j = &job;
	s.nr = 1;
	s.disk[0].s = &s;
	s.home = (struct home_carry *)&fake;
	s.home_goes = true;
	s.record = (struct journal *)&fake;
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
	assert_false(fake.went_on_in_doubt);
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
	assert_false(fake.went_on_in_doubt);
}

static void test_moves(void **state)
{
	has_moved();
	assert_int_equal(promised, 0);
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
	fails(&fake.held, -ESTALE, "io", "another host has taken its lease");
	fails(&fake.adopt, -EIO, "io", "adopt");
	fails(&fake.config, -ENAMETOOLONG, "invalid", "too long");
	fails(&fake.create, -ENOMEM, "no-memory", "no heir");
	fails(&fake.hand_over, -EBADMSG, "failed", "no records");
	fails(&fake.hand_over, -ENOMEM, "no-memory", "no records");
	fails(&fake.prepare, -ENOMEM, "no-memory", "no memory for its processors");
	fails(&fake.prepare, -EINVAL, "failed", "its state is incomplete");
	fails(&fake.finish, -EIO, "io", "the disk failed");
	fails(&fake.home, -EIO, "io", "the switch");
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
	assert_int_equal(fake.files, 1);
	assert_int_equal(fake.heirs, 0);
	assert_null(s.old);
}

static void test_off_in_doubt(void **state)
{
	vm.state = VM_OFF;
	fake.home = -EINPROGRESS;
	fake.look[0] = -EIO;
	assert_int_equal(smove_switch(&s), -EIO);
	assert_int_equal(fake.files, 0);
	assert_int_equal(vm.state, VM_OFF);
}

/* ---- nobody can say which description counts ---- */

static void test_it_waits_and_has_moved(void **state)
{
	fake.home = fake.look[0] = fake.look[1] = -EINPROGRESS;
	has_moved();
	assert_int_equal(fake.looks, 3);
	assert_int_equal(job.st.phase, MIG_SWITCH);
	assert_string_equal(job.st.disk.waits_for, "");
}

static void test_it_waits_and_goes_on(void **state)
{
	fake.home = fake.look[0] = -EINPROGRESS;
	fake.look[1] = -EIO;
	goes_on_as_it_was(-EIO);
	assert_int_equal(fake.looks, 2);
}

static void test_the_operator_lets_it_go_on(void **state)
{
	fake.home = fake.look[0] = -EINPROGRESS;
	fake.stays_at = 2;
	goes_on_as_it_was(-EIO);
	assert_int_equal(fake.looks, 1);
	assert_string_equal(job.st.error_code, "resolved");
}

/* What the operator has said must be durable before it counts. */
static void test_the_operators_word_is_not_noted(void **state)
{
	fake.home = fake.look[0] = -EINPROGRESS;
	fake.stays_at = 1;
	fake.stay = -EIO;
	has_moved();
	assert_int_equal(fake.looks, 2);
}

#define test(f) cmocka_unit_test_setup(f, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_moves),
		test(test_any_step_fails),
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
