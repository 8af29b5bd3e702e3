/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's devices as a list: set-up by the models (device.h), and what a
 * migration does with all of them: vdevs_quiesce, vdevs_save on the source;
 * vdevs_check, vdevs_load on the destination; vdevs_resume on whichever runs
 * on. The vCPUs are parked during all of these.
 *
 * Order: devices were appended as they were created, and are quiesced, saved
 * and resumed in that order. A failed quiesce resumes those already quiet.
 */
#include <errno.h>

#include "device.h"

void vdev_init(struct vdev *d, struct vm *vm, const struct vdev_ops *ops, enum rec_type first,
	       enum rec_type last, uint16_t instance)
{
	struct vdev **at = &vm->devs;

	d->ops = ops;
	d->vm = vm;
	mutex_init(&d->lock, LOCK_VDEV, ops->name);
	d->instance = instance;
	d->rec_first = (uint16_t)first;
	d->rec_last = (uint16_t)last;
	d->next = NULL;
	while (*at)
		at = &(*at)->next;
	*at = d;
}

void vdev_region(struct vdev *d, struct io_region *r, enum io_space space, uint64_t base,
		 uint64_t size, const struct io_ops *ops, struct mutex *lock)
{
	r->space = space;
	r->base = base;
	r->size = size;
	r->enabled = base != 0;
	r->ops = ops;
	r->arg = d;
	r->lock = lock;
	r->name = d->ops->name;
	vm_io_add(d->vm, r);
}

void vdevs_reset(struct vm *vm)
{
	for (struct vdev *d = vm->devs; d; d = d->next)
		if (d->ops->reset)
			d->ops->reset(d);
}

void vdevs_destroy(struct vm *vm)
{
	while (vm->devs) {
		struct vdev **at = &vm->devs;
		struct vdev *last;

		while ((*at)->next)
			at = &(*at)->next;
		last = *at;
		*at = NULL;
		if (last->ops->destroy)
			last->ops->destroy(last);
	}
}

static void resume_until(struct vm *vm, const struct vdev *end)
{
	for (struct vdev *d = vm->devs; d && d != end; d = d->next)
		if (d->ops->resume)
			d->ops->resume(d);
}

int vdevs_quiesce(struct vm *vm, uint64_t deadline_ns)
{
	for (struct vdev *d = vm->devs; d; d = d->next) {
		int rc = d->ops->quiesce ? d->ops->quiesce(d, deadline_ns) : 0;

		if (rc) {
			resume_until(vm, d);
			return rc;
		}
	}
	return 0;
}

void vdevs_resume(struct vm *vm)
{
	resume_until(vm, NULL);
}

void vdevs_save(struct vm *vm, struct rec_writer *w)
{
	for (struct vdev *d = vm->devs; d; d = d->next)
		if (d->ops->save)
			d->ops->save(d, w);
}

static struct vdev *find(struct vm *vm, const struct rec_header *h)
{
	for (struct vdev *d = vm->devs; d; d = d->next)
		if (h->type >= d->rec_first && h->type <= d->rec_last && h->instance == d->instance)
			return d;
	return NULL;
}

int vdevs_check(struct vm *vm, struct rec_reader *r)
{
	struct vdev *d = find(vm, &r->head);

	if (!d || !d->ops->check)
		return -ENOENT;
	return d->ops->check(d, r) ? -EBADMSG : 0;
}

int vdevs_load(struct vm *vm, struct rec_reader *r)
{
	struct vdev *d = find(vm, &r->head);

	if (!d || !d->ops->load)
		return -ENOENT;
	return d->ops->load(d, r) ? -EBADMSG : 0;
}
