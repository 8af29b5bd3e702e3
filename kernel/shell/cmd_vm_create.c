/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `vm create`: its options are keys of a VM's description (home.h), which reads their
 * values. Nothing is made before all are right.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/bootinfo.h>
#include <tern/home.h>
#include <tern/vm.h>

#include "cmd_ds.h"
#include "kernel/lib/name.h"

#include "shell_int.h"

#define WHY_MAX 224
#define CREATE_ARGS                                                                                \
	"NAME --kernel FILE [--initrd FILE] | --firmware FILE | --multiboot FILE "                 \
	"[--module FILE]... [--home DATASTORE] [--mem SIZE] "                                      \
	"[--vcpus N] [--cpu host|baseline] [--shares N] [--pin LIST] [--hyperv] [--on-panic "      \
	"POLICY] "                                                                                 \
	"[--on-crash POLICY] [--on-watchdog POLICY] "                                              \
	"[--net NETWORK[,MAC][,queues=N][,rate=MBIT][,spoof=allow]]... "                           \
	"[--disk PATH[,ro][,iops=N][,mbps=N][,serial=TEXT][,mode=MODE]]... [--cmdline TEXT]"

/* What the keys' readers refuse; 1. */
static int refused(struct shell *sh, int err, const char *dashes, const char *why)
{
	return shell_error(sh, err == -EPROTO ? "usage" : "invalid", "%s%s", dashes, why);
}

static bool file_there(struct shell *sh, const char *name)
{
	struct datastore *ds;
	struct ds_entry e;
	const char *file;
	int err;

	if (!name[0] || bootfs_find(name))
		return true;
	if (strncmp(name, "/ds/", 4)) {
		shell_error(sh, "not-found",
			    "no file '%s': 'host files' lists what was found at start; files of "
			    "datastores are /ds/DATASTORE/FILE",
			    name);
		return false;
	}
	if (cmd_ds_path(sh, name, &ds, &file))
		return false;
	err = ds_stat(ds, file, &e);
	return !err || !cmd_ds_error(sh, name, err);
}

static bool files_there(struct shell *sh, const struct vm_config *cfg)
{
	for (unsigned i = 0; i < cfg->modules; i++)
		if (!file_there(sh, cfg->module[i]))
			return false;
	return file_there(sh, cfg->kernel) && file_there(sh, cfg->initrd);
}

/* One key's options, all of them; false with the error said. */
static bool take_option(struct shell *sh, int *argc, char **argv, const char *key, bool flag,
			struct vm_desc *d)
{
	char option[32], why[WHY_MAX];
	const char *value;
	int err;

	snprintf(option, sizeof(option), "--%s", key);
	for (;;) {
		value = flag ? NULL : shell_opt(argc, argv, option);
		if (flag && shell_flag(argc, argv, option))
			value = "yes";
		if (!value)
			return true;
		err = vm_desc_set(d, key, value, why, sizeof(why));
		if (err) {
			refused(sh, err, "--", why);
			return false;
		}
	}
}

static bool take_options(struct shell *sh, int *argc, char **argv, struct vm_desc *d)
{
	const char *key;
	bool option, flag;

	for (unsigned i = 0; (key = vm_desc_key(i, &option, &flag)); i++)
		if (option && !take_option(sh, argc, argv, key, flag, d))
			return false;
	return true;
}

static int make(struct shell *sh, struct vm_desc *d)
{
	char why[WHY_MAX] = "";
	struct vm *vm;
	int err = vm_desc_check(d, why, sizeof(why));

	if (err)
		return refused(sh, err, "", why);
	if (!files_there(sh, &d->cfg))
		return 1;
	err = d->cfg.home[0] ? home_create(d, why, sizeof(why))
			     : vm_create(&d->cfg, &vm, why, sizeof(why));
	if (err)
		return shell_error(sh, cmd_vm_code(err), "%s", why);
	if (!d->cfg.home[0])
		vm_put(vm);
	if (shell_json(sh)) {
		json_object(sh, NULL);
		json_str(sh, "vm", d->cfg.name);
		json_str(sh, "state", vm_state_name(VM_OFF));
		json_end(sh);
	}
	return 0;
}

/* Known before the keys: paths may begin at it. Options may stand before the name. */
static bool take_place(struct shell *sh, const char *home, const char *name, struct vm_desc *d)
{
	if (!name_is_ok(name, VM_NAME_MAX)) {
		shell_error(sh, "invalid", "'%s' is not a name: letters, digits, - _ . up to %u",
			    name, VM_NAME_MAX - 1);
		return false;
	}
	if (home && !name_is_ok(home, sizeof(d->cfg.home))) {
		shell_error(sh, "invalid", "--home %s: it is the name of a datastore", home);
		return false;
	}
	strcpy(d->cfg.name, name);
	strcpy(d->cfg.home, home ? home : "");
	return true;
}

static int create(struct shell *sh, int argc, char **argv, struct vm_desc *d)
{
	const char *shares = shell_opt(&argc, argv, "--shares");
	const char *pin = shell_opt(&argc, argv, "--pin");
	const char *home = shell_opt(&argc, argv, "--home");
	int at;

	vm_desc_init(d);
	at = shell_options_end(CREATE_ARGS, argc, argv);
	if (at < argc && !take_place(sh, home, argv[at], d))
		return 1;
	if (!take_options(sh, &argc, argv, d))
		return 1;
	if (argc != 2)
		return shell_error(sh, "usage", "vm create " CREATE_ARGS);
	if (!cmd_sched_opts(sh, shares, pin, d->cfg.vcpus, &d->cfg.sched))
		return 1;
	return make(sh, d);
}

static int vm_create_cmd(struct shell *sh, int argc, char **argv)
{
	struct vm_desc *d = malloc(sizeof(*d));
	int status;

	if (!d)
		return shell_error(sh, "no-memory", "the host has no memory for it");
	status = create(sh, argc, argv, d);
	free(d);
	return status;
}

static const struct shell_cmd cmds[] = {
	{ "vm create", CREATE_ARGS, "define a VM; files are those of /boot/ and of datastores",
	  vm_create_cmd, NULL },
};

void cmd_vm_create_register(void)
{
	shell_register(cmds, ARRAY_SIZE(cmds));
}
