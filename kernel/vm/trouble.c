/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is done when a guest is in trouble: a panic that its kernel tells of, a
 * triple fault, a watchdog that was not fed. Which policy is the user's (vm create).
 * "keep" lets a panicked or hung guest go on as it can; a triple fault has no way
 * on, so that VM stops as after any guest error, with memory and registers kept.
 */
#include <stdio.h>

#include <tern/log.h>

#include "vm_int.h"

const char *vm_trouble_name(enum vm_trouble what)
{
	static const char *const names[VM_TROUBLES] = { "panic", "crash", "watchdog" };

	return (unsigned)what < VM_TROUBLES ? names[what] : "?";
}

const char *vm_policy_name(enum vm_policy p)
{
	static const char *const names[VM_POLICIES] = { "keep", "reset", "stop" };

	return (unsigned)p < VM_POLICIES ? names[p] : "?";
}

bool vm_trouble(struct vm *vm, enum vm_trouble what)
{
	static const char *const text[VM_TROUBLES] = {
		[VM_PANIC] = "its kernel has panicked",
		[VM_CRASH] = "triple fault",
		[VM_WATCHDOG] = "its watchdog was not fed in time",
	};
	enum vm_policy policy = vm->cfg.on[what];

	__atomic_fetch_add(&vm->troubles[what], 1, __ATOMIC_RELAXED);
	log_warn("vm", "%s: %s (policy: %s)", vm->cfg.name, text[what], vm_policy_name(policy));
	if (policy == VM_RESET)
		vm_request_reset(vm);
	else if (policy == VM_POWER_OFF)
		vm_request_off(vm, text[what], false);
	return policy == VM_RESET;
}
