/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Offers (offer.h). offer_read takes the records apart and believes nothing;
 * offer_check holds them against this host. What is unknown is refused unless
 * its record says that it may be skipped.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tern/gmem.h>

#include "kernel/lib/name.h"

#include "offer.h"

#define OFFER_VERSION 1
#define BOOT_VERSION 1
#define CPU_KIND_VERSION 1
#define POLICY_VERSION 1
#define NICS_VERSION 2 /* 1: no device has a control queue */
#define SHARES_VERSION 1

static void vm_record_save(struct vm *vm, const struct vm_config *cfg, struct rec_writer *w)
{
	rec_begin(w, REC_VM, OFFER_VERSION, 0, 0);
	rec_str(w, vm->cfg.name);
	rec_bytes(w, vm->uuid, sizeof(vm->uuid));
	rec_u64(w, vm->cfg.mem_bytes);
	rec_u32(w, vm->nr_vcpus);
	rec_u32(w, vm->tsc_khz);
	rec_str(w, cfg->kernel);
	rec_str(w, cfg->initrd);
	rec_str(w, vm->cfg.cmdline);
	rec_end(w);
}

/* Only what is not Linux says how it starts: a host that does not know it refuses the VM. */
static void boot_record_save(const struct vm_config *cfg, struct rec_writer *w)
{
	if (cfg->boot == VM_BOOT_LINUX)
		return;
	rec_begin(w, REC_BOOT, BOOT_VERSION, 0, 0);
	rec_u32(w, cfg->boot);
	rec_u32(w, cfg->modules);
	for (unsigned i = 0; i < cfg->modules; i++)
		rec_str(w, cfg->module[i]);
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
	if (!name_is_ok(o->cfg.name, sizeof(o->cfg.name)) || !printable(o->cfg.kernel) ||
	    !printable(o->cfg.initrd) || !printable(o->cfg.cmdline))
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
	if (boot != VM_BOOT_MULTIBOOT && o->cfg.modules)
		return -EBADMSG;
	o->cfg.boot = (enum vm_boot)boot;
	for (unsigned i = 0; i < o->cfg.modules; i++) {
		rec_get_str(r, o->cfg.module[i], sizeof(o->cfg.module[i]));
		if (!printable(o->cfg.module[i]))
			return -EBADMSG;
	}
	return rec_done(r);
}

static void nics_save(struct vm *vm, struct rec_writer *w)
{
	if (!vm->cfg.nics)
		return;
	rec_begin(w, REC_NICS, NICS_VERSION, 0, 0);
	rec_u32(w, vm->cfg.nics);
	rec_u32(w, 0);
	for (unsigned i = 0; i < vm->cfg.nics; i++) {
		rec_bytes(w, vm->cfg.nic[i].network, sizeof(vm->cfg.nic[i].network));
		rec_bytes(w, vm->cfg.nic[i].mac, sizeof(vm->cfg.nic[i].mac));
		rec_u16(w, vm->cfg.nic[i].queues);
	}
	rec_end(w);
}

static int nics_check(struct rec_reader *r, struct offer *o)
{
	uint16_t queues_max = r->head.version == 1 ? 0 : VM_NIC_QUEUES_MAX, queues;
	uint32_t count = rec_get_u32(r);

	if (!r->head.version || r->head.version > NICS_VERSION || rec_get_u32(r) || !count ||
	    count > VM_NICS_MAX)
		return -EBADMSG;
	for (o->cfg.nics = 0; o->cfg.nics < count; o->cfg.nics++) {
		struct vm_nic *n = &o->cfg.nic[o->cfg.nics];

		rec_get_bytes(r, n->network, sizeof(n->network));
		rec_get_bytes(r, n->mac, sizeof(n->mac));
		queues = rec_get_u16(r);
		n->queues = (uint8_t)queues;
		if (queues > queues_max || n->network[sizeof(n->network) - 1] ||
		    !name_is_ok(n->network, sizeof(n->network)) || n->mac[0] & 1)
			return -EBADMSG;
	}
	return rec_done(r);
}

/* Of which kind the CPU is that the guest was shown. Optional: without it, a host's own. */
static void cpu_kind_save(struct vm *vm, struct rec_writer *w)
{
	rec_begin(w, REC_CPU_KIND, CPU_KIND_VERSION, REC_OPTIONAL, 0);
	rec_u32(w, vm->cfg.baseline);
	rec_u32(w, 0);
	rec_end(w);
}

static int cpu_kind_check(struct rec_reader *r, struct offer *o)
{
	uint32_t kind = rec_get_u32(r);

	if (r->head.version != CPU_KIND_VERSION || kind > 1 || rec_get_u32(r))
		return -EBADMSG;
	o->cfg.baseline = kind;
	return rec_done(r);
}

/* What is done in which trouble, and how often each has been. Optional: without it all is kept. */
static void policy_save(struct vm *vm, struct rec_writer *w)
{
	rec_begin(w, REC_POLICY, POLICY_VERSION, REC_OPTIONAL, 0);
	for (unsigned t = 0; t < VM_TROUBLES; t++) {
		rec_u32(w, vm->cfg.on[t]);
		rec_u32(w, vm->troubles[t]);
	}
	rec_end(w);
}

static int policy_check(struct rec_reader *r, struct offer *o)
{
	if (r->head.version != POLICY_VERSION)
		return -EBADMSG;
	for (unsigned t = 0; t < VM_TROUBLES; t++) {
		uint32_t policy = rec_get_u32(r);

		if (policy >= VM_POLICIES)
			return -EBADMSG;
		o->cfg.on[t] = (uint8_t)policy;
		o->troubles[t] = rec_get_u32(r);
	}
	return rec_done(r);
}

static void shares_save(struct vm *vm, struct rec_writer *w)
{
	if (!vm->cfg.sched.shares)
		return;
	rec_begin(w, REC_SHARES, SHARES_VERSION, REC_OPTIONAL, 0);
	rec_u32(w, vm->cfg.sched.shares);
	rec_u32(w, 0);
	rec_end(w);
}

static int shares_check(struct rec_reader *r, struct offer *o)
{
	uint32_t shares = rec_get_u32(r);

	if (r->head.version != SHARES_VERSION || rec_get_u32(r) || shares < WORLD_SHARES_MIN ||
	    shares > WORLD_SHARES_MAX)
		return -EBADMSG;
	o->cfg.sched.shares = shares;
	return rec_done(r);
}

void offer_save(struct vm *vm, enum vm_state state, const struct vm_config *cfg,
		const struct vdisk_id *disk, const struct home_id *home,
		const struct home_sent *sent, struct rec_writer *w)
{
	struct vm_end end;

	vm_ended(vm, &end);
	vm_record_save(vm, cfg, w);
	offer_state_save(state, w);
	offer_ended_save(state, &end, w);
	boot_record_save(cfg, w);
	nics_save(vm, w);
	offer_disks_save(&vm->cfg, disk, w);
	offer_home_save(home, w);
	offer_sent_save(sent, w);
	cpu_kind_save(vm, w);
	policy_save(vm, w);
	shares_save(vm, w);
	vm_cpuid_save(vm, w);
	vm_hyperv_save(vm, w);
}

/* Each of the records once; others only when they may be skipped. */
static int offer_record(struct rec_reader *r, struct offer *o, unsigned *seen)
{
	unsigned bit = r->head.type < 32 ? 1u << r->head.type : 0;

	if (*seen & bit)
		return -EBADMSG;
	*seen |= bit;
	switch (r->head.type) {
	case REC_VM:
		return vm_record_check(r, o);
	case REC_CPUID:
		return cpu_model_load(r, &o->cpu);
	case REC_CPU_KIND:
		return cpu_kind_check(r, o);
	case REC_POLICY:
		return policy_check(r, o);
	case REC_NICS:
		return nics_check(r, o);
	case REC_DISKS:
		return offer_disks_check(r, &o->cfg, o->disk);
	case REC_HOME:
		return offer_home_check(r, &o->cfg, &o->home);
	case REC_HOME_SENT:
		return offer_sent_check(r, &o->cfg, &o->sent);
	case REC_SHARES:
		return shares_check(r, o);
	case REC_AT_REST:
		return offer_state_check(r, &o->state);
	case REC_ENDED:
		return offer_ended_check(r, &o->end);
	case REC_HYPERV:
		o->cfg.hyperv = true;
		return vm_hyperv_offered(r);
	case REC_BOOT:
		return boot_record_check(r, o);
	default:
		return r->head.flags & REC_OPTIONAL ? 0 : -EBADMSG;
	}
}

int offer_read(const void *buf, size_t len, struct offer *o)
{
	struct rec_reader r;
	unsigned seen = 0;
	int err;

	memset(o, 0, sizeof(*o));
	o->state = VM_RUNNING;
	rec_reader_init(&r, buf, len);
	while ((err = rec_next(&r)) == 1) {
		err = offer_record(&r, o, &seen);
		if (err)
			return err;
	}
	if (!err && (~seen & (1u << REC_VM | 1u << REC_CPUID) ||
		     (seen & 1u << REC_HOME && seen & 1u << REC_HOME_SENT) ||
		     (seen & 1u << REC_ENDED && o->state != VM_OFF)))
		err = -EBADMSG;
	return err;
}

/* Memory above 3 GiB begins at 4 GiB. */
static int check_memory_width(const struct offer *o, const struct cpu_model *here, char *why,
			      size_t why_len)
{
	uint64_t top = o->cfg.mem_bytes;

	if (top > GMEM_LOW_MAX)
		top += (4ull << 30) - GMEM_LOW_MAX;
	if (here->phys_bits >= 64 || top <= BIT(here->phys_bits))
		return 0;
	snprintf(why, why_len,
		 "the guest's memory ends at %llu GiB, the destination's CPU addresses "
		 "%u bits",
		 (unsigned long long)(top >> 30), here->phys_bits);
	return -ENOTSUP;
}

int offer_check(const struct offer *o, char *why, size_t why_len)
{
	struct cpu_model here;
	int err;

	cpu_model_host(&here);
	err = cpu_model_check(&o->cpu, &here, o->cfg.baseline, "the destination", why, why_len);
	if (!err)
		err = check_memory_width(o, &here, why, why_len);
	if (!err)
		err = vm_tsc_check(o->tsc_khz, why, why_len);
	return err;
}
