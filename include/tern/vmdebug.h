/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A debugger's hold on a VM that it has claimed (vm_claim): breakpoints, single steps, memory and
 * registers as one vCPU sees them. From attach on all vCPUs are out of the guest, or all are in, or
 * one is for a step. The two functions are called by a vCPU's world in its exit.
 */
#ifndef TERN_VMDEBUG_H
#define TERN_VMDEBUG_H

#include <tern/vm.h>

enum vm_trap { TRAP_BREAK, TRAP_STEP };
struct vm_debugger {
	/* Is there a breakpoint of the debugger's at this linear address? */
	bool (*is_break)(struct vm_debugger *d, uint64_t linear);
	/* This vCPU has stopped; it and the others stay out from now on. */
	void (*stopped)(struct vm_debugger *d, struct vcpu *c, enum vm_trap why);
};
MUST_CHECK int vm_debug_attach(struct vm *vm, struct vm_debugger *d, uint64_t deadline_ns);
void vm_debug_detach(struct vm *vm);				   /* all go on */
void vm_debug_hold(struct vm *vm);				   /* asks all to come out */
MUST_CHECK int vm_debug_wait(struct vm *vm, uint64_t deadline_ns); /* until all are; as vm_park */
void vm_debug_go(struct vm *vm);
void vm_debug_step(struct vcpu *c); /* that one alone, for one instruction */
/*
 * Guest memory at a linear address, by the tables of this vCPU, rights apart. All held. -EFAULT:
 * not all of it is mapped to RAM.
 */
MUST_CHECK int vm_debug_gpa(struct vcpu *c, uint64_t linear, gpa_t *out);
MUST_CHECK int vm_debug_read(struct vcpu *c, uint64_t linear, void *buf, size_t len);
MUST_CHECK int vm_debug_write(struct vcpu *c, uint64_t linear, const void *buf, size_t len);
/* The same for registers; the guest's clock stays. -EINVAL: no CPU state. */
MUST_CHECK int vm_debug_set(struct vcpu *c, const struct virt_state *s);

#endif
