/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which of Intel's gigabit cards the driver takes, and what each can do.
 *
 * - The 82540 is a 32-bit PCI part that stops sending when it is given addresses
 *   above 4 GiB; the PCI-X parts 82545 and 82546 take 64 bits.
 * - Segmentation of IPv6 came with the PCIe parts.
 * - Jumbo frames: 16 KiB less the headers on PCI, 9 KiB on PCIe; the 82573 and the
 *   82583 have none.
 * - The packet buffer (64, 48 or 40 KiB) is divided such that two of the largest
 *   frames wait for the wire while one arrives.
 *
 * The LAN parts of chipsets (82566 to 82579, I217 to I219) have the same rings, but
 * share their PHY and their EEPROM with the management engine, by semaphores and
 * work-arounds that need the hardware to be tested: they are not taken.
 */
#include "drivers/e1000.h"

#define INTEL 0x8086u
#define MTU_STANDARD 1500u
#define MTU_PCI 16110u
#define MTU_PCIE 9216u
#define MTU_82574 9000u
#define PCIE (E1000_PCIE | E1000_TSO_IPV6)

static const struct e1000_chip chips[] = {
	{ 0x100e, MTU_PCI, 40, E1000_DMA_32 }, /* 82540EM */
	{ 0x1015, MTU_PCI, 40, E1000_DMA_32 }, /* 82540EM, mobile */
	{ 0x1017, MTU_PCI, 40, E1000_DMA_32 }, /* 82540EP */
	{ 0x100f, MTU_PCI, 40, 0 },	       /* 82545EM */
	{ 0x1026, MTU_PCI, 40, 0 },	       /* 82545GM */
	{ 0x1010, MTU_PCI, 40, 0 },	       /* 82546EB */
	{ 0x1079, MTU_PCI, 40, 0 },	       /* 82546GB */
	{ 0x105e, MTU_PCIE, 28, PCIE },	       /* 82571EB */
	{ 0x107d, MTU_PCIE, 28, PCIE },	       /* 82572EI */
	{ 0x10b9, MTU_PCIE, 28, PCIE },	       /* 82572EI */
	{ 0x108b, MTU_STANDARD, 0, PCIE },     /* 82573V */
	{ 0x108c, MTU_STANDARD, 0, PCIE },     /* 82573E */
	{ 0x109a, MTU_STANDARD, 0, PCIE },     /* 82573L */
	{ 0x10d3, MTU_82574, 20, PCIE },       /* 82574L */
	{ 0x10f6, MTU_82574, 20, PCIE },       /* 82574LA */
	{ 0x150c, MTU_STANDARD, 0, PCIE },     /* 82583V */
};

const struct e1000_chip *e1000_find_chip(uint16_t vendor, uint16_t device)
{
	for (unsigned i = 0; vendor == INTEL && i < ARRAY_SIZE(chips); i++)
		if (chips[i].device == device)
			return &chips[i];
	return NULL;
}
