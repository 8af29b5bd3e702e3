/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * May a CPU be entered with this state? A migration's stream is hostile until
 * shown otherwise: everything that either vendor's entry refuses, or that would
 * fault in the host when it is loaded, is refused here.
 * [APM2 15.5.1 "Basic Operation", "Canonicalization and Consistency Checks"]
 */
#include <errno.h>

#include "guest.h"

#define CR0_KNOWN 0xe005003full /* PG CD NW AM WP NE ET TS EM MP PE */
#define RFLAGS_KNOWN 0x3f7fd7ull
#define DR6_ONES 0xfffe07f0ull /* bits 11, 16: bus locks, RTM */
#define DR6_ZEROS (BIT(12) | ~0ull << 32)
#define DR7_ONES BIT(10)
#define DR7_ZEROS (BIT(12) | BIT(14) | BIT(15) | ~0ull << 32)
#define SEG_KNOWN 0xfffu
#define SEG_P BIT(7)
#define SEG_S BIT(4)
#define SEG_L BIT(9)
#define SEG_DB BIT(10)
#define SEG_CODE BIT(3)

/* 0 uncached, 1 write-combining, 4 write-through, 5 write-protected, 6 write-back, 7 uncached- */
bool guest_pat_ok(uint64_t pat)
{
	for (unsigned i = 0; i < 8; i++) {
		uint64_t type = pat >> (8 * i) & 0xff;

		if (type > 7 || type == 2 || type == 3)
			return false;
	}
	return true;
}

bool guest_exception_has_error(unsigned vector)
{
	return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21;
}

bool guest_cr_ok(uint64_t cr0, uint64_t cr3, uint64_t cr4, uint64_t efer)
{
	bool paging = (cr0 & CR0_PG) != 0;
	bool long_mode = paging && (efer & EFER_LME);

	if ((cr0 & ~CR0_KNOWN) || (cr4 & ~guest_feat.cr4_mask) || (efer & ~guest_feat.efer_mask))
		return false;
	if ((paging && !(cr0 & CR0_PE)) || ((cr0 & CR0_NW) && !(cr0 & CR0_CD)))
		return false;
	if (long_mode != ((efer & EFER_LMA) != 0) || (long_mode && !(cr4 & CR4_PAE)))
		return false;
	if (!long_mode && (cr4 & CR4_PCIDE))
		return false;
	return !(cr3 & ~guest_feat.cr3_mask);
}

bool guest_xcr0_ok(uint64_t xcr0_mask, uint64_t xcr0)
{
	uint64_t mask = guest_feat.xsave ? (xcr0_mask & guest_feat.xcr0) | 1 : 1;

	if (!(xcr0 & 1) || (xcr0 & ~mask))
		return false;
	if ((xcr0 & 4) && !(xcr0 & 2))
		return false;
	return !(xcr0 & 0xe0) || ((xcr0 & 0xe0) == 0xe0 && (xcr0 & 4));
}

static bool segs_ok(const struct virt_state *in)
{
	const struct virt_seg *cs = &in->seg[SEG_CS];
	bool is_long = (in->efer & EFER_LMA) != 0;

	for (unsigned i = 0; i < SEG_COUNT; i++)
		if ((in->seg[i].attr & ~(SEG_KNOWN | SEG_UNUSABLE)) ||
		    !guest_canonical(in->seg[i].base))
			return false;
	if ((cs->attr & SEG_UNUSABLE) || !(cs->attr & SEG_P) || !(cs->attr & SEG_S))
		return false;
	if ((in->cr0 & CR0_PE) && !(in->rflags & RFLAGS_VM) && !(cs->attr & SEG_CODE))
		return false;
	if (is_long && (cs->attr & SEG_L) && (cs->attr & SEG_DB))
		return false;
	return guest_canonical(in->gdtr.base) && guest_canonical(in->idtr.base) &&
	       in->gdtr.limit <= 0xffff && in->idtr.limit <= 0xffff;
}

static bool flow_ok(const struct virt_state *in)
{
	bool is_long = (in->efer & EFER_LMA) != 0;

	if (!(in->rflags & 2) || (in->rflags & ~RFLAGS_KNOWN))
		return false;
	if ((in->rflags & RFLAGS_VM) && (is_long || !(in->cr0 & CR0_PE)))
		return false;
	if (is_long && (in->seg[SEG_CS].attr & SEG_L))
		return guest_canonical(in->rip);
	return !(in->rip >> 32);
}

/* [SDM 3B "Debug Registers"]: the ones of DR6 that features turn into zeros are left open. */
static bool debug_ok(const struct virt_state *in)
{
	return (in->dr6 & (DR6_ONES | DR6_ZEROS)) == DR6_ONES &&
	       (in->dr7 & (DR7_ONES | DR7_ZEROS)) == DR7_ONES && !(in->debugctl & ~DEBUGCTL_KEPT);
}

static bool msrs_ok(const struct virt_state *in)
{
	return guest_canonical(in->lstar) && guest_canonical(in->cstar) &&
	       guest_canonical(in->kernel_gs_base) && guest_canonical(in->sysenter_esp) &&
	       guest_canonical(in->sysenter_eip) && guest_pat_ok(in->pat) && !(in->tsc_aux >> 32) &&
	       !(in->sfmask >> 32) && !(in->sysenter_cs >> 32) && !in->spec_ctrl && !in->xss &&
	       !in->nr_msrs && in->cr8 < 16;
}

static bool event_ok(const struct virt_event *e, uint64_t rflags)
{
	switch (e->type) {
	case EV_NONE:
		return true;
	case EV_IRQ:
		return (rflags & RFLAGS_IF) != 0; /* it was on its way when the exit came */
	case EV_NMI:
		return e->vector == 2;
	case EV_EXCEPTION:
		return e->vector < 32 && e->vector != 2 &&
		       e->has_error == guest_exception_has_error(e->vector);
	case EV_SOFT_INT:
		return e->insn_len && e->insn_len <= 15;
	default:
		return false;
	}
}

int guest_state_check(uint64_t xcr0_mask, const struct virt_state *in)
{
	bool ok = guest_cr_ok(in->cr0, in->cr3, in->cr4, in->efer) && segs_ok(in) && flow_ok(in) &&
		  debug_ok(in) && msrs_ok(in) && event_ok(&in->event, in->rflags) &&
		  guest_xcr0_ok(xcr0_mask, in->xcr0) && guest_fpu_ok(xcr0_mask, in);

	return ok ? 0 : -EINVAL;
}
