/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Emulated instructions beside loads, stores and arithmetic: PUSH and POP of
 * memory, CMPXCHG8B and 16B, SMSW, moves of SSE registers. Their operands may be
 * longer than 8 bytes or two; all go by linear address. [SDM 2 "Instruction Set Reference"]
 */
#include <errno.h>

#include <tern/cpu.h>

#include "vm_int.h"

/* Bytes by which the stack pointer is wide. */
static unsigned stack_width(const struct virt_mode *m)
{
	if (mode_code64(m))
		return 8;
	return m->seg[SEG_SS].attr & SEG_ATTR_DB ? 4 : 2;
}

static uint64_t stack_linear(const struct virt_mode *m, uint64_t sp)
{
	return linear_base(m, SEG_SS) + (sp & size_mask(stack_width(m)));
}

static int do_push(struct vcpu *c, const struct virt_mode *m, const struct insn *i, uint64_t linear,
		   struct virt_event *fault)
{
	uint64_t v = 0, sp = c->v.gpr[GPR_RSP] - i->size;
	int err = linear_read(c, m, linear, &v, i->size, fault);

	if (!err)
		err = linear_write(c, m, stack_linear(m, sp), &v, i->size, fault);
	if (!err)
		gpr_set(c, GPR_RSP, stack_width(m), false, sp);
	return err;
}

/* An operand addressed by the stack pointer uses its value behind the pop. */
static int do_pop(struct vcpu *c, const struct virt_mode *m, const struct insn *i, uint64_t linear,
		  struct virt_event *fault)
{
	uint64_t v = 0, sp = c->v.gpr[GPR_RSP];
	int err = linear_read(c, m, stack_linear(m, sp), &v, i->size, fault);

	if (!err)
		err = linear_write(c, m, i->base == GPR_RSP ? linear + i->size : linear, &v,
				   i->size, fault);
	if (!err)
		gpr_set(c, GPR_RSP, stack_width(m), false, sp + i->size);
	return err;
}

static int do_cmpxchg8(struct vcpu *c, const struct virt_mode *m, const struct insn *i,
		       uint64_t linear, struct virt_event *fault)
{
	unsigned half = i->size / 2;
	uint64_t mask = size_mask(half), mem[2] = { 0, 0 }, with[2];
	uint8_t bytes[16] = { 0 };
	int err = linear_read(c, m, linear, bytes, i->size, fault);
	bool same;

	if (err)
		return err;
	__builtin_memcpy(&mem[0], bytes, half);
	__builtin_memcpy(&mem[1], bytes + half, half);
	same = mem[0] == (c->v.gpr[GPR_RAX] & mask) && mem[1] == (c->v.gpr[GPR_RDX] & mask);
	with[0] = same ? c->v.gpr[GPR_RBX] : mem[0];
	with[1] = same ? c->v.gpr[GPR_RCX] : mem[1];
	__builtin_memcpy(bytes, &with[0], half);
	__builtin_memcpy(bytes + half, &with[1], half);
	err = linear_write(c, m, linear, bytes, i->size, fault);
	if (err)
		return err;
	c->v.rflags = (c->v.rflags & ~RFLAGS_ZF) | (same ? RFLAGS_ZF : 0);
	if (!same) {
		gpr_set(c, GPR_RAX, half, false, mem[0]);
		gpr_set(c, GPR_RDX, half, false, mem[1]);
	}
	return 0;
}

/* The guest's vector registers are on the CPU while its world runs; they are read as
 * late, and written as soon, as there is no sleep in between. */
static int do_vector(struct vcpu *c, const struct virt_mode *m, const struct insn *i,
		     uint64_t linear, struct virt_event *fault)
{
	uint64_t v[2] = { 0, 0 };
	int err;

	if (i->op == INSN_VEC_STORE) {
		vector_get(i->reg, v);
		return linear_write(c, m, linear, v, i->size, fault);
	}
	err = linear_read(c, m, linear, v, i->size, fault);
	if (!err)
		vector_set(i->reg, v);
	return err;
}

int emulate_rare(struct vcpu *c, const struct virt_mode *m, const struct insn *i, uint64_t linear,
		 struct virt_event *fault)
{
	switch (i->op) {
	case INSN_PUSH:
		return do_push(c, m, i, linear, fault);
	case INSN_POP:
		return do_pop(c, m, i, linear, fault);
	case INSN_CMPXCHG8:
		return do_cmpxchg8(c, m, i, linear, fault);
	case INSN_SMSW: /* of CPL 3 under UMIP the CPU has made a #GP before */
		return linear_write(c, m, linear, &m->cr0, 2, fault);
	case INSN_VEC_LOAD:
	case INSN_VEC_STORE:
		return do_vector(c, m, i, linear, fault);
	default:
		return -ENOTSUP;
	}
}
