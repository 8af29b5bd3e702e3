/* SPDX-License-Identifier: BSD-2-Clause */
/* What homes stand on (fake_home.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "kernel/home/home_int.h"
#include "test/unit/fake_home.h"

struct vm fake_vms[FAKE_VMS];
unsigned fake_starts;

/* ---- the registry ---- */

struct vm *vm_find(const char *name)
{
	for (unsigned i = 0; i < FAKE_VMS; i++)
		if (fake_vms[i].cfg.name[0] && !strcmp(fake_vms[i].cfg.name, name))
			return &fake_vms[i];
	return NULL;
}

void vm_get(struct vm *vm)
{
}

void vm_put(struct vm *vm)
{
}

int vm_check(const struct vm_config *cfg, char *why, size_t len)
{
	return 0;
}

int vm_create(const struct vm_config *cfg, struct vm **out, char *why, size_t len)
{
	unsigned i = 0;

	if (vm_find(cfg->name)) {
		snprintf(why, len, "there is one");
		return -EEXIST;
	}
	while (fake_vms[i].cfg.name[0])
		assert_true(++i < FAKE_VMS);
	fake_vms[i] = (struct vm){ .cfg = *cfg, .state = VM_OFF };
	*out = &fake_vms[i];
	return 0;
}

int vm_delete(struct vm *vm, char *why, size_t len)
{
	vm->cfg.name[0] = '\0';
	return 0;
}

int vm_start(struct vm *vm, char *why, size_t len)
{
	fake_starts++;
	return 0;
}

const char *vm_state_name(enum vm_state s)
{
	return "off";
}

void vm_request_reset(struct vm *vm)
{
	abort();
}

void vm_request_off(struct vm *vm, const char *reason, bool error)
{
	abort();
}

/* ---- the platform ---- */

static int nothing(struct vm *vm, char *why, size_t len)
{
	return 0;
}

static void none(struct vm *vm)
{
}

void fake_home_init(void)
{
	static const struct vm_platform base = { .acquire = nothing,
						 .release = none,
						 .destroy = none };

	for (unsigned i = 0; i < FAKE_VMS; i++)
		fake_vms[i] = (struct vm){ .state = VM_OFF };
	fake_starts = 0;
	(void)home_platform(&base);
}

void fake_home_end(void)
{
	for (unsigned i = 0; i < FAKE_VMS; i++) {
		const char *name = fake_vms[i].cfg.name;

		if (name[0] && home_find(name))
			home_forget(home_find(name));
	}
}
