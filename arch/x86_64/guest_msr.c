/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSRs of a guest's that neither vendor's control block has a use for: kept
 * beside the vCPU, and loaded with it where the guest can read them without an
 * exit.
 */
#include <errno.h>

#include <tern/cpu.h>

#include "guest.h"

/* RDTSCP and RDPID read TSC_AUX; the host has no use for it. */
void guest_msrs_load(const struct guest_msrs *m)
{
	if (guest_feat.rdtscp)
		wrmsr(MSR_TSC_AUX, m->tsc_aux);
}

int guest_msr_get(const struct guest_msrs *m, uint32_t index, uint64_t *value)
{
	switch (index) {
	case MSR_DEBUGCTL:
		*value = m->debugctl;
		return 0;
	case MSR_XSS:
		*value = 0;
		return guest_feat.xsaves ? 0 : -ENOENT;
	case MSR_TSC_AUX:
		*value = m->tsc_aux;
		return guest_feat.rdtscp ? 0 : -ENOENT;
	default:
		return -ENOENT;
	}
}

static int set_tsc_aux(const struct virt_vcpu *v, struct guest_msrs *m, uint64_t value)
{
	if (!guest_feat.rdtscp)
		return -ENOENT;
	if (value >> 32)
		return -EINVAL;
	m->tsc_aux = value;
	if (v->cpu >= 0)
		guest_msrs_load(m);
	return 0;
}

int guest_msr_set(const struct virt_vcpu *v, struct guest_msrs *m, uint32_t index, uint64_t value)
{
	switch (index) {
	case MSR_DEBUGCTL:
		if (value & ~DEBUGCTL_KEPT)
			return -EINVAL;
		m->debugctl = value; /* no last-branch records: kept, without effect */
		return 0;
	case MSR_XSS: /* no supervisor component is moved, so none is offered */
		if (!guest_feat.xsaves)
			return -ENOENT;
		return value ? -EINVAL : 0;
	case MSR_TSC_AUX:
		return set_tsc_aux(v, m, value);
	default:
		return -ENOENT;
	}
}
