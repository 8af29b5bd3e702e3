/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Tab offers behind migrate, svmotion and migrate resolve, by the words that are there.
 */
// SOURCES: kernel/shell/cmd_move_offer.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <tern/bootinfo.h>
#include <tern/store.h>
#include <tern/vm.h>

#include "kernel/shell/cmd_mig.h"
#include "kernel/shell/shell_int.h"

static struct vm vm;
static char offered[512];
static int references;

void shell_offer(struct shell *sh, const char *candidate)
{
	strcat(strcat(offered, candidate), " ");
}

void cmd_offer_vms(struct shell *sh, int argc, char **argv)
{
	shell_offer(sh, "VMS");
}

struct vm *vm_find(const char *name)
{
	if (strcmp(name, "g"))
		return NULL;
	references++;
	return &vm;
}

void vm_put(struct vm *v)
{
	references--;
}

struct datastore *ds_at(unsigned index)
{
	return index < 2 ? (struct datastore *)(uintptr_t)(index + 1) : NULL;
}

int ds_info(struct datastore *ds, struct ds_info *out)
{
	strcpy(out->name, (uintptr_t)ds == 1 ? "nv" : "sata");
	return 0;
}

const char *config_key_at(unsigned index)
{
	static const char *const keys[] = { "hostname", "host.b", "log", "host.far" };

	return index < ARRAY_SIZE(keys) ? keys[index] : NULL;
}

bool cmd_holds_at(enum mig_phase p, bool storage)
{
	return p == (storage ? MIG_SWITCH : MIG_GO);
}

const char *mig_phase_name(enum mig_phase p)
{
	return p == MIG_SWITCH ? "switch" : "go";
}

typedef void offer_fn(struct shell *sh, int argc, char **argv);

/* The last word is the one that is begun; what is offered for it. */
static const char *behind(offer_fn *fn, const char *line)
{
	char copy[128], *argv[16], *save = NULL;
	int argc = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	offered[0] = '\0';
	fn(NULL, argc, argv);
	assert_int_equal(references, 0);
	return offered;
}

static void places(void **state)
{
	assert_string_equal(behind(cmd_offer_svmotion, "svmotion ?"), "VMS ");
	assert_string_equal(behind(cmd_offer_svmotion, "svmotion none ?"), "VMS ");
	assert_string_equal(behind(cmd_offer_svmotion, "svmotion g ?"), "nv sata ");
	assert_string_equal(behind(cmd_offer_svmotion, "svmotion g --cbt ?"), "nv sata ");
	assert_string_equal(behind(cmd_offer_svmotion, "svmotion g nv ?"), "");
	assert_string_equal(behind(cmd_offer_migrate, "migrate ?"), "VMS ");
	assert_string_equal(behind(cmd_offer_migrate, "migrate g ?"), "localhost b far ");
	assert_string_equal(behind(cmd_offer_migrate, "migrate g b ?"), "");
	assert_string_equal(behind(cmd_offer_resolve, "resolve ?"), "VMS ");
	assert_string_equal(behind(cmd_offer_resolve, "resolve g ?"), "here there ");
	assert_string_equal(behind(cmd_offer_resolve, "resolve g here ?"), "");
}

static void values(void **state)
{
	vm.cfg.disks = 2;
	assert_string_equal(behind(cmd_offer_svmotion, "svmotion g --disk ?"),
			    "0=nv 0=sata 1=nv 1=sata ");
	assert_string_equal(behind(cmd_offer_svmotion, "svmotion --disk ?"), "");
	assert_string_equal(behind(cmd_offer_migrate, "migrate g b --disks ?"), "nv sata ");
	assert_string_equal(behind(cmd_offer_migrate, "migrate g b --hold ?"), "go ");
	assert_string_equal(behind(cmd_offer_svmotion, "svmotion g --hold ?"), "switch ");
	assert_string_equal(behind(cmd_offer_svmotion, "svmotion g --bw ?"), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places),
		cmocka_unit_test(values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
