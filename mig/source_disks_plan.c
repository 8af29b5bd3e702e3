/* SPDX-License-Identifier: BSD-2-Clause */
/* Which disks go to the destination with their VM, and where (source_disks.h). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/store.h>

#include "smove.h"
#include "source_disks.h"

static const char *target_of(const struct mig_disks *r, const struct vm_disk *d, unsigned i)
{
	if (r->to[i][0])
		return r->to[i];
	return d->read_only || d->mode == VM_DISK_NONPERSISTENT ? "" : r->all;
}

/* A file keeps its name; a whole disk becomes one of the VM's. */
static bool path_there(const struct vm_config *cfg, unsigned i, const char *ds,
		       char to[VM_DISK_PATH_MAX])
{
	const char *file;
	char here[32];
	int n;

	if (smove_split(cfg->disk[i].path, here, &file))
		n = snprintf(to, VM_DISK_PATH_MAX, "/ds/%s/%s", ds, file);
	else
		n = snprintf(to, VM_DISK_PATH_MAX, "/ds/%s/%s/%s.disk", ds, cfg->name,
			     cfg->disk[i].path);
	return n < VM_DISK_PATH_MAX;
}

static bool is_flat(const struct vm_disk *d)
{
	struct datastore *ds;
	struct ds_entry e;
	const char *name;

	return !ds_path(d->path, &ds, &name) && !ds_stat(ds, name, &e) && e.kind == DS_KIND_FLAT;
}

int source_disks_plan(struct source *s)
{
	const struct vm_config *cfg = &s->j->vm->cfg;
	const struct mig_disks *r = &s->j->req.disks;

	if (r->verify && s->j->version < WIRE_VERSION_CHECKS) {
		job_error(s->j, "version",
			  "the destination speaks protocol %u and compares no disks: update it, or "
			  "leave --verify out",
			  s->j->version);
		return -ENOTSUP;
	}
	for (unsigned i = 0; i < VM_DISKS_MAX; i++) {
		const char *ds = i < cfg->disks ? target_of(r, &cfg->disk[i], i) : r->to[i];

		if (!ds[0])
			continue;
		if (i >= cfg->disks) {
			job_error(s->j, "invalid", "%s has no disk %u: 'vm info' lists them",
				  cfg->name, i);
			return -EINVAL;
		}
		s->disk[i].how = VDISK_COPIED;
		s->disk[i].thin = r->kind == MIG_DISK_THIN ||
				  (r->kind == MIG_DISK_KEEP && !is_flat(&cfg->disk[i]));
		if (!path_there(cfg, i, ds, s->disk[i].to)) {
			job_error(s->j, "invalid", "the new path of disk %u is too long", i);
			return -EINVAL;
		}
	}
	return 0;
}
