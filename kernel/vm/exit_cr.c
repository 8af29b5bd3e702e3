/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control registers and XCR0: the architecture's checks, then the backend's
 * set_cr. [SDM 2B "MOV-Move to/from Control Registers"] [APM2 3.1.1 "CR0 Register"]
 */
#include <errno.h>

#include "vm_int.h"

/* CR4 bits and the CPUID bit that offers each. */
static const struct {
	uint64_t cr4;
	uint32_t leaf;
	enum cpuid_reg reg;
	unsigned bit;
} cr4_features[] = {
	{ G_CR4_VME | G_CR4_PVI, 1, REG_EDX, 1 },
	{ G_CR4_TSD, 1, REG_EDX, 4 },
	{ G_CR4_DE, 1, REG_EDX, 2 },
	{ G_CR4_PSE, 1, REG_EDX, 3 },
	{ G_CR4_PAE, 1, REG_EDX, 6 },
	{ G_CR4_MCE, 1, REG_EDX, 7 },
	{ G_CR4_PGE, 1, REG_EDX, 13 },
	{ G_CR4_OSFXSR, 1, REG_EDX, 24 },
	{ G_CR4_OSXMMEXCPT, 1, REG_EDX, 25 },
	{ G_CR4_PCIDE, 1, REG_ECX, 17 },
	{ G_CR4_OSXSAVE, 1, REG_ECX, 26 },
	{ G_CR4_UMIP, 7, REG_ECX, 2 },
	{ G_CR4_FSGSBASE, 7, REG_EBX, 0 },
	{ G_CR4_SMEP, 7, REG_EBX, 7 },
	{ G_CR4_SMAP, 7, REG_EBX, 20 },
};

static uint64_t cr4_allowed(const struct cpuid_table *t)
{
	uint64_t ok = G_CR4_PCE; /* RDPMC stays intercepted */

	for (unsigned i = 0; i < ARRAY_SIZE(cr4_features); i++)
		if (cpuid_shows(t, cr4_features[i].leaf, 0, cr4_features[i].reg,
				cr4_features[i].bit))
			ok |= cr4_features[i].cr4;
	return ok;
}

static bool cr0_ok(uint64_t v)
{
	return !(v >> 32) && !((v & G_CR0_PG) && !(v & G_CR0_PE)) &&
	       !((v & G_CR0_NW) && !(v & G_CR0_CD));
}

/* PCIDs are for long mode, and begin with number 0. [SDM 3A "Process-Context Identifiers (PCIDs)"]
 */
static bool pcide_ok(const struct virt_mode *m, uint64_t cr4)
{
	return !(cr4 & ~m->cr4 & G_CR4_PCIDE) || (mode_long(m) && !(m->cr3 & CR3_PCID));
}

static bool cr_ok(struct vcpu *c, const struct virt_mode *m, unsigned cr, uint64_t v)
{
	switch (cr) {
	case 0:
		if (mode_long(m) && !(v & G_CR0_PG) && mode_code64(m))
			return false;
		if (!(m->cr0 & G_CR0_PG) && (v & G_CR0_PG) && (m->efer & G_EFER_LME) &&
		    !(m->cr4 & G_CR4_PAE))
			return false;
		if (!(v & G_CR0_PG) && (m->cr4 & G_CR4_PCIDE))
			return false;
		return cr0_ok(v);
	case 3:
		return !(v & CR3_NO_FLUSH) || (m->cr4 & G_CR4_PCIDE);
	case 4:
		return !(v & ~cr4_allowed(c->vm->cpuid)) && pcide_ok(m, v) &&
		       !(mode_long(m) && !(v & G_CR4_PAE));
	default:
		return true;
	}
}

static uint64_t cr_value(struct vcpu *c, const struct virt_mode *m, unsigned cr)
{
	switch (cr) {
	case 0:
		return m->cr0;
	case 3:
		return m->cr3;
	case 4:
		return m->cr4;
	default:
		return c->vm->irqchip->get_cr8(c);
	}
}

static int cr_write(struct vcpu *c, const struct virt_mode *m, unsigned cr, uint64_t v)
{
	if (!mode_code64(m))
		v &= 0xffffffffull;
	if (cr == 8) {
		if (v >> 4)
			return -EINVAL;
		c->vm->irqchip->set_cr8(c, v);
		return 0;
	}
	if (!cr_ok(c, m, cr, v))
		return -EINVAL;
	if (cr == 3)
		v &= ~CR3_NO_FLUSH; /* a leave to keep translations: the backend flushes all the
				       same */
	return virt->set_cr(&c->v, cr, v);
}

/* Fills what the backend did not know: which register, which way, how long. */
static int complete(struct vcpu *c, struct vmexit *x, const struct virt_mode *m,
		    struct virt_event *fault)
{
	struct insn i;
	int err;

	if (x->cr.gpr_valid && x->insn_len)
		return 0;
	err = linear_decode(c, x, m, &i, fault);
	if (err)
		return err;
	x->insn_len = i.length;
	if (x->cr.gpr_valid)
		return 0;
	if (i.op != INSN_MOV_CR)
		return -ENOTSUP;
	x->cr.gpr = i.reg;
	return 0;
}

enum exit_next exit_cr(struct vcpu *c, struct vmexit *x)
{
	struct virt_event fault = { 0 };
	struct virt_mode m = { 0 };
	unsigned cr = x->cr.cr;
	int err;

	virt->mode(&c->v, &m);
	err = complete(c, x, &m, &fault);
	if (err == -EFAULT) {
		vcpu_raise_event(c, &fault);
		return NEXT_RESUME;
	}
	if (err)
		return vcpu_fail(c, "access to CR%u by an instruction that is not emulated", cr);
	if (cr != 0 && cr != 3 && cr != 4 && cr != 8) {
		vcpu_raise(c, EXC_UD, false, 0);
		return NEXT_RESUME;
	}
	if (!x->cr.write)
		gpr_set(c, x->cr.gpr, mode_code64(&m) ? 8 : 4, false, cr_value(c, &m, cr));
	else if (cr_write(c, &m, cr, c->v.gpr[x->cr.gpr & 15])) {
		vcpu_raise_gp(c);
		return NEXT_RESUME;
	}
	vcpu_skip(c, x, 0);
	return NEXT_RESUME;
}

static bool xcr0_ok(uint64_t v, uint64_t allowed)
{
	if ((v & ~allowed) || !(v & XCR0_X87))
		return false;
	if ((v & XCR0_AVX) && !(v & XCR0_SSE))
		return false;
	return !(v & XCR0_AVX512) || ((v & XCR0_AVX512) == XCR0_AVX512 && (v & XCR0_AVX));
}

enum exit_next exit_xsetbv(struct vcpu *c, struct vmexit *x)
{
	uint64_t v = (c->v.gpr[GPR_RDX] << 32) | (uint32_t)c->v.gpr[GPR_RAX];
	struct virt_mode m = { 0 };

	virt->mode(&c->v, &m);
	if (m.cpl || (uint32_t)c->v.gpr[GPR_RCX] || !xcr0_ok(v, c->vm->virt.xcr0_mask) ||
	    virt->set_cr(&c->v, VIRT_XCR0, v))
		vcpu_raise_gp(c);
	else
		vcpu_skip(c, x, 3);
	return NEXT_RESUME;
}
