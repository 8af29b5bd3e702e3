/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who waits for debuggers, and where: a world for each VM that was asked for by name. It
 * serves one debugger after the other, and outlives the VM's runs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/debug.h>
#include <tern/lock.h>
#include <tern/log.h>
#include <tern/timer.h>
#include <tern/world.h>

#include "gdb_session.h"

#define SERVERS_MAX 8u
#define SERVER_STACK (64u << 10)
#define LOOK_NS NSEC_PER_SEC /* is it to end? */

struct server {
	char vm[VM_NAME_MAX]; /* empty: free */
	struct listener *listener;
	struct world *world;
	uint32_t ending; /* [atom] */
};

/* guards the names, which say whose a place is; the rest is its maker's, then its ender's */
static struct spinlock lock = SPINLOCK_INIT(LOCK_VM, "gdb servers");
static struct server servers[SERVERS_MAX];

static void serve(struct server *v, struct stream *s)
{
	struct vm *vm = vm_find(v->vm);

	if (vm) {
		gdb_session_run(vm, s, &v->ending);
		vm_put(vm);
	} else {
		log_warn("debug", "a debugger came for %s, which is not here", v->vm);
	}
	stream_close(s);
}

static void server_world(void *arg)
{
	struct server *v = arg;
	struct stream *s;

	while (!__atomic_load_n(&v->ending, __ATOMIC_ACQUIRE))
		if (!stream_accept(v->listener, time_ns() + LOOK_NS, &s))
			serve(v, s);
}

static struct server *find_locked(const char *vm)
{
	for (unsigned i = 0; i < SERVERS_MAX; i++)
		if (!strcmp(servers[i].vm, vm))
			return &servers[i];
	return NULL;
}

static int reserve(const char *vm, struct server **out)
{
	unsigned long flags = spin_lock(&lock);
	struct server *v = find_locked("");
	int err = find_locked(vm) ? -EEXIST : v ? 0 : -ENOSPC;

	if (!err)
		snprintf(v->vm, sizeof(v->vm), "%s", vm);
	spin_unlock(&lock, flags);
	*out = v;
	return err;
}

static void give_back(struct server *v)
{
	unsigned long flags = spin_lock(&lock);

	v->vm[0] = '\0';
	spin_unlock(&lock, flags);
}

int debug_gdb_begin(const char *vm, uint16_t port)
{
	struct world_opts o = {
		.name = "gdb", .prio = WORLD_NORMAL, .cpu = -1, .stack_size = SERVER_STACK
	};
	struct server *v;
	int err = reserve(vm, &v);

	if (err)
		return err;
	err = stream_listen(port, 1, &v->listener);
	if (err)
		goto give_back;
	v->ending = 0;
	err = world_create(&v->world, &o, server_world, v);
	if (!err)
		return 0;
	listener_close(v->listener);
give_back:
	give_back(v);
	return err;
}

int debug_gdb_end(const char *vm)
{
	unsigned long flags = spin_lock(&lock);
	struct server *v = *vm ? find_locked(vm) : NULL;
	bool mine = v && !v->ending && v->world;

	if (mine)
		v->ending = 1;
	spin_unlock(&lock, flags);
	if (!mine)
		return -ENOENT;
	world_join(v->world);
	v->world = NULL;
	listener_close(v->listener);
	give_back(v);
	return 0;
}
