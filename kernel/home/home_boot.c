/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * After a boot: descriptions on the datastores that are mounted, whose host this is, are
 * registered; those that say `autostart = N` are started, in the order of N, each its delay
 * after the one before. One that another host runs by now is refused by its lease, and logged.
 * When a datastore is mounted later all of them are looked through again, for it may tell which of
 * two descriptions on others counts. Nothing is started then: its turn was at the boot.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/bootinfo.h>
#include <tern/log.h>
#include <tern/timer.h>

#include "kernel/lib/name.h"

#include "home_int.h"

#define STARTS_MAX 64u

struct start {
	char name[VM_NAME_MAX];
	uint32_t turn, delay_s;
};
struct starts {
	struct vm_desc d; /* too large for the stack */
	unsigned nr;
	struct start start[STARTS_MAX];
};

/* "VM/VM.vm" */
static bool is_description(const char *file, char name[VM_NAME_MAX])
{
	size_t n = strcspn(file, "/");
	char again[2 * VM_NAME_MAX + 8];

	if (!n || n >= VM_NAME_MAX || !file[n])
		return false;
	memcpy(name, file, n);
	name[n] = '\0';
	snprintf(again, sizeof(again), "%s/%s.vm", name, name);
	return !strcmp(again, file) && name_is_ok(name, VM_NAME_MAX);
}

static void note_start(struct starts *s, const struct vm_desc *d)
{
	struct start *to = &s->start[s->nr];

	if (!d->autostart || s->nr == STARTS_MAX)
		return;
	*to = (struct start){ .turn = d->autostart, .delay_s = d->autostart_delay_s };
	memcpy(to->name, d->cfg.name, sizeof(to->name));
	s->nr++;
}

/* Is it here already, or does a move of this host have to do with it just now? */
static bool is_known(const char *name, const char *store)
{
	struct vm *vm = vm_find(name);
	struct home *h = home_find(name);
	bool moves = h && (h->moves || h->carried || h->coming);
	bool here = vm && !strcmp(vm->cfg.home, store);

	if (vm)
		vm_put(vm);
	return moves || here;
}

static void consider(struct starts *s, const char *store, const char *name)
{
	struct vm_desc *d = &s->d;
	char why[224];
	uint64_t file;
	int err;

	if (is_known(name, store))
		return;
	vm_desc_init(d);
	snprintf(d->cfg.name, sizeof(d->cfg.name), "%s", name);
	snprintf(d->cfg.home, sizeof(d->cfg.home), "%s", store);
	err = home_load(d, &file, why, sizeof(why));
	if ((!err || err == -ESTALE) && strcmp(d->host, ds_host_self()->name))
		return;
	if (err == -ESTALE) { /* this host crashed while the home moved */
		mutex_lock(&home_edit_lock);
		home_clear_former(d);
		mutex_unlock(&home_edit_lock);
		return;
	}
	if (!err ||
	    (err == -EAGAIN && d->moving.host[0] && !strcmp(d->host, ds_host_self()->name))) {
		mutex_lock(&home_edit_lock);
		err = home_register_locked(d, file, why, sizeof(why));
		mutex_unlock(&home_edit_lock);
	}
	if (err) {
		log_warn("home", "%s on %s is not registered: %s", name, store, why);
		return;
	}
	log_info("home", "%s on %s is registered", name, store);
	note_start(s, d);
}

static void look_through(struct starts *s, struct datastore *ds)
{
	char name[VM_NAME_MAX];
	struct ds_entry e;
	struct ds_info i;

	if (ds_info(ds, &i))
		return;
	for (uint32_t cursor = 0; !ds_list(ds, &cursor, &e);)
		if (!home_remove_left(ds, &e) && is_description(e.name, name))
			consider(s, i.name, name);
}

static int by_turn(const void *a, const void *b)
{
	const struct start *x = a, *y = b;

	return x->turn != y->turn ? (x->turn < y->turn ? -1 : 1) : strcmp(x->name, y->name);
}

static void start_all(struct starts *s)
{
	char why[224];

	qsort(s->start, s->nr, sizeof(s->start[0]), by_turn);
	for (unsigned i = 0; i < s->nr; i++) {
		if (home_start(s->start[i].name, why, sizeof(why)))
			log_error("home", "%s is not started: %s", s->start[i].name, why);
		else
			log_info("home", "%s is started, as its description says",
				 s->start[i].name);
		if (i + 1 < s->nr)
			world_sleep_ns(s->start[i].delay_s * NSEC_PER_SEC);
	}
}

static struct starts *register_all(void)
{
	struct starts *s = calloc(1, sizeof(*s));
	struct datastore *ds;

	if (!s)
		log_error("home", "no memory to register VMs: see 'vm register'");
	for (unsigned i = 0; s && (ds = ds_at(i)); i++)
		look_through(s, ds);
	return s;
}

void home_boot(void)
{
	const char *which = config_get("autostart");
	struct starts *s = register_all();

	if (s && (!which || strcmp(which, "no")))
		start_all(s);
	free(s);
}

void home_mounted(void)
{
	free(register_all());
}
