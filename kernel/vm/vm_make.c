/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making and unmaking VMs: configuration, memory, CPUs, devices, in this order,
 * and back in reverse by the last vm_put. A VM's memory is made anew between two
 * runs (vm_renew_memory); everything else stays for its life.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>
#include <tern/page.h>
#include <tern/random.h>

#include "kernel/lib/name.h"

#include "registry.h"
#include "hyperv.h"
#include "vm_int.h"

#define MEM_MIN (16ull << 20)

/* Two devices of one VM; those that vm_create chooses differ. */
static bool same_mac_twice(const struct vm_config *cfg)
{
	static const uint8_t none[6];

	for (unsigned i = 1; i < cfg->nics; i++)
		for (unsigned k = 0; k < i; k++)
			if (memcmp(cfg->nic[i].mac, none, sizeof(none)) &&
			    !memcmp(cfg->nic[i].mac, cfg->nic[k].mac, sizeof(none)))
				return true;
	return false;
}

int vm_check(const struct vm_config *cfg, char *why, size_t len)
{
	if (!virt || !vm_platform()) {
		snprintf(why, len, "this host runs no VMs: %s",
			 virt ? "no platform" : virt_absent_reason());
		return -ENOTSUP;
	}
	if (!name_is_ok(cfg->name, VM_NAME_MAX)) {
		snprintf(why, len, "a name has up to %d letters, digits, '-', '_', '.'",
			 VM_NAME_MAX - 1);
		return -EINVAL;
	}
	if (cfg->mem_bytes < MEM_MIN || (cfg->mem_bytes & (SIZE_2M - 1))) {
		snprintf(why, len, "memory must be a multiple of 2M, at least 16M");
		return -EINVAL;
	}
	if (!cfg->vcpus || cfg->vcpus > VM_VCPUS_MAX) {
		snprintf(why, len, "a VM has 1 to %d vCPUs", VM_VCPUS_MAX);
		return -EINVAL;
	}
	if (same_mac_twice(cfg)) {
		snprintf(why, len, "two network devices of the VM have the same address");
		return -EINVAL;
	}
	if (vm_sched_check(&cfg->sched, why, len))
		return -EINVAL;
	return vm_platform()->check ? vm_platform()->check(cfg, why, len) : 0;
}

static void make_uuid(uint8_t uuid[16])
{
	random_bytes(uuid, 16);
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40); /* version 4, random */
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

/* Unicast, of the locally administered kind [IEEE 802 "Universal address"]. */
static void make_macs(struct vm_config *cfg)
{
	static const uint8_t none[6];

	for (unsigned i = 0; i < cfg->nics; i++) {
		uint8_t *mac = cfg->nic[i].mac;

		if (memcmp(mac, none, sizeof(none)))
			continue;
		random_bytes(mac, sizeof(none));
		mac[0] = (uint8_t)((mac[0] & ~1u) | 2u);
	}
}

/* What the guest knows a disk by, here and wherever it goes. */
static void make_serials(struct vm_config *cfg)
{
	for (unsigned i = 0; i < cfg->disks; i++) {
		struct vm_disk *d = &cfg->disk[i];

		if (!d->serial[0])
			snprintf(d->serial, sizeof(d->serial), "%.18s-%u", cfg->name, i);
	}
}

/* Memory and CPUs; of the host's, so that a failure says how much. */
static int make_cpus(struct vm *vm)
{
	int err;

	vm->virt.slat = gmem_slat(vm->mem);
	err = virt->vm_init(&vm->virt);
	if (err)
		return err;
	for (vm->nr_vcpus = 0; vm->nr_vcpus < vm->cfg.vcpus; vm->nr_vcpus++) {
		err = vcpu_create(vm, vm->nr_vcpus);
		if (err)
			break;
	}
	if (!err)
		return 0;
	while (vm->nr_vcpus)
		vcpu_destroy(vm->vcpu[--vm->nr_vcpus]);
	virt->vm_fini(&vm->virt);
	return err;
}

static void free_vm(struct vm *vm)
{
	vm_run_fini(vm);
	hyperv_fini(vm);
	free(vm->cpuid);
	free(vm);
}

/* What the guest will see of the CPU; a model of NULL is this host's own. */
static void show_cpu(struct vm *vm, const struct cpu_model *model)
{
	if (model)
		cpuid_build_model(vm->cpuid, model, vm_host_cpuid(), vm->cfg.vcpus);
	else
		cpuid_build(vm->cpuid, vm_host_cpuid(), vm->cfg.vcpus);
	if (vm->cfg.hyperv)
		hyperv_cpuid(vm->cpuid);
	vm->virt.xcr0_mask = cpuid_table_xcr0(vm->cpuid);
}

static struct vm *alloc_vm(const struct vm_config *cfg, const struct cpu_model *model)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	if (!vm)
		return NULL;
	vm->cfg = *cfg;
	vm->refs = 1;
	mutex_init(&vm->lock, LOCK_VM, "vm");
	vm->cpuid = calloc(1, sizeof(*vm->cpuid));
	if (!vm->cpuid || hyperv_init(vm) || vm_run_init(vm)) {
		free_vm(vm);
		return NULL;
	}
	show_cpu(vm, model);
	vm->tsc_khz = vm->virt.tsc_khz = tsc_khz();
	make_uuid(vm->uuid);
	make_macs(&vm->cfg);
	make_serials(&vm->cfg);
	return vm;
}

static int make_memory(const struct vm_config *cfg, struct gmem **out)
{
	uint64_t rom = cfg->boot == VM_BOOT_FIRMWARE ? VM_ROM_BYTES : 0;

	return gmem_create(cfg->mem_bytes, rom, virt_caps.slat, out);
}

int vm_build(const struct vm_config *cfg, const struct cpu_model *model, struct gmem *shared,
	     struct vm **out, char *why, size_t len)
{
	struct vm *vm = alloc_vm(cfg, model);
	int err = -ENOMEM;

	snprintf(why, len, "the VM takes %u MiB and its tables, the host has %u MiB free",
		 (unsigned)(cfg->mem_bytes >> 20), (unsigned)(page_spare_bytes() >> 20));
	if (!vm)
		return err;
	vm->mem = shared;
	if (shared)
		gmem_get(shared);
	err = shared ? 0 : make_memory(cfg, &vm->mem);
	if (err)
		goto free;
	err = make_cpus(vm);
	if (err)
		goto put_mem;
	err = vm_platform()->create(vm);
	if (err) {
		snprintf(why, len, "the devices could not be made (error %d)", err);
		goto fini_cpus;
	}
	*out = vm;
	return 0;
fini_cpus:
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vcpu_destroy(vm->vcpu[i]);
	virt->vm_fini(&vm->virt);
put_mem:
	gmem_put(vm->mem);
free:
	free_vm(vm);
	return err;
}

static void unbuild(struct vm *vm)
{
	vm_join_worlds(vm);
	vm_platform()->destroy(vm);
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vcpu_destroy(vm->vcpu[i]);
	virt->vm_fini(&vm->virt);
	gmem_put(vm->mem);
	free_vm(vm);
}

/* instead: the VM of this name whose place it takes, or NULL; that VM's reference is the caller's.
 */
static int create(const struct vm_config *cfg, const struct cpu_model *model, enum vm_state state,
		  struct vm *instead, struct vm **out, char *why, size_t len)
{
	struct vm *vm;
	int err = vm_check(cfg, why, len);

	if (err)
		return err;
	vm = vm_find(cfg->name);
	if (vm)
		vm_put(vm);
	if (vm != instead) {
		snprintf(why, len, "there is a VM %s already", cfg->name);
		return -EEXIST;
	}
	err = vm_build(cfg, model, NULL, &vm, why, len);
	if (err)
		return err;
	vm->state = state;
	if (instead)
		err = registry_replace(instead, vm) ? 0 : -EEXIST;
	else
		err = registry_add(vm); /* takes its own reference */
	if (err) {
		snprintf(why, len,
			 err == -EEXIST ? "there is a VM %s already" : "too many VMs for %s",
			 cfg->name);
		vm_put(vm);
		return err;
	}
	*out = vm;
	return 0;
}

int vm_create(const struct vm_config *cfg, struct vm **out, char *why, size_t why_len)
{
	struct cpu_model model;

	if (!cfg->baseline)
		return create(cfg, NULL, VM_OFF, NULL, out, why, why_len);
	if (!cpu_baseline_get(&model)) {
		snprintf(why, why_len,
			 "there is no CPU baseline here: 'cluster baseline HOST...' "
			 "computes one, cpu.baseline in tern.conf keeps it");
		return -ENOENT;
	}
	return create(cfg, &model, VM_OFF, NULL, out, why, why_len);
}

/* Its CPUID table comes with the stream. */
int vm_create_incoming(const struct vm_config *cfg, struct vm *instead, struct vm **out, char *why,
		       size_t why_len)
{
	return create(cfg, NULL, VM_INCOMING, instead, out, why, why_len);
}

void vm_give_place_back(struct vm *vm, struct vm *instead)
{
	if (registry_replace(vm, instead))
		vm_put(vm); /* the registry's */
	vm_disown(instead);
	vm_put(instead);
}

void vm_get(struct vm *vm)
{
	__atomic_fetch_add(&vm->refs, 1, __ATOMIC_RELAXED);
}

void vm_put(struct vm *vm)
{
	if (__atomic_sub_fetch(&vm->refs, 1, __ATOMIC_ACQ_REL) == 0)
		unbuild(vm);
}

/*
 * A run leaves contents behind; the next one starts from memory that reads as
 * zero. The old memory goes first: the host may not have room for both. When
 * somebody else took the room, the small one that was made before stands in until
 * the next try.
 */
int vm_renew_memory(struct vm *vm)
{
	struct gmem *fresh, *small;
	int err, err2;

	if (!vm->run->used)
		return 0;
	err = gmem_create(SIZE_2M, 0, virt_caps.slat, &small);
	if (err)
		return err;
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vcpu_fini(vm->vcpu[i]);
	virt->vm_fini(&vm->virt);
	gmem_put(vm->mem);
	err = make_memory(&vm->cfg, &fresh);
	vm->mem = err ? small : fresh;
	if (!err)
		gmem_put(small);
	vm->virt.slat = gmem_slat(vm->mem);
	err2 = virt->vm_init(&vm->virt);
	for (unsigned i = 0; !err2 && i < vm->nr_vcpus; i++)
		err2 = virt->vcpu_init(&vm->vcpu[i]->v);
	if (!err && !err2)
		vm->run->used = false;
	return err ? err : err2;
}
