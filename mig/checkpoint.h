/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's state as records: what travels in the stun. The destination checks everything before it
 * loads anything.
 */
#ifndef MIG_CHECKPOINT_H
#define MIG_CHECKPOINT_H

#include <tern/rec.h>
#include <tern/vm.h>

/* All vCPUs parked, devices quiesced. */
void checkpoint_save(struct vm *vm, struct rec_writer *w);
MUST_CHECK int checkpoint_check(struct vm *vm, const void *buf, size_t len, char *why,
				size_t why_len);
/* After a check of the same bytes. clock_delta_ns: this host's clock minus the source's. */
MUST_CHECK int checkpoint_load(struct vm *vm, const void *buf, size_t len, int64_t clock_delta_ns);

#endif
