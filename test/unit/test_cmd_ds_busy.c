/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What `datastore umount` says of a datastore that is in use: which move, or that VMs are.
 */
// SOURCES: kernel/shell/cmd_ds_busy.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <tern/mig.h>
#include <tern/vm.h>

#include "kernel/shell/cmd_ds.h"
#include "kernel/shell/cmd_mig.h"
#include "kernel/shell/shell_int.h"

static const char vms[] = "busy files of nv are open: stop the VMs";
static const char move[] = "busy job 7 moves g, with files of nv: ";
static struct mig_status job[2];
static struct vm vm;
static unsigned references;
static char said[256];

/* ---- the rooms around ---- */

int shell_error(struct shell *sh, const char *code, const char *fmt, ...)
{
	int n = snprintf(said, sizeof(said), "%s ", code);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(said + n, sizeof(said) - (size_t)n, fmt, ap);
	va_end(ap);
	return 1;
}

bool mig_next(uint32_t *cursor, struct mig_status *s)
{
	if (*cursor == ARRAY_SIZE(job))
		return false;
	*s = job[(*cursor)++];
	return true;
}

bool cmd_job_ended(const struct mig_status *s)
{
	return s->phase == MIG_DONE;
}

struct vm *vm_find(const char *name)
{
	if (strcmp(name, vm.cfg.name))
		return NULL;
	references++;
	return &vm;
}

void vm_put(struct vm *v)
{
	references--;
}

/* ---- the tests ---- */

static void says(const char *expect)
{
	assert_int_equal(cmd_ds_busy(NULL, "nv"), 1);
	assert_memory_equal(said, expect, strlen(expect));
	assert_int_equal(references, 0);
}

static int begin(void **state)
{
	job[0] = (struct mig_status){ .id = 6, .vm = "g", .storage = true, .phase = MIG_DONE };
	job[1] = (struct mig_status){ .id = 7, .vm = "g", .storage = true, .phase = MIG_COPY };
	strcpy(job[0].disk.to, "nv");
	strcpy(job[1].disk.to, "sata");
	vm = (struct vm){ .cfg.name = "g", .cfg.disks = 2 };
	strcpy(vm.cfg.disk[0].path, "disk1");
	strcpy(vm.cfg.disk[1].path, "/ds/nvme/g.disk");
	return 0;
}

static void its_target(void **state)
{
	says(vms);
	strcpy(job[1].disk.to, "nv");
	says(move);
	job[1].storage = false; /* one of that name there, on another host */
	says(vms);
}

static void its_source(void **state)
{
	strcpy(vm.cfg.disk[1].path, "/ds/nv/g.disk");
	says(move);
	job[1].phase = MIG_DONE;
	says(vms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(its_target, begin),
		cmocka_unit_test_setup(its_source, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
