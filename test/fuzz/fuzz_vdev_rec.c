/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile checkpoint for every device of the platform but the interrupt
 * controllers and virtio (fuzz_virtio): the input is records (records.h). What
 * check takes, load must take; afterwards the devices are read, written, saved and reset.
 * Among them a hostile guest: records of accesses, 8 bytes each, to ports (fw_cfg, PCI, power,
 * clock, serial) and, wherever the bridge was told to put it, to ECAM.
 */
// SOURCES: kernel/vdev/pci.c kernel/vdev/pci_func.c kernel/vdev/hostbridge.c
// SOURCES: kernel/vdev/rtc_state.c
// SOURCES: kernel/vdev/lpc.c kernel/vdev/pm.c kernel/vdev/rtc.c kernel/vdev/rtc_time.c
// SOURCES: kernel/vdev/wdt.c kernel/vdev/pvpanic.c
// SOURCES: kernel/vdev/vdev.c kernel/vdev/uart.c kernel/vdev/keptlog.c
// SOURCES: kernel/vdev/acpi_tables.c kernel/vdev/acpi_wdat.c kernel/vdev/dsdt.c kernel/vdev/fwcfg.c
// SOURCES: kernel/vdev/fwcfg_loader.c kernel/lib/rec.c test/unit/fake_vdev.c
#include <stdlib.h>
#include <string.h>

#include "kernel/vdev/bridge.h"
#include "kernel/vdev/fwcfg.h"
#include "kernel/vdev/pvpanic.h"
#include "kernel/vdev/q35.h"
#include "kernel/vdev/rtc.h"
#include "kernel/vdev/uart.h"
#include "kernel/vdev/wdt.h"
#include "test/fuzz/records.h"
#include "test/unit/fake_vdev.h"

static struct acpi_image acpi;

unsigned q35_e820(struct vm *vm, bool direct, struct e820_entry out[Q35_E820_MAX])
{
	out[0] = (struct e820_entry){ 0, vm->cfg.mem_bytes, E820_RAM };
	return 1;
}

bool vm_trouble(struct vm *vm, enum vm_trouble what)
{
	return false;
}

static struct vm *machine(void)
{
	struct vm *vm = fake_vm();
	struct keptlog *kept;
	struct pci_bus *bus;
	struct fwcfg *f;
	struct uart *u;
	struct pm *pm;

	if (!acpi.len)
		acpi_build(&acpi, 1);
	if (pci_bus_create(vm, &bus) || hostbridge_create(vm, bus) || pm_create(vm, &pm) ||
	    lpc_create(vm, bus, pm) || rtc_create(vm) || keptlog_create(vm, 0, &kept) ||
	    uart_create(vm, 0, UART_COM1, GSI_COM1, kept, &u) || fwcfg_create(vm, &acpi, &f) ||
	    pvpanic_create(vm) || wdt_create(vm))
		abort();
	vdevs_reset(vm);
	return vm;
}

static void use(struct vm *vm)
{
	static const uint16_t ports[] = { 0x70,	 0x71,	0x3f8, 0x510, 0x511, 0x600, 0xcf8,
					  0xcfc, 0x505, 0x540, 0x544, 0x548, 0x54c };
	struct rec_writer w;

	vdevs_resume(vm);
	for (unsigned i = 0; i < ARRAY_SIZE(ports); i++)
		for (unsigned n = 0; n < 8; n++) {
			fake_in(vm, (uint16_t)(ports[i] + n), 1u << n % 3);
			fake_out(vm, (uint16_t)(ports[i] + n), 1u << n % 3, 0x55u * n);
		}
	fake_now_ns += NSEC_PER_SEC;
	fake_timer_run();
	rec_writer_init(&w);
	vdevs_save(vm, &w);
	if (rec_finish(&w))
		abort();
	rec_writer_fini(&w);
	vdevs_reset(vm);
}

struct access {
	uint16_t where; /* port, or offset in a function's ECAM page */
	uint8_t slot;
	uint8_t how; /* bits 0-1: size, bit 2: write, bit 3: ECAM */
	uint32_t value;
};

static void access_one(struct vm *vm, const struct access *a)
{
	uint64_t gpa = Q35_ECAM_BASE + ((uint64_t)(a->slot & 31) << 15 | (a->where & 0xfff));
	unsigned size = 1u << (a->how & 3) % 3;
	bool write = a->how & 4;

	if (a->how & 8 && write)
		fake_write(vm, gpa, size, a->value);
	else if (a->how & 8)
		fake_read(vm, gpa, size);
	else if (write)
		fake_out(vm, a->where, size, a->value);
	else
		fake_in(vm, a->where, size);
}

static void one(void *arg, const struct record *r)
{
	struct access a;

	if (r->type & 0x40 && !(r->type & 0x80)) {
		for (unsigned at = 0; at + sizeof(a) <= r->len; at += sizeof(a)) {
			memcpy(&a, r->body + at, sizeof(a));
			access_one(arg, &a);
		}
		return;
	}
	fake_record(arg, r->type & 0x80 ? REC_WDT : REC_RTC + r->type % 10, r->instance & 1,
		    r->body, r->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vm *vm = machine();

	records_each(data, size, one, vm);
	use(vm);
	fake_vm_done(vm);
	return 0;
}
