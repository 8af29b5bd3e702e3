/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an instance of a VM takes of its host beside the guest's memory and the tables for that,
 * which are promised with it (base/promise.c): upper bounds, by what the VM has. Who is about to
 * make a second instance asks for this much first. A host's first port at the switch takes 8 MiB
 * more, once.
 *
 * Measured by what 'host info' has to spare before and after 'vm create', with the vCPUs' worlds,
 * which a start makes; test/lab/test_svmotion.py holds it against that.
 */
#include <tern/vm.h>

#define OWN_BYTES (1280u << 10) /* kept logs, 256 KiB each; chipset, CPUID, tables of regions */
#define VCPU_BYTES (96u << 10)	/* a world, the backend's structures, extended state */
#define NIC_BYTES (9u << 20)	/* its port's part of the switch's pool, nearly all */
#define DISK_BYTES (96u << 10)

uint64_t vm_overhead_bytes(const struct vm_config *cfg)
{
	return OWN_BYTES + (uint64_t)cfg->vcpus * VCPU_BYTES + (uint64_t)cfg->nics * NIC_BYTES +
	       (uint64_t)cfg->disks * DISK_BYTES;
}
