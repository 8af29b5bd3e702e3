/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nested page faults: RAM is backed by gmem and the guest goes on; anything
 * else is a device's register, and the instruction is carried out here.
 *
 * An access that stays within the page that faulted uses the address that the
 * CPU gave; others are translated again by the guest's tables (linear.c), as are
 * those to ROM, which is memory when it is read and nobody's when it is written.
 */
#include <errno.h>
#include <string.h>

#include "vm_int.h"

/* Where the operand is: at gpa when known, else by its linear address. */
struct operand {
	struct vcpu *c;
	const struct virt_mode *m;
	struct virt_event *fault;
	uint64_t linear;
	unsigned size;
	bool direct;
	gpa_t gpa;
};

static int op_read(const struct operand *o, uint64_t *v)
{
	*v = 0;
	if (o->direct) {
		uint64_t all = ~0ull;

		io_read(o->c, IO_MMIO, o->gpa.v, o->size, &all);
		*v = all & size_mask(o->size);
		return 0;
	}
	return linear_read(o->c, o->m, o->linear, v, o->size, o->fault);
}

static int op_write(const struct operand *o, uint64_t v)
{
	v &= size_mask(o->size);
	if (o->direct) {
		io_write(o->c, IO_MMIO, o->gpa.v, o->size, v);
		return 0;
	}
	return linear_write(o->c, o->m, o->linear, &v, o->size, o->fault);
}

static uint64_t source(struct vcpu *c, const struct insn *i, unsigned size)
{
	if (i->reg == 0xff)
		return i->imm & size_mask(size);
	return gpr_get(c, i->reg, MIN(size, (unsigned)i->reg_size), i->high_byte);
}

static uint64_t extend(const struct insn *i, uint64_t v)
{
	unsigned shift = 64 - 8u * i->size;

	if (!i->sign_extend || i->size >= 8)
		return v;
	return (uint64_t)((int64_t)(v << shift) >> shift);
}

static uint64_t reversed(uint64_t v, unsigned size)
{
	return __builtin_bswap64(v) >> (64 - 8 * size);
}

static int do_load(const struct operand *o, const struct insn *i)
{
	uint64_t v;
	int err = op_read(o, &v);

	if (!err && i->swap)
		v = reversed(v, i->size);
	if (!err)
		gpr_set(o->c, i->reg, i->reg_size, i->high_byte, extend(i, v));
	return err;
}

static int do_store(const struct operand *o, const struct insn *i)
{
	uint64_t v = source(o->c, i, i->size);

	return op_write(o, i->swap ? reversed(v, i->size) : v);
}

static int do_cmov(const struct operand *o, const struct insn *i)
{
	uint64_t v;
	int err = op_read(o, &v);

	if (err)
		return err;
	if (!alu_condition(i->cond, o->c->v.rflags))
		v = gpr_get(o->c, i->reg, i->reg_size, false);
	gpr_set(o->c, i->reg, i->reg_size, false, v);
	return 0;
}

static int do_cmpxchg(const struct operand *o, const struct insn *i, uint64_t mem)
{
	uint64_t acc = gpr_get(o->c, GPR_RAX, i->size, false), flags = o->c->v.rflags;
	int err = op_write(o, mem == acc ? source(o->c, i, i->size) : mem);

	if (err)
		return err;
	(void)alu_compute(ALU_CMP, i->size, acc, mem, &flags);
	o->c->v.rflags = flags;
	if (mem != acc)
		gpr_set(o->c, GPR_RAX, i->size, false, mem);
	return 0;
}

static int do_rmw(const struct operand *o, const struct insn *i)
{
	uint64_t mem, src, result, flags = o->c->v.rflags;
	int err = op_read(o, &mem);

	if (err)
		return err;
	if (i->alu == ALU_CMPXCHG)
		return do_cmpxchg(o, i, mem);
	src = source(o->c, i, i->size);
	result = alu_compute(i->alu, i->size, mem, src, &flags);
	err = op_write(o, result);
	if (err)
		return err;
	o->c->v.rflags = flags;
	if (i->alu == ALU_XCHG || i->alu == ALU_XADD)
		gpr_set(o->c, i->reg, i->reg_size, i->high_byte, mem);
	return 0;
}

static int do_compare(const struct operand *o, const struct insn *i)
{
	uint64_t mem, flags = o->c->v.rflags;
	int err = op_read(o, &mem);

	if (err)
		return err;
	(void)alu_compute(i->alu, i->size, mem, source(o->c, i, i->size), &flags);
	o->c->v.rflags = flags;
	return 0;
}

static int do_load_op(const struct operand *o, const struct insn *i)
{
	uint64_t mem, result, flags = o->c->v.rflags;
	int err = op_read(o, &mem);

	if (err)
		return err;
	result = alu_compute(i->alu, i->reg_size, i->three ? i->imm : source(o->c, i, i->reg_size),
			     extend(i, mem), &flags);
	o->c->v.rflags = flags;
	if (i->alu != ALU_CMP && i->alu != ALU_TEST)
		gpr_set(o->c, i->reg, i->reg_size, i->high_byte, result);
	return 0;
}

static int emulate(const struct operand *o, const struct insn *i)
{
	switch (i->op) {
	case INSN_LOAD:
		return do_load(o, i);
	case INSN_STORE:
		return do_store(o, i);
	case INSN_RMW:
		return do_rmw(o, i);
	case INSN_CMP:
		return do_compare(o, i);
	case INSN_LOAD_OP:
		return do_load_op(o, i);
	case INSN_SET:
		return op_write(o, alu_condition(i->cond, o->c->v.rflags));
	case INSN_CMOV:
		return do_cmov(o, i);
	default:
		return -ENOTSUP;
	}
}

/* Bit tests by register: the operand that has the bit, from the one that was named.
 * [SDM 2A "BT-Bit Test"] */
static uint64_t far_bit_offset(const struct vcpu *c, const struct insn *i)
{
	unsigned up = 64 - 8u * i->size;
	int64_t bit = (int64_t)(gpr_get(c, i->reg, i->size, false) << up) >> up;
	int64_t bits = 8 * i->size;

	return (uint64_t)((bit - (bit & (bits - 1))) / 8);
}

int emulate_mem(struct vcpu *c, const struct virt_mode *m, const struct insn *i, uint64_t linear,
		struct virt_event *fault)
{
	struct operand o = { .c = c, .m = m, .fault = fault, .linear = linear, .size = i->size };
	int err;

	if (!i->size || i->size > 16)
		return -ENOTSUP;
	err = emulate_rare(c, m, i, linear, fault);
	if (err != -ENOTSUP)
		return err;
	if (i->size > 8)
		return -ENOTSUP;
	if (i->far_bit)
		o.linear += far_bit_offset(c, i);
	return emulate(&o, i);
}

static int emulate_at(struct vcpu *c, struct vmexit *x, const struct insn *i,
		      struct virt_event *fault)
{
	struct operand o = {
		.c = c, .m = &x->mode, .fault = fault, .size = i->size, .gpa = x->fault.gpa
	};

	int err;

	if (!i->size || i->size > 16)
		return -ENOTSUP;
	o.linear = insn_linear(i, &x->mode, c->v.gpr, c->v.rip);
	err = emulate_rare(c, &x->mode, i, o.linear, fault);
	if (err != -ENOTSUP)
		return err;
	if (i->size > 8)
		return -ENOTSUP;
	if (i->far_bit)
		o.linear += far_bit_offset(c, i);
	o.direct = (o.linear & PAGE_MASK) == (o.gpa.v & PAGE_MASK) &&
		   (o.linear & PAGE_MASK) + i->size <= PAGE_SIZE && !gmem_is_rom(c->vm->mem, o.gpa);
	return emulate(&o, i);
}

static enum exit_next device_access(struct vcpu *c, struct vmexit *x)
{
	struct virt_event fault = { 0 };
	struct insn i;
	int err;

	if (x->fault.walk || x->fault.fetch || c->v.event.type != EV_NONE)
		return vcpu_fail(c, "%s at guest address 0x%llx, where there is no memory",
				 x->fault.walk	  ? "page tables"
				 : x->fault.fetch ? "code"
						  : "event delivery",
				 (unsigned long long)x->fault.gpa.v);
	err = linear_decode(c, x, &x->mode, &i, &fault);
	if (!err) {
		x->insn_len = i.length;
		if (i.op == INSN_MOVS || i.op == INSN_STOS || i.op == INSN_LODS ||
		    i.op == INSN_SCAS || i.op == INSN_CMPS)
			return string_mem(c, x, &i);
		err = emulate_at(c, x, &i, &fault);
	}
	if (err == -EFAULT) {
		vcpu_raise_event(c, &fault);
		return NEXT_RESUME;
	}
	if (err)
		return vcpu_fail(c, "an instruction that is not emulated on device address 0x%llx",
				 (unsigned long long)x->fault.gpa.v);
	vcpu_skip(c, x, 0);
	return NEXT_RESUME;
}

enum exit_next exit_slat_fault(struct vcpu *c, struct vmexit *x)
{
	int err = gmem_fault(c->vm->mem, x->fault.gpa, x->fault.write, x->fault.fetch);

	if (!err)
		return NEXT_RESUME;
	if (err == -EFAULT)
		return device_access(c, x);
	return vcpu_fail(c, "no host memory for guest address 0x%llx (error %d)",
			 (unsigned long long)x->fault.gpa.v, err);
}
