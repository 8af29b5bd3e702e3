/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual machines: making and unmaking, and their life cycle. Calls that
 * change a VM's life hold vm->lock, one after the other; vm->state itself is
 * under run->lock, because the last vCPU world out writes it as well.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>
#include <tern/page.h>
#include <tern/random.h>

#include "registry.h"
#include "vm_int.h"

#define MEM_MIN (16ull << 20)
#define PARK_NS (10 * NSEC_PER_SEC)

static const struct vm_platform *platform;

void vm_set_platform(const struct vm_platform *p)
{
	platform = p;
}

const struct vm_platform *vm_platform(void)
{
	return platform;
}

const char *vm_state_name(enum vm_state s)
{
	static const char *const names[VM_STATES] = { "off",	  "running",  "paused", "stunned",
						      "in-doubt", "incoming", "error" };

	return (unsigned)s < VM_STATES ? names[s] : "?";
}

void vm_set_state(struct vm *vm, enum vm_state s)
{
	unsigned long flags = spin_lock(&vm->run->lock);

	if (s != VM_RUNNING || vm->run->live) /* one that ended while it was parked stays so */
		vm->state = s;
	spin_unlock(&vm->run->lock, flags);
}

/* ---- making ---- */

static bool name_ok(const char *name)
{
	size_t n = strnlen(name, VM_NAME_MAX);

	if (!n || n == VM_NAME_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		char ch = name[i];

		if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
		      (ch >= '0' && ch <= '9') || (i && (ch == '-' || ch == '_' || ch == '.'))))
			return false;
	}
	return true;
}

static int check_config(const struct vm_config *cfg, char *why, size_t len)
{
	if (!virt || !platform) {
		snprintf(why, len, "this host runs no VMs: %s",
			 virt ? "no platform" : virt_absent_reason());
		return -ENOTSUP;
	}
	if (!name_ok(cfg->name)) {
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
	return 0;
}

static struct cpuid_regs host_cpuid(uint32_t leaf, uint32_t sub)
{
	return cpuid(leaf, sub);
}

cpuid_source *vm_host_cpuid(void)
{
	return host_cpuid;
}

static void make_uuid(uint8_t uuid[16])
{
	random_bytes(uuid, 16);
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40); /* version 4, random */
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
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
	free(vm->cpuid);
	free(vm);
}

static struct vm *alloc_vm(const struct vm_config *cfg)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	if (!vm)
		return NULL;
	vm->cfg = *cfg;
	vm->refs = 1;
	mutex_init(&vm->lock, LOCK_VM, "vm");
	vm->cpuid = calloc(1, sizeof(*vm->cpuid));
	if (!vm->cpuid || vm_run_init(vm)) {
		free_vm(vm);
		return NULL;
	}
	cpuid_build(vm->cpuid, host_cpuid, cfg->vcpus);
	vm->virt.xcr0_mask = cpuid_table_xcr0(vm->cpuid);
	vm->tsc_khz = vm->virt.tsc_khz = tsc_khz();
	make_uuid(vm->uuid);
	return vm;
}

static int build(const struct vm_config *cfg, struct vm **out, char *why, size_t len)
{
	struct vm *vm = alloc_vm(cfg);
	int err = -ENOMEM;
	struct page_stats mem;

	page_stats(&mem);
	snprintf(why, len, "the VM takes %u MiB and its tables, the host has %u MiB free",
		 (unsigned)(cfg->mem_bytes >> 20), (unsigned)(mem.free_bytes >> 20));
	if (!vm)
		return err;
	err = gmem_create(cfg->mem_bytes, virt_caps.slat, &vm->mem);
	if (err)
		goto free;
	err = make_cpus(vm);
	if (err)
		goto put_mem;
	err = platform->create(vm);
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
	platform->destroy(vm);
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vcpu_destroy(vm->vcpu[i]);
	virt->vm_fini(&vm->virt);
	gmem_put(vm->mem);
	free_vm(vm);
}

static int create(const struct vm_config *cfg, enum vm_state state, struct vm **out, char *why,
		  size_t len)
{
	struct vm *vm;
	int err = check_config(cfg, why, len);

	if (err)
		return err;
	vm = vm_find(cfg->name);
	if (vm) {
		vm_put(vm);
		snprintf(why, len, "there is a VM %s already", cfg->name);
		return -EEXIST;
	}
	err = build(cfg, &vm, why, len);
	if (err)
		return err;
	vm->state = state;
	err = registry_add(vm); /* takes its own reference */
	if (err) {
		snprintf(why, len,
			 err == -EEXIST ? "there is a VM %s already" : "too many VMs for %s",
			 cfg->name);
		unbuild(vm);
		return err;
	}
	*out = vm;
	return 0;
}

int vm_create(const struct vm_config *cfg, struct vm **out, char *why, size_t why_len)
{
	return create(cfg, VM_OFF, out, why, why_len);
}

int vm_create_incoming(const struct vm_config *cfg, struct vm **out, char *why, size_t why_len)
{
	return create(cfg, VM_INCOMING, out, why, why_len);
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

/* ---- life ---- */

/*
 * A run leaves contents behind; the next one starts from memory that reads as
 * zero. The old memory goes first: the host may not have room for both. When
 * somebody else took the room, a small one stands in until the next try.
 */
static int renew_memory(struct vm *vm)
{
	struct gmem *fresh;
	int err, err2;

	if (!vm->run->used)
		return 0;
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vcpu_fini(vm->vcpu[i]);
	virt->vm_fini(&vm->virt);
	gmem_put(vm->mem);
	err = gmem_create(vm->cfg.mem_bytes, virt_caps.slat, &fresh);
	if (err && gmem_create(SIZE_2M, virt_caps.slat, &fresh))
		panic("vm: no memory for an empty VM");
	vm->mem = fresh;
	vm->virt.slat = gmem_slat(fresh);
	err2 = virt->vm_init(&vm->virt);
	for (unsigned i = 0; !err2 && i < vm->nr_vcpus; i++)
		err2 = virt->vcpu_init(&vm->vcpu[i]->v);
	if (!err && !err2)
		vm->run->used = false;
	return err ? err : err2;
}

static int refuse(const struct vm *vm, const char *what, char *why, size_t len)
{
	snprintf(why, len, "VM %s is %s%s: cannot %s it", vm->cfg.name, vm_state_name(vm->state),
		 vm->mig ? " and being moved" : "", what);
	return -EBUSY;
}

static int start_locked(struct vm *vm, char *why, size_t len)
{
	int err;

	if (vm->mig || (vm->state != VM_OFF && vm->state != VM_STOPPED_ERROR))
		return refuse(vm, "start", why, len);
	vm_join_worlds(vm);
	snprintf(why, len, "not enough host memory");
	err = renew_memory(vm);
	if (err)
		return err;
	err = platform->reset(vm);
	if (err)
		return err;
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vcpu_reset(vm->vcpu[i]);
	vm->run->used = true;
	err = platform->boot(vm, why, len);
	if (err)
		return err;
	vm_time_start(vm);
	return vm_launch_worlds(vm);
}

int vm_start(struct vm *vm, char *why, size_t why_len)
{
	int err;

	mutex_lock(&vm->lock);
	err = start_locked(vm, why, why_len);
	mutex_unlock(&vm->lock);
	return err;
}

static int stop_locked(struct vm *vm, char *why, size_t len)
{
	if (vm->mig || vm->state == VM_OFF || vm->state == VM_IN_DOUBT)
		return refuse(vm, "stop", why, len);
	vm_stop_worlds(vm, REQ_OFF, "stopped by the user");
	vm_wait_worlds(vm);
	vm_set_state(vm, VM_OFF);
	return 0;
}

int vm_stop(struct vm *vm, char *why, size_t why_len)
{
	int err;

	mutex_lock(&vm->lock);
	err = stop_locked(vm, why, why_len);
	mutex_unlock(&vm->lock);
	return err;
}

static int pause_locked(struct vm *vm, char *why, size_t len)
{
	int err;

	if (vm->mig || vm->state != VM_RUNNING)
		return refuse(vm, "pause", why, len);
	err = vm_park(vm, time_ns() + PARK_NS);
	if (err == -ESRCH)
		return refuse(vm, "pause", why, len); /* it ended by itself meanwhile */
	if (err) {
		snprintf(why, len, "its vCPUs do not stop");
		return err;
	}
	vm_set_state(vm, VM_PAUSED);
	return 0;
}

int vm_pause(struct vm *vm, char *why, size_t why_len)
{
	int err;

	mutex_lock(&vm->lock);
	err = pause_locked(vm, why, why_len);
	mutex_unlock(&vm->lock);
	return err;
}

static int resume_locked(struct vm *vm, char *why, size_t len)
{
	if (vm->mig || vm->state != VM_PAUSED)
		return refuse(vm, "resume", why, len);
	for (unsigned i = 0; i < vm->nr_vcpus; i++)
		vm->vcpu[i]->clock->stopped = true;
	vm_set_state(vm, VM_RUNNING);
	vm_unpark(vm);
	return 0;
}

int vm_resume(struct vm *vm, char *why, size_t why_len)
{
	int err;

	mutex_lock(&vm->lock);
	err = resume_locked(vm, why, why_len);
	mutex_unlock(&vm->lock);
	return err;
}

static int delete_locked(struct vm *vm, char *why, size_t len)
{
	if (vm->mig || vm->run->live || vm->state == VM_IN_DOUBT)
		return refuse(vm, "delete", why, len);
	if (!registry_remove(vm)) {
		snprintf(why, len, "VM %s is being deleted", vm->cfg.name);
		return -ENOENT;
	}
	return 0;
}

int vm_delete(struct vm *vm, char *why, size_t why_len)
{
	int err;

	mutex_lock(&vm->lock);
	err = delete_locked(vm, why, why_len);
	mutex_unlock(&vm->lock);
	if (!err)
		vm_put(vm); /* the registry's; the caller's is still there */
	return err;
}

void vm_request_off(struct vm *vm, const char *reason, bool error)
{
	if (!error)
		log_info("vm", "%s: %s", vm->cfg.name, reason);
	vm_stop_worlds(vm, error ? REQ_ERROR : REQ_OFF, reason);
}

void vm_request_reset(struct vm *vm)
{
	uint32_t none = REQ_NONE;

	if (__atomic_compare_exchange_n(&vm->run->request, &none, REQ_RESET, false,
					__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		vcpu_kick(vm->vcpu[0]);
}

int vm_run_incoming(struct vm *vm)
{
	struct vm_run *run = vm->run;
	uint64_t all = vm->nr_vcpus >= 64 ? ~0ull : BIT(vm->nr_vcpus) - 1;

	if (!run->loaded_time || run->loaded_vcpus != all)
		return -EINVAL; /* the stream lacked a record */
	run->used = true;
	return vm_launch_worlds(vm);
}
