/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMs at home started and changed. The description is the truth: another host may have changed it
 * since this one read it, so a start and a change read it again, and a VM that is another one by
 * now is made anew.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/log.h>

#include "home_int.h"

/* ---- made anew ---- */

/* The VM as d says; what cannot be made leaves the one that was. */
static int make_anew(struct vm *vm, const struct vm_desc *d, char *why, size_t len)
{
	struct vm_config was = vm->cfg;
	char text[96];
	struct vm *fresh;
	int err = vm_delete(vm, why, len);

	if (err)
		return err;
	err = vm_create(&d->cfg, &fresh, why, len);
	if (err && vm_create(&was, &fresh, text, sizeof(text))) {
		log_error("home", "%s is forgotten: %s", was.name, text);
		return err;
	}
	vm_put(fresh);
	return err;
}

static bool is_same(struct home_work *w)
{
	snprintf(w->now.host, sizeof(w->now.host), "%s", w->d.host);
	w->now.autostart = w->d.autostart;
	w->now.autostart_delay_s = w->d.autostart_delay_s;
	memcpy(w->now.moved_from, w->d.moved_from, sizeof(w->now.moved_from));
	memcpy(w->now.moved_from_id, w->d.moved_from_id, sizeof(w->now.moved_from_id));
	return vm_desc_write(&w->d, w->text[0], VM_DESC_BYTES_MAX) > 0 &&
	       vm_desc_write(&w->now, w->text[1], VM_DESC_BYTES_MAX) > 0 &&
	       !strcmp(w->text[0], w->text[1]);
}

/* The VM, which is off, as its description is now. */
static int refresh(struct home_work *w, struct vm *vm, struct home *h, char *why, size_t len)
{
	uint64_t file;
	int err = home_read(h, &w->d, &file, why, len);

	if (err)
		return err;
	home_describe(vm, &w->now);
	if (!is_same(w)) {
		log_info("home", "%s: its description has changed", h->name);
		memcpy(w->d.cfg.sched.cpus, vm->cfg.sched.cpus, sizeof(w->d.cfg.sched.cpus));
		err = make_anew(vm, &w->d, why, len);
	}
	if (!err) {
		mutex_lock(&h->lock);
		home_note(h, &w->d, file);
		mutex_unlock(&h->lock);
	}
	return err;
}

/* ---- started ---- */

static int start_once(struct home_work *w, const char *name, char *why, size_t len)
{
	struct vm *vm = home_vm(name, why, len);
	struct home *h = vm && vm->cfg.home[0] ? home_find(name) : NULL;
	int err = vm ? 0 : -ENOENT;

	if (h && home_vm_is_off(vm)) {
		err = refresh(w, vm, h, why, len);
		vm_put(vm);
		vm = err ? NULL : home_vm(name, why, len);
	}
	if (!err)
		err = vm ? vm_start(vm, why, len) : -ENOENT;
	if (vm)
		vm_put(vm);
	if (!err && h)
		home_claim_host(h, &w->d, home_own_name());
	return err;
}

int home_start(const char *name, char *why, size_t len)
{
	int err = -ESTALE;

	for (unsigned tries = 0; tries < 3 && err == -ESTALE; tries++) {
		struct home_work *w = home_begin(why, len);

		if (!w)
			return -ENOMEM;
		err = start_once(w, name, why, len);
		home_end(w);
	}
	return err;
}

/* ---- changed ---- */

static int edit(struct home_work *w, struct vm *vm, bool anew,
		int (*fn)(struct vm_desc *d, void *arg, char *why, size_t why_len), void *arg,
		char *why, size_t len)
{
	struct home *h = vm->cfg.home[0] ? home_find(vm->cfg.name) : NULL;
	uint64_t file;
	int err = 0;

	if (anew)
		err = home_refuse_unless_off(vm, why, len);
	if (h && !err)
		err = home_refuse_moving(h, vm, why, len);
	if (h && !err)
		err = home_read(h, &w->d, &file, why, len);
	else if (!err)
		home_describe(vm, &w->d);
	if (!err)
		err = fn(&w->d, arg, why, len);
	if (!err && anew)
		err = vm_check(&w->d.cfg, why, len);
	if (!err && h)
		err = home_save(h, &w->d, why, len);
	if (!err && anew)
		err = make_anew(vm, &w->d, why, len);
	return err;
}

int home_edit(const char *name, bool anew,
	      int (*fn)(struct vm_desc *d, void *arg, char *why, size_t why_len), void *arg,
	      char *why, size_t len)
{
	struct home_work *w = home_begin(why, len);
	struct vm *vm = w ? home_vm(name, why, len) : NULL;
	int err = !w ? -ENOMEM : vm ? 0 : -ENOENT;

	if (!err)
		err = edit(w, vm, anew, fn, arg, why, len);
	if (vm)
		vm_put(vm);
	if (w)
		home_end(w);
	return err;
}
