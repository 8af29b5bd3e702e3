/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM under a debugger (vm.h): all out of the guest or all in, by one park that the
 * debugger holds; one vCPU alone for a step. A vCPU that hits a breakpoint takes the park in
 * the debugger's place, tells it, and parks at its next turn like the others.
 *
 * Invariant: run->held says whether that park is counted in run->parks, so that two
 * vCPUs which stop at the same time take it once.
 */
#include <errno.h>
#include <string.h>

#include <tern/vmdebug.h>

#include "vm_int.h"

void vm_debug_hold(struct vm *vm)
{
	unsigned long flags = spin_lock(&vm->run->lock);

	if (!vm->run->held)
		vm->run->parks++;
	vm->run->held = true;
	vm_park_ask_locked(vm);
	spin_unlock(&vm->run->lock, flags);
	vm_kick_vcpus(vm);
}

int vm_debug_wait(struct vm *vm, uint64_t deadline_ns)
{
	int err = vm_park(vm, deadline_ns); /* inside of the debugger's own */

	if (!err)
		vm_unpark(vm);
	return err;
}

static void end_step(struct vcpu *c)
{
	if (!c->stepping)
		return;
	c->stepping = c->v.debug.step = false;
	virt->debug(&c->v);
}

void vm_debug_go(struct vm *vm)
{
	unsigned long flags;
	bool held;

	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		end_step(vm->vcpu[i]); /* one that was interrupted */
	flags = spin_lock(&vm->run->lock);
	held = vm->run->held;
	vm->run->held = false;
	spin_unlock(&vm->run->lock, flags);
	if (held)
		vm_unpark(vm);
}

/* All parked: what the CPU is to tell, and whom. */
static void tell_cpus(struct vm *vm, struct vm_debugger *d)
{
	vm->debugger = d;
	for (unsigned i = 0; i < vm->nr_vcpus; i++) {
		struct vcpu *c = vm->vcpu[i];

		c->stepping = false;
		c->v.debug = (struct virt_debug){ .on = d != NULL };
		virt->debug(&c->v);
	}
}

int vm_debug_attach(struct vm *vm, struct vm_debugger *d, uint64_t deadline_ns)
{
	int err;

	vm_debug_hold(vm);
	err = vm_debug_wait(vm, deadline_ns);
	if (err)
		vm_debug_go(vm);
	else
		tell_cpus(vm, d);
	return err;
}

void vm_debug_detach(struct vm *vm)
{
	tell_cpus(vm, NULL);
	vm_debug_go(vm);
}

void vm_debug_step(struct vcpu *c)
{
	struct vm_run *run = c->vm->run;
	unsigned long flags;

	c->stepping = c->v.debug.step = true;
	virt->debug(&c->v);
	flags = spin_lock(&run->lock);
	c->park_asked = 0;
	spin_unlock(&run->lock, flags);
	event_signal(&c->wake);
}

static void stop(struct vcpu *c, enum vm_trap why)
{
	struct vm_debugger *d = c->vm->debugger;

	end_step(c);
	vm_debug_hold(c->vm);
	d->stopped(d, c, why);
}

/* ---- memory, registers ---- */

int vm_debug_gpa(struct vcpu *c, uint64_t linear, gpa_t *out)
{
	struct virt_mode m = { 0 };
	struct walk w = { c->vm->mem, &m, 52, WALK_AC };
	uint32_t error;

	virt->mode(&c->v, &m);
	return walk_linear(&w, linear, out, &error);
}

/* Page by page, from the guest or, where from is given, to it. */
static int copy(struct vcpu *c, uint64_t linear, uint8_t *to, const uint8_t *from, size_t len)
{
	int err = 0;

	for (size_t n, done = 0; !err && done < len; done += n) {
		uint64_t offset = (linear + done) & PAGE_MASK;
		gpa_t at;

		n = MIN(len - done, (size_t)(PAGE_SIZE - offset));
		err = vm_debug_gpa(c, linear + done, &at);
		if (!err)
			err = from ? gmem_write(c->vm->mem, at, from + done, n)
				   : gmem_read(c->vm->mem, at, to + done, n);
	}
	return err;
}

int vm_debug_read(struct vcpu *c, uint64_t linear, void *buf, size_t len)
{
	return copy(c, linear, buf, NULL, len);
}

int vm_debug_write(struct vcpu *c, uint64_t linear, const void *buf, size_t len)
{
	return copy(c, linear, NULL, buf, len);
}

int vm_debug_set(struct vcpu *c, const struct virt_state *s)
{
	uint64_t offset = c->v.tsc_offset;
	int err = virt->state_load(&c->v, s);

	c->v.tsc_offset = offset;
	return err;
}

/* ---- by the vCPU's world ---- */

#define OP_INT3 0xccu
#define OP_INT 0xcdu
#define OP_PUSHF 0x9cu
#define OP_TWO 0x0fu
#define OP2_SYSCALL 0x05u
enum { LEAVES_NOTHING, LEAVES_ON_STACK, LEAVES_IN_R11 };

static uint64_t code_at(struct vcpu *c)
{
	struct virt_mode m = { 0 };

	virt->mode(&c->v, &m);
	return linear_base(&m, SEG_CS) + c->v.rip;
}

static void soft_int(struct vcpu *c, uint8_t vector, uint8_t len)
{
	c->v.event = (struct virt_event){ .type = EV_SOFT_INT, .vector = vector, .insn_len = len };
}

/* The debugger's INT3, or one of the guest's own, which it gets. */
static enum exit_next at_int(struct vcpu *c)
{
	struct vm_debugger *d = c->vm->debugger;
	uint64_t linear = code_at(c);
	uint8_t code[2] = { 0, 0 };

	if (d->is_break(d, linear)) {
		stop(c, TRAP_BREAK);
		return NEXT_RESUME;
	}
	if (vm_debug_read(c, linear, code, 2) && vm_debug_read(c, linear, code, 1))
		return NEXT_RESUME; /* gone meanwhile: it faults by itself */
	if (code[0] == OP_INT3)
		soft_int(c, 3, 1);
	else if (code[0] == OP_INT)
		soft_int(c, code[1], 2);
	else
		return vcpu_fail(c, "an INT with prefixes, under a debugger");
	return NEXT_RESUME;
}

enum exit_next exit_debug(struct vcpu *c, struct vmexit *x)
{
	if (!c->vm->debugger || x->debug.step) /* a step's end is seen by debug_step_end */
		return NEXT_RESUME;
	return at_int(c);
}

/*
 * What of the flag the instruction would keep where the guest reads it; an INT n, whose
 * delivery ends the stepping, goes in as the event that it is.
 */
void debug_step_begin(struct vcpu *c)
{
	uint8_t code[4] = { 0 };
	unsigned i = 0;

	c->step_op = LEAVES_NOTHING;
	if (c->v.event.type != EV_NONE || c->v.rflags & RFLAGS_TF ||
	    vm_debug_read(c, code_at(c), code, sizeof(code)))
		return;
	while (i < 2 && (code[i] == 0x66 || (code[i] & 0xf0) == 0x40)) /* operand size, REX */
		i++;
	if (code[i] == OP_PUSHF)
		c->step_op = LEAVES_ON_STACK;
	else if (code[i] == OP_TWO && code[i + 1] == OP2_SYSCALL)
		c->step_op = LEAVES_IN_R11;
	else if (code[0] == OP_INT)
		soft_int(c, code[1], 2);
}

static void wipe(struct vcpu *c)
{
	struct virt_mode m = { 0 };
	uint64_t at;
	uint8_t high;

	if (c->step_op == LEAVES_IN_R11)
		c->v.gpr[11] &= ~RFLAGS_TF;
	if (c->step_op != LEAVES_ON_STACK)
		return;
	virt->mode(&c->v, &m);
	at = linear_base(&m, SEG_SS) + c->v.gpr[GPR_RSP] + 1; /* TF is bit 8 */
	if (vm_debug_read(c, at, &high, 1))
		return;
	high &= (uint8_t) ~(RFLAGS_TF >> 8);
	if (vm_debug_write(c, at, &high, 1))
		return;
}

void debug_step_end(struct vcpu *c, const struct vmexit *x, uint64_t rip_before)
{
	bool trapped = x->reason == EXIT_DEBUG && x->debug.step;

	if (!c->stepping || (!trapped && c->v.rip == rip_before))
		return; /* over already, or the host's business: again */
	if (trapped)
		wipe(c);
	stop(c, TRAP_STEP);
}
