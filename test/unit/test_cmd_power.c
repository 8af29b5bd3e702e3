/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `host poweroff`: what keeps a host up.
 */
// SOURCES: kernel/shell/cmd_power.c kernel/shell/parse.c kernel/lib/text.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <tern/arch.h>
#include <tern/mig.h>
#include <tern/vdev.h>
#include <tern/vm.h>

#include "kernel/shell/cmd_mig.h"
#include "kernel/shell/shell_int.h"

static const struct shell_cmd *cmd;
static struct mig_status job[2];
static struct vm vm;
static bool has_vm, went;
static bool moves_as_it_stops;
static unsigned stopped;
static char said[256];

/* ---- the rooms around ---- */

void shell_register(const struct shell_cmd *cmds, unsigned count)
{
	cmd = &cmds[count - 1];
}

int shell_error(struct shell *sh, const char *code, const char *fmt, ...)
{
	int n = snprintf(said, sizeof(said), "%s ", code);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said + n, sizeof(said) - (size_t)n, fmt, ap);
	va_end(ap);
	return 1;
}

void shell_progress(struct shell *sh, const char *fmt, ...)
{
}

bool shell_json(const struct shell *sh)
{
	return false;
}

bool shell_interrupted(struct shell *sh)
{
	return false;
}

bool mig_next(uint32_t *cursor, struct mig_status *s)
{
	if (*cursor == ARRAY_SIZE(job))
		return false;
	*s = job[(*cursor)++];
	return true;
}

bool cmd_job_ended(const struct mig_status *s)
{
	return s->phase == MIG_DONE;
}

bool mig_status(uint32_t id, struct mig_status *s)
{
	return false;
}

int mig_wait(uint32_t id, uint64_t deadline_ns)
{
	return 0;
}

int mig_start(const struct mig_request *r, uint32_t *id, char *code, size_t code_len, char *why,
	      size_t why_len)
{
	return -1;
}

void vm_for_each(void (*fn)(void *arg, struct vm *v), void *arg)
{
	if (has_vm)
		fn(arg, &vm);
}

int vm_stop(struct vm *v, char *why, size_t len)
{
	stopped++;
	v->state = VM_OFF;
	if (moves_as_it_stops)
		job[1].phase = MIG_COPY;
	return 0;
}

const char *vm_state_name(enum vm_state s)
{
	return "running";
}

bool cmd_vm_is_off(const struct vm *v)
{
	return v->state == VM_OFF;
}

const char *cmd_vm_code(int err)
{
	return "busy";
}

bool cmd_stop_seconds(struct shell *sh, const char *text, uint64_t *seconds)
{
	return true;
}

bool power_button(struct vm *v)
{
	return false;
}

int cmd_resolve_host(const char *text, struct net_addr *a)
{
	return 0;
}

bool cmd_is_own_host(const char *text, const struct net_addr *a)
{
	return false;
}

uint64_t time_ns(void)
{
	return 0;
}

void world_sleep_ns(uint64_t ns)
{
}

void arch_reset(void)
{
	abort();
}

int arch_power_off(void)
{
	went = true;
	return 0;
}

/* ---- the tests ---- */

static bool power_off(const char *option)
{
	char word[32], *argv[] = { "poweroff", word, NULL };

	snprintf(word, sizeof(word), "%s", option);
	went = false;
	said[0] = '\0';
	(void)cmd->run(NULL, option[0] ? 2 : 1, argv);
	return went;
}

static int begin(void **state)
{
	job[0] = (struct mig_status){ .id = 6, .vm = "old", .phase = MIG_DONE };
	job[1] = (struct mig_status){ .id = 7, .vm = "g", .phase = MIG_COPY };
	vm = (struct vm){ .cfg.name = "g" };
	has_vm = true;
	moves_as_it_stops = false;
	stopped = 0;
	return 0;
}

/* Of a VM that is off: nothing of it is lost, but what was copied. */
static void a_move_keeps_it_up(void **state)
{
	static const char expect[] = "busy job 7 moves g: ";

	assert_false(power_off(""));
	assert_memory_equal(said, expect, strlen(expect));
	assert_false(power_off("--guests=stop"));
	assert_false(power_off("--guests=evacuate:b"));
	assert_memory_equal(said, expect, strlen(expect));
	assert_true(power_off("--force"));
	job[1].incoming = true; /* what comes is among the VMs */
	assert_true(power_off(""));
	job[1] = job[0];
	assert_true(power_off(""));
}

/* What is refused has done nothing to others. */
static void a_move_keeps_guests_running(void **state)
{
	static const char expect[] = "busy job 7 moves old: ";

	strcpy(job[1].vm, "old");
	vm.state = VM_RUNNING;
	assert_false(power_off("--guests=stop"));
	assert_memory_equal(said, expect, strlen(expect));
	assert_int_equal(stopped, 0);
	job[1].phase = MIG_DONE;
	moves_as_it_stops = true; /* one that began meanwhile */
	assert_false(power_off("--guests=stop"));
	assert_memory_equal(said, expect, strlen(expect));
	assert_int_equal(stopped, 1);
}

static void forced_it_stops_guests_beside_a_move(void **state)
{
	char word[] = "--guests=stop", force[] = "--force";
	char *argv[] = { "poweroff", word, force, NULL };

	vm.state = VM_RUNNING;
	went = false;
	assert_int_equal(cmd->run(NULL, 3, argv), 0);
	assert_true(went);
	assert_int_equal(stopped, 1);
}

static void a_guest_keeps_it_up(void **state)
{
	vm.state = VM_RUNNING;
	assert_false(power_off(""));
	assert_memory_equal(said, "busy 1 VM(s) would be lost: g (running)", 39);
	assert_true(power_off("--force"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_move_keeps_it_up, begin),
		cmocka_unit_test_setup(a_move_keeps_guests_running, begin),
		cmocka_unit_test_setup(forced_it_stops_guests_beside_a_move, begin),
		cmocka_unit_test_setup(a_guest_keeps_it_up, begin),
	};

	cmd_power_register();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
