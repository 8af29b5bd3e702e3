/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `host reboot` and `host poweroff`, and what becomes of the guests: refused while there
 * are any that would be lost, unless it is said what to do with them. When that does not work out
 * for one of them, the host stays up.
 *
 * Guests that are stopped have their power buttons pressed, all at once, and so long to shut
 * down; those that do not listen, and those that are not off by then, are powered off.
 */
#include <stdio.h>
#include <string.h>

#include <tern/arch.h>
#include <tern/log.h>
#include <tern/mig.h>
#include <tern/timer.h>
#include <tern/vdev.h>
#include <tern/vm.h>

#include "cmd_mig.h"
#include "shell_int.h"

#define WHY_MAX 160
#define CODE_MAX 24
#define LOOK_NS (NSEC_PER_SEC / 5) /* how soon Ctrl-C is seen */
#define EVACUATE "evacuate:"
#define POWER_ARGS "[--force] [--guests stop|evacuate:HOST] [--timeout SECONDS]"
#define STOP_SECONDS 60u /* so long guests have to shut down */

struct guests {
	struct shell *sh;
	struct net_addr to;
	uint64_t seconds; /* to shut down in */
	unsigned count;	  /* of those that would be lost, or are waited for */
	size_t len;
	char names[96]; /* of some, for people */
	bool failed;
};

static void list_one(void *arg, struct vm *vm)
{
	struct guests *g = arg;
	size_t room = sizeof(g->names) - g->len;
	int n;

	if (cmd_vm_is_off(vm))
		return;
	n = snprintf(g->names + g->len, room, "%s%s (%s)", g->count ? ", " : "", vm->cfg.name,
		     vm_state_name(vm->state));
	g->len += MIN((size_t)MAX(n, 0), room - 1);
	g->count++;
}

static void stop_one(void *arg, struct vm *vm)
{
	struct guests *g = arg;
	char why[WHY_MAX] = "";
	int err;

	if (g->failed || cmd_vm_is_off(vm))
		return;
	err = vm_stop(vm, why, sizeof(why));
	g->failed = err && !cmd_vm_is_off(vm); /* it may have gone by itself */
	if (g->failed)
		shell_error(g->sh, cmd_vm_code(err), "%s", why);
}

/* True: it will shut down by itself, if it can. */
static bool listens(struct vm *vm)
{
	return vm->state == VM_RUNNING && power_button(vm);
}

static void press_one(void *arg, struct vm *vm)
{
	if (!listens(vm))
		stop_one(arg, vm);
}

static void count_one(void *arg, struct vm *vm)
{
	struct guests *g = arg;

	g->count += vm->state == VM_RUNNING;
}

static void stop_all(struct guests *g)
{
	uint64_t end = time_ns() + g->seconds * NSEC_PER_SEC;

	vm_for_each(press_one, g);
	while (!g->failed && time_ns() < end) {
		g->count = 0;
		vm_for_each(count_one, g);
		if (!g->count)
			break;
		if (!shell_json(g->sh))
			shell_progress(g->sh, "%u guest(s) shut down", g->count);
		world_sleep_ns(LOOK_NS);
		if (shell_interrupted(g->sh)) {
			shell_error(g->sh, "canceled", "interrupted: this host stays up");
			g->failed = true;
		}
	}
	g->count = 0;
	vm_for_each(stop_one, g); /* what is still on */
}

/* Until the job is over; false with the error said when the VM did not leave. */
static bool follow(struct shell *sh, uint32_t job)
{
	struct mig_status s = { .percent = 0 };
	unsigned told = 0;

	while (mig_status(job, &s) && s.phase < MIG_IN_DOUBT) {
		(void)mig_wait(job, time_ns() + LOOK_NS);
		if (shell_interrupted(sh)) {
			shell_error(sh, "canceled", "interrupted: job %u goes on", (unsigned)job);
			return false;
		}
		if (s.percent != told && !shell_json(sh))
			shell_progress(sh, "%s  %u %%", s.vm, s.percent);
		told = s.percent;
	}
	if (s.phase == MIG_DONE)
		return true;
	shell_error(sh, s.error_code[0] ? s.error_code : "failed", "%s stays here: %s", s.vm,
		    s.error);
	return false;
}

static void evacuate_one(void *arg, struct vm *vm)
{
	struct guests *g = arg;
	struct mig_request r = { .to = g->to };
	char code[CODE_MAX] = "failed", why[WHY_MAX] = "";
	uint32_t job;

	if (g->failed || cmd_vm_is_off(vm))
		return;
	strcpy(r.vm, vm->cfg.name);
	g->failed = mig_start(&r, &job, code, sizeof(code), why, sizeof(why)) != 0;
	if (g->failed)
		shell_error(g->sh, code, "%s", why);
	else
		g->failed = !follow(g->sh, job);
}

/* Those are gone that --guests says; false with the error said. */
static bool clear_guests(struct guests *g, const char *how)
{
	const char *host = how + strlen(EVACUATE);

	if (!strcmp(how, "stop")) {
		stop_all(g);
		return !g->failed;
	}
	if (strncmp(how, EVACUATE, strlen(EVACUATE))) {
		shell_error(g->sh, "invalid", "--guests %s: it is stop or evacuate:HOST", how);
		return false;
	}
	if (cmd_resolve_host(host, &g->to) || cmd_is_own_host(host, &g->to)) {
		shell_error(g->sh, "invalid",
			    "'%s' is not another host: an address, or a "
			    "host.NAME of tern.conf",
			    host);
		return false;
	}
	vm_for_each(evacuate_one, g);
	return !g->failed;
}

/* Moves under way, of VMs that are off too: what they have copied would be for nothing. One that
 * comes is among the VMs. False with the error said. */
static bool no_moves(struct shell *sh)
{
	struct mig_status s;
	uint32_t cursor = 0;

	while (mig_next(&cursor, &s)) {
		if (s.incoming || cmd_job_ended(&s))
			continue;
		shell_error(sh, "busy",
			    "job %u moves %s: wait for its end ('migrate follow %u'), cancel it, "
			    "or say --force",
			    (unsigned)s.id, s.vm, (unsigned)s.id);
		return false;
	}
	return true;
}

/* True: nothing is here any more that would be missed. */
static bool may_go(struct shell *sh, int *argc, char **argv)
{
	bool force = shell_flag(argc, argv, "--force");
	const char *how = shell_opt(argc, argv, "--guests");
	const char *timeout = shell_opt(argc, argv, "--timeout");
	struct guests g = { .sh = sh, .seconds = STOP_SECONDS };

	if (*argc > 1) {
		shell_error(sh, "usage", "'%s' cannot follow: " POWER_ARGS, argv[1]);
		return false;
	}
	if (timeout && !cmd_stop_seconds(sh, timeout, &g.seconds))
		return false;
	if (timeout && (!how || strcmp(how, "stop"))) {
		shell_error(sh, "usage", "--timeout belongs to --guests stop");
		return false;
	}
	if (how && !force && !no_moves(sh)) /* before guests are stopped for nothing */
		return false;
	if (how && !clear_guests(&g, how))
		return false;
	vm_for_each(list_one, &g);
	if (force)
		return true;
	if (!g.count)
		return no_moves(sh);
	shell_error(sh, "busy",
		    "%u VM(s) would be lost: %s; migrate or stop them, or say --guests "
		    "stop|evacuate:HOST or --force",
		    g.count, g.names);
	return false;
}

static int host_reboot(struct shell *sh, int argc, char **argv)
{
	if (!may_go(sh, &argc, argv))
		return 1;
	log_warn("host", "reboot asked for at the console");
	arch_reset();
}

static int host_poweroff(struct shell *sh, int argc, char **argv)
{
	if (!may_go(sh, &argc, argv))
		return 1;
	log_warn("host", "power-off asked for at the console");
	if (arch_power_off())
		return shell_error(sh, "unsupported",
				   "this machine names no way to switch itself off");
	return 0;
}

static const struct shell_cmd cmds[] = {
	{ "host reboot", POWER_ARGS, "restart this machine", host_reboot, NULL },
	{ "host poweroff", POWER_ARGS, "switch this machine off", host_poweroff, NULL },
};

void cmd_power_register(void)
{
	shell_register(cmds, ARRAY_SIZE(cmds));
}
