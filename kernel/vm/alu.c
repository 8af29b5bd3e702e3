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

/* a is the other operand, for a result that is not defined. */
static uint64_t scan(enum insn_alu op, uint64_t a, uint64_t b, uint64_t *flags)
{
	set_flags(flags, RFLAGS_ZF, b ? 0 : RFLAGS_ZF);
	if (!b)
		return a;
	return op == ALU_BSF ? (uint64_t)__builtin_ctzll(b) : 63 - (uint64_t)__builtin_clzll(b);
}

static uint64_t multiply(unsigned size, uint64_t a, uint64_t b, uint64_t *flags)
{
	unsigned up = 64 - 8 * size;
	__int128 full = (__int128)((int64_t)(a << up) >> up) * ((int64_t)(b << up) >> up);
	uint64_t r = (uint64_t)full & size_mask(size);
	bool lost = full != (int64_t)(r << up) >> up;

	set_flags(flags, RFLAGS_CF | RFLAGS_OF, lost ? RFLAGS_CF | RFLAGS_OF : 0);
	return r;
}

/* OF is defined for a count of 1 only; this is what it would be there. */
static uint64_t shift(enum insn_alu op, unsigned size, uint64_t a, unsigned n, uint64_t *flags)
{
	unsigned bits = size * 8, up = 64 - bits;
	int64_t wide = (int64_t)(a << up) >> up;
	uint64_t r, f;
	bool out;

	if (!n)
		return a;
	if (op == ALU_SHL) {
		r = n < bits ? a << n & size_mask(size) : 0;
		out = n <= bits && a >> (bits - n) & 1;
		f = ((r >> (bits - 1)) ^ out) & 1 ? RFLAGS_OF : 0;
	} else if (op == ALU_SHR) {
		r = n < bits ? a >> n : 0;
		out = n <= bits && a >> (n - 1) & 1;
		f = a >> (bits - 1) & 1 ? RFLAGS_OF : 0;
	} else {
		r = (uint64_t)(wide >> MIN(n, 63u)) & size_mask(size);
		out = wide >> MIN(n - 1, 63u) & 1;
		f = 0;
	}
	f |= result_flags(r, size) | (out ? RFLAGS_CF : 0);
	set_flags(flags, ARITH_FLAGS & ~RFLAGS_AF, f);
	return r;
}

static uint64_t rotate(enum insn_alu op, unsigned size, uint64_t a, unsigned n, uint64_t *flags)
{
	unsigned bits = size * 8, left = (op == ALU_ROL ? n : bits - n % bits) % bits;
	uint64_t r = left ? (a << left | a >> (bits - left)) & size_mask(size) : a;
	bool top = r >> (bits - 1) & 1, out = op == ALU_ROL ? r & 1 : top;
	bool over = op == ALU_ROL ? top != out : top != (r >> (bits - 2) & 1);

	if (n)
		set_flags(flags, RFLAGS_CF | RFLAGS_OF,
			  (out ? RFLAGS_CF : 0) | (over ? RFLAGS_OF : 0));
	return r;
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
	case ALU_BSF:
	case ALU_BSR:
		return scan(op, a, b, flags);
	case ALU_IMUL:
		return multiply(size, a, b, flags);
	case ALU_SHL:
	case ALU_SHR:
	case ALU_SAR:
		return shift(op, size, a, (unsigned)b & (size == 8 ? 63 : 31), flags);
	case ALU_ROL:
	case ALU_ROR:
		return rotate(op, size, a, (unsigned)b & (size == 8 ? 63 : 31), flags);
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

/* [SDM 1 Appendix B "EFLAGS Condition Codes"]: bit 0 negates the others' meaning. */
bool alu_condition(unsigned cond, uint64_t flags)
{
	bool sf = flags & RFLAGS_SF, of = flags & RFLAGS_OF, zf = flags & RFLAGS_ZF;
	bool cf = flags & RFLAGS_CF;
	const bool holds[8] = {
		of, cf, zf, cf || zf, sf, (flags & RFLAGS_PF) != 0, sf != of, zf || sf != of
	};

	return holds[cond >> 1 & 7] != (cond & 1);
}
