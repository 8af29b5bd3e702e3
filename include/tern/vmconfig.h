/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a VM is made of, as the console, a description, an offer and vm_create say it: memory,
 * vCPUs, what it starts, disks, networks, and what is done when something happens to its guest.
 */
#ifndef TERN_VMCONFIG_H
#define TERN_VMCONFIG_H

#include <tern/types.h>

#define VM_NAME_MAX 32
#define VM_VCPUS_MAX 64
#define VM_PATH_MAX 128
#define VM_CMDLINE_MAX 1024
#define VM_MODULES_MAX 4
#define VM_ROM_BYTES (4ull << 20) /* of a VM that starts by firmware, in front of 4 GiB */

/* How cfg.kernel is started. */
enum vm_boot {
	VM_BOOT_LINUX,	   /* a bzImage, with an initrd */
	VM_BOOT_MULTIBOOT, /* a multiboot 1 payload, with modules and test devices */
	VM_BOOT_FIRMWARE,  /* a PC's firmware in ROM, from the reset vector on */
	VM_BOOTS
};

/* What may happen to a guest, and what is done then. */
enum vm_trouble {
	VM_PANIC,    /* its kernel says so (pvpanic) */
	VM_CRASH,    /* triple fault */
	VM_WATCHDOG, /* not fed in time */
	VM_TROUBLES
};
enum vm_policy {
	VM_KEEP, /* the VM stays as it is, for somebody to look at */
	VM_RESET,
	VM_POWER_OFF,
	VM_POLICIES
};

/* A network device of a VM: which network, which address. */
#define VM_NICS_MAX 4
#define VM_NIC_QUEUES_MAX 8
struct vm_nic {
	char network[16];
	uint8_t mac[6];	    /* all zero: vm_create chooses one */
	uint8_t queues;	    /* pairs; 0: one, and no control queue, as devices had them at first */
	bool any_source;    /* its frames may come from other addresses */
	uint32_t rate_mbit; /* each way; 0: as fast as it goes */
};

/* A disk of a VM: "/ds/DATASTORE/FILE", or "diskN", a whole disk of this host. */
#define VM_DISKS_MAX 8
#define VM_DISK_PATH_MAX 128
#define VM_SERIAL_MAX 21
enum vm_disk_mode {
	VM_DISK_NORMAL,
	VM_DISK_INDEPENDENT,   /* left out of the VM's snapshots */
	VM_DISK_NONPERSISTENT, /* what a run writes is forgotten at its end */
	VM_DISK_MODES
};
#define VM_DISK_IOPS_MAX 10000000u
#define VM_DISK_MBPS_MAX 100000u
/* What a guest may ask of a disk; 0: as much as it likes. */
struct vm_disk_limit {
	uint32_t iops; /* requests a second */
	uint32_t mbps; /* read or written, MB (10^6 bytes) a second */
};
struct vm_disk {
	char path[VM_DISK_PATH_MAX];
	char serial[VM_SERIAL_MAX]; /* empty: vm_create makes one of the VM's name */
	bool read_only;
	bool arriving;		    /* made with the VM's arrival: its file is not looked for */
	uint8_t mode;		    /* enum vm_disk_mode */
	struct vm_disk_limit limit; /* [the disk's mutex] moves with the VM */
};

/* Which part of which CPUs: this host's affair, but for the shares, which move with the VM. */
struct vm_sched {
	uint32_t shares;	     /* of each vCPU; 0 = WORLD_SHARES */
	uint64_t cpus[VM_VCPUS_MAX]; /* by vCPU, a bit for each CPU that it may run on; 0 = all */
};

struct vm_config {
	char name[VM_NAME_MAX];
	uint64_t mem_bytes;
	unsigned vcpus;
	enum vm_boot boot;
	char kernel[VM_PATH_MAX], initrd[VM_PATH_MAX];
	char cmdline[VM_CMDLINE_MAX];
	unsigned nics;
	struct vm_nic nic[VM_NICS_MAX];
	unsigned disks;
	struct vm_disk disk[VM_DISKS_MAX];
	unsigned modules;
	char module[VM_MODULES_MAX][VM_PATH_MAX];
	uint8_t on[VM_TROUBLES]; /* enum vm_policy */
	bool baseline;		 /* shown the common CPU (cpumodel.h), not this host's */
	bool hyperv;		 /* has the clock of Microsoft's guests (kernel/vm/hyperv.h) too */
	char home[VM_NAME_MAX];	 /* datastore of its description (home.h); empty: it has none */
	struct vm_sched sched;	 /* [vm] */
};

#endif
