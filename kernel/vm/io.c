/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest-visible access dispatch: from a port or guest-physical address to the
 * region that has it. Regions hang on vm->io; the enabled ones also stand in a
 * sorted table per space, made anew at every change and searched by halving.
 *
 * io_lock guards both. A handler runs without it, under the mutex of its
 * device when it has one; regions live as long as their VM's devices. Where
 * regions overlap (a guest may put a BAR anywhere) one of them answers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>

#include "vm_int.h"

#define IO_SPACES 2
#define IO_REGIONS_MAX 256u

struct io_table {
	unsigned count[IO_SPACES];
	struct io_region *r[IO_SPACES][IO_REGIONS_MAX];
};

int io_init(struct vm *vm)
{
	spin_init(&vm->run->io_lock, (enum lock_level)(LOCK_VDEV + 6), "guest io");
	vm->run->io_table = calloc(1, sizeof(struct io_table));
	return vm->run->io_table ? 0 : -ENOMEM;
}

void io_fini(struct vm *vm)
{
	free(vm->run->io_table);
}

static void insert(struct io_table *t, struct io_region *r)
{
	struct io_region **a = t->r[r->space];
	unsigned i = t->count[r->space];

	if (i == IO_REGIONS_MAX)
		return; /* a guest's BARs cannot reach it: devices are few */
	while (i && a[i - 1]->base > r->base) {
		a[i] = a[i - 1];
		i--;
	}
	a[i] = r;
	t->count[r->space]++;
}

static void rebuild_locked(struct vm *vm)
{
	struct io_table *t = vm->run->io_table;

	t->count[IO_PIO] = t->count[IO_MMIO] = 0;
	for (struct io_region *r = vm->io; r; r = r->next)
		if (r->enabled && r->size)
			insert(t, r);
}

void vm_io_add(struct vm *vm, struct io_region *r)
{
	unsigned long flags = spin_lock(&vm->run->io_lock);

	r->accesses = 0;
	r->next = vm->io;
	vm->io = r;
	rebuild_locked(vm);
	spin_unlock(&vm->run->io_lock, flags);
}

void vm_io_move(struct vm *vm, struct io_region *r, uint64_t base, bool enabled)
{
	unsigned long flags = spin_lock(&vm->run->io_lock);

	r->base = base;
	r->enabled = enabled;
	rebuild_locked(vm);
	spin_unlock(&vm->run->io_lock, flags);
}

void vm_io_remove(struct vm *vm, struct io_region *r)
{
	unsigned long flags = spin_lock(&vm->run->io_lock);

	for (struct io_region **at = &vm->io; *at; at = &(*at)->next)
		if (*at == r) {
			*at = r->next;
			break;
		}
	rebuild_locked(vm);
	spin_unlock(&vm->run->io_lock, flags);
}

/* The last region that begins at or below addr, if it reaches addr. */
static struct io_region *find(struct vm *vm, enum io_space space, uint64_t addr, uint64_t *off)
{
	unsigned long flags = spin_lock(&vm->run->io_lock);
	struct io_table *t = vm->run->io_table;
	unsigned lo = 0, hi = t->count[space];
	struct io_region *r = NULL;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (t->r[space][mid]->base <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo) {
		r = t->r[space][lo - 1];
		*off = addr - r->base;
		if (*off >= r->size)
			r = NULL;
	}
	spin_unlock(&vm->run->io_lock, flags);
	return r;
}

void io_read(struct vcpu *c, enum io_space space, uint64_t addr, unsigned size, uint64_t *value)
{
	uint64_t off;
	struct io_region *r = find(c->vm, space, addr, &off);

	*value = ~0ull;
	if (!r)
		return;
	r->accesses++;
	if (r->lock)
		mutex_lock(r->lock);
	r->ops->read(r->arg, c, off, size, value);
	if (r->lock)
		mutex_unlock(r->lock);
}

void io_write(struct vcpu *c, enum io_space space, uint64_t addr, unsigned size, uint64_t value)
{
	uint64_t off;
	struct io_region *r = find(c->vm, space, addr, &off);

	if (!r)
		return;
	r->accesses++;
	if (r->ops->post && r->ops->post(r->arg, off))
		return;
	if (r->lock)
		mutex_lock(r->lock);
	r->ops->write(r->arg, c, off, size, value & size_mask(size));
	if (r->lock)
		mutex_unlock(r->lock);
}
