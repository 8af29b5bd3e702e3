/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A second instance of a VM on the same host, to which the first one's state goes as
 * records while its memory stays where it is:
 *
 *   vm parked, devices quiet -> vm_create_heir -> records: save, check, load
 *     -> vm_inherit: the name is the heir's -> vm is stopped and put
 *
 * Invariant: the memory object is shared by reference, and of the two instances only one
 * has vCPU worlds or devices that may touch it. Nested tables go with it; the heir's
 * vCPUs have flushed to no generation of them yet, so their first entries flush.
 *
 * A twin has memory of its own, so the first instance runs while that is filled (a migration whose
 * destination is this host):
 *
 *   vm_create_twin -> memory, records -> vm is parked, its twin loaded -> vm_take_place
 */
#include <errno.h>
#include <string.h>

#include "registry.h"
#include "vm_int.h"

int vm_create_heir(struct vm *vm, const struct vm_config *cfg, struct vm **out, char *why,
		   size_t why_len)
{
	struct vm *heir;
	int err = vm_build(cfg, NULL, vm->mem, &heir, why, why_len);

	if (err)
		return err;
	memcpy(heir->uuid, vm->uuid, sizeof(heir->uuid));
	memcpy(heir->came_by, vm->came_by, sizeof(heir->came_by));
	memcpy(heir->troubles, vm->troubles, sizeof(heir->troubles)); /* its vCPUs stand still */
	heir->state = VM_INCOMING;
	*out = heir;
	return 0;
}

int vm_create_twin(const struct vm_config *cfg, struct vm **out, char *why, size_t why_len)
{
	int err = vm_check(cfg, why, why_len);

	if (!err)
		err = vm_build(cfg, NULL, NULL, out, why, why_len);
	if (!err)
		(*out)->state = VM_INCOMING;
	return err;
}

int vm_take_place(struct vm *vm, struct vm *twin)
{
	if (!registry_replace(vm, twin))
		return -ENOENT;
	vm_put(vm); /* the registry's */
	return 0;
}

int vm_inherit(struct vm *vm, struct vm *heir)
{
	int err = vm_take_place(vm, heir);

	if (err)
		return err;
	vm_suspend_incoming(heir);
	return 0;
}
