/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Suspend and restore step by step: whatever fails, the VM is left as it was and is
 * its user's again; what succeeded leaves exactly one instance with the name.
 */
// SOURCES: mig/suspend.c mig/stun.c kernel/vm/registry.c kernel/lib/rec.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include <tern/mig.h>
#include <tern/vdev.h>

#include "kernel/vm/registry.h"
#include "mig/checkpoint.h"

static struct vm vm, heir;
static struct {
	int park, quiesce, create, check, load, inherit, prepare; /* what each gives */
	int reset;						  /* asked for behind the park */
	int parks, quiet, stopped, heirs, held;			  /* what was done */
} fake;

uint64_t time_ns(void)
{
	return 1000;
}

void vm_get(struct vm *v)
{
	v->refs++;
}

void vm_put(struct vm *v)
{
	v->refs--;
	if (v == &heir && !v->refs)
		fake.heirs--;
}

int vm_park(struct vm *v, uint64_t deadline_ns)
{
	fake.parks += !fake.park;
	return fake.park;
}

void vm_unpark(struct vm *v)
{
	fake.parks--;
}

bool vm_reset_asked(const struct vm *v)
{
	return fake.reset != 0;
}

int vm_claim(struct vm *v, void *owner, const char *doing, char *why, size_t len)
{
	if (v->mig)
		return -EBUSY;
	v->mig = owner;
	return 0;
}

void vm_disown(struct vm *v)
{
	assert_non_null(v->mig);
	v->mig = NULL;
}

void vm_set_state(struct vm *v, enum vm_state s)
{
	v->state = s;
}

int vm_stop(struct vm *v, char *why, size_t len)
{
	assert_ptr_equal(v, &vm); /* never the instance that has the name */
	assert_null(v->mig);
	fake.stopped++;
	return 0;
}

int vm_create_heir(struct vm *v, const struct vm_config *cfg, struct vm **out, char *why,
		   size_t len)
{
	if (fake.create)
		return fake.create;
	heir = (struct vm){ .cfg = v->cfg, .refs = 1, .state = VM_INCOMING };
	fake.heirs++;
	*out = &heir;
	return 0;
}

int vm_inherit(struct vm *v, struct vm *h)
{
	if (fake.inherit)
		return fake.inherit;
	assert_true(registry_replace(v, h));
	vm_put(v);
	h->state = VM_SUSPENDED;
	return 0;
}

int vm_prepare_incoming(struct vm *v)
{
	fake.parks++;
	return fake.prepare;
}

void vm_hold_suspended(struct vm *v)
{
	fake.parks--;
	fake.held++;
}

void vm_run_incoming(struct vm *v)
{
	fake.parks--;
	v->state = VM_RUNNING;
}

int vdevs_quiesce(struct vm *v, uint64_t deadline_ns)
{
	fake.quiet += !fake.quiesce;
	return fake.quiesce;
}

void vdevs_resume(struct vm *v)
{
	fake.quiet--;
}

void checkpoint_save(struct vm *v, struct rec_writer *w)
{
	assert_int_equal(fake.parks, 1);
	assert_int_equal(fake.quiet, 1);
	rec_begin(w, REC_TIME, 1, 0, 0);
	rec_u64(w, 42);
	rec_end(w);
}

int checkpoint_check(struct vm *v, const void *buf, size_t len, char *why, size_t why_len)
{
	assert_ptr_equal(v, &heir);
	if (fake.check)
		snprintf(why, why_len, "refused");
	return fake.check;
}

int checkpoint_load(struct vm *v, const void *buf, size_t len, int64_t delta)
{
	assert_ptr_equal(v, &heir);
	assert_int_equal(delta, 0);
	return fake.load;
}

static int begin(void **state)
{
	struct vm *old;

	while ((old = vm_find("g"))) {
		assert_true(registry_remove(old));
		old->refs = 0;
	}
	memset(&fake, 0, sizeof(fake));
	vm = (struct vm){ .cfg.name = "g", .refs = 1, .state = VM_RUNNING };
	assert_int_equal(registry_add(&vm), 0);
	return 0;
}

static void suspends_and_restores(void **state)
{
	struct vm *now;
	char why[96];

	assert_int_equal(mig_suspend(&vm, why, sizeof(why)), 0);
	now = vm_find("g");
	assert_ptr_equal(now, &heir);
	vm_put(now);
	assert_int_equal(heir.refs, 1); /* the registry's alone */
	assert_int_equal(vm.refs, 1);	/* ours alone */
	assert_int_equal(fake.stopped, 1);
	assert_int_equal(heir.state, VM_SUSPENDED);
	fake.parks = 0; /* the first instance's ended with it */
	assert_int_equal(mig_restore(&heir, why, sizeof(why)), 0);
	assert_int_equal(heir.state, VM_RUNNING);
	assert_int_equal(fake.parks, 0);
	assert_null(heir.mig);
}

/* Each step that can fail before the name is given away. */
static void what_fails_leaves_it_running(void **state)
{
	int *const step[] = { &fake.park,  &fake.quiesce, &fake.reset,	&fake.create,
			      &fake.check, &fake.load,	  &fake.inherit };
	struct vm *now;
	char why[96];

	for (unsigned i = 0; i < ARRAY_SIZE(step); i++) {
		*step[i] = -ENOMEM;
		why[0] = '\0';
		assert_int_equal(mig_suspend(&vm, why, sizeof(why)),
				 step[i] == &fake.reset ? -EBUSY : -ENOMEM);
		*step[i] = 0;
		assert_true(step[i] == &fake.create || why[0]);
		assert_int_equal(vm.state, VM_RUNNING);
		assert_null(vm.mig);
		assert_int_equal(fake.parks, 0);
		assert_true(fake.quiet <= 0);
		fake.quiet = 0;
		assert_int_equal(fake.heirs, 0);
		assert_int_equal(fake.stopped, 0);
		now = vm_find("g");
		assert_ptr_equal(now, &vm);
		vm_put(now);
	}
}

static void a_restore_without_memory_can_be_repeated(void **state)
{
	char why[96];

	assert_int_equal(mig_suspend(&vm, why, sizeof(why)), 0);
	fake.parks = 0;
	fake.prepare = -ENOMEM;
	assert_int_equal(mig_restore(&heir, why, sizeof(why)), -ENOMEM);
	assert_int_equal(fake.held, 1);
	assert_int_equal(fake.parks, 0);
	assert_int_equal(heir.state, VM_SUSPENDED);
	assert_null(heir.mig);
	fake.prepare = 0;
	assert_int_equal(mig_restore(&heir, why, sizeof(why)), 0);
	assert_int_equal(heir.state, VM_RUNNING);
}

static void only_a_running_vm_that_stays(void **state)
{
	static int job;
	char why[96];

	for (int s = 0; s < VM_STATES; s++) {
		vm.state = (enum vm_state)s;
		if (s != VM_RUNNING)
			assert_int_equal(mig_suspend(&vm, why, sizeof(why)), -EBUSY);
		if (s != VM_SUSPENDED)
			assert_int_equal(mig_restore(&vm, why, sizeof(why)), -EBUSY);
		assert_int_equal(vm.state, s);
	}
	vm.state = VM_RUNNING;
	vm.mig = &job;
	assert_int_equal(mig_suspend(&vm, why, sizeof(why)), -EBUSY);
	assert_ptr_equal(vm.mig, &job);
}

const char *vm_state_name(enum vm_state s)
{
	return "?";
}

static void the_heir_takes_the_same_place(void **state)
{
	struct vm other = { .cfg.name = "h", .refs = 1 };

	assert_int_equal(registry_add(&other), 0);
	heir = (struct vm){ .cfg.name = "g", .refs = 1 };
	assert_true(registry_replace(&vm, &heir));
	assert_ptr_equal(heir.next, &other);
	assert_false(registry_replace(&vm, &heir));
	assert_true(registry_remove(&other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(suspends_and_restores, begin),
		cmocka_unit_test_setup(what_fails_leaves_it_running, begin),
		cmocka_unit_test_setup(a_restore_without_memory_can_be_repeated, begin),
		cmocka_unit_test_setup(only_a_running_vm_that_stays, begin),
		cmocka_unit_test_setup(the_heir_takes_the_same_place, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
