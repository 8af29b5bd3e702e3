/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMs at home on a datastore: `vm register`, `unregister`, `destroy`, `autostart`, and what
 * `vm info` says of it.
 */
#include <stdio.h>
#include <string.h>

#include <tern/home.h>
#include <tern/store.h>

#include "shell_int.h"

#define WHY_MAX 224
#define AUTOSTART_ARGS "NAME [--order N] [--delay SECONDS] [--off]"

static int said(struct shell *sh, int err, const char *why, const char *vm)
{
	if (err)
		return shell_error(sh, cmd_vm_code(err), "%s", why);
	if (shell_json(sh)) {
		json_object(sh, NULL);
		json_str(sh, "vm", vm);
		json_end(sh);
	}
	return 0;
}

static int register_cmd(struct shell *sh, int argc, char **argv)
{
	char why[WHY_MAX] = "", name[VM_NAME_MAX] = "";
	int err;

	if (argc != 2)
		return shell_error(sh, "usage", "vm register /ds/DATASTORE/VM/VM.vm");
	err = home_register(argv[1], name, why, sizeof(why));
	return said(sh, err, why, name);
}

static int unregister_cmd(struct shell *sh, int argc, char **argv)
{
	char why[WHY_MAX] = "";

	if (argc != 2)
		return shell_error(sh, "usage", "vm unregister NAME");
	return said(sh, home_unregister(argv[1], why, sizeof(why)), why, argv[1]);
}

static int destroy_cmd(struct shell *sh, int argc, char **argv)
{
	bool files = shell_flag(&argc, argv, "--files");
	char why[WHY_MAX] = "";

	if (argc != 2)
		return shell_error(sh, "usage", "vm destroy NAME [--files]");
	return said(sh, home_destroy(argv[1], files, why, sizeof(why)), why, argv[1]);
}

/* ---- autostart ---- */

struct turn {
	const char *order, *delay;
	bool off;
};

static int set_turn(struct vm_desc *d, void *arg, char *why, size_t len)
{
	const struct turn *t = arg;
	const char *order = t->off ? "0" : t->order;
	int err = 0;

	d->seen = 0; /* these two are set anew */
	if (order)
		err = vm_desc_set(d, "autostart", order, why, len);
	if (!err && t->delay)
		err = vm_desc_set(d, "autostart-delay", t->delay, why, len);
	return err;
}

static int show_turn(struct shell *sh, const char *name)
{
	struct home_info i;

	if (!home_info(name, &i))
		return shell_error(sh, "not-found", "VM %s has no home on a datastore", name);
	if (shell_json(sh)) {
		json_object(sh, NULL);
		json_str(sh, "vm", name);
		json_u64(sh, "order", i.autostart);
		json_u64(sh, "delay_s", i.autostart_delay_s);
		json_end(sh);
	} else if (i.autostart) {
		shell_printf(sh, "%s starts with its host: turn %u, %u s before the next\n", name,
			     (unsigned)i.autostart, (unsigned)i.autostart_delay_s);
	} else {
		shell_printf(sh, "%s does not start with its host\n", name);
	}
	return 0;
}

static int autostart_cmd(struct shell *sh, int argc, char **argv)
{
	struct turn t = { .order = shell_opt(&argc, argv, "--order"),
			  .delay = shell_opt(&argc, argv, "--delay"),
			  .off = shell_flag(&argc, argv, "--off") };
	struct home_info i;
	char why[WHY_MAX] = "";
	struct vm *vm;
	int err;

	if (t.off && t.order)
		return shell_error(sh, "usage", "vm autostart " AUTOSTART_ARGS);
	vm = cmd_find_vm(sh, argc, argv);
	if (!vm)
		return 1;
	vm_put(vm);
	if ((!t.order && !t.delay && !t.off) || !home_info(argv[1], &i))
		return show_turn(sh, argv[1]);
	err = home_edit(argv[1], false, set_turn, &t, why, sizeof(why));
	return err ? shell_error(sh, cmd_vm_code(err), "%s", why) : show_turn(sh, argv[1]);
}

/* ---- vm info ---- */

void cmd_vm_home_info(struct shell *sh, struct vm *vm)
{
	struct home_info i;
	bool known = vm->cfg.home[0] && home_info(vm->cfg.name, &i);

	if (shell_json(sh)) {
		json_str(sh, "home", known ? i.path : "");
		json_u64(sh, "autostart", known ? i.autostart : 0);
	} else if (known) {
		shell_printf(sh, "home     %s%s\n", i.path, i.autostart ? ", autostart" : "");
	}
}

/* ---- the table ---- */

/* Descriptions there are. */
static void offer_descriptions(struct shell *sh, int argc, char **argv)
{
	struct datastore *ds;
	struct ds_entry e;
	struct ds_info i;
	char path[VM_HOME_PATH];

	(void)argv;
	for (unsigned n = 0; argc == 2 && (ds = ds_at(n)); n++) {
		if (ds_info(ds, &i))
			continue;
		for (uint32_t cursor = 0; !ds_list(ds, &cursor, &e);) {
			size_t len = strlen(e.name);

			if (len < 4 || strcmp(e.name + len - 3, ".vm") ||
			    snprintf(path, sizeof(path), "/ds/%s/%s", i.name, e.name) >=
				    (int)sizeof(path))
				continue;
			shell_offer(sh, path);
		}
	}
}

static const struct shell_cmd cmds[] = {
	{ "vm register", "/ds/DATASTORE/VM/VM.vm", "take a VM whose description is on a datastore",
	  register_cmd, offer_descriptions },
	{ "vm unregister", "NAME", "forget a VM that is off; its files stay", unregister_cmd,
	  cmd_offer_vms },
	{ "vm destroy", "NAME [--files]",
	  "unregister a VM and remove its description; --files: all files of its home", destroy_cmd,
	  cmd_offer_vms },
	{ "vm autostart", AUTOSTART_ARGS, "whether a VM starts with its host, and when",
	  autostart_cmd, cmd_offer_vms },
};

void cmd_vm_home_register(void)
{
	shell_register(cmds, ARRAY_SIZE(cmds));
}
