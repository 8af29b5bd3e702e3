/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The leases that go with a VM (docs/ownership.md): of the description of one that is at home,
 * and of its disks. The first of them in this order decides: it is given last, taken back and
 * accepted first. Results as those of the vdisks_ functions (vdev.h).
 */
#ifndef MIG_OWNER_H
#define MIG_OWNER_H

#include <tern/vm.h>

/* Has it any? */
bool owner_leased(struct vm *vm);
MUST_CHECK int owner_give(struct vm *vm, const uint8_t host[16], char *why, size_t why_len);
MUST_CHECK int owner_take_back(struct vm *vm);
MUST_CHECK int owner_accept(struct vm *vm);

#endif
