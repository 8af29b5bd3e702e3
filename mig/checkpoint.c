/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checkpoints (checkpoint.h). Completeness is checked against the skeleton's own
 * records: each record that this host's freshly made VM would save, and that is
 * not optional, must come exactly once.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/vdev.h>

#include "checkpoint.h"

#define OFFER_VERSION 1
#define BOOT_VERSION 1

static void vm_record_save(struct vm *vm, struct rec_writer *w)
{
	rec_begin(w, REC_VM, OFFER_VERSION, 0, 0);
	rec_str(w, vm->cfg.name);
	rec_bytes(w, vm->uuid, sizeof(vm->uuid));
	rec_u64(w, vm->cfg.mem_bytes);
	rec_u32(w, vm->nr_vcpus);
	rec_u32(w, vm->tsc_khz);
	rec_str(w, vm->cfg.kernel);
	rec_str(w, vm->cfg.initrd);
	rec_str(w, vm->cfg.cmdline);
	rec_end(w);
}

/* Only what is not Linux says how it starts: a host that does not know it refuses the VM. */
static void boot_record_save(struct vm *vm, struct rec_writer *w)
{
	if (vm->cfg.boot == VM_BOOT_LINUX)
		return;
	rec_begin(w, REC_BOOT, BOOT_VERSION, 0, 0);
	rec_u32(w, vm->cfg.boot);
	rec_u32(w, vm->cfg.modules);
	for (unsigned i = 0; i < vm->cfg.modules; i++)
		rec_str(w, vm->cfg.module[i]);
	rec_end(w);
}

/* A peer's text ends in this host's log and console: nothing that a terminal would obey. */
static bool printable(const char *text)
{
	for (; *text; text++)
		if ((uint8_t)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static bool is_name(const char *name)
{
	static const char set[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

	return *name && *name != '-' && *name != '.' && !name[strspn(name, set)];
}

static int vm_record_check(struct rec_reader *r, struct offer *o)
{
	if (r->head.version != OFFER_VERSION)
		return -EBADMSG;
	rec_get_str(r, o->cfg.name, sizeof(o->cfg.name));
	rec_get_bytes(r, o->uuid, sizeof(o->uuid));
	o->cfg.mem_bytes = rec_get_u64(r);
	o->cfg.vcpus = rec_get_u32(r);
	o->tsc_khz = rec_get_u32(r);
	rec_get_str(r, o->cfg.kernel, sizeof(o->cfg.kernel));
	rec_get_str(r, o->cfg.initrd, sizeof(o->cfg.initrd));
	rec_get_str(r, o->cfg.cmdline, sizeof(o->cfg.cmdline));
	if (!is_name(o->cfg.name) || !printable(o->cfg.kernel) || !printable(o->cfg.initrd) ||
	    !printable(o->cfg.cmdline))
		return -EBADMSG;
	if (!o->cfg.mem_bytes || o->cfg.mem_bytes % SIZE_2M || !o->cfg.vcpus ||
	    o->cfg.vcpus > VM_VCPUS_MAX || !o->tsc_khz)
		return -EBADMSG;
	return rec_done(r);
}

static int boot_record_check(struct rec_reader *r, struct offer *o)
{
	uint32_t boot;

	if (r->head.version != BOOT_VERSION)
		return -EBADMSG;
	boot = rec_get_u32(r);
	o->cfg.modules = rec_get_u32(r);
	if (boot == VM_BOOT_LINUX || boot >= VM_BOOTS || o->cfg.modules > VM_MODULES_MAX)
		return -EBADMSG;
	o->cfg.boot = (enum vm_boot)boot;
	for (unsigned i = 0; i < o->cfg.modules; i++) {
		rec_get_str(r, o->cfg.module[i], sizeof(o->cfg.module[i]));
		if (!printable(o->cfg.module[i]))
			return -EBADMSG;
	}
	return rec_done(r);
}

void offer_save(struct vm *vm, struct rec_writer *w)
{
	vm_record_save(vm, w);
	boot_record_save(vm, w);
	vm_cpuid_save(vm, w);
}

int offer_check(const void *buf, size_t len, struct offer *o, char *why, size_t why_len)
{
	struct rec_reader r;
	bool vm = false, cpuid = false;
	int err;

	memset(o, 0, sizeof(*o));
	rec_reader_init(&r, buf, len);
	while ((err = rec_next(&r)) == 1) {
		if (r.head.type == REC_VM && !vm) {
			err = vm_record_check(&r, o);
			vm = true;
		} else if (r.head.type == REC_CPUID && !cpuid) {
			err = vm_cpuid_check(&r, why, why_len);
			cpuid = true;
		} else if (r.head.type == REC_BOOT && !o->cfg.boot) {
			err = boot_record_check(&r, o);
		} else {
			err = r.head.flags & REC_OPTIONAL ? 0 : -EBADMSG;
		}
		if (err)
			return err;
	}
	if (!err && (!vm || !cpuid))
		err = -EBADMSG;
	return err;
}

void checkpoint_save(struct vm *vm, struct rec_writer *w)
{
	vm_cpu_save(vm, w);
	vdevs_save(vm, w);
}

static bool is_cpu_record(uint16_t type)
{
	return type == REC_CPUID || type == REC_VCPU || type == REC_XSAVE || type == REC_TIME;
}

/* How often a record of this type and instance is in the stream. */
static unsigned occurrences(const void *buf, size_t len, const struct rec_header *h)
{
	struct rec_reader r;
	unsigned n = 0;

	rec_reader_init(&r, buf, len);
	while (rec_next(&r) == 1)
		n += r.head.type == h->type && r.head.instance == h->instance;
	return n;
}

static int check_complete(struct vm *vm, const void *buf, size_t len, char *why, size_t why_len)
{
	struct rec_writer own;
	struct rec_reader r;
	int err;

	rec_writer_init(&own);
	checkpoint_save(vm, &own);
	err = rec_finish(&own);
	rec_reader_init(&r, own.buf, own.len);
	while (!err && rec_next(&r) == 1) {
		if (r.head.flags & REC_OPTIONAL || occurrences(buf, len, &r.head) == 1)
			continue;
		snprintf(why, why_len, "record type %u instance %u is missing or comes twice",
			 (unsigned)r.head.type, (unsigned)r.head.instance);
		err = -EBADMSG;
	}
	rec_writer_fini(&own);
	return err;
}

int checkpoint_check(struct vm *vm, const void *buf, size_t len, char *why, size_t why_len)
{
	struct rec_reader r;
	int err;

	why[0] = '\0';
	rec_reader_init(&r, buf, len);
	while ((err = rec_next(&r)) == 1) {
		err = is_cpu_record(r.head.type) ? vm_cpu_check(vm, &r, why, why_len)
						 : vdevs_check(vm, &r);
		if (err == -ENOENT && r.head.flags & REC_OPTIONAL)
			continue;
		if (err) {
			if (!why[0])
				snprintf(why, why_len, "record type %u instance %u is refused (%d)",
					 (unsigned)r.head.type, (unsigned)r.head.instance, err);
			return -EBADMSG;
		}
	}
	if (err)
		return err;
	return check_complete(vm, buf, len, why, why_len);
}

int checkpoint_load(struct vm *vm, const void *buf, size_t len, int64_t clock_delta_ns)
{
	struct rec_reader r;
	int err;

	rec_reader_init(&r, buf, len);
	while ((err = rec_next(&r)) == 1) {
		err = is_cpu_record(r.head.type) ? vm_cpu_load(vm, &r, clock_delta_ns)
						 : vdevs_load(vm, &r);
		if (err && !(err == -ENOENT && r.head.flags & REC_OPTIONAL))
			return err;
	}
	return err;
}
