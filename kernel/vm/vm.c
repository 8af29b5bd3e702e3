/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's life: start, stop, pause, resume, delete, and what the guest itself or
 * a migration asks for. Calls that change it hold vm->lock, one after the other;
 * vm->state itself is under run->lock, because the last vCPU world out writes it
 * as well. Making and unmaking is in vm_make.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/log.h>

#include "registry.h"
#include "hyperv.h"
#include "vm_int.h"

#define PARK_NS (10 * NSEC_PER_SEC)

static const struct vm_platform *platform;

void vm_set_platform(const struct vm_platform *p)
{
	platform = p;
}

const struct vm_platform *vm_platform(void)
{
	return platform;
}

const char *vm_state_name(enum vm_state s)
{
	static const char *const names[VM_STATES] = { "off",	   "running",  "paused",
						      "stunned",   "in-doubt", "incoming",
						      "suspended", "error" };

	return (unsigned)s < VM_STATES ? names[s] : "?";
}

void vm_set_state(struct vm *vm, enum vm_state s)
{
	unsigned long flags = spin_lock(&vm->run->lock);

	if (s != VM_RUNNING || vm->run->live) /* one that ended while it was parked stays so */
		vm->state = s;
	spin_unlock(&vm->run->lock, flags);
}

static const char *doing(const struct vm *vm)
{
	return vm->doing ? vm->doing : "being moved ('tasks' shows it)";
}

static int refuse(const struct vm *vm, const char *what, char *why, size_t len)
{
	snprintf(why, len, "VM %s is %s%s%s: cannot %s it%s", vm->cfg.name,
		 vm_state_name(vm->state), vm->mig ? " and " : "", vm->mig ? doing(vm) : "", what,
		 vm->state == VM_SUSPENDED && !vm->mig ? " ('vm restore' lets it go on)" : "");
	return -EBUSY;
}

static void release(struct vm *vm)
{
	if (platform->release)
		platform->release(vm);
}

static void reset_vcpus(struct vm *vm)
{
	vm->ended_here = false;
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vcpu_reset(vm->vcpu[i]);
}

static int boot_locked(struct vm *vm, char *why, size_t len)
{
	int err;

	/* Devices with worlds of their own forget the old memory before it goes. */
	err = platform->reset(vm);
	if (err)
		return err;
	snprintf(why, len, "not enough host memory");
	err = vm_renew_memory(vm);
	if (err)
		return err;
	reset_vcpus(vm);
	vm->run->used = true;
	err = platform->boot(vm, why, len);
	if (err)
		return err;
	vm_time_start(vm);
	hyperv_reset(vm);
	return vm_launch_worlds(vm, VM_RUNNING);
}

static int start_locked(struct vm *vm, char *why, size_t len)
{
	int err;

	if (vm->mig || (vm->state != VM_OFF && vm->state != VM_STOPPED_ERROR))
		return refuse(vm, "start", why, len);
	vm_join_worlds(vm);
	err = platform->acquire ? platform->acquire(vm, why, len) : 0;
	if (err)
		return err;
	err = boot_locked(vm, why, len);
	if (err)
		release(vm);
	return err;
}

int vm_wake(struct vm *vm, char *why, size_t len)
{
	int err;

	mutex_lock(&vm->lock);
	vm_join_worlds(vm);
	err = platform->acquire ? platform->acquire(vm, why, len) : 0;
	mutex_unlock(&vm->lock);
	return err;
}

int vm_forget_run(struct vm *vm)
{
	int err;

	mutex_lock(&vm->lock);
	err = platform->reset(vm);
	if (!err)
		reset_vcpus(vm);
	mutex_unlock(&vm->lock);
	return err;
}

void vm_lay_down(struct vm *vm)
{
	mutex_lock(&vm->lock);
	release(vm);
	mutex_unlock(&vm->lock);
}

int vm_claim(struct vm *vm, void *owner, const char *what, char *why, size_t len)
{
	int err = 0;

	mutex_lock(&vm->lock);
	if (vm->mig || vm->state == VM_IN_DOUBT || vm->state == VM_INCOMING) {
		snprintf(why, len, "VM %s is %s", vm->cfg.name,
			 vm->mig ? doing(vm) : vm_state_name(vm->state));
		err = -EBUSY;
	} else {
		vm->mig = owner;
		vm->doing = what;
	}
	mutex_unlock(&vm->lock);
	return err;
}

static void disown_locked(struct vm *vm)
{
	vm->mig = NULL;
	vm->doing = NULL;
}

void vm_disown(struct vm *vm)
{
	mutex_lock(&vm->lock);
	disown_locked(vm);
	mutex_unlock(&vm->lock);
}

int vm_start(struct vm *vm, char *why, size_t why_len)
{
	int err;

	mutex_lock(&vm->lock);
	err = start_locked(vm, why, why_len);
	mutex_unlock(&vm->lock);
	return err;
}

int vm_set_files(struct vm *vm, const struct vm_config *cfg)
{
	int err = 0;

	mutex_lock(&vm->lock);
	if (vm->state == VM_OFF || vm->state == VM_STOPPED_ERROR) {
		memcpy(vm->cfg.disk, cfg->disk, sizeof(vm->cfg.disk));
		memcpy(vm->cfg.kernel, cfg->kernel, sizeof(vm->cfg.kernel));
		memcpy(vm->cfg.initrd, cfg->initrd, sizeof(vm->cfg.initrd));
		memcpy(vm->cfg.module, cfg->module, sizeof(vm->cfg.module));
		memcpy(vm->cfg.home, cfg->home, sizeof(vm->cfg.home));
	} else {
		err = -EBUSY;
	}
	mutex_unlock(&vm->lock);
	return err;
}

/* Not the user's: one that arrives is known here before its migration is known to it. */
static bool is_migrations(const struct vm *vm)
{
	return vm->mig || vm->state == VM_IN_DOUBT || vm->state == VM_INCOMING;
}

static int stop_locked(struct vm *vm, char *why, size_t len)
{
	if (is_migrations(vm) || vm->state == VM_OFF)
		return refuse(vm, "stop", why, len);
	vm_stop_worlds(vm, REQ_OFF, "stopped by the user");
	vm_wait_worlds(vm);
	release(vm); /* a suspended one has no worlds to do it */
	vm_set_state(vm, VM_OFF);
	return 0;
}

int vm_stop(struct vm *vm, char *why, size_t why_len)
{
	int err;

	mutex_lock(&vm->lock);
	err = stop_locked(vm, why, why_len);
	mutex_unlock(&vm->lock);
	return err;
}

void vm_ended(const struct vm *vm, struct vm_end *out)
{
	*out = (struct vm_end){ .error = vm->state == VM_STOPPED_ERROR,
				.exited = vm->exited,
				.exit_code = vm->exited ? vm->exit_code : 0 };
	memcpy(out->reason, vm->stop_reason, sizeof(out->reason));
}

bool vm_shows_error(const struct vm *vm)
{
	return vm->state == VM_STOPPED_ERROR && vm->ended_here;
}

static void note_end(struct vm *vm, const struct vm_end *end)
{
	unsigned long flags = spin_lock(&vm->run->lock);

	vm->state = end->error ? VM_STOPPED_ERROR : VM_OFF;
	vm->exited = end->exited;
	vm->exit_code = end->exit_code;
	vm->ended_here = false;
	memcpy(vm->stop_reason, end->reason, sizeof(vm->stop_reason));
	spin_unlock(&vm->run->lock, flags);
}

int vm_stop_as(struct vm *vm, const struct vm_end *end, char *why, size_t why_len)
{
	int err;

	mutex_lock(&vm->lock);
	disown_locked(vm);
	err = stop_locked(vm, why, why_len);
	if (!err)
		note_end(vm, end);
	mutex_unlock(&vm->lock);
	return err;
}

int vm_reset(struct vm *vm, char *why, size_t why_len)
{
	int err = 0;

	mutex_lock(&vm->lock);
	if (vm->mig || vm->state != VM_RUNNING)
		err = refuse(vm, "reset", why, why_len);
	else
		vm_request_reset(vm);
	mutex_unlock(&vm->lock);
	return err;
}

static int pause_locked(struct vm *vm, char *why, size_t len)
{
	int err;

	if (vm->mig || vm->state != VM_RUNNING)
		return refuse(vm, "pause", why, len);
	err = vm_park(vm, time_ns() + PARK_NS);
	if (err == -ESRCH)
		return refuse(vm, "pause", why, len); /* it ended by itself meanwhile */
	if (err) {
		snprintf(why, len, "its vCPUs do not stop");
		return err;
	}
	vm_set_state(vm, VM_PAUSED);
	return 0;
}

int vm_pause(struct vm *vm, char *why, size_t why_len)
{
	int err;

	mutex_lock(&vm->lock);
	err = pause_locked(vm, why, why_len);
	mutex_unlock(&vm->lock);
	return err;
}

static int resume_locked(struct vm *vm, char *why, size_t len)
{
	if (vm->mig || vm->state != VM_PAUSED)
		return refuse(vm, "resume", why, len);
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vm->vcpu[i]->clock->stopped = true;
	vm_set_state(vm, VM_RUNNING);
	vm_unpark(vm);
	return 0;
}

int vm_resume(struct vm *vm, char *why, size_t why_len)
{
	int err;

	mutex_lock(&vm->lock);
	err = resume_locked(vm, why, why_len);
	mutex_unlock(&vm->lock);
	return err;
}

static int delete_locked(struct vm *vm, char *why, size_t len)
{
	if (is_migrations(vm) || vm->run->live)
		return refuse(vm, "delete", why, len);
	if (!registry_remove(vm)) {
		snprintf(why, len, "VM %s is being deleted", vm->cfg.name);
		return -ENOENT;
	}
	return 0;
}

int vm_delete(struct vm *vm, char *why, size_t why_len)
{
	int err;

	mutex_lock(&vm->lock);
	err = delete_locked(vm, why, why_len);
	mutex_unlock(&vm->lock);
	if (!err)
		vm_put(vm); /* the registry's; the caller's is still there */
	return err;
}

void vm_request_off(struct vm *vm, const char *reason, bool error)
{
	if (!error)
		log_info("vm", "%s: %s", vm->cfg.name, reason);
	vm_stop_worlds(vm, error ? REQ_ERROR : REQ_OFF, reason);
}

void vm_request_exit(struct vm *vm, uint32_t code)
{
	unsigned long flags = spin_lock(&vm->run->lock);
	bool first = !vm->run->stop && !vm->exited;
	char text[32];

	if (first) {
		vm->exited = true;
		vm->exit_code = code;
	}
	spin_unlock(&vm->run->lock, flags);
	if (!first)
		return; /* it ends already, for another reason */
	snprintf(text, sizeof(text), "guest exit code %u", (unsigned)code);
	vm_request_off(vm, text, false);
}

int vm_prepare_incoming(struct vm *vm)
{
	struct vm_run *run = vm->run;
	uint64_t all = vm->nr_vcpus >= 64 ? ~0ull : BIT(vm->nr_vcpus) - 1;
	unsigned long flags;

	if (!run->loaded_time || run->loaded_vcpus != all)
		return -EINVAL; /* the stream lacked a record */
	run->used = true;
	hyperv_refresh(vm);
	flags = spin_lock(&run->lock);
	run->parks++;
	spin_unlock(&run->lock, flags);
	return vm_launch_worlds(vm, VM_INCOMING);
}

void vm_hold_suspended(struct vm *vm)
{
	vm_unpark(vm);
	vm_set_state(vm, VM_SUSPENDED);
}

void vm_suspend_incoming(struct vm *vm)
{
	vm->run->used = true; /* the memory has contents: a start makes it new */
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vm->vcpu[i]->clock->stopped = true; /* it will see time that it did not run */
	vm_set_state(vm, VM_SUSPENDED);
}

void vm_run_incoming(struct vm *vm)
{
	vm_set_state(vm, VM_RUNNING);
	vm_unpark(vm);
}
