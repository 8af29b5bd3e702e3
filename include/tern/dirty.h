/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which pages of a VM changed: D bits (or PML, or write protection) plus
 * software marks, harvested in rounds. A harvested set belongs to the caller,
 * who sends it or gives it back; it is never dropped.
 */
#ifndef TERN_DIRTY_H
#define TERN_DIRTY_H

#include <tern/pageset.h>
#include <tern/vm.h>

struct dirty_stats {
	uint64_t harvests, pages, flush_wait_ns, scan_ns;
	/* Tokens consumed; vCPUs kicked out of the guest for one; their acknowledgements. */
	uint64_t flushes, flush_kicks, flush_acks;
};

/* Starts tracking: every page written after return appears in a harvest. No vCPU is stopped. */
MUST_CHECK int dirty_start(struct vm *vm);
/*
 * Adds to set what was written since the last harvest (or start). On return
 * the contents may be read: every CPU has flushed. With VM parked, the set is
 * final. -ENOMEM loses nothing: the pages come with the next harvest.
 */
MUST_CHECK int dirty_harvest(struct vm *vm, struct pageset *set);
/* Gives pages back that were not sent. */
MUST_CHECK int dirty_restore(struct vm *vm, const struct pageset *set);
/* Ends tracking and merges large leaves again. */
void dirty_stop(struct vm *vm);
void dirty_stats(struct vm *vm, struct dirty_stats *out);

#endif
