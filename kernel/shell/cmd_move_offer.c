/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Tab offers behind migrate, svmotion and migrate resolve: a VM, then where it or its disks
 * can go, and values of the options that have a few. Datastores are this host's: those of another
 * one are not known before it is asked.
 */
#include <stdio.h>
#include <string.h>

#include <tern/bootinfo.h>
#include <tern/store.h>
#include <tern/vm.h>

#include "cmd_mig.h"
#include "shell_int.h"

#define HOST_KEY "host."
#define OFFER_MAX 64u

/* With a reference; NULL: none is named before the word that is begun. */
static struct vm *named_vm(int argc, char **argv)
{
	struct vm *vm = NULL;

	for (int i = 1; i + 1 < argc && !vm; i++)
		vm = vm_find(argv[i]);
	return vm;
}

static void offer_stores(struct shell *sh, const char *before)
{
	char word[OFFER_MAX];
	struct datastore *ds;
	struct ds_info i;

	for (unsigned n = 0; (ds = ds_at(n)); n++) {
		if (ds_info(ds, &i))
			continue;
		snprintf(word, sizeof(word), "%s%s", before, i.name);
		shell_offer(sh, word);
	}
}

/* N=DATASTORE, of the VM's disks. */
static void offer_disks(struct shell *sh, struct vm *vm)
{
	char before[16];

	for (unsigned i = 0; vm && i < vm->cfg.disks; i++) {
		snprintf(before, sizeof(before), "%u=", i);
		offer_stores(sh, before);
	}
}

static void offer_phases(struct shell *sh, bool storage)
{
	for (unsigned p = 0; p < MIG_PHASES; p++)
		if (cmd_holds_at((enum mig_phase)p, storage))
			shell_offer(sh, mig_phase_name((enum mig_phase)p));
}

/* Numbers are not guessed. */
static bool takes_number(const char *option)
{
	static const char *const names[] = { "--bw", "--budget", "--batch", "--rounds" };

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(option, names[i]))
			return true;
	return false;
}

/* Is the word that is begun an option's value? Then that is offered. */
static bool offer_value(struct shell *sh, int argc, char **argv, bool storage)
{
	const char *option = argc > 2 ? argv[argc - 2] : "";
	struct vm *vm;

	if (!strcmp(option, "--disks")) {
		offer_stores(sh, "");
	} else if (!strcmp(option, "--hold")) {
		offer_phases(sh, storage);
	} else if (!strcmp(option, "--disk")) {
		vm = named_vm(argc, argv);
		offer_disks(sh, vm);
		if (vm)
			vm_put(vm);
	} else {
		return takes_number(option);
	}
	return true;
}

/* The VM, as long as there is none, and false; false too where its place is named already. */
static bool wants_place(struct shell *sh, int argc, char **argv)
{
	struct vm *vm = named_vm(argc, argv);
	unsigned words = 0;

	for (int i = 1; i + 1 < argc; i++)
		words += strncmp(argv[i], "--", 2) != 0;
	if (vm)
		vm_put(vm);
	else
		cmd_offer_vms(sh, argc, argv);
	return vm && words == 1;
}

void cmd_offer_svmotion(struct shell *sh, int argc, char **argv)
{
	if (!offer_value(sh, argc, argv, true) && wants_place(sh, argc, argv))
		offer_stores(sh, "");
}

void cmd_offer_migrate(struct shell *sh, int argc, char **argv)
{
	const char *key;

	if (offer_value(sh, argc, argv, false) || !wants_place(sh, argc, argv))
		return;
	shell_offer(sh, "localhost");
	for (unsigned i = 0; (key = config_key_at(i)); i++)
		if (!strncmp(key, HOST_KEY, strlen(HOST_KEY)))
			shell_offer(sh, key + strlen(HOST_KEY));
}

void cmd_offer_resolve(struct shell *sh, int argc, char **argv)
{
	if (!wants_place(sh, argc, argv))
		return;
	shell_offer(sh, "here");
	shell_offer(sh, "there");
}
