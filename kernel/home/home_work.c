/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What commands about VMs at home have in common (home_int.h): the edit lock with room for two
 * descriptions, which do not fit a stack; reading and writing the description of a VM that is
 * known here; whose it is at the next boot.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>

#include "kernel/lib/name.h"

#include "home_int.h"

struct mutex home_edit_lock;

struct home_work *home_begin(char *why, size_t len)
{
	struct home_work *w = malloc(sizeof(*w));

	if (w)
		mutex_lock(&home_edit_lock);
	else
		snprintf(why, len, "the host has no memory for it");
	return w;
}

void home_end(struct home_work *w)
{
	mutex_unlock(&home_edit_lock);
	free(w);
}

struct vm *home_vm(const char *name, char *why, size_t len)
{
	struct vm *vm = vm_find(name);

	if (!vm)
		snprintf(why, len, "no VM '%s' here: 'vm list' shows those that are", name);
	return vm;
}

bool home_vm_is_off(const struct vm *vm)
{
	return !vm->mig && (vm->state == VM_OFF || vm->state == VM_STOPPED_ERROR);
}

static const char *doing(const struct vm *vm)
{
	return vm->doing ? vm->doing : "being moved ('tasks' shows it)";
}

int home_refuse_unless_off(const struct vm *vm, char *why, size_t len)
{
	if (home_vm_is_off(vm))
		return 0;
	if (vm->mig)
		snprintf(why, len, "VM %s is %s: try again when that is over", vm->cfg.name,
			 doing(vm));
	else
		snprintf(why, len, "VM %s is %s: this needs it off ('vm stop %s')", vm->cfg.name,
			 vm_state_name(vm->state), vm->cfg.name);
	return -EBUSY;
}

/* Its description, or the lease of that, may be on its way to another host, or from there. */
int home_refuse_moving(const struct home *h, const struct vm *vm, char *why, size_t len)
{
	if (!h->moves && !h->carried && !h->coming)
		return 0;
	snprintf(why, len, "VM %s is %s: try again when that is over", vm->cfg.name, doing(vm));
	return -EBUSY;
}

const char *home_own_name(void)
{
	const char *name = ds_host_self()->name;

	return name_is_ok(name, sizeof(ds_host_self()->name)) ? name : "";
}

int home_save(struct home *h, struct vm_desc *d, char *why, size_t len)
{
	int err;

	mutex_lock(&h->lock);
	err = home_save_locked(h, d, why, len);
	if (!err)
		home_note(h, d, h->file);
	mutex_unlock(&h->lock);
	return err;
}

static void begin_read(const struct home *h, struct vm_desc *d)
{
	vm_desc_init(d);
	snprintf(d->cfg.name, sizeof(d->cfg.name), "%s", h->name);
	snprintf(d->cfg.home, sizeof(d->cfg.home), "%s", h->store);
}

int home_read_text(const struct home *h, struct vm_desc *d, uint64_t *file, char *why, size_t len)
{
	begin_read(h, d);
	return home_load_text(d, file, why, len);
}

static bool is_held(struct home *h)
{
	bool held;

	mutex_lock(&h->lock);
	held = h->held;
	mutex_unlock(&h->lock);
	return held;
}

/* Who has its lease knows that no other host runs it, before the description says so. */
int home_read(struct home *h, struct vm_desc *d, uint64_t *file, char *why, size_t len)
{
	int err = home_read_text(h, d, file, why, len);

	if (!err)
		err = home_counts(d, why, len);
	if (!err && is_held(h))
		d->moving = (struct home_mark){ .host = "" };
	return err ? err : home_refuse_unsettled(d, why, len);
}

/*
 * Whose the VM is at that host's next boot. What fails, because another runs it, is no harm. The
 * mark of a move that came to nothing goes too: where it was going may not be there for ever.
 */
static void claim_host(struct home *h, struct vm_desc *d, const char *host)
{
	bool marked = d->moves_to[0] || d->moving.host[0];
	char why[192];

	if (home_counts(d, why, sizeof(why)) || (!marked && !strcmp(d->host, host)))
		return;
	d->moving = (struct home_mark){ .host = "" };
	snprintf(d->host, sizeof(d->host), "%s", host);
	if (home_save(h, d, why, sizeof(why)))
		log_info("home", "%s: its host is not noted: %s", h->name, why);
}

void home_claim_host(struct home *h, struct vm_desc *d, const char *host)
{
	char why[192];
	uint64_t file;

	if (!home_read_text(h, d, &file, why, sizeof(why)) && !d->moving.host[0])
		claim_host(h, d, host);
}

void home_claim_settled(struct home *h, struct vm_desc *d, const char *host)
{
	char why[192];
	uint64_t file;

	if (!home_read_text(h, d, &file, why, sizeof(why)))
		claim_host(h, d, host);
}

void home_claim(struct vm *vm)
{
	char why[192];
	struct home_work *w = home_begin(why, sizeof(why));
	struct home *h = w && vm_is_registered(vm) ? home_find(vm->cfg.name) : NULL;
	uint64_t file;

	if (h && !h->carried && !home_read_text(h, &w->d, &file, why, sizeof(why))) {
		mutex_lock(&h->lock);
		home_note(h, &w->d, h->file);
		mutex_unlock(&h->lock);
		claim_host(h, &w->d, home_own_name());
	}
	if (w)
		home_end(w);
}
