/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of this host's VMs, by name. registry.lock guards it; vm_for_each calls out without the
 * lock. */
#include <errno.h>
#include <string.h>

#include <tern/lock.h>

#include "registry.h"

static struct {
	struct spinlock lock;
	struct vm *first;
	unsigned count;
} registry = { .lock = SPINLOCK_INIT(LOCK_VM, "vm registry") };

static struct vm *find_locked(const char *name)
{
	struct vm *vm = registry.first;

	while (vm && strncmp(vm->cfg.name, name, VM_NAME_MAX))
		vm = vm->next;
	return vm;
}

int registry_add(struct vm *vm)
{
	unsigned long flags = spin_lock(&registry.lock);
	struct vm **end = &registry.first;
	int err = 0;

	if (find_locked(vm->cfg.name))
		err = -EEXIST;
	else if (registry.count == VMS_MAX)
		err = -ENOSPC;
	if (!err) {
		while (*end)
			end = &(*end)->next;
		vm->next = NULL;
		*end = vm;
		registry.count++;
		vm_get(vm);
	}
	spin_unlock(&registry.lock, flags);
	return err;
}

/* What points at it; at NULL where it is not there. */
static struct vm **place_locked(const struct vm *vm)
{
	struct vm **at = &registry.first;

	while (*at && *at != vm)
		at = &(*at)->next;
	return at;
}

bool registry_remove(struct vm *vm)
{
	unsigned long flags = spin_lock(&registry.lock);
	struct vm **at = place_locked(vm);
	bool found = *at != NULL;

	if (found) {
		*at = vm->next;
		registry.count--;
	}
	spin_unlock(&registry.lock, flags);
	return found;
}

bool registry_replace(struct vm *vm, struct vm *by)
{
	unsigned long flags = spin_lock(&registry.lock);
	struct vm **at = place_locked(vm);
	bool found = *at != NULL;

	if (found) {
		vm_get(by);
		by->next = vm->next;
		*at = by;
	}
	spin_unlock(&registry.lock, flags);
	return found;
}

struct vm *vm_find(const char *name)
{
	unsigned long flags = spin_lock(&registry.lock);
	struct vm *vm = find_locked(name);

	if (vm)
		vm_get(vm);
	spin_unlock(&registry.lock, flags);
	return vm;
}

void vm_for_each(void (*fn)(void *arg, struct vm *vm), void *arg)
{
	struct vm *all[VMS_MAX];
	unsigned n = 0;
	unsigned long flags = spin_lock(&registry.lock);

	for (struct vm *vm = registry.first; vm; vm = vm->next) {
		vm_get(vm);
		all[n++] = vm;
	}
	spin_unlock(&registry.lock, flags);
	for (unsigned i = 0; i < n; i++) {
		fn(arg, all[i]);
		vm_put(all[i]);
	}
}
