/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the source says after its record could not be written: neither that the VM is the other
 * host's, which a crash would not know, nor that it goes on here, before the record says so,
 * whoever decides that. And of a VM whose leases it could not give.
 */
// SOURCES: mig/source_commit.c mig/source_resolve.c mig/settle.c mig/commit.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include <tern/dirty.h>
#include <tern/home.h>
#include <tern/store.h>
#include <tern/vdev.h>

#include "mig/journal.h"
#include "mig/owner.h"
#include "mig/phase.h"
#include "mig/source.h"

static struct mig_job job;
static struct source s;
static struct vm vm;
static bool disk_fails, runs_on, released, lost_home;
static bool leased, slow, ended;
static int give_says, take_back_says;
static enum mig_phase over_as;
static unsigned asked; /* of the other host, whose copy it is to take */
static enum journal_step noted;
static char told[64], error[WIRE_TEXT];
static bool disks_go_on;

/* ---- what the sources take from elsewhere ---- */

uint64_t time_ns(void)
{
	return 0;
}

static void settle_once(void);

int journal_note(struct journal *j, enum journal_step step)
{
	if (slow) { /* longer than the time between two passes */
		settle_once();
		assert_false(ended); /* it is in use here */
	}
	if (disk_fails)
		return -EIO;
	noted = step;
	return 0;
}

void job_step(struct mig_job *j, enum mig_step step)
{
	static const char *const word[] = {
		[STEP_NOTED_GO] = "noted-go ",	 [STEP_GO] = "go ",
		[STEP_IN_DOUBT] = "in-doubt ",	 [STEP_NOTED_NOTHING] = "noted-nothing ",
		[STEP_GOES_ON] = "goes-on ",	 [STEP_RELEASED] = "released ",
		[STEP_SAID_HERE] = "said-here ", [STEP_SAID_THERE] = "said-there "
	};

	if (step < ARRAY_SIZE(word) && word[step])
		strcat(told, word[step]);
}

int vdisks_held(struct vm *v, char *why, size_t len)
{
	return 0;
}

int home_held(const struct vm *v, char *why, size_t len)
{
	return lost_home ? -ESTALE : 0;
}

void source_resume(struct mig_job *j)
{
	runs_on = true;
}

void source_resume_all(struct mig_job *j)
{
	runs_on = true;
}

void source_release(struct mig_job *j)
{
	released = true;
}

int source_hold(struct mig_job *j, enum mig_phase phase)
{
	return 0;
}

int source_wait(struct mig_job *j, enum wire_type type, uint64_t deadline_ns)
{
	abort();
}

int64_t source_gap_ns(struct mig_job *j)
{
	abort();
}

bool owner_leased(const struct mig_job *j)
{
	return leased;
}

int owner_give(const struct mig_job *j, const uint8_t host[16], char *why, size_t len)
{
	snprintf(why, len, "disk 1 is another's");
	return give_says;
}

int owner_take_back(const struct mig_job *j)
{
	return take_back_says;
}

/* As job_journal.c: not of a move that is in doubt. */
bool job_journal_end(struct mig_job *j)
{
	ended |= !j->settling && j->src != SRC_GO_SENT;
	return true;
}

void job_set_settling(struct mig_job *j, bool on)
{
	j->settling = on;
}

/* The first one counts. */
void job_error(struct mig_job *j, const char *code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (!error[0])
		(void)vsnprintf(error, sizeof(error), fmt, ap);
	va_end(ap);
}

void source_disks_go_on(struct source *of)
{
	assert_false(runs_on); /* else the guest waits for its disks */
	disks_go_on = true;
}

void job_phase(struct mig_job *j, enum mig_phase p)
{
	j->st.phase = p;
}

void job_over(struct mig_job *j, enum mig_phase p)
{
	j->over = true;
	over_as = p;
}

void job_changed_locked(struct mig_job *j)
{
}

int job_wait_locked(struct mig_job *j, unsigned long *flags, uint64_t deadline_ns)
{
	abort();
}

void recover_keep(struct mig_job *j)
{
	abort();
}

void job_put(struct mig_job *j)
{
}

struct mig_job *job_search(bool (*fn)(struct mig_job *j, void *arg), void *arg)
{
	return fn(&job, arg) ? &job : NULL;
}

const char *mig_phase_name(enum mig_phase p)
{
	return "";
}

void dest_look(struct mig_job *j)
{
	abort();
}

void vm_set_state(struct vm *v, enum vm_state state)
{
	v->state = state;
}

void vdisks_settle(struct vm *v, bool stays)
{
}

void vdevs_resume(struct vm *v)
{
}

void home_keep(const struct vm *v)
{
}

void home_stays(const struct vm *v)
{
}

void dirty_stop(struct vm *v)
{
}

const char *ds_error_code(int err)
{
	return "";
}

const char *ds_error_text(int err)
{
	return "";
}

/* The other host takes its copy over when it is asked to, and says so. */
int stream_connect(const struct net_addr *to, uint16_t port, uint64_t timeout_ns,
		   struct stream **out)
{
	*out = NULL;
	return 0;
}

void stream_abort(struct stream *st)
{
}

void stream_close(struct stream *st)
{
}

void peer_init(struct peer *p, struct stream *st, bool server)
{
	p->s = NULL;
}

int peer_ask(struct peer *p, const uint8_t id[WIRE_ID_BYTES], enum wire_type type, const void *body,
	     size_t len)
{
	const struct wire_settle *m = body;

	if (m->outcome == OUTCOME_GO) {
		assert_int_equal(noted, JOURNAL_GO); /* a crash finds it */
		asked++;
	}
	return 0;
}

int peer_answer(struct peer *p, struct wire_head *h, void *buf, size_t cap, void **body,
		uint64_t deadline_ns)
{
	struct wire_verdict v = { .verdict = asked ? VERDICT_RUNNING : VERDICT_DISCARDED };

	memcpy(buf, &v, sizeof(v));
	*body = buf;
	h->type = WIRE_VERDICT;
	return 0;
}

const char *peer_lost_words(int err)
{
	return "";
}

void peer_body_free(void *buf, void *body)
{
}

int peer_send(struct peer *p, enum wire_type type, const void *body, size_t len)
{
	abort();
}

void peer_send_text(struct peer *p, enum wire_type type, const char *code, const char *text)
{
}

/* ---- the world that settles, one pass of it ---- */

static void (*settle_fn)(void *arg);
static jmp_buf pass_over;

void event_init(struct event *e, const char *name)
{
}

void event_signal(struct event *e)
{
}

int event_wait(struct event *e, uint64_t deadline_ns)
{
	longjmp(pass_over, 1);
}

int world_create(struct world **out, const struct world_opts *o, void (*fn)(void *), void *arg)
{
	settle_fn = fn;
	return 0;
}

static void settle_once(void)
{
	if (!setjmp(pass_over))
		settle_fn(NULL);
}

static int setup(void **state)
{
	job = (struct mig_job){ .st.id = 1,
				.vm = &vm,
				.src = SRC_PARKED,
				.was = VM_RUNNING,
				.journal = (struct journal *)&job };
	s = (struct source){ .j = &job, .parked = true };
	vm = (struct vm){ .state = VM_STUNNED };
	disk_fails = runs_on = released = lost_home = leased = slow = ended = false;
	asked = 0;
	noted = JOURNAL_NOTHING;
	told[0] = error[0] = '\0';
	disks_go_on = false;
	settle_init();
	return 0;
}

/* ---- */

static void go_cannot_be_noted(void **state)
{
	disk_fails = true;
	assert_int_equal(source_go(&s), -EIO);
	assert_false(source_give_up(&s, -EIO));
	assert_int_equal(vm.state, VM_IN_DOUBT);
	settle_once();
	settle_once();
	assert_int_equal(asked, 0);
	assert_false(runs_on || released || job.over);
	disk_fails = false;
	settle_once();
	assert_int_equal(asked, 1);
	assert_true(released && job.over && !runs_on);
	assert_string_equal(told, "in-doubt noted-go go released ");
}

/* It is canceled just then: the record may say the one or the other. */
static void that_go_was_not_said_cannot_be_noted(void **state)
{
	job.cancel = true;
	assert_int_equal(source_go(&s), -ECANCELED);
	assert_int_equal(noted, JOURNAL_GO);
	disk_fails = true;
	assert_false(source_give_up(&s, -ECANCELED));
	settle_once();
	assert_int_equal(asked, 0);
	assert_false(runs_on || released);
	disk_fails = false;
	settle_once();
	assert_true(released && !runs_on);
	assert_string_equal(told, "noted-go in-doubt noted-go go released ");
}

static void it_is_noted_that_go_was_not_said(void **state)
{
	job.cancel = true;
	assert_int_equal(source_go(&s), -ECANCELED);
	assert_true(source_give_up(&s, -ECANCELED));
	assert_int_equal(noted, JOURNAL_NOTHING);
	assert_true(runs_on && job.settling);
	settle_once();
	assert_int_equal(asked, 0);
	assert_false(job.settling);
}

/* A VM whose home another host has taken, as this one was taken for dead, is not given away. */
static void its_home_is_lost(void **state)
{
	lost_home = true;
	assert_int_equal(source_go(&s), -ESTALE);
	assert_int_equal(noted, JOURNAL_NOTHING);
	assert_true(source_give_up(&s, -ESTALE));
	assert_true(runs_on);
	assert_string_equal(told, "goes-on ");
}

/* A vMotion with shared disks that are not this host's to give: nothing is recorded. */
static void its_disks_go(int given, int taken_back)
{
	leased = true;
	job.journal = NULL;
	give_says = given;
	take_back_says = taken_back;
	assert_int_equal(source_lease(&s), given);
	assert_false(source_give_up(&s, given));
	assert_true(released && job.over && !runs_on && disks_go_on);
}

static void a_third_host_has_its_disks(void **state)
{
	its_disks_go(-ESTALE, -ESTALE);
	assert_int_equal(over_as, MIG_FAILED);
	assert_string_equal(error, "disk 1 is another's; the VM is stopped here");
}

/* One that does not decide whose the VM is. */
static void a_third_host_has_one_of_its_disks(void **state)
{
	leased = true;
	job.journal = NULL;
	give_says = -ESTALE;
	take_back_says = 0;
	assert_int_equal(source_lease(&s), -ESTALE);
	assert_true(source_give_up(&s, -ESTALE));
	assert_true(runs_on && disks_go_on && !released);
	assert_string_equal(error, "disk 1 is another's; the VM goes on here, and that fails");
}

/* It could not be read whether the lease was given; it was, for the destination has it. */
static void the_destination_has_its_disks(void **state)
{
	its_disks_go(-EIO, -ESTALE);
	assert_int_equal(over_as, MIG_DONE);
}

/* ---- the operator's word ---- */

static void in_doubt(void)
{
	job.src = SRC_GO_SENT;
	job.noted_go = job.settling = true;
	noted = JOURNAL_GO;
	vm.state = VM_IN_DOUBT;
}

/* Else a crash would find GO, and the old copy be taken over. */
static void here_cannot_be_noted(void **state)
{
	in_doubt();
	disk_fails = true;
	assert_int_equal(source_resolve(&job, true), -EIO);
	assert_int_equal(vm.state, VM_IN_DOUBT);
	assert_false(runs_on || released || job.over || ended);
	settle_once();
	assert_int_equal(asked, 0); /* the record may say that GO was not said */
	disk_fails = false;
	assert_int_equal(source_resolve(&job, true), 0);
	assert_int_equal(noted, JOURNAL_NOTHING);
	assert_true(runs_on && job.over && !released);
	assert_string_equal(told, "noted-nothing said-here ");
	assert_int_equal(source_resolve(&job, true), -EPERM);
}

static void here_cannot_be_noted_and_is_not_so(void **state)
{
	in_doubt();
	disk_fails = true;
	assert_int_equal(source_resolve(&job, true), -EIO);
	disk_fails = false;
	settle_once();
	assert_int_equal(asked, 1); /* which looks whether the record says GO */
	assert_true(released && job.over && !runs_on);
}

/* The record may say that GO was not said: a crash would find the VM here. */
static void there_after_all(void **state)
{
	in_doubt();
	disk_fails = true;
	assert_int_equal(source_resolve(&job, true), -EIO);
	assert_int_equal(source_resolve(&job, false), -EIO);
	assert_false(released || job.over || ended);
	disk_fails = false;
	noted = JOURNAL_NOTHING;
	assert_int_equal(source_resolve(&job, false), 0);
	assert_int_equal(noted, JOURNAL_GO);
	assert_true(released && job.over && !runs_on);
}

/* The world that settles comes by meanwhile: the record stays until this is done. */
static void here_is_noted_slowly(void **state)
{
	in_doubt();
	slow = true;
	assert_int_equal(source_resolve(&job, true), 0);
	slow = false;
	assert_true(runs_on && !released && !ended);
	assert_int_equal(asked, 0);
	settle_once();
	assert_true(ended && !job.settling);
	assert_int_equal(noted, JOURNAL_NOTHING);
}

static void there_needs_no_note(void **state)
{
	in_doubt();
	disk_fails = true;
	assert_int_equal(source_resolve(&job, false), 0);
	assert_true(released && ended && !runs_on);
	assert_int_equal(over_as, MIG_DONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(go_cannot_be_noted, setup),
		cmocka_unit_test_setup(that_go_was_not_said_cannot_be_noted, setup),
		cmocka_unit_test_setup(it_is_noted_that_go_was_not_said, setup),
		cmocka_unit_test_setup(its_home_is_lost, setup),
		cmocka_unit_test_setup(a_third_host_has_its_disks, setup),
		cmocka_unit_test_setup(a_third_host_has_one_of_its_disks, setup),
		cmocka_unit_test_setup(the_destination_has_its_disks, setup),
		cmocka_unit_test_setup(here_cannot_be_noted, setup),
		cmocka_unit_test_setup(here_cannot_be_noted_and_is_not_so, setup),
		cmocka_unit_test_setup(there_after_all, setup),
		cmocka_unit_test_setup(here_is_noted_slowly, setup),
		cmocka_unit_test_setup(there_needs_no_note, setup),
	};

	return cmocka_run_group_tests_name("source_commit", tests, NULL, NULL);
}
