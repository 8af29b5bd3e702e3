/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a side of a migration keeps of its steps: all in order, or it says that they are cut.
 */
// SOURCES: mig/steps.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mig/job.h"

static struct mig_job job;

uint64_t time_ns(void)
{
	static uint64_t ns;

	return ++ns;
}

struct mig_job *job_find(uint32_t id)
{
	return &job;
}

struct mig_job *job_search(bool (*fn)(struct mig_job *j, void *arg), void *arg)
{
	return NULL;
}

void job_put(struct mig_job *j)
{
}

int event_wait(struct event *e, uint64_t deadline_ns)
{
	return 0;
}

int world_create(struct world **out, const struct world_opts *o, void (*fn)(void *), void *arg)
{
	return 0;
}

static void takes(unsigned steps, struct mig_step_told told[MIG_STEPS_MAX], unsigned kept)
{
	memset(&job, 0, sizeof(job));
	spin_init(&job.lock, LOCK_MIG, "job");
	for (unsigned i = 0; i < steps; i++)
		job_step(&job, i & 1 ? STEP_NOTED_GO : STEP_NOTED_NOTHING);
	assert_int_equal(mig_steps(1, told), kept);
	for (unsigned i = 0; i < kept - (steps > kept); i++)
		assert_string_equal(told[i].words,
				    i & 1 ? "noted GO" : "noted that GO was not said");
}

static void what_is_kept(void **state)
{
	struct mig_step_told told[MIG_STEPS_MAX];

	takes(5, told, 5);
	takes(MIG_STEPS_MAX - 1, told, MIG_STEPS_MAX - 1);
	takes(MIG_STEPS_MAX + 7, told, MIG_STEPS_MAX);
	assert_string_equal(told[MIG_STEPS_MAX - 1].words, "tells no more");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
