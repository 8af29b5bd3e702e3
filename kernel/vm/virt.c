/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The choice of a virtualization backend at boot: the first whose probe
 * succeeds, enabled on every CPU that is up. Without one the host works, and
 * VMs are refused with the reason.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/cpu.h>
#include <tern/log.h>
#include <tern/virt.h>

const struct virt_ops *virt;
struct virt_caps virt_caps;
static char absent_reason[256] = "not looked for yet";

const char *virt_absent_reason(void)
{
	return absent_reason;
}

struct turn_on {
	const struct virt_ops *ops;
	int error;
};

static void turn_on_here(void *arg)
{
	struct turn_on *t = arg;

	t->error = t->ops->cpu_on();
}

static void turn_off_here(void *arg)
{
	const struct virt_ops *ops = *(const struct virt_ops *const *)arg;

	ops->cpu_off();
}

static int enable_all(const struct virt_ops *ops, char *why, size_t why_len)
{
	for (unsigned i = 0; i < cpu_count(); i++) {
		struct turn_on t = { .ops = ops };

		cpu_call(i, turn_on_here, &t);
		if (!t.error)
			continue;
		(void)snprintf(why, why_len, "CPU %u refused to enable %s (error %d)", i, ops->name,
			       t.error);
		while (i--)
			cpu_call(i, turn_off_here, &ops);
		return t.error;
	}
	return 0;
}

static void announce(void)
{
	const struct virt_caps *c = &virt_caps;

	log_info("virt", "%s on %u CPUs: %s, %u address space numbers; %s", c->name, cpu_count(),
		 c->slat->name, c->asids, c->features[0] ? c->features : "no optional features");
}

/* Every candidate's reason: which of them concerns this machine is for the reader to see. */
static void add_reason(const char *why)
{
	size_t n = strlen(absent_reason);

	(void)snprintf(absent_reason + n, sizeof(absent_reason) - n, "%s%s", n ? "; " : "", why);
}

void virt_choose(const struct virt_ops *const *candidates, unsigned count)
{
	char why[128];

	absent_reason[0] = 0;
	for (unsigned i = 0; i < count && !virt; i++) {
		if (!candidates[i]->probe(&virt_caps, why, sizeof(why)) &&
		    !enable_all(candidates[i], why, sizeof(why)))
			virt = candidates[i];
		else
			add_reason(why);
	}
	if (virt)
		announce();
	else
		log_warn("virt", "no virtualization: %s", absent_reason);
}
