/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM that stands still for a moment on its own host: for a suspend, or for a change of what is
 * under it. The VM is the caller's (vm->mig).
 */
#ifndef MIG_STUN_H
#define MIG_STUN_H

#include <tern/vm.h>

/*
 * A running one: its processors out of the guest, its devices quiet. -ESRCH: it ended by itself;
 * -EBUSY: it is being reset; or it goes on, and why says what hindered.
 */
MUST_CHECK int stun(struct vm *vm, char *why, size_t why_len);
void stun_end(struct vm *vm); /* it goes on */
/* Its state, by way of records, into the instance that vm_create_heir has made. */
MUST_CHECK int stun_hand_over(struct vm *vm, struct vm *heir, char *why, size_t why_len);

#endif
