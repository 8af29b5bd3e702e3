/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The stream of an arriving VM's disks (dest_int.h): found by the migration's id, once the
 * VM's own stream has made the skeleton. It holds the disks open by itself, so it may outlive
 * the VM; what it was sent by then goes nowhere.
 */
#include <errno.h>
#include <stdlib.h>

#include <tern/home.h>
#include <tern/vdev.h>

#include "blk_recv.h"
#include "dest_int.h"

#define CREDIT_BYTES (8u << 20)

struct dest_disks {
	struct mig_job *j; /* with a reference; the VM's stream's */
	struct blk_receiver *r;
	unsigned nr;
	unsigned shares; /* the first of disk; files of the VM's home come behind */
	struct vdisk *share[VM_DISKS_MAX];
	struct home_coming *home; /* NULL: none comes */
	char path[HOME_FILES_MAX][VM_PATH_MAX];
	struct blk_recv_disk disk[VM_DISKS_MAX + HOME_FILES_MAX];
};

static void put(struct dest_disks *k)
{
	for (unsigned i = 0; i < k->shares; i++)
		vdisk_close(k->share[i]);
	home_coming_put(k->home);
	job_put(k->j);
	free(k);
}

/* The job's VM, with a reference, if its disks are waited for; else NULL. */
static struct vm *waits_for_disks(struct mig_job *j)
{
	unsigned long f = spin_lock(&j->lock);
	bool waits = j->vm && j->st.phase == MIG_PRECOPY && !j->disks_came;
	struct vm *vm = waits ? j->vm : NULL;

	if (vm)
		vm_get(vm);
	spin_unlock(&j->lock, f);
	return vm;
}

static int snapshot(void *disk)
{
	return vdisk_next_snapshot(disk);
}

static void add_file(struct dest_disks *k, const struct vm *vm, unsigned i, struct blkdev *dev)
{
	uint64_t id;

	(void)home_come_at(vm, i, k->path[i], &id);
	k->disk[k->nr++] = (struct blk_recv_disk){ .dev = dev, .file = k->path[i] };
}

static void open_disks(struct dest_disks *k, struct vm *vm)
{
	struct blkdev *file[HOME_FILES_MAX];

	for (unsigned i = 0; i < vm->cfg.disks; i++) {
		struct vdisk *d = vdisk_share(vm->cfg.name, i, &vm->cfg.disk[i]);

		if (d && vdisk_is_copied(d)) {
			k->disk[k->shares] = (struct blk_recv_disk){ .dev = vdisk_blk(d),
								     .number = i,
								     .bare = vdisk_is_bare(d),
								     .snapshot = snapshot,
								     .user = d };
			k->share[k->shares++] = d;
		} else if (d) {
			vdisk_close(d);
		}
	}
	k->nr = k->shares;
	for (unsigned n = home_come_files(vm, &k->home, file), i = 0; i < n; i++)
		add_file(k, vm, i, file[i]);
}

/* One stream for a job, ever: what a second would bring is not all. */
static bool attach(struct dest_disks *k)
{
	unsigned long f = spin_lock(&k->j->lock);
	bool first = !k->j->disks_came;

	if (first)
		k->j->disks_in = k->r;
	k->j->disks_came = true;
	spin_unlock(&k->j->lock, f);
	return first;
}

static struct dest_disks *find(const uint8_t id[WIRE_ID_BYTES])
{
	struct mig_job *j = job_find_wire_id(id);
	struct dest_disks *k = NULL;
	struct vm *vm = j ? waits_for_disks(j) : NULL;

	if (vm)
		k = calloc(1, sizeof(*k));
	if (k) {
		k->j = j;
		open_disks(k, vm);
	} else if (j) {
		job_put(j);
	}
	if (vm)
		vm_put(vm);
	return k;
}

int dest_on_disks(struct dest *d, const void *body, size_t len)
{
	struct wire_disks ok = { .credit = CREDIT_BYTES };
	struct dest_disks *k = find(d->id);

	(void)body;
	(void)len;
	if (!k || !k->nr) {
		if (k)
			put(k);
		return dest_refuse(d, -ENOENT, "refused",
				   "no migration of this id waits for disks here");
	}
	if (blk_receiver_new(&d->peer, k->disk, k->nr, CREDIT_BYTES, &k->r)) {
		put(k);
		return dest_refuse(d, -ENOMEM, "no-memory", "no memory for the contents of disks");
	}
	if (!attach(k)) {
		blk_receiver_free(k->r);
		put(k);
		return dest_refuse(d, -EBUSY, "refused", "its disks have a stream already");
	}
	d->disks = k;
	d->talk = T_DISKS;
	return peer_send(&d->peer, WIRE_DISKS_OK, &ok, sizeof(ok));
}

int dest_on_blocks(struct dest *d, const void *body, size_t len)
{
	struct dest_disks *k = d->disks;
	struct mig_job *j = k->j;
	struct wire_blocks b;
	unsigned long f;
	int err = wire_blocks_read(body, len, d->version, &b);

	if (!err)
		err = blk_receiver_take(k->r, &b);
	if (err == -EBADMSG)
		err = dest_refuse(d, err, "bad-stream", "a change of a disk is malformed");
	f = spin_lock(&j->lock);
	j->progress_ns = time_ns();
	j->st.disk.copied_bytes = blk_receiver_bytes(k->r);
	spin_unlock(&j->lock, f);
	return err;
}

int dest_disks_alive(struct dest *d)
{
	blk_receiver_alive(d->disks->r);
	return 0;
}

void dest_disks_end(struct dest *d)
{
	struct dest_disks *k = d->disks;
	unsigned long f = spin_lock(&k->j->lock);

	k->j->disks_in = NULL;
	spin_unlock(&k->j->lock, f);
	blk_receiver_free(k->r); /* it has said what of its disks has failed */
	put(k);
	d->disks = NULL;
	if (d->code[0])
		peer_send_text(&d->peer, WIRE_ABORT, d->code, d->why);
}

bool dest_disks_close(struct mig_job *j)
{
	unsigned long f = spin_lock(&j->lock);
	bool complete = j->disks_in && blk_receiver_close(j->disks_in);

	spin_unlock(&j->lock, f);
	return complete;
}
