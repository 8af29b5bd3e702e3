/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Boot order, and the only file that names concrete drivers and backends.
 *
 * kernel_main runs on the boot CPU's first stack, with interrupts off until
 * arch_init, and ends as that CPU's idle world. What may sleep (drivers, the
 * network, the shell) starts in the world "init".
 */
#include <stdio.h>
#include <string.h>

#include <tern/arch.h>
#include <tern/bootinfo.h>
#include <tern/cpu.h>
#include <tern/cpumodel.h>
#include <tern/home.h>
#include <tern/log.h>
#include <tern/mig.h>
#include <tern/net.h>
#include <tern/page.h>
#include <tern/pci.h>
#include <tern/nic.h>
#include <tern/shell.h>
#include <tern/store.h>
#include <tern/timer.h>
#include <tern/vdev.h>
#include <tern/virt.h>
#include <tern/vm.h>
#include <tern/world.h>

#include "drivers/fbcon.h"
#include "drivers/uart.h"
#include "kernel/base/base.h"
#include <tern/selftest.h>
#include "kernel/lib/pagemove.h"
#include "kernel/vm/selftest.h"

extern const struct pci_driver ahci_driver, e1000_driver, ide_driver, nvme_driver;
extern const struct pci_driver virtio_blk_driver, virtio_net_driver;

#define INIT_STACK (64u << 10)

/* In the order in which a device is offered to them. */
static const struct pci_driver *const pci_drivers[] = {
	&virtio_net_driver, &e1000_driver, &virtio_blk_driver,
	&ahci_driver,	    &ide_driver,   &nvme_driver,
};

/* In order of preference; the first that the CPU has is taken. */
static const struct virt_ops *const virt_backends[] = {
	&svm_ops,
	&vmx_ops,
};

static const char *hostname(void)
{
	const char *name = config_get("hostname");

	return name && *name ? name : "tern";
}

/* Log lines on the console: "log = debug|info|warn|error" in tern.conf. */
static void set_log_level(void)
{
	static const char first_letters[] = "ewid";
	const char *value = config_get("log");

	for (unsigned i = 0; value && first_letters[i]; i++)
		if (value[0] == first_letters[i])
			log_set_console_level((enum log_level)i);
}

static void choose_page_moves(void)
{
	hpa_t scratch;

	if (page_alloc(1, 0, FRAME_KERNEL, &scratch))
		return;
	pagemove_calibrate(hpa_ptr(scratch), rdtsc);
	page_put(scratch);
	log_debug("page", "copy by %s, clear by %s", pagemove_copy_name(), pagemove_clear_name());
}

static void start_drivers(void)
{
	if (uart_start())
		log_warn("uart", "no interrupt: the console is polled");
	fbcon_start();
	pci_scan();
	pci_attach(pci_drivers, ARRAY_SIZE(pci_drivers));
}

/* What may be another host's first: then a VM that starts by itself is not one of these. */
static void datastores_mounted(void)
{
	mig_recover();
	home_boot();
}

/* Datastores know a host by its first card's address: no two have the same. */
static void start_store(void)
{
	struct ds_host h = { .id = "tern" };
	struct nic *n = nic_at(0);

	if (n)
		memcpy(h.id + 8, n->mac, sizeof(n->mac));
	snprintf(h.name, sizeof(h.name), "%s", hostname());
	ds_host_set(&h);
	ds_start(datastores_mounted);
}

static void start_rooms(void)
{
	net_init();
	virt_choose(virt_backends, ARRAY_SIZE(virt_backends));
	vm_set_platform(home_platform(&q35_platform));
	cpu_baseline_init();
	mig_init();
	start_store();
}

static void init_world(void *arg)
{
	struct page_stats mem;

	(void)arg;
	choose_page_moves();
	start_drivers();
	start_rooms();
	page_reclaim_loader();
	selftest_run(config_get("selftest"));
	virt_selftest(config_get("selftest"));
	net_selftest(config_get("selftest"));
	page_stats(&mem);
	log_info("tern", "%s: %u CPUs, %llu MiB memory, %llu MiB free, up in %llu ms", hostname(),
		 cpu_count(), (unsigned long long)mem.total_bytes >> 20,
		 (unsigned long long)mem.free_bytes >> 20,
		 (unsigned long long)(time_ns() / NSEC_PER_MSEC));
	shell_start(hostname());
	console_write("tern: ready\n", 12);
}

void kernel_main(struct bootinfo *bi)
{
	static const struct world_opts init = {
		.name = "init", .prio = WORLD_NORMAL, .cpu = -1, .stack_size = INIT_STACK
	};

	arch_early_init(bi);
	(void)uart_early();
	page_init(bi);
	bi = hpa_ptr(HPA((uint64_t)bi));
	bootfs_init(bi);
	set_log_level();
	sched_init();
	arch_init(bi);
	fbcon_early(&bi->fb);
	arch_smp_start();
	if (world_create(NULL, &init, init_world, NULL))
		panic("no memory for the first world");
	sched_idle();
}
