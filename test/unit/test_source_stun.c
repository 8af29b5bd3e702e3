/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM comes to stand at its source. One that is off forgets its last run then, and not before: a
 * move that ends earlier leaves the registers of a crash as they are.
 */
// SOURCES: mig/source_stun.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include <tern/dirty.h>
#include <tern/vdev.h>

#include "mig/owner.h"
#include "mig/phase.h"
#include "mig/source.h"
#include "mig/source_disks.h"

static struct vm vm;
static struct mig_job job;
static struct source source;
static char done[128]; /* in its order, a word each */
static struct {
	int hold, park, forget, drain; /* what each gives */
	enum mig_phase hold_at;
} fake;

static void did(const char *what)
{
	snprintf(done + strlen(done), sizeof(done) - strlen(done), "%s%s", done[0] ? " " : "",
		 what);
}

uint64_t time_ns(void)
{
	return 1;
}

int source_hold(struct mig_job *j, enum mig_phase p)
{
	assert_int_equal(p, MIG_STUN);
	return fake.hold;
}

int source_home_leaves(struct source *s)
{
	return 0;
}

void source_disks_go_on(struct source *s)
{
	did("go-on");
}

int source_disks_ready(struct source *s)
{
	did("ready");
	return 0;
}

int source_disks_drain(struct source *s)
{
	did("drain");
	return fake.drain;
}

int vm_park(struct vm *v, uint64_t deadline_ns)
{
	did("park");
	return fake.park;
}

int vm_forget_run(struct vm *v)
{
	did("forget");
	return fake.forget;
}

int vdevs_quiesce(struct vm *v, uint64_t deadline_ns)
{
	did("quiesce");
	return 0;
}

bool vm_reset_asked(const struct vm *v)
{
	return false;
}

void vm_set_state(struct vm *v, enum vm_state state)
{
	v->state = state;
}

enum commit_action src_stun(enum source_state *s)
{
	return COMMIT_NOTHING;
}

bool owner_leased(const struct mig_job *j)
{
	return false;
}

void job_step(struct mig_job *j, enum mig_step step)
{
}

void job_error(struct mig_job *j, const char *code, const char *fmt, ...)
{
	did(code);
}

int order_collect(struct order *o, struct pageset *to)
{
	fail_msg("no page is owed");
	return 0;
}

int dirty_harvest(struct vm *v, struct pageset *to)
{
	fail_msg("no page is owed");
	return 0;
}

static int stuns(enum vm_state was)
{
	vm.state = was;
	job = (struct mig_job){ .vm = &vm, .was = was, .req.hold = fake.hold_at };
	source = (struct source){ .j = &job };
	done[0] = '\0';
	return source_stun(&source);
}

static int setup(void **state)
{
	memset(&fake, 0, sizeof(fake));
	return 0;
}

static void in_error(void **state)
{
	assert_int_equal(stuns(VM_STOPPED_ERROR), 0);
	assert_string_equal(done, "ready forget drain");
	assert_int_equal(vm.state, VM_STUNNED);
	assert_int_equal(stuns(VM_OFF), 0);
	assert_string_equal(done, "ready forget drain");
}

static void canceled_before(void **state)
{
	fake.hold = -ECANCELED;
	assert_int_equal(stuns(VM_STOPPED_ERROR), -ECANCELED);
	assert_null(strstr(done, "forget"));
	assert_int_equal(vm.state, VM_STOPPED_ERROR);
}

static void that_cannot_be_reset(void **state)
{
	fake.forget = -EIO;
	assert_int_equal(stuns(VM_STOPPED_ERROR), -EIO);
	assert_string_equal(done, "ready forget device-busy");
	assert_int_equal(vm.state, VM_STOPPED_ERROR);
	assert_false(source.parked);
}

static void that_keeps_its_state(void **state)
{
	assert_int_equal(stuns(VM_RUNNING), 0);
	assert_string_equal(done, "ready park quiesce drain");
	assert_int_equal(stuns(VM_SUSPENDED), 0);
	assert_string_equal(done, "ready drain");
}

/* With --hold stun: the guest runs meanwhile, and so do its disks. */
static void that_is_held_before(void **state)
{
	fake.hold_at = MIG_STUN;
	assert_int_equal(stuns(VM_RUNNING), 0);
	assert_string_equal(done, "go-on ready park quiesce drain");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(in_error, setup),
		cmocka_unit_test_setup(canceled_before, setup),
		cmocka_unit_test_setup(that_cannot_be_reset, setup),
		cmocka_unit_test_setup(that_keeps_its_state, setup),
		cmocka_unit_test_setup(that_is_held_before, setup),
	};

	return cmocka_run_group_tests_name("source_stun", tests, NULL, NULL);
}
