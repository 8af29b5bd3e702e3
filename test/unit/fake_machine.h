/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler and all that sleeps by it, built for the fake CPUs, and a driver
 * for tests: ON(test_name, cpus, fn) is a cmocka test that runs fn in a world on a
 * machine of its own; check() in it fails the test. One test program, one include.
 */
#ifndef TEST_FAKE_MACHINE_H
#define TEST_FAKE_MACHINE_H

#include "fake_cpu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* The sources under test, built for the fake CPUs. */
#include "kernel/base/lock.c"

#include "kernel/base/timer.c"

#include "kernel/base/runq.c"

#include "kernel/base/sched.c"

#include "kernel/base/turn.c"

#include "kernel/base/event.c"
#include "kernel/base/mutex.c"
#include "kernel/base/waitq.c"
#include "kernel/base/world.c"

#define STACK (64u << 10)
#define PATIENCE_NS (30 * NSEC_PER_SEC)

static struct {
	pthread_mutex_t lock;
	pthread_cond_t done;
	void (*test)(void);
	bool finished;
	const char *failed;
} job = { .lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER };

static void check(bool ok, const char *what)
{
	if (!ok)
		__atomic_store_n(&job.failed, what, __ATOMIC_SEQ_CST);
}

static struct world *spawn(const char *name, enum world_prio prio, int cpu, void (*fn)(void *),
			   void *arg)
{
	struct world_opts o = { .name = name, .prio = prio, .cpu = cpu, .stack_size = STACK };
	struct world *w = NULL;

	check(world_create(&w, &o, fn, arg) == 0, "world_create");
	return w;
}

/* ---- the machine ---- */

static void driver(void *arg)
{
	(void)arg;
	job.test();
	pthread_mutex_lock(&job.lock);
	job.finished = true;
	pthread_cond_signal(&job.done);
	pthread_mutex_unlock(&job.lock);
}

static void *cpu_thread(void *arg)
{
	static const struct world_opts o = {
		.name = "driver", .prio = WORLD_NORMAL, .cpu = -1, .stack_size = STACK
	};

	fake_self = &percpu[(uintptr_t)arg];
	sched_init();
	if (!arg)
		check(world_create(NULL, &o, driver, NULL) == 0, "driver");
	sched_idle();
	return NULL;
}

static int child_main(unsigned cpus, void (*test)(void))
{
	pthread_t t;

	alarm(100);
	fake_cpus = cpus;
	job.test = test;
	for (unsigned i = 0; i < cpus; i++)
		fake_cpu_init(i);
	for (uintptr_t i = cpus; i-- > 0;)
		if (pthread_create(&t, NULL, cpu_thread, (void *)i))
			return 1;
	pthread_mutex_lock(&job.lock);
	while (!job.finished)
		pthread_cond_wait(&job.done, &job.lock);
	pthread_mutex_unlock(&job.lock);
	if (job.failed)
		fprintf(stderr, "%s\n", job.failed);
	return job.failed != NULL;
}

/* Each test has a process of its own: its CPUs never end. */
static void run_on(unsigned cpus, void (*test)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(child_main(cpus, test));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#define ON(name, cpus, fn)                                                                         \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		run_on(cpus, fn);                                                                  \
	}

#endif
