/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cluster baseline: asks hosts what guests can be given there, and keeps what
 * they all have as the CPU of "vm create --cpu baseline". The printed text
 * makes other hosts use the same.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tern/cpumodel.h>
#include <tern/mig.h>

#include "shell_int.h"

#define HOSTS_MAX 16
#define WHY_MAX 160
#define CODE_MAX 24

struct cluster {
	unsigned count;
	struct mig_host host[HOSTS_MAX];
	struct cpu_model common, all; /* what each has; what some have */
	bool kept;
	char why[WHY_MAX]; /* else */
};

/* One host's answer; false with the error said. */
static bool ask(struct shell *sh, const char *text, struct mig_host *h)
{
	char code[CODE_MAX] = "failed", why[WHY_MAX] = "";
	struct net_addr a;

	if (cmd_resolve_host(text, &a)) {
		shell_error(sh, "invalid", "'%s' is neither an address nor a host.%s of tern.conf",
			    text, text);
		return false;
	}
	if (cmd_is_own_host(text, &a)) {
		mig_host_self(h);
		return true;
	}
	if (!mig_query(&a, h, code, sizeof(code), why, sizeof(why)))
		return true;
	shell_error(sh, code, "%s: %s", text, why);
	return false;
}

static bool gather(struct shell *sh, struct cluster *c, int count, char **names)
{
	for (int i = 0; i < count; i++) {
		struct mig_host *h = &c->host[c->count++];
		char why[WHY_MAX] = "";

		if (shell_interrupted(sh) || !ask(sh, names[i], h))
			return false;
		if (i == 0) {
			c->common = c->all = h->cpu;
		} else if (cpu_model_common(&c->common, &h->cpu, why, sizeof(why))) {
			shell_error(sh, "cpu", "%s: %s", names[i], why);
			return false;
		}
		cpu_model_add(&c->all, &h->cpu);
	}
	c->kept = !cpu_baseline_set(&c->common, c->why, sizeof(c->why));
	return true;
}

static void host_plain(struct shell *sh, const struct cluster *c, const struct mig_host *h)
{
	struct cpu_bit at = { 0 };
	bool any = false;

	shell_printf(sh, "%-12s %s family %u model %u, %u-bit addresses, %u features\n", h->name,
		     h->cpu.vendor, cpu_model_family(&h->cpu), cpu_model_number(&h->cpu),
		     h->cpu.phys_bits, cpu_model_features(&h->cpu));
	while (cpu_model_next_missing(&c->all, &h->cpu, &at)) {
		char text[CPU_FEATURE_MAX];

		cpu_bit_text(&at, text, sizeof(text));
		shell_printf(sh, "%s %s\n", any ? "      " : " lacks", text);
		any = true;
	}
}

static void host_json(struct shell *sh, const struct cluster *c, const struct mig_host *h)
{
	struct cpu_bit at = { 0 };

	json_object(sh, NULL);
	json_str(sh, "name", h->name);
	json_str(sh, "vendor", h->cpu.vendor);
	json_u64(sh, "family", cpu_model_family(&h->cpu));
	json_u64(sh, "model", cpu_model_number(&h->cpu));
	json_u64(sh, "physical_bits", h->cpu.phys_bits);
	json_u64(sh, "xcr0", h->cpu.xcr0);
	json_u64(sh, "features", cpu_model_features(&h->cpu));
	json_array(sh, "lacks");
	while (cpu_model_next_missing(&c->all, &h->cpu, &at))
		json_str(sh, NULL, cpu_bit_name(&at));
	json_end(sh);
	json_end(sh);
}

static void baseline_json(struct shell *sh, const struct cpu_model *m)
{
	char text[CPU_TEXT_MAX];

	cpu_model_text(m, text, sizeof(text));
	json_u64(sh, "family", cpu_model_family(m));
	json_u64(sh, "model", cpu_model_number(m));
	json_u64(sh, "features", cpu_model_features(m));
	json_str(sh, "baseline", text);
}

static void baseline_plain(struct shell *sh, const struct cpu_model *m)
{
	char text[CPU_TEXT_MAX];

	cpu_model_text(m, text, sizeof(text));
	shell_printf(sh, "%-12s %s family %u model %u, %u-bit addresses, %u features\n", "baseline",
		     m->vendor, cpu_model_family(m), cpu_model_number(m), m->phys_bits,
		     cpu_model_features(m));
	shell_printf(sh, "cpu.baseline = %s\n", text);
}

static void show(struct shell *sh, const struct cluster *c)
{
	if (!shell_json(sh)) {
		for (unsigned i = 0; i < c->count; i++)
			host_plain(sh, c, &c->host[i]);
		baseline_plain(sh, &c->common);
		if (!c->kept)
			shell_printf(sh, "not kept here: %s\n", c->why);
		return;
	}
	json_object(sh, NULL);
	json_array(sh, "hosts");
	for (unsigned i = 0; i < c->count; i++)
		host_json(sh, c, &c->host[i]);
	json_end(sh);
	baseline_json(sh, &c->common);
	json_bool(sh, "kept", c->kept);
	json_str(sh, "why", c->why);
	json_end(sh);
}

/* Without hosts: the present one, after --set TEXT a new one. */
static int show_present(struct shell *sh, const char *text)
{
	struct cpu_model m;
	char why[WHY_MAX] = "";
	int err;

	if (text) {
		if (cpu_model_parse(text, &m, why, sizeof(why)))
			return shell_error(sh, "invalid", "%s", why);
		err = cpu_baseline_set(&m, why, sizeof(why));
		if (err)
			return shell_error(sh, "cpu", "%s", why);
	}
	if (!cpu_baseline_get(&m))
		return shell_error(sh, "not-found",
				   "there is no CPU baseline here: 'cluster baseline HOST...' "
				   "computes one");
	if (!shell_json(sh)) {
		baseline_plain(sh, &m);
		return 0;
	}
	json_object(sh, NULL);
	baseline_json(sh, &m);
	json_end(sh);
	return 0;
}

static int baseline_cmd(struct shell *sh, int argc, char **argv)
{
	const char *text = shell_opt(&argc, argv, "--set");
	struct cluster *c;
	bool ok;

	if (argc == 1)
		return show_present(sh, text);
	if (text || argc - 1 > HOSTS_MAX)
		return shell_error(sh, "usage",
				   "cluster baseline HOST... (up to %u), or --set TEXT", HOSTS_MAX);
	c = calloc(1, sizeof(*c));
	if (!c)
		return shell_error(sh, "no-memory", "no memory for the hosts' answers");
	ok = gather(sh, c, argc - 1, argv + 1);
	if (ok)
		show(sh, c);
	free(c);
	return ok ? 0 : 1;
}

static const struct shell_cmd cmds[] = {
	{ "cluster baseline", "[HOST...] [--set TEXT]",
	  "the CPU that all of these hosts can give to guests", baseline_cmd, NULL },
};

void cmd_cluster_register(void)
{
	shell_register(cmds, ARRAY_SIZE(cmds));
}
