/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RDMSR and WRMSR. Who has a register is asked in this order: the devices
 * (LAPIC), the clocks, the list of kept values, the backend. An MSR that nobody
 * has is a #GP, logged once per MSR and VM; so is one that belongs to a feature
 * which the guest's CPUID does not show.
 */
#include <errno.h>

#include <tern/log.h>

#include "hyperv.h"
#include "vm_int.h"

void vm_msr_add(struct vm *vm, struct msr_region *r)
{
	r->next = vm->msrs;
	vm->msrs = r;
}

static struct msr_region *region_of(struct vm *vm, uint32_t index)
{
	for (struct msr_region *r = vm->msrs; r; r = r->next)
		if (index >= r->first && index <= r->last)
			return r;
	return NULL;
}

#define MSR_TSC 0x10u
#define MSR_XSS 0xda0u
#define MSR_EFER 0xc0000080u
#define MSR_TSC_AUX 0xc0000103u

/* EFER bits and the bit of leaf 0x80000001 EDX that offers each. */
static const struct {
	uint64_t efer;
	unsigned bit;
} efer_features[] = {
	{ G_EFER_SCE, 11 },
	{ G_EFER_LME | G_EFER_LMA, 29 },
	{ G_EFER_NXE, 20 },
};

/* As on a CPU without what the guest was not shown, whatever this one has. */
static bool msr_hidden(const struct cpuid_table *t, uint32_t index)
{
	if (index == MSR_XSS)
		return !cpuid_shows(t, 0xd, 1, REG_EAX, 3);
	return index == MSR_TSC_AUX && !cpuid_shows(t, 0x80000001u, 0, REG_EDX, 27) &&
	       !cpuid_shows(t, 7, 0, REG_ECX, 22);
}

static bool msr_bits_hidden(const struct cpuid_table *t, uint32_t index, uint64_t value)
{
	uint64_t ok = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(efer_features); i++)
		if (cpuid_shows(t, 0x80000001u, 0, REG_EDX, efer_features[i].bit))
			ok |= efer_features[i].efer;
	return index == MSR_EFER && (value & ~ok);
}

int vcpu_msr_read(struct vcpu *c, uint32_t index, uint64_t *value)
{
	struct msr_region *r = region_of(c->vm, index);
	int err;

	if (r)
		return r->ops->read(r->arg, c, index, value);
	if (msr_hidden(c->vm->cpuid, index))
		return -ENOENT;
	err = pvclock_msr_get(c, index, value);
	if (err == -ENOENT)
		err = hyperv_msr_get(c, index, value);
	if (err == -ENOENT)
		err = msr_list_get(c->msrs, index, value);
	if (err == -ENOENT)
		err = virt->msr_get(&c->v, index, value);
	return err;
}

static int msr_write(struct vcpu *c, uint32_t index, uint64_t value)
{
	struct msr_region *r = region_of(c->vm, index);
	int err;

	if (r)
		return r->ops->write(r->arg, c, index, value);
	if (msr_hidden(c->vm->cpuid, index))
		return -ENOENT;
	if (msr_bits_hidden(c->vm->cpuid, index, value))
		return -EINVAL;
	err = pvclock_msr_set(c, index, value);
	if (err == -ENOENT)
		err = hyperv_msr_set(c, index, value);
	if (err == -ENOENT)
		err = msr_list_set(c->msrs, index, value);
	if (err == -ENOENT)
		err = virt->msr_set(&c->v, index, value);
	if (!err && index == MSR_TSC) { /* by another TSC the same time */
		pvclock_update(c);
		hyperv_refresh(c->vm);
	}
	return err;
}

/* First time that this VM asks for the MSR? A full table ends the logging. */
static bool first_seen(struct vm *vm, uint32_t index)
{
	struct vm_run *run = vm->run;
	unsigned long flags = spin_lock(&run->io_lock);
	bool first = run->nr_msr_seen < ARRAY_SIZE(run->msr_seen);

	for (unsigned i = 0; first && i < run->nr_msr_seen; i++)
		first = run->msr_seen[i] != index;
	if (first)
		run->msr_seen[run->nr_msr_seen++] = index;
	spin_unlock(&run->io_lock, flags);
	return first;
}

static void refuse(struct vcpu *c, const struct vmexit *x, int err)
{
	if (err == -ENOENT && first_seen(c->vm, x->msr.index))
		log_info("vm", "%s: vCPU %u %s unknown MSR 0x%x (rip 0x%llx): #GP", c->vm->cfg.name,
			 c->index, x->reason == EXIT_MSR_READ ? "reads" : "writes",
			 (unsigned)x->msr.index, (unsigned long long)c->v.rip);
	vcpu_raise_gp(c);
}

enum exit_next exit_msr_read(struct vcpu *c, struct vmexit *x)
{
	uint64_t value = 0;
	int err = vcpu_msr_read(c, x->msr.index, &value);

	if (err) {
		refuse(c, x, err);
		return NEXT_RESUME;
	}
	c->v.gpr[GPR_RAX] = (uint32_t)value;
	c->v.gpr[GPR_RDX] = value >> 32;
	vcpu_skip(c, x, 2);
	return NEXT_RESUME;
}

enum exit_next exit_msr_write(struct vcpu *c, struct vmexit *x)
{
	int err = msr_write(c, x->msr.index, x->msr.value);

	if (err)
		refuse(c, x, err);
	else
		vcpu_skip(c, x, 2);
	return NEXT_RESUME;
}
