/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of this host's VMs (registry.c). */
#ifndef KERNEL_VM_REGISTRY_H
#define KERNEL_VM_REGISTRY_H

#include <tern/vm.h>

#define VMS_MAX 64u

/* With a reference of its own. -EEXIST: the name is taken; -ENOSPC. */
MUST_CHECK int registry_add(struct vm *vm);
/* False when it is not there (any more); its reference goes to the caller. */
MUST_CHECK bool registry_remove(struct vm *vm);
/* by takes vm's place and its own reference; as registry_remove for vm. */
MUST_CHECK bool registry_replace(struct vm *vm, struct vm *by);

#endif
