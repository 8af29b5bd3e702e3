/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Host reset and power-off. Off: SLP_TYP of \_S5 and SLP_EN into the PM1
 * control registers. Reset: the FADT's register, the chipset's 0xcf9, at last
 * a triple fault. [ACPI 6.4 4.8.3.2, 4.8.3.6]
 */
#include <tern/arch.h>
#include <tern/cpu.h>
#include <tern/timer.h>

#include <errno.h>

#include "acpi.h"
#include "arch.h"

enum fadt_offset {
	FADT_SMI_CMD = 48,
	FADT_ACPI_ENABLE = 52,
	FADT_PM1A_CNT = 64,
	FADT_PM1B_CNT = 68,
	FADT_FLAGS = 112,
	FADT_RESET_REG = 116, /* generic address: space at +0, address at +4 */
	FADT_RESET_VALUE = 128,
};

#define FADT_RESET_REG_SUP BIT(10)
#define SPACE_MEMORY 0u
#define SPACE_IO 1u
#define PM1_SCI_EN 1u
#define PM1_SLP_EN (1u << 13)
#define PM1_SLP_TYP_SHIFT 10
#define PM1_SLP_TYP_MASK (7u << PM1_SLP_TYP_SHIFT)
#define RESET_PORT 0xcf9
#define RESET_FULL 0x0e

static bool find_s5(unsigned *a, unsigned *b)
{
	const struct acpi_header *t;

	for (unsigned i = 0; (t = acpi_at(i)) != NULL; i++) {
		bool aml = t->signature[1] == 'S' && t->signature[2] == 'D' &&
			   t->signature[3] == 'T' &&
			   (t->signature[0] == 'D' || t->signature[0] == 'S');

		if (aml &&
		    !aml_find_s5((const uint8_t *)(t + 1), t->length - (uint32_t)sizeof(*t), a, b))
			return true;
	}
	return false;
}

static void enable_acpi(const struct acpi_header *fadt, uint16_t port)
{
	uint16_t smi = (uint16_t)acpi_field(fadt, FADT_SMI_CMD, 4);
	uint8_t value = (uint8_t)acpi_field(fadt, FADT_ACPI_ENABLE, 1);

	if (inw(port) & PM1_SCI_EN || !smi || !value)
		return;
	outb(smi, value);
	for (int i = 0; i < 100 && !(inw(port) & PM1_SCI_EN); i++)
		delay_ns(NSEC_PER_MSEC);
}

static void sleep_now(uint16_t port, unsigned typ)
{
	unsigned v = inw(port) & ~(PM1_SLP_TYP_MASK | PM1_SLP_EN);

	outw(port, (uint16_t)(v | (typ & 7) << PM1_SLP_TYP_SHIFT | PM1_SLP_EN));
}

int arch_power_off(void)
{
	const struct acpi_header *fadt = acpi_find("FACP", 0);
	uint16_t a_port = (uint16_t)acpi_field(fadt, FADT_PM1A_CNT, 4);
	uint16_t b_port = (uint16_t)acpi_field(fadt, FADT_PM1B_CNT, 4);
	unsigned a, b;

	if (!a_port || !find_s5(&a, &b))
		return -ENODEV;
	enable_acpi(fadt, a_port);
	__asm__ volatile("cli; wbinvd" ::: "memory");
	sleep_now(a_port, a);
	if (b_port)
		sleep_now(b_port, b);
	delay_ns(NSEC_PER_SEC);
	return -ENODEV;
}

static void reset_by_fadt(void)
{
	const struct acpi_header *fadt = acpi_find("FACP", 0);
	uint64_t address = acpi_field(fadt, FADT_RESET_REG + 4, 8);
	uint8_t value = (uint8_t)acpi_field(fadt, FADT_RESET_VALUE, 1);

	if (!(acpi_field(fadt, FADT_FLAGS, 4) & FADT_RESET_REG_SUP) || !address)
		return;
	if (acpi_field(fadt, FADT_RESET_REG, 1) == SPACE_IO)
		outb((uint16_t)address, value);
	else if (acpi_field(fadt, FADT_RESET_REG, 1) == SPACE_MEMORY) {
		void *p = mmio_map(HPA(address), 1);

		if (p)
			mmio_write8(p, value);
	}
	delay_ns(100 * NSEC_PER_MSEC);
}

void arch_reset(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) no_idt;

	__asm__ volatile("cli" ::: "memory");
	reset_by_fadt();
	outb(RESET_PORT, RESET_FULL & ~4);
	outb(RESET_PORT, RESET_FULL);
	delay_ns(100 * NSEC_PER_MSEC);
	for (;;)
		__asm__ volatile("lidt %0; int3" ::"m"(no_idt));
}
