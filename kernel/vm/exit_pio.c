/* SPDX-License-Identifier: BSD-2-Clause */
/* Port I/O exits: single accesses here, ins and outs in string.c. */
#include "vm_int.h"

static enum exit_next pio_in(struct vcpu *c, struct vmexit *x)
{
	uint64_t v;

	io_read(c, IO_PIO, x->pio.port, x->pio.size, &v);
	gpr_set(c, GPR_RAX, x->pio.size, false, v);
	vcpu_skip(c, x, 0);
	return NEXT_RESUME;
}

enum exit_next exit_pio(struct vcpu *c, struct vmexit *x)
{
	if (x->pio.string)
		return string_pio(c, x);
	if (x->pio.in)
		return pio_in(c, x);
	io_write(c, IO_PIO, x->pio.port, x->pio.size, gpr_get(c, GPR_RAX, x->pio.size, false));
	vcpu_skip(c, x, 0);
	return NEXT_RESUME;
}
