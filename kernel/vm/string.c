/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * String instructions on devices: rep movs, stos, lods, scas, cmps on their
 * memory, ins and outs on ports. One element at a time with RSI, RDI and RCX kept up to date,
 * so that a fault in the middle leaves the instruction restartable, as on the
 * CPU. After STRING_BATCH elements the world gets a turn, with rip still at the
 * instruction. [SDM 2B "REP/REPE/REPZ/REPNE/REPNZ"]
 */
#include <errno.h>

#include "vm_int.h"

#define STRING_BATCH 512u

struct string {
	struct vcpu *c;
	const struct virt_mode *m;
	const struct insn *i;
	struct virt_event fault;
};

static uint64_t reg(const struct string *s, unsigned r)
{
	return s->c->v.gpr[r] & size_mask(s->i->addr_size);
}

static uint64_t src_linear(const struct string *s)
{
	return linear_base(s->m, s->i->seg) + reg(s, GPR_RSI);
}

static uint64_t dst_linear(const struct string *s)
{
	return linear_base(s->m, SEG_ES) + reg(s, GPR_RDI);
}

static void advance(const struct string *s, unsigned r)
{
	uint64_t step = s->c->v.rflags & RFLAGS_DF ? (uint64_t)0 - s->i->size : s->i->size;

	gpr_set(s->c, r, s->i->addr_size, false, s->c->v.gpr[r] + step);
}

static int mem_element(struct string *s)
{
	struct vcpu *c = s->c;
	unsigned size = s->i->size;
	uint64_t v = 0;
	int err;

	if (s->i->op == INSN_STOS)
		v = gpr_get(c, GPR_RAX, size, false);
	else if ((err = linear_read(c, s->m, src_linear(s), &v, size, &s->fault)) != 0)
		return err;
	if (s->i->op == INSN_LODS)
		gpr_set(c, GPR_RAX, size, false, v);
	else if ((err = linear_write(c, s->m, dst_linear(s), &v, size, &s->fault)) != 0)
		return err;
	if (s->i->op != INSN_STOS)
		advance(s, GPR_RSI);
	if (s->i->op != INSN_LODS)
		advance(s, GPR_RDI);
	return 0;
}

/* SCAS: accumulator - [RDI]; CMPS: [RSI] - [RDI]. */
static int compare_element(struct string *s)
{
	struct vcpu *c = s->c;
	unsigned size = s->i->size;
	uint64_t a = gpr_get(c, GPR_RAX, size, false), b = 0;
	int err = 0;

	if (s->i->op == INSN_CMPS) {
		a = 0;
		err = linear_read(c, s->m, src_linear(s), &a, size, &s->fault);
	}
	if (!err)
		err = linear_read(c, s->m, dst_linear(s), &b, size, &s->fault);
	if (err)
		return err;
	(void)alu_compute(ALU_CMP, size, a, b, &c->v.rflags);
	if (s->i->op == INSN_CMPS)
		advance(s, GPR_RSI);
	advance(s, GPR_RDI);
	return 0;
}

static bool compares(const struct string *s)
{
	return s->i->op == INSN_SCAS || s->i->op == INSN_CMPS;
}

static int in_element(struct string *s, uint16_t port)
{
	gpa_t probe;
	uint64_t v = ~0ull;
	int err;

	/* The destination is checked before the port is read: a read may have an effect. */
	err = linear_check(s->c, s->m, dst_linear(s), s->i->size, &probe, &s->fault);
	if (err)
		return err;
	io_read(s->c, IO_PIO, port, s->i->size, &v);
	err = linear_write(s->c, s->m, dst_linear(s), &v, s->i->size, &s->fault);
	if (!err)
		advance(s, GPR_RDI);
	return err;
}

static int out_element(struct string *s, uint16_t port)
{
	uint64_t v = 0;
	int err = linear_read(s->c, s->m, src_linear(s), &v, s->i->size, &s->fault);

	if (err)
		return err;
	io_write(s->c, IO_PIO, port, s->i->size, v);
	advance(s, GPR_RSI);
	return 0;
}

static int element(struct string *s, const struct vmexit *x)
{
	if (compares(s))
		return compare_element(s);
	if (s->i->op != INSN_PIO_STRING)
		return mem_element(s);
	return x->pio.in ? in_element(s, x->pio.port) : out_element(s, x->pio.port);
}

/* Runs elements until the count is used up; true when the instruction is done. */
static int run(struct string *s, const struct vmexit *x, bool *done)
{
	*done = false;
	for (unsigned n = 0; n < STRING_BATCH; n++) {
		int err;

		if (s->i->rep && !reg(s, GPR_RCX)) {
			*done = true;
			return 0;
		}
		err = element(s, x);
		if (err)
			return err;
		if (!s->i->rep) {
			*done = true;
			return 0;
		}
		gpr_set(s->c, GPR_RCX, s->i->addr_size, false, s->c->v.gpr[GPR_RCX] - 1);
		if (compares(s) && !(s->c->v.rflags & RFLAGS_ZF) != s->i->repne) {
			*done = true;
			return 0;
		}
	}
	return 0;
}

static enum exit_next finish(struct string *s, struct vmexit *x)
{
	bool done;
	int err = run(s, x, &done);

	if (err == -EFAULT) {
		vcpu_raise_event(s->c, &s->fault);
		return NEXT_RESUME;
	}
	if (err)
		return vcpu_fail(s->c, "string instruction on an address without memory");
	if (!done)
		return NEXT_RETRY_LATER;
	vcpu_skip(s->c, x, 0);
	return NEXT_RESUME;
}

enum exit_next string_mem(struct vcpu *c, struct vmexit *x, const struct insn *i)
{
	struct string s = { .c = c, .m = &x->mode, .i = i };

	return finish(&s, x);
}

enum exit_next string_pio(struct vcpu *c, struct vmexit *x)
{
	struct insn i = { 0 };
	struct string s = { .c = c, .m = &x->mode, .i = &i };
	int err = linear_decode(c, x, &x->mode, &i, &s.fault);

	if (err == -EFAULT) {
		vcpu_raise_event(c, &s.fault);
		return NEXT_RESUME;
	}
	if (err || i.op != INSN_PIO_STRING)
		return vcpu_fail(c, "string I/O that does not decode");
	x->insn_len = i.length;
	return finish(&s, x);
}
