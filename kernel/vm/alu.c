/* SPDX-License-Identifier: BSD-2-Clause */
/* Arithmetic of emulated instructions and its flags. Pure. [SDM 1 "EFLAGS Register"] */
#include "vm_int.h"

#define ARITH_FLAGS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

uint64_t size_mask(unsigned size)
{
	return size >= 8 ? ~0ull : BIT(size * 8) - 1;
}

static uint64_t result_flags(uint64_t r, unsigned size)
{
	uint64_t f = 0;

	if (!(r & size_mask(size)))
		f |= RFLAGS_ZF;
	if (r >> (size * 8 - 1) & 1)
		f |= RFLAGS_SF;
	if (!__builtin_parity((unsigned)(r & 0xff)))
		f |= RFLAGS_PF;
	return f;
}

static void set_flags(uint64_t *flags, uint64_t which, uint64_t f)
{
	*flags = (*flags & ~which) | (f & which);
}

static uint64_t add(unsigned size, uint64_t a, uint64_t b, bool carry, uint64_t keep,
		    uint64_t *flags)
{
	uint64_t mask = size_mask(size), r = (a + b + carry) & mask;
	uint64_t f = result_flags(r, size), top = size * 8 - 1;

	/* Carry out of each bit position. */
	uint64_t c = (a & b) | ((a | b) & ~r);

	f |= c >> top & 1 ? RFLAGS_CF : 0;
	f |= c >> 3 & 1 ? RFLAGS_AF : 0;
	f |= ((a ^ r) & (b ^ r)) >> top & 1 ? RFLAGS_OF : 0;
	set_flags(flags, ARITH_FLAGS & ~keep, f);
	return r;
}

static uint64_t sub(unsigned size, uint64_t a, uint64_t b, bool borrow, uint64_t keep,
		    uint64_t *flags)
{
	uint64_t mask = size_mask(size), r = (a - b - borrow) & mask;
	uint64_t f = result_flags(r, size), top = size * 8 - 1;
	uint64_t c = (~a & b) | ((~a | b) & r);

	f |= c >> top & 1 ? RFLAGS_CF : 0;
	f |= c >> 3 & 1 ? RFLAGS_AF : 0;
	f |= ((a ^ b) & (a ^ r)) >> top & 1 ? RFLAGS_OF : 0;
	set_flags(flags, ARITH_FLAGS & ~keep, f);
	return r;
}

static uint64_t logic(unsigned size, uint64_t r, uint64_t *flags)
{
	set_flags(flags, ARITH_FLAGS, result_flags(r, size));
	return r;
}

/* b is the bit number, already reduced to the operand's size. */
static uint64_t bit_op(enum insn_alu op, uint64_t a, uint64_t b, uint64_t *flags)
{
	set_flags(flags, RFLAGS_CF, a >> b & 1 ? RFLAGS_CF : 0);
	switch (op) {
	case ALU_BTS:
		return a | BIT(b);
	case ALU_BTR:
		return a & ~BIT(b);
	case ALU_BTC:
		return a ^ BIT(b);
	default:
		return a;
	}
}

uint64_t alu_compute(enum insn_alu op, unsigned size, uint64_t a, uint64_t b, uint64_t *flags)
{
	bool carry = (*flags & RFLAGS_CF) != 0;

	a &= size_mask(size);
	b &= size_mask(size);
	switch (op) {
	case ALU_AND:
	case ALU_TEST:
		return logic(size, a & b, flags);
	case ALU_OR:
		return logic(size, a | b, flags);
	case ALU_XOR:
		return logic(size, a ^ b, flags);
	case ALU_ADD:
	case ALU_XADD:
		return add(size, a, b, false, 0, flags);
	case ALU_ADC:
		return add(size, a, b, carry, 0, flags);
	case ALU_INC:
		return add(size, a, 1, false, RFLAGS_CF, flags);
	case ALU_SUB:
	case ALU_CMP:
	case ALU_CMPXCHG:
		return sub(size, a, b, false, 0, flags);
	case ALU_SBB:
		return sub(size, a, b, carry, 0, flags);
	case ALU_DEC:
		return sub(size, a, 1, false, RFLAGS_CF, flags);
	case ALU_NEG:
		return sub(size, 0, a, false, 0, flags);
	case ALU_NOT:
		return ~a & size_mask(size);
	case ALU_XCHG:
		return b;
	case ALU_BT:
	case ALU_BTS:
	case ALU_BTR:
	case ALU_BTC:
		return bit_op(op, a, b & (size * 8 - 1), flags);
	}
	return a;
}

/* AH, CH, DH, BH are the second bytes of registers 0 to 3; reg is the full register's number. */
uint64_t gpr_get(const struct vcpu *c, unsigned reg, unsigned size, bool high_byte)
{
	uint64_t v = c->v.gpr[reg & 15];

	return (high_byte ? v >> 8 : v) & size_mask(size);
}

void gpr_set(struct vcpu *c, unsigned reg, unsigned size, bool high_byte, uint64_t value)
{
	uint64_t *r = &c->v.gpr[reg & 15], mask = size_mask(size);

	if (high_byte)
		*r = (*r & ~0xff00ull) | (value & 0xff) << 8;
	else if (size == 4)
		*r = value & mask; /* 32-bit results clear the upper half */
	else
		*r = (*r & ~mask) | (value & mask);
}
