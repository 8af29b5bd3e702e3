/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of a VM lies in its home, beside its description and its disks: what it is started from, as
 * far as it is below "/ds/DATASTORE/VM/". It goes where the home goes.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <tern/log.h>

#include "kernel/lib/name.h"

#include "home_int.h"

/* In a struct vm_config. */
static size_t part_at(unsigned i)
{
	if (i < 2)
		return i ? offsetof(struct vm_config, initrd) : offsetof(struct vm_config, kernel);
	return offsetof(struct vm_config, module) +
	       (i - 2) * sizeof(((struct vm_config *)0)->module[0]);
}

const char *home_part(const struct vm_config *cfg, unsigned i)
{
	return i < HOME_PARTS_MAX ? (const char *)cfg + part_at(i) : NULL;
}

const char *home_file_in(const char *path, const char *store, const char *name)
{
	char dir[2 * VM_NAME_MAX + 8];
	int n = snprintf(dir, sizeof(dir), "/ds/%s/%s/", store, name);

	return strncmp(path, dir, (size_t)n) ? NULL : path + 4 + strlen(store) + 1;
}

bool home_take_path(const char *path, char to_store[VM_NAME_MAX], char to_name[VM_NAME_MAX])
{
	char again[VM_HOME_PATH];
	const char *store = path + 4, *name = strncmp(path, "/ds/", 4) ? NULL : strchr(store, '/');
	size_t n = name ? (size_t)(name - store) : 0, m = name ? strcspn(name + 1, "/") : 0;

	if (!n || n >= VM_NAME_MAX || !m || m >= VM_NAME_MAX)
		return false;
	snprintf(to_store, n + 1, "%s", store);
	snprintf(to_name, m + 1, "%s", name + 1);
	home_file_path(to_store, to_name, again);
	return !strcmp(again, path) && name_is_ok(to_name, VM_NAME_MAX);
}

int home_rebase(struct vm_config *cfg, const char *store)
{
	char path[VM_PATH_MAX];

	for (unsigned i = 0; i < HOME_PARTS_MAX; i++) {
		const char *file = home_file_in(home_part(cfg, i), cfg->home, cfg->name);

		if (!file)
			continue;
		if (snprintf(path, sizeof(path), "/ds/%s/%s", store, file) >= (int)sizeof(path))
			return -ENAMETOOLONG;
		memcpy((char *)cfg + part_at(i), path, sizeof(path));
	}
	snprintf(cfg->home, sizeof(cfg->home), "%s", store);
	return 0;
}

void home_remove_held(const char *store, const char *name, struct ds_file *held, uint64_t id)
{
	char path[VM_HOME_PATH], aside[VM_HOME_PATH], fresh[HOME_NEW_NAME];
	int err;

	home_file_path(store, name, path);
	home_new_name(name, fresh);
	snprintf(aside, sizeof(aside), "/ds/%s/%s", store, fresh);
	err = ds_rename_held(held, home_file_in(path, store, name), fresh);
	ds_close(held);
	err = ds_remove_file(err ? path : aside, id);
	if (err && err != -ENOENT)
		log_warn("home", "%s is left behind: %s", path, ds_error_text(err));
}

bool home_remove_open(const char *path, struct ds_file *f, uint64_t id)
{
	char store[VM_NAME_MAX], name[VM_NAME_MAX];
	struct ds_lease l;

	ds_file_lease(f, &l);
	if (l.file != id || !home_take_path(path, store, name))
		return false;
	home_remove_held(store, name, f, id);
	return true;
}
