/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A complete copy, and a source that says GO: what is noted in the record before the VM runs, or
 * before the copy is taken apart because its leases will not come.
 */
// SOURCES: mig/dest_end.c mig/commit.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include <tern/home.h>
#include <tern/vdev.h>

#include "mig/history.h"
#include "mig/journal.h"
#include "mig/owner.h"

static struct mig_job job;
static struct vm vm;
static char done[128]; /* in its order, a word each */
static int leases_say, disk_says;
static enum dest_state woken;	    /* what an operator finds who has waited for the leases */
static void (*while_stopped)(void); /* what another world does meanwhile, or NULL */

static void did(const char *what)
{
	snprintf(done + strlen(done), sizeof(done) - strlen(done), "%s%s", done[0] ? " " : "",
		 what);
}

/* ---- what the source takes from elsewhere ---- */

uint64_t time_ns(void)
{
	return 1;
}

const char *ds_error_text(int err)
{
	return "";
}

int journal_note(struct journal *j, enum journal_step step)
{
	if (step == JOURNAL_GONE)
		assert_true(job.dst == DST_GONE && job.taking); /* and the record is in use */
	if (disk_says)
		return disk_says;
	did(step == JOURNAL_OWNS ? "owns" : step == JOURNAL_GONE ? "gone" : "?");
	return 0;
}

void job_journal_forget(const uint8_t id[WIRE_ID_BYTES])
{
	did("forget");
}

void job_journal_keep(struct mig_job *j)
{
	if (j->journal)
		did("keep");
	j->journal = NULL;
}

bool job_journal_end(struct mig_job *j)
{
	if (j->journal)
		did("end");
	j->journal = NULL;
	return true;
}

bool owner_leased(const struct mig_job *j)
{
	return true;
}

int owner_accept(const struct mig_job *j)
{
	return leases_say;
}

int vdisks_held(struct vm *v, char *why, size_t len)
{
	return 0;
}

void vdisks_settle(struct vm *v, bool here)
{
}

void vdevs_resume(struct vm *v)
{
}

void home_here(const struct vm *v)
{
}

void home_arrived(struct vm *v)
{
}

void home_claim(struct vm *v)
{
	assert_ptr_equal(v->mig, &job);
	did("claim");
}

void home_not_come(const struct vm *v)
{
}

void vm_run_incoming(struct vm *v)
{
	did("runs");
}

void vm_suspend_incoming(struct vm *v)
{
	abort();
}

int vm_stop(struct vm *v, char *text, size_t len)
{
	did("stop");
	if (while_stopped)
		while_stopped();
	return 0;
}

int vm_stop_as(struct vm *v, const struct vm_end *end, char *text, size_t len)
{
	assert_ptr_equal(v->mig, &job); /* until then nobody else stops it, or starts it */
	assert_string_equal(end->reason, "triple fault");
	did("stop-as");
	return 0;
}

int vm_delete(struct vm *v, char *text, size_t len)
{
	return 0;
}

void vm_put(struct vm *v)
{
}

void vm_set_state(struct vm *v, enum vm_state state)
{
}

void vm_give_place_back(struct vm *v, struct vm *to)
{
	abort();
}

int vm_take_place(struct vm *from, struct vm *v)
{
	abort();
}

bool history_find(struct wire_verdict *v)
{
	abort();
}

struct mig_job *job_find(uint32_t id)
{
	abort();
}

struct mig_job *job_search(bool (*fn)(struct mig_job *j, void *arg), void *arg)
{
	abort();
}

struct mig_job *job_find_wire_id(const uint8_t id[WIRE_ID_BYTES])
{
	return &job;
}

void job_put(struct mig_job *j)
{
}

void job_over(struct mig_job *j, enum mig_phase p)
{
	j->over = true;
}

void job_error(struct mig_job *j, const char *code, const char *fmt, ...)
{
}

void job_step(struct mig_job *j, enum mig_step step)
{
}

void step_say(const uint8_t id[WIRE_ID_BYTES], bool incoming, enum mig_step step)
{
}

void job_changed_locked(struct mig_job *j)
{
	woken = j->dst;
}

int job_wait_locked(struct mig_job *j, unsigned long *flags, uint64_t deadline_ns)
{
	abort();
}

void job_abort_stream(struct mig_job *j)
{
	abort();
}

void job_set_settling(struct mig_job *j, bool on)
{
	j->settling = on;
}

/* ---- a copy that is held without its stream ---- */

static enum wire_verdict_kind source_says(enum wire_outcome outcome)
{
	struct wire_settle m = { .outcome = outcome };
	struct wire_verdict v;

	dest_settle(&m, &v);
	return (enum wire_verdict_kind)v.verdict;
}

static int setup(void **state)
{
	job = (struct mig_job){ .dst = DST_HELD,
				.st = { .incoming = true, .phase = MIG_IN_DOUBT },
				.was = VM_RUNNING,
				.journal = (struct journal *)&job,
				.vm = &vm,
				.settling = true };
	vm = (struct vm){ .mig = &job };
	done[0] = '\0';
	leases_say = disk_says = 0;
	while_stopped = NULL;
	return 0;
}

static void go(void **state)
{
	assert_int_equal(source_says(OUTCOME_GO), VERDICT_RUNNING);
	assert_string_equal(done, "owns runs keep");
	assert_int_equal(source_says(OUTCOME_GO), VERDICT_RUNNING);
	assert_string_equal(done, "owns runs keep");
	assert_int_equal(source_says(OUTCOME_CLOSED), VERDICT_RUNNING);
	assert_string_equal(done, "owns runs keep forget");
	assert_null(vm.mig);
}

static void go_for_one_that_is_off(void **state)
{
	job.was = VM_STOPPED_ERROR;
	job.end = (struct vm_end){ .error = true, .reason = "triple fault" };
	assert_int_equal(source_says(OUTCOME_GO), VERDICT_RUNNING);
	assert_string_equal(done, "owns claim stop-as keep");
}

static void go_that_cannot_be_noted(void **state)
{
	disk_says = -EIO;
	assert_int_equal(source_says(OUTCOME_GO), VERDICT_UNKNOWN);
	assert_string_equal(done, "");
	disk_says = 0;
	assert_int_equal(source_says(OUTCOME_GO), VERDICT_RUNNING);
	assert_string_equal(done, "owns runs keep");
}

/* The source may have crashed, and ask after crashes of this host: that is noted first. */
static void leases_that_will_not_come(void **state)
{
	leases_say = -ESTALE;
	assert_int_equal(source_says(OUTCOME_GO), VERDICT_DISCARDED);
	assert_string_equal(done, "gone keep stop");
	assert_int_equal(source_says(OUTCOME_GO), VERDICT_DISCARDED);
	assert_int_equal(source_says(OUTCOME_CLOSED), VERDICT_DISCARDED);
	assert_string_equal(done, "gone keep stop forget");
}

static void leases_that_will_not_come_without_a_source(void **state)
{
	leases_say = -ESTALE;
	dest_look(&job);
	assert_string_equal(done, "gone keep stop");
	assert_true(job.over && !job.settling);
}

/* A record that says that the copy is gone is of one that has not run. */
static void an_operator_waits_for_leases_that_will_not_come(void **state)
{
	leases_say = -ESTALE;
	assert_int_equal(dest_take(&job), -ESTALE);
	assert_int_equal(woken, DST_GONE);
	assert_int_equal(dest_resolve(&job, true), -EPERM);
	assert_string_equal(done, "gone keep");
}

/* The source says GO again, to another world. */
static void source_repeats(void)
{
	assert_int_equal(source_says(OUTCOME_GO), VERDICT_DISCARDED);
	assert_false(job.over);
}

/* Until the copy is taken apart it has the VM's name: the job is not over, whoever looks at it. */
static void it_is_over_when_its_name_is_free(void **state)
{
	leases_say = -ESTALE;
	assert_int_equal(dest_take(&job), -ESTALE);
	source_repeats();
	while_stopped = source_repeats;
	dest_discard(&job);
	assert_false(dest_forbid(&job, false));
	assert_true(job.over);
	assert_string_equal(done, "gone keep stop");
}

/* Also where the operator gives it up. */
static void so_it_is_by_the_word_of_an_operator(void **state)
{
	while_stopped = source_repeats;
	assert_int_equal(dest_resolve(&job, false), 0);
	assert_true(job.over);
	assert_string_equal(done, "stop end");
}

static void leases_that_may_come(void **state)
{
	leases_say = -EAGAIN;
	dest_look(&job);
	assert_string_equal(done, "");
	assert_true(!job.over && job.settling);
}

static void the_source_goes_on(void **state)
{
	assert_int_equal(source_says(OUTCOME_ABORTED), VERDICT_DISCARDED);
	assert_string_equal(done, "stop end");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(go, setup),
		cmocka_unit_test_setup(go_for_one_that_is_off, setup),
		cmocka_unit_test_setup(go_that_cannot_be_noted, setup),
		cmocka_unit_test_setup(leases_that_will_not_come, setup),
		cmocka_unit_test_setup(leases_that_will_not_come_without_a_source, setup),
		cmocka_unit_test_setup(an_operator_waits_for_leases_that_will_not_come, setup),
		cmocka_unit_test_setup(it_is_over_when_its_name_is_free, setup),
		cmocka_unit_test_setup(so_it_is_by_the_word_of_an_operator, setup),
		cmocka_unit_test_setup(leases_that_may_come, setup),
		cmocka_unit_test_setup(the_source_goes_on, setup),
	};

	return cmocka_run_group_tests_name("dest_end", tests, NULL, NULL);
}
