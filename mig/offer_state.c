/* SPDX-License-Identifier: BSD-2-Clause */
/* Of a VM that does not run while it moves, in its offer (offer.h). */
#include <errno.h>

#include "kernel/lib/text.h"

#include "offer.h"

#define AT_REST_VERSION 1
#define ENDED_VERSION 1
#define ENDED_ERROR BIT(0)
#define ENDED_EXITED BIT(1)

/* Not optional: a host that does not know it would start the VM. */
void offer_state_save(enum vm_state state, struct rec_writer *w)
{
	if (state == VM_RUNNING)
		return;
	rec_begin(w, REC_AT_REST, AT_REST_VERSION, 0, 0);
	rec_u32(w, state == VM_SUSPENDED);
	rec_u32(w, 0);
	rec_end(w);
}

int offer_state_check(struct rec_reader *r, enum vm_state *out)
{
	uint32_t suspended = rec_get_u32(r);

	if (r->head.version != AT_REST_VERSION || suspended > 1 || rec_get_u32(r))
		return -EBADMSG;
	*out = suspended ? VM_SUSPENDED : VM_OFF;
	return rec_done(r);
}

/* Optional: without it the VM is as one that has never run. */
void offer_ended_save(enum vm_state state, const struct vm_end *end, struct rec_writer *w)
{
	if (!vm_state_is_off(state) || (state == VM_OFF && !end->exited && !end->reason[0]))
		return;
	rec_begin(w, REC_ENDED, ENDED_VERSION, REC_OPTIONAL, 0);
	rec_u32(w, (uint32_t)((state == VM_STOPPED_ERROR ? ENDED_ERROR : 0) |
			      (end->exited ? ENDED_EXITED : 0)));
	rec_u32(w, end->exited ? end->exit_code : 0);
	rec_str(w, end->reason);
	rec_end(w);
}

int offer_ended_check(struct rec_reader *r, struct vm_end *out)
{
	uint32_t flags = rec_get_u32(r);

	out->error = flags & ENDED_ERROR;
	out->exited = flags & ENDED_EXITED;
	out->exit_code = rec_get_u32(r);
	rec_get_str(r, out->reason, sizeof(out->reason));
	if (r->head.version != ENDED_VERSION || flags & ~(uint32_t)(ENDED_ERROR | ENDED_EXITED) ||
	    (!out->exited && out->exit_code) || !text_printable(out->reason))
		return -EBADMSG;
	return rec_done(r);
}
