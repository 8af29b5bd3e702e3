/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * This host's processor as guests may be shown it, and the baseline kept in
 * memory: from tern.conf at start, from `cluster baseline` later.
 */
#include <string.h>

#include <tern/bootinfo.h>
#include <tern/lock.h>
#include <tern/log.h>
#include <tern/virt.h>

#include "cpuid.h"

static struct {
	struct spinlock lock; /* guards the rest */
	bool set;
	struct cpu_model model;
} baseline = { .lock = SPINLOCK_INIT(LOCK_VM, "cpu baseline") };

static struct cpuid_regs host_read(const void *ctx, uint32_t leaf, uint32_t sub)
{
	struct cpuid_regs r = cpuid(leaf, sub);

	(void)ctx;
	if (virt)
		virt->cpuid_limit(leaf, sub, &r);
	return r;
}

static const struct cpuid_source host = { host_read, NULL };

const struct cpuid_source *vm_host_cpuid(void)
{
	return &host;
}

void cpu_model_host(struct cpu_model *m)
{
	struct cpuid_table t;

	cpuid_build(&t, &host, 1);
	cpu_model_of(&t, m);
}

int cpu_baseline_set(const struct cpu_model *m, char *why, size_t why_len)
{
	struct cpu_model here;
	unsigned long f;
	int err;

	cpu_model_host(&here);
	err = cpu_model_check(m, &here, true, "this host", why, why_len);
	if (err)
		return err;
	f = spin_lock(&baseline.lock);
	baseline.model = *m;
	baseline.set = true;
	spin_unlock(&baseline.lock, f);
	return 0;
}

bool cpu_baseline_get(struct cpu_model *m)
{
	unsigned long f = spin_lock(&baseline.lock);
	bool set = baseline.set;

	*m = baseline.model;
	spin_unlock(&baseline.lock, f);
	return set;
}

void cpu_baseline_init(void)
{
	const char *text = config_get("cpu.baseline");
	struct cpu_model m;
	char why[160];

	if (!text)
		return;
	if (cpu_model_parse(text, &m, why, sizeof(why)) || cpu_baseline_set(&m, why, sizeof(why)))
		log_error("vm", "tern.conf: cpu.baseline is not used: %s", why);
}

static bool host_has(const struct cpuid_bit *b)
{
	struct cpuid_regs r = { 0 };
	uint32_t base = b->leaf & 0x80000000u;

	if (b->leaf >> 28 == 4) /* the hypervisor's own leaves are not the CPU's */
		return false;
	if (cpuid(base, 0).eax >= b->leaf)
		r = cpuid(b->leaf, b->sub);
	return ((const uint32_t[]){ r.eax, r.ebx, r.ecx, r.edx })[b->reg & 3] >> b->bit & 1;
}

static enum cpu_feature_state state_of(const struct cpuid_bit *b, const struct cpuid_table *t)
{
	if (b->action == BIT_FORCE || b->action == BIT_FILL)
		return CPU_PROVIDED;
	if (cpuid_shows(t, b->leaf, b->sub, b->reg, b->bit))
		return CPU_GIVEN;
	return host_has(b) ? CPU_WITHHELD : CPU_ABSENT;
}

bool cpu_feature_at(unsigned index, struct cpu_feature *out)
{
	const struct cpuid_bit *b;
	struct cpuid_table t;

	if (index >= cpuid_bits_count)
		return false;
	b = &cpuid_bits[index];
	cpuid_build(&t, &host, 1);
	*out = (struct cpu_feature){
		.bit = { .leaf = b->leaf, .sub = b->sub, .reg = b->reg, .bit = b->bit },
		.name = b->name,
		.why = b->why,
		.state = state_of(b, &t),
	};
	return true;
}
