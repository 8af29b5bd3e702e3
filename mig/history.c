/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory of ended incoming migrations (history.h), oldest first.
 *
 * Policy: only copies that had said READY are put in, because only their sources can
 * be in doubt; nobody fills the table by offers alone. When it is full the oldest
 * outcome is dropped whose VM is not here any more. So the id that brought a VM is
 * known as long as the VM is here, and the latest of the others, more than 900 of
 * them: a host has far fewer VMs than the table has places.
 */
#include <string.h>

#include <tern/lock.h>

#include "history.h"

static struct {
	struct mutex lock; /* guards the rest */
	unsigned count;
	struct outcome {
		struct wire_verdict v;
		bool here; /* its VM is; true only during drop_oldest_locked */
	} at[HISTORY_MAX];
} history;

void history_init(void)
{
	mutex_init(&history.lock, LOCK_MIG, "mig history");
	history.count = 0;
}

static struct outcome *find_locked(const uint8_t id[WIRE_ID_BYTES])
{
	for (unsigned i = 0; i < history.count; i++)
		if (!memcmp(history.at[i].v.id, id, WIRE_ID_BYTES))
			return &history.at[i];
	return NULL;
}

static void mark_locked(void *arg, struct vm *vm)
{
	struct outcome *o = find_locked(vm->came_by);

	(void)arg;
	if (o)
		o->here = true;
}

static void drop_oldest_locked(void)
{
	unsigned i = 0;

	for (unsigned k = 0; k < history.count; k++)
		history.at[k].here = false;
	vm_for_each(mark_locked, NULL);
	while (i < history.count - 1 && history.at[i].here)
		i++;
	history.count--;
	memmove(&history.at[i], &history.at[i + 1], (history.count - i) * sizeof(history.at[0]));
}

void history_add(const struct wire_verdict *v)
{
	struct outcome *o;

	mutex_lock(&history.lock);
	o = find_locked(v->id);
	if (!o) {
		if (history.count == HISTORY_MAX)
			drop_oldest_locked();
		o = &history.at[history.count++];
	}
	o->v = *v;
	mutex_unlock(&history.lock);
}

bool history_find(struct wire_verdict *v)
{
	struct outcome *o;

	mutex_lock(&history.lock);
	o = find_locked(v->id);
	if (o)
		*v = o->v;
	mutex_unlock(&history.lock);
	return o != NULL;
}
