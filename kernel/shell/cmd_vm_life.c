/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is done to a VM as a whole: `vm start`, `vm stop` and the others that name one.
 * A guest shuts down by itself when its power button is pressed and it listens.
 */
#include <errno.h>

#include <tern/home.h>
#include <tern/mig.h>
#include <tern/timer.h>
#include <tern/vdev.h>
#include <tern/vm.h>

#include "shell_int.h"

#define WHY_MAX 224
#define OFF_POLL_NS (50 * NSEC_PER_MSEC)
#define START_POLL_NS (500 * NSEC_PER_MSEC)
#define STOP_SECONDS_MAX 3600u

/* A suspend leaves the name to another instance. */
static const char *state_of(const char *name, const struct vm *vm)
{
	struct vm *now = vm_find(name);
	const char *state = vm_state_name(now ? now->state : vm->state);

	if (now)
		vm_put(now);
	return state;
}

/* The commands that do one thing to one VM. */
static int act(struct shell *sh, int argc, char **argv, int (*fn)(struct vm *, char *, size_t))
{
	char why[WHY_MAX] = "";
	struct vm *vm = cmd_find_vm(sh, argc, argv);
	int err;

	if (!vm)
		return 1;
	err = fn(vm, why, sizeof(why));
	if (err)
		shell_error(sh, cmd_vm_code(err), "%s", why);
	else if (shell_json(sh)) {
		json_object(sh, NULL);
		json_str(sh, "vm", argv[1]);
		json_str(sh, "state", state_of(argv[1], vm));
		json_end(sh);
	}
	vm_put(vm);
	return err ? 1 : 0;
}

/* Until who has it gives it up, or is dead for long enough; Ctrl-C ends it. */
static int start(struct shell *sh, const char *name, bool wait, char *why, size_t len)
{
	int err = home_start(name, why, len);

	while (err == -EBUSY && wait && !shell_interrupted(sh)) {
		struct vm *vm = vm_find(name);
		bool off = vm && cmd_vm_is_off(vm);

		if (vm)
			vm_put(vm);
		if (!off)
			break;
		if (!shell_json(sh))
			shell_progress(sh, "waiting: %s", why);
		world_sleep_ns(START_POLL_NS);
		err = home_start(name, why, len);
	}
	return err;
}

static int vm_start_cmd(struct shell *sh, int argc, char **argv)
{
	bool wait = shell_flag(&argc, argv, "--wait");
	struct vm *vm = cmd_find_vm(sh, argc, argv);
	char why[WHY_MAX] = "";
	int err;

	if (!vm)
		return 1;
	vm_put(vm); /* it may be made anew, of its description */
	err = start(sh, argv[1], wait, why, sizeof(why));
	if (err)
		return shell_error(sh, cmd_vm_code(err), "%s", why);
	if (shell_json(sh)) {
		json_object(sh, NULL);
		json_str(sh, "vm", argv[1]);
		json_str(sh, "state", vm_state_name(VM_RUNNING));
		json_end(sh);
	}
	return 0;
}

static int vm_reset_cmd(struct shell *sh, int argc, char **argv)
{
	return act(sh, argc, argv, vm_reset);
}

bool cmd_vm_is_off(const struct vm *vm)
{
	return vm->state == VM_OFF || vm->state == VM_STOPPED_ERROR;
}

/* Presses the power button and waits for the guest to shut down. */
static bool shuts_down(struct shell *sh, struct vm *vm, uint64_t seconds, bool *heard)
{
	uint64_t end = time_ns() + seconds * NSEC_PER_SEC;

	*heard = power_button(vm);
	while (!cmd_vm_is_off(vm) && time_ns() < end && !shell_interrupted(sh))
		world_sleep_ns(OFF_POLL_NS);
	return cmd_vm_is_off(vm);
}

bool cmd_stop_seconds(struct shell *sh, const char *text, uint64_t *seconds)
{
	if (!parse_u64(text, seconds) && *seconds && *seconds <= STOP_SECONDS_MAX)
		return true;
	shell_error(sh, "invalid", "--timeout %s is not a number from 1 to %u", text,
		    STOP_SECONDS_MAX);
	return false;
}

static int stop_gently(struct shell *sh, int argc, char **argv, const char *timeout, bool force)
{
	struct vm *vm;
	uint64_t seconds;
	bool off, heard;

	if (!cmd_stop_seconds(sh, timeout, &seconds))
		return 1;
	vm = cmd_find_vm(sh, argc, argv);
	if (!vm)
		return 1;
	if (vm->state != VM_RUNNING) {
		shell_error(sh, "not-running", "%s is %s: nobody would hear the power button",
			    vm->cfg.name, vm_state_name(vm->state));
		vm_put(vm);
		return 1;
	}
	off = shuts_down(sh, vm, seconds, &heard);
	vm_put(vm);
	if (!off && !force)
		return shell_error(sh, "timeout",
				   "%s is still on after %u s%s; --force powers it off then",
				   argv[1], (unsigned)seconds,
				   heard ? "" : ": its kernel does not listen to the power button");
	return off ? 0 : act(sh, argc, argv, vm_stop);
}

static int vm_stop_cmd(struct shell *sh, int argc, char **argv)
{
	const char *timeout = shell_opt(&argc, argv, "--timeout");
	bool force = shell_flag(&argc, argv, "--force");

	return timeout ? stop_gently(sh, argc, argv, timeout, force) : act(sh, argc, argv, vm_stop);
}

static int vm_pause_cmd(struct shell *sh, int argc, char **argv)
{
	return act(sh, argc, argv, vm_pause);
}

static int vm_resume_cmd(struct shell *sh, int argc, char **argv)
{
	return act(sh, argc, argv, vm_resume);
}

static int vm_suspend_cmd(struct shell *sh, int argc, char **argv)
{
	return act(sh, argc, argv, mig_suspend);
}

static int vm_restore_cmd(struct shell *sh, int argc, char **argv)
{
	return act(sh, argc, argv, mig_restore);
}

/* One at home is forgotten here, what it has on its datastore stays. */
static int forget(struct vm *vm, char *why, size_t len)
{
	return vm->cfg.home[0] ? home_unregister(vm->cfg.name, why, len) : vm_delete(vm, why, len);
}

static int vm_delete_cmd(struct shell *sh, int argc, char **argv)
{
	return act(sh, argc, argv, forget);
}

static const struct shell_cmd cmds[] = {
	{ "vm start", "NAME [--wait]",
	  "power a VM on; --wait: as soon as no other host has it or a disk of its", vm_start_cmd,
	  cmd_offer_vms },
	{ "vm stop", "NAME [--timeout SECONDS] [--force]",
	  "power a VM off at once; --timeout: press its power button and wait", vm_stop_cmd,
	  cmd_offer_vms },
	{ "vm reset", "NAME", "press a VM's reset button", vm_reset_cmd, cmd_offer_vms },
	{ "vm pause", "NAME", "hold a VM's processors", vm_pause_cmd, cmd_offer_vms },
	{ "vm resume", "NAME", "let a paused VM go on", vm_resume_cmd, cmd_offer_vms },
	{ "vm suspend", "NAME", "keep a VM's state, in memory, without running it", vm_suspend_cmd,
	  cmd_offer_vms },
	{ "vm restore", "NAME", "let a suspended VM go on", vm_restore_cmd, cmd_offer_vms },
	{ "vm delete", "NAME", "forget a VM that is off", vm_delete_cmd, cmd_offer_vms },
};

void cmd_vm_life_register(void)
{
	shell_register(cmds, ARRAY_SIZE(cmds));
}
