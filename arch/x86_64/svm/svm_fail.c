/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AMD-V: entries that the CPU refused, in words. VMRUN says only that it did, so
 * its checks are made here once more to find which one it was.
 * [APM2 15.5.1 "Basic Operation", "Canonicalization and Consistency Checks"]
 */
#include <stdio.h>

#include <tern/cpu.h>

#include "svm.h"

#define CR0_CACHE (CR0_CD | CR0_NW)
#define SEG_L BIT(9)
#define SEG_DB BIT(10)

void svm_fail_exit(struct virt_vcpu *v, struct vmexit *x, const char *text)
{
	struct vmcb_control *c = &svm_of(v)->vmcb->c;

	x->reason = EXIT_FAILED;
	x->insn_len = 0;
	x->fail.code = c->exit_code;
	x->fail.info1 = c->exit_info1;
	x->fail.info2 = c->exit_info2;
	(void)snprintf(x->fail.text, sizeof(x->fail.text), "%s", text);
}

/* An exception that does not exist; NMI is none. The CPU has cleared EVENTINJ by now.
 * [APM2 15.20 "Event Injection"] */
static const char *bad_event(const struct virt_event *e)
{
	if (e->type == EV_EXCEPTION && (e->vector == 2 || e->vector > 31))
		return "VMRUN refused the event to inject";
	return NULL;
}

static const char *bad_control(const struct vmcb_control *c)
{
	if (!c->asid)
		return "VMRUN refused ASID 0";
	if (!(c->intercept[INTERCEPT_VMRUN >> 5] >> (INTERCEPT_VMRUN & 31) & 1))
		return "VMRUN refused a VMCB that does not intercept it";
	if (!c->np_enable)
		return "VMRUN refused a VMCB without nested paging";
	return NULL;
}

static const char *bad_state(const struct vmcb_save *s)
{
	bool is_long = (s->efer & EFER_LME) && (s->cr0 & CR0_PG);

	if (!(s->efer & EFER_SVME))
		return "VMRUN refused EFER without SVME";
	if ((s->cr0 & CR0_CACHE) == CR0_NW)
		return "VMRUN refused CR0 with NW and without CD";
	if (s->cr0 >> 32)
		return "VMRUN refused CR0 above 32 bits";
	if (s->cr4 & ~guest_feat.cr4_mask)
		return "VMRUN refused a bit of CR4";
	if ((s->dr6 | s->dr7) >> 32)
		return "VMRUN refused DR6 or DR7 above 32 bits";
	if (is_long && !(s->cr4 & CR4_PAE))
		return "VMRUN refused long mode without PAE";
	if (is_long && !(s->cr0 & CR0_PE))
		return "VMRUN refused long mode without protection";
	if (is_long && (s->cs.attrib & SEG_L) && (s->cs.attrib & SEG_DB))
		return "VMRUN refused a code segment of both 64 and 32 bits";
	return NULL;
}

void svm_fail_entry(struct virt_vcpu *v, struct vmexit *x)
{
	const struct vmcb *b = svm_of(v)->vmcb;
	const char *text = bad_control(&b->c);

	if (!text)
		text = bad_state(&b->s);
	if (!text)
		text = bad_event(&svm_of(v)->injected);
	svm_fail_exit(v, x, text ? text : "VMRUN refused the VMCB (VMEXIT_INVALID)");
}
