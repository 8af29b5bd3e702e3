/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The datastores that this host has mounted, by name.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kernel/store/ds_int.h"

#define MOUNTS_MAX 16u

static struct datastore *mounts[MOUNTS_MAX]; /* [mounts_lock] without gaps */
static struct spinlock mounts_lock = SPINLOCK_INIT(LOCK_STORE, "mounts");

static bool is_mounted(const char *name)
{
	for (unsigned i = 0; i < MOUNTS_MAX && mounts[i]; i++)
		if (!strcmp(mounts[i]->super.name, name))
			return true;
	return false;
}

static int add(struct datastore *ds)
{
	unsigned long flags = spin_lock(&mounts_lock);
	int err = is_mounted(ds->super.name) ? -EEXIST : -EMFILE;

	for (unsigned i = 0; i < MOUNTS_MAX && err == -EMFILE; i++) {
		if (mounts[i])
			continue;
		mounts[i] = ds;
		err = 0;
	}
	spin_unlock(&mounts_lock, flags);
	return err;
}

static void take_out(const struct datastore *ds)
{
	unsigned long flags = spin_lock(&mounts_lock);
	unsigned to = 0;

	for (unsigned i = 0; i < MOUNTS_MAX; i++)
		if (mounts[i] && mounts[i] != ds)
			mounts[to++] = mounts[i];
	while (to < MOUNTS_MAX)
		mounts[to++] = NULL;
	spin_unlock(&mounts_lock, flags);
}

struct datastore *ds_at(unsigned index)
{
	unsigned long flags = spin_lock(&mounts_lock);
	struct datastore *ds = index < MOUNTS_MAX ? mounts[index] : NULL;

	spin_unlock(&mounts_lock, flags);
	return ds;
}

struct datastore *ds_find(const char *name)
{
	struct datastore *ds;

	for (unsigned i = 0; (ds = ds_at(i)); i++)
		if (!strcmp(ds->super.name, name))
			return ds;
	return NULL;
}

static int claim(struct blkdev *dev, const char *name, enum ds_mount_mode mode)
{
	char who[BLK_OWNER];

	snprintf(who, sizeof(who), "datastore %s", name);
	return blk_claim(dev, who, mode == DS_MOUNT_WRITE);
}

/* The name is asked for before, so that a second of the same name waits for no slot; and after. */
int ds_mount(struct blkdev *dev, const struct ds_host *host, enum ds_mount_mode mode,
	     struct datastore **out)
{
	char name[DS_NAME];
	int err = ds_probe(dev, name);

	if (!err && ds_find(name))
		err = -EEXIST;
	if (!err)
		err = claim(dev, name, mode);
	if (err)
		return err;
	err = ds_attach(dev, host, mode, out);
	if (err)
		goto disclaim;
	err = add(*out);
	if (!err)
		return 0;
	ds_detach(*out);
disclaim:
	blk_disclaim(dev);
	return err;
}

int ds_unmount(struct datastore *ds)
{
	unsigned long flags = spin_lock(&ds->lock);
	struct blkdev *dev = ds->dev;
	bool open = ds->files;

	spin_unlock(&ds->lock, flags);
	if (open)
		return -EBUSY;
	take_out(ds);
	ds_detach(ds);
	blk_disclaim(dev);
	return 0;
}
