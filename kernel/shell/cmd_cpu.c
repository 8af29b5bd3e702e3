/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host cpu: who this processor is, what the hypervisor makes use of in it, and
 * what guests are given of it, with the reason where they are not. host msrs: the
 * model-specific registers that guests have.
 */
#include <stdlib.h>
#include <string.h>

#include <tern/cpu.h>
#include <tern/cpumodel.h>
#include <tern/virt.h>
#include <tern/vmio.h>

#include "shell_int.h"

#define NAMES_WIDTH 72u

static const char *const state_names[] = {
	[CPU_GIVEN] = "given",
	[CPU_PROVIDED] = "provided",
	[CPU_WITHHELD] = "withheld",
	[CPU_ABSENT] = "absent",
};

static void feature_json(struct shell *sh, const struct cpu_feature *f)
{
	static const char *const reg[4] = { "EAX", "EBX", "ECX", "EDX" };

	json_object(sh, NULL);
	json_str(sh, "name", f->name);
	json_u64(sh, "leaf", f->bit.leaf);
	json_u64(sh, "subleaf", f->bit.sub);
	json_str(sh, "register", reg[f->bit.reg & 3]);
	json_u64(sh, "bit", f->bit.bit);
	json_str(sh, "state", state_names[f->state]);
	json_str(sh, "why", f->why);
	json_end(sh);
}

static void virt_json(struct shell *sh)
{
	struct virt_feature v;

	json_object(sh, "virtualization");
	json_str(sh, "name", virt ? virt_caps.name : "none");
	if (!virt)
		json_str(sh, "why", virt_absent_reason());
	json_array(sh, "in_use");
	for (unsigned i = 0; virt_feature_at(i, &v); i++)
		if (v.used)
			json_str(sh, NULL, v.name);
	json_end(sh);
	json_array(sh, "absent");
	for (unsigned i = 0; virt_feature_at(i, &v); i++)
		if (!v.used)
			json_str(sh, NULL, v.name);
	json_end(sh);
	json_end(sh);
}

static void cpu_json(struct shell *sh, bool all)
{
	const struct cpu_id *id = cpu_identity();
	struct cpu_feature f;

	json_object(sh, NULL);
	json_str(sh, "vendor", id->vendor);
	json_str(sh, "name", id->brand);
	json_u64(sh, "family", id->family);
	json_u64(sh, "model", id->model);
	json_u64(sh, "stepping", id->stepping);
	json_u64(sh, "physical_bits", id->phys_bits);
	json_u64(sh, "linear_bits", id->virt_bits);
	virt_json(sh);
	json_array(sh, "features");
	for (unsigned i = 0; cpu_feature_at(i, &f); i++)
		if (all || f.state != CPU_ABSENT)
			feature_json(sh, &f);
	json_end(sh);
	json_end(sh);
}

static void virt_plain(struct shell *sh)
{
	struct virt_feature v;

	shell_printf(sh, "virtualization  %s\n", virt ? virt_caps.name : virt_absent_reason());
	for (unsigned i = 0; virt_feature_at(i, &v); i++)
		shell_printf(sh, "  %-7s %-14s %s\n", v.used ? "in use" : "absent", v.name, v.what);
}

/* The names of one state, wrapped. */
static void names_plain(struct shell *sh, enum cpu_feature_state state, const char *title)
{
	struct cpu_feature f;
	size_t column = NAMES_WIDTH;

	shell_printf(sh, "%s:", title);
	for (unsigned i = 0; cpu_feature_at(i, &f); i++) {
		if (f.state != state)
			continue;
		if (column + strlen(f.name) >= NAMES_WIDTH) {
			shell_printf(sh, "\n ");
			column = 1;
		}
		shell_printf(sh, " %s", f.name);
		column += strlen(f.name) + 1;
	}
	shell_printf(sh, "\n");
}

static void withheld_plain(struct shell *sh)
{
	struct cpu_feature f;

	shell_printf(sh, "withheld from guests:\n");
	for (unsigned i = 0; cpu_feature_at(i, &f); i++)
		if (f.state == CPU_WITHHELD)
			shell_printf(sh, "  %-18s %s\n", f.name, f.why);
}

static void all_plain(struct shell *sh)
{
	struct cpu_feature f;

	for (unsigned i = 0; cpu_feature_at(i, &f); i++) {
		char text[CPU_FEATURE_MAX];

		cpu_bit_text(&f.bit, text, sizeof(text));
		shell_printf(sh, "  %-9s %-44s %s\n", state_names[f.state], text, f.why);
	}
}

static int host_cpu(struct shell *sh, int argc, char **argv)
{
	const struct cpu_id *id = cpu_identity();
	bool all = shell_flag(&argc, argv, "--all");

	if (argc > 1)
		return shell_error(sh, "usage", "host cpu [--all]");
	if (shell_json(sh)) {
		cpu_json(sh, all);
		return 0;
	}
	shell_printf(sh, "vendor          %s\nname            %s\n", id->vendor, id->brand);
	shell_printf(sh, "signature       family %u, model %u, stepping %u\n", (unsigned)id->family,
		     (unsigned)id->model, (unsigned)id->stepping);
	shell_printf(sh, "addresses       %u bits physical, %u linear\n", id->phys_bits,
		     id->virt_bits);
	virt_plain(sh);
	if (all) {
		all_plain(sh);
		return 0;
	}
	names_plain(sh, CPU_GIVEN, "given to guests");
	names_plain(sh, CPU_PROVIDED, "provided by Tern, whatever the CPU has");
	withheld_plain(sh);
	return 0;
}

static void msr_json(struct shell *sh, const struct vm_msr *m)
{
	json_object(sh, NULL);
	json_u64(sh, "first", m->first);
	json_u64(sh, "last", m->last);
	json_str(sh, "keeper", m->keeper);
	json_str(sh, "why", m->why);
	json_end(sh);
}

static int host_msrs(struct shell *sh, int argc, char **argv)
{
	struct vm_msr m;

	(void)argv;
	if (argc > 1)
		return shell_error(sh, "usage", "host msrs");
	if (shell_json(sh)) {
		json_array(sh, NULL);
		for (unsigned i = 0; vm_msr_at(i, &m); i++)
			msr_json(sh, &m);
		json_end(sh);
		return 0;
	}
	shell_printf(sh, "%-10s %-10s %-7s %s\n", "first", "last", "keeper", "what");
	for (unsigned i = 0; vm_msr_at(i, &m); i++)
		shell_printf(sh, "%-10x %-10x %-7s %s\n", (unsigned)m.first, (unsigned)m.last,
			     m.keeper, m.why);
	return 0;
}

static const struct shell_cmd cmds[] = {
	{ "host cpu", "[--all]", "this processor, and what guests are given of it", host_cpu,
	  NULL },
	{ "host msrs", "", "the model-specific registers that guests have", host_msrs, NULL },
};

void cmd_cpu_register(void)
{
	shell_register(cmds, ARRAY_SIZE(cmds));
}
