/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `vm create`: its options become a struct vm_config, one function a group of them. Each
 * says what is wrong with its own; nothing is made before all are right.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/bootinfo.h>
#include <tern/vm.h>

#include "cmd_port.h"
#include "cmd_vm_disk.h"
#include "kernel/lib/name.h"

#include "shell_int.h"

#define WHY_MAX 224
#define NIC_TEXT_MAX 128
#define CREATE_ARGS                                                                                \
	"NAME --kernel FILE [--initrd FILE] | --multiboot FILE [--module FILE]... [--mem SIZE] "   \
	"[--vcpus N] [--cpu host|baseline] [--shares N] [--pin LIST] [--hyperv] [--on-panic "      \
	"POLICY] "                                                                                 \
	"[--on-crash POLICY] [--on-watchdog POLICY] "                                              \
	"[--net NETWORK[,MAC][,queues=N][,rate=MBIT][,spoof=allow]]... "                           \
	"[--disk PATH[,ro][,serial=TEXT]]... [--cmdline TEXT]"

/* Copies an option's text; false with the error said when it is too long. */
static bool copy_opt(struct shell *sh, const char *what, const char *from, char *to, size_t cap)
{
	if (!from)
		return true;
	if (strlen(from) >= cap) {
		shell_error(sh, "invalid", "%s is longer than %u characters", what,
			    (unsigned)cap - 1);
		return false;
	}
	strcpy(to, from);
	return true;
}

static bool file_there(struct shell *sh, const char *name)
{
	if (bootfs_find(name))
		return true;
	shell_error(sh, "not-found", "no file '%s': 'host files' lists what was found at start",
		    name);
	return false;
}

static bool config_numbers(struct shell *sh, const char *mem, const char *vcpus,
			   struct vm_config *cfg)
{
	uint64_t n = 1;

	if (parse_size(mem ? mem : "256M", &cfg->mem_bytes) || !cfg->mem_bytes ||
	    cfg->mem_bytes % SIZE_2M) {
		shell_error(sh, "invalid", "--mem %s is not a size in steps of 2M (like 256M, 1G)",
			    mem);
		return false;
	}
	if (vcpus && (parse_u64(vcpus, &n) || n < 1 || n > VM_VCPUS_MAX)) {
		shell_error(sh, "invalid", "--vcpus %s is not a number from 1 to %u", vcpus,
			    VM_VCPUS_MAX);
		return false;
	}
	cfg->vcpus = (unsigned)n;
	return true;
}

static bool config_modules(struct shell *sh, int *argc, char **argv, struct vm_config *cfg)
{
	const char *module;

	while ((module = shell_opt(argc, argv, "--module")) != NULL) {
		if (cfg->modules == VM_MODULES_MAX) {
			shell_error(sh, "invalid", "more than %u modules", VM_MODULES_MAX);
			return false;
		}
		if (!copy_opt(sh, "--module", module, cfg->module[cfg->modules], VM_PATH_MAX) ||
		    !file_there(sh, module))
			return false;
		cfg->modules++;
	}
	return true;
}

/* "aa:bb:cc:dd:ee:ff", a unicast address. */
static bool parse_mac(const char *text, uint8_t mac[6])
{
	uint8_t any = 0;

	for (unsigned i = 0; i < 6; i++) {
		size_t n = strspn(text, "0123456789abcdefABCDEF");

		if (!n || n > 2 || text[n] != (i < 5 ? ':' : '\0'))
			return false;
		mac[i] = (uint8_t)strtoul(text, NULL, 16);
		any |= mac[i];
		text += n + 1;
	}
	return any && !(mac[0] & 1);
}

/* As many as vCPUs, unless said otherwise: more of them no driver would use. */
static bool config_queues(struct shell *sh, struct vm_config *cfg)
{
	unsigned max = MIN(cfg->vcpus, (unsigned)VM_NIC_QUEUES_MAX);

	for (unsigned i = 0; i < cfg->nics; i++) {
		if (!cfg->nic[i].queues)
			cfg->nic[i].queues = (uint8_t)max;
		if (cfg->nic[i].queues <= max)
			continue;
		shell_error(sh, "invalid",
			    "--net: queues=%u is more than vCPUs (--vcpus %u), or than %u",
			    cfg->nic[i].queues, cfg->vcpus, VM_NIC_QUEUES_MAX);
		return false;
	}
	return true;
}

static bool nic_queues(struct shell *sh, const char *value, struct vm_nic *n)
{
	uint64_t v;

	if (parse_u64(value, &v) || !v || v > VM_NIC_QUEUES_MAX) {
		shell_error(sh, "invalid", "--net: queues=%s is not 1 to %u", value,
			    VM_NIC_QUEUES_MAX);
		return false;
	}
	n->queues = (uint8_t)v;
	return true;
}

/* One word behind the network's name: its address, or KEY=VALUE. */
static bool nic_word(struct shell *sh, char *word, struct vm_nic *n)
{
	struct vport_rules r = { .rate_mbit = n->rate_mbit, .any_source = n->any_source };
	char *value = strchr(word, '=');

	if (!value && parse_mac(word, n->mac))
		return true;
	if (value)
		*value++ = '\0';
	if (value && !strcmp(word, "queues"))
		return nic_queues(sh, value, n);
	if (!value || (strcmp(word, "rate") && strcmp(word, "spoof"))) {
		shell_error(sh, "invalid",
			    "--net: '%s' is not aa:bb:cc:dd:ee:ff, a unicast address, queues=N, "
			    "rate=MBIT or spoof=allow",
			    word);
		return false;
	}
	if (cmd_port_rule(sh, word, value, &r))
		return false;
	n->rate_mbit = r.rate_mbit;
	n->any_source = r.any_source;
	return true;
}

static bool config_nic(struct shell *sh, const char *text, struct vm_nic *n)
{
	size_t len = strcspn(text, ",");
	char words[NIC_TEXT_MAX], *next;

	if (!len || len >= sizeof(n->network)) {
		shell_error(sh, "invalid", "--net %s: a network's name has 1 to %u characters",
			    text, (unsigned)sizeof(n->network) - 1);
		return false;
	}
	if (!copy_opt(sh, "--net", text, words, sizeof(words)))
		return false;
	memcpy(n->network, text, len);
	for (char *word = words[len] ? words + len + 1 : NULL; word; word = next) {
		next = strchr(word, ',');
		if (next)
			*next++ = '\0';
		if (!nic_word(sh, word, n))
			return false;
	}
	return true;
}

static bool config_nics(struct shell *sh, int *argc, char **argv, struct vm_config *cfg)
{
	const char *text;

	while ((text = shell_opt(argc, argv, "--net")) != NULL) {
		if (cfg->nics == VM_NICS_MAX) {
			shell_error(sh, "invalid", "more than %u of --net", VM_NICS_MAX);
			return false;
		}
		if (!config_nic(sh, text, &cfg->nic[cfg->nics]))
			return false;
		cfg->nics++;
	}
	return true;
}

/* What is started, and how: --kernel with --initrd, or --multiboot with --module. */
static bool config_boot(struct shell *sh, int *argc, char **argv, struct vm_config *cfg)
{
	const char *kernel = shell_opt(argc, argv, "--kernel");
	const char *multiboot = shell_opt(argc, argv, "--multiboot");
	const char *initrd = shell_opt(argc, argv, "--initrd");

	if (!config_modules(sh, argc, argv, cfg))
		return false;
	if (!kernel == !multiboot || (kernel && cfg->modules) || (multiboot && initrd)) {
		shell_error(
			sh, "usage",
			"either --kernel FILE (a bzImage or a PVH kernel), perhaps with --initrd "
			"FILE, or --multiboot FILE, perhaps with --module FILE, is needed");
		return false;
	}
	if (multiboot)
		cfg->boot = VM_BOOT_MULTIBOOT;
	return copy_opt(sh, "--kernel", kernel, cfg->kernel, sizeof(cfg->kernel)) &&
	       copy_opt(sh, "--multiboot", multiboot, cfg->kernel, sizeof(cfg->kernel)) &&
	       copy_opt(sh, "--initrd", initrd, cfg->initrd, sizeof(cfg->initrd)) &&
	       file_there(sh, cfg->kernel) && (!initrd || file_there(sh, cfg->initrd));
}

static bool config_cpu(struct shell *sh, int *argc, char **argv, struct vm_config *cfg)
{
	const char *cpu = shell_opt(argc, argv, "--cpu");

	cfg->baseline = cpu && !strcmp(cpu, "baseline");
	if (!cpu || cfg->baseline || !strcmp(cpu, "host"))
		return true;
	shell_error(sh, "invalid", "--cpu %s: it is host (this one's) or baseline", cpu);
	return false;
}

/* --on-panic, --on-crash, --on-watchdog. */
static bool config_policies(struct shell *sh, int *argc, char **argv, struct vm_config *cfg)
{
	cfg->on[VM_WATCHDOG] = VM_RESET;
	for (unsigned t = 0; t < VM_TROUBLES; t++) {
		char opt[24];
		const char *text;
		unsigned p = 0;

		snprintf(opt, sizeof(opt), "--on-%s", vm_trouble_name(t));
		text = shell_opt(argc, argv, opt);
		while (text && p < VM_POLICIES && strcmp(text, vm_policy_name(p)))
			p++;
		if (p == VM_POLICIES) {
			shell_error(sh, "invalid", "%s %s: it is keep, reset or stop", opt, text);
			return false;
		}
		if (text)
			cfg->on[t] = (uint8_t)p;
	}
	return true;
}

static int vm_create_cmd(struct shell *sh, int argc, char **argv)
{
	const char *mem = shell_opt(&argc, argv, "--mem");
	const char *vcpus = shell_opt(&argc, argv, "--vcpus");
	const char *cmdline = shell_opt(&argc, argv, "--cmdline");
	const char *shares = shell_opt(&argc, argv, "--shares");
	const char *pin = shell_opt(&argc, argv, "--pin");
	struct vm_config cfg = { .hyperv = shell_flag(&argc, argv, "--hyperv") };
	char why[WHY_MAX] = "";
	struct vm *vm;
	int err;

	if (!config_policies(sh, &argc, argv, &cfg) || !config_boot(sh, &argc, argv, &cfg) ||
	    !config_cpu(sh, &argc, argv, &cfg) || !config_nics(sh, &argc, argv, &cfg) ||
	    !cmd_vm_disks(sh, &argc, argv, &cfg))
		return 1;
	if (argc != 2)
		return shell_error(sh, "usage", "vm create " CREATE_ARGS);
	if (!name_is_ok(argv[1], VM_NAME_MAX))
		return shell_error(sh, "invalid",
				   "'%s' is not a name: letters, digits, - _ . up to %u", argv[1],
				   VM_NAME_MAX - 1);
	strcpy(cfg.name, argv[1]);
	if (!config_numbers(sh, mem, vcpus, &cfg) || !config_queues(sh, &cfg) ||
	    !cmd_sched_opts(sh, shares, pin, cfg.vcpus, &cfg.sched) ||
	    !copy_opt(sh, "--cmdline", cmdline, cfg.cmdline, sizeof(cfg.cmdline)))
		return 1;
	err = vm_create(&cfg, &vm, why, sizeof(why));
	if (err)
		return shell_error(sh, cmd_vm_code(err), "%s", why);
	vm_put(vm);
	if (shell_json(sh)) {
		json_object(sh, NULL);
		json_str(sh, "vm", cfg.name);
		json_str(sh, "state", vm_state_name(VM_OFF));
		json_end(sh);
	}
	return 0;
}

static const struct shell_cmd cmds[] = {
	{ "vm create", CREATE_ARGS, "define a VM; files are those under /boot/", vm_create_cmd,
	  NULL },
};

void cmd_vm_create_register(void)
{
	shell_register(cmds, ARRAY_SIZE(cmds));
}
