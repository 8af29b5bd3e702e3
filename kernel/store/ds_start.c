/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * At boot: who this host is to datastores, and mounting those on its disks. A mount may
 * wait for seconds (a slot is claimed, a dead host's heartbeat watched), so a world does it.
 */
#include <errno.h>
#include <string.h>

#include <tern/bootinfo.h>
#include <tern/log.h>

#include "kernel/store/ds_int.h"

static struct ds_host self; /* [const] once the host has started */

void ds_host_set(const struct ds_host *host)
{
	self = *host;
}

const struct ds_host *ds_host_self(void)
{
	return &self;
}

static void mount_one(struct blkdev *d)
{
	char name[DS_NAME];
	struct datastore *ds;
	int err = ds_probe(d, name);

	if (err == -ENOENT)
		return;
	if (!err)
		err = ds_mount(d, &self, DS_MOUNT_WRITE, &ds);
	if (err)
		log_warn("store", "%s: datastore not mounted: %s", d->name, ds_error_text(err));
	else
		log_info("store", "%s: datastore %s mounted", d->name, name);
}

static void mount_all(void *arg)
{
	void (*mounted)(void) = (void (*)(void))arg;
	struct blkdev *d;

	for (unsigned i = 0; (d = blk_at(i)); i++)
		mount_one(d);
	mounted();
}

void ds_start(void (*mounted)(void))
{
	static const struct world_opts opts = { .name = "ds mount",
						.prio = WORLD_NORMAL,
						.cpu = -1 };
	const char *which = config_get("datastores");

	if (which && !strcmp(which, "none"))
		return;
	if (blk_at(0) && world_create(NULL, &opts, mount_all, (void *)mounted))
		log_error("store", "no memory to mount datastores: see 'datastore mount'");
}
