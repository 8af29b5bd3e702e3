/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The devices' state (state.h): both interrupt controllers, the timers, CMOS, serial
 * ports with bytes that nobody has read, fw_cfg half read, PCI configuration and the
 * registers of each virtio device.
 */
#include "rt.h"
#include "state.h"

#define IOAPIC 0xfec00000ull
#define IOAPIC_PINS 24
#define COM2 0x2f8
#define PM_BASE 0x600
#define PM_TIMER 0x608
#define FWCFG 0x510
#define FWCFG_SIGNATURE 0
#define LINES 0x2000 /* + GSI: testdev raises it */
#define PCI_ADDRESS 0xcf8
#define PCI_DATA 0xcfc
#define PCI_SLOTS 32
#define VIRTIO_VENDOR 0x1af4
#define CAP_VENDOR 9
#define CAP_COMMON 1
#define COMMON_SIZE 56
#define LOOPED 12 /* bytes */
#define CLOCK_AT 0x2000ull

static uint32_t virtio_common[PCI_SLOTS];

/* ---- PCI ---- */

static uint32_t pci_read(unsigned slot, unsigned off)
{
	outl(PCI_ADDRESS, 0x80000000u | slot << 11 | (off & 0xfc));
	return inl(PCI_DATA);
}

static void pci_write(unsigned slot, unsigned off, uint32_t v)
{
	outl(PCI_ADDRESS, 0x80000000u | slot << 11 | (off & 0xfc));
	outl(PCI_DATA, v);
}

/* Address of a virtio device's common configuration, 0: none. */
static uint32_t common_of(unsigned slot)
{
	unsigned cap = pci_read(slot, 0x34) & 0xff;

	for (unsigned n = 0; cap && n < 16; n++) {
		uint32_t head = pci_read(slot, cap);

		if ((head & 0xff) == CAP_VENDOR && head >> 24 == CAP_COMMON)
			return (pci_read(slot, 0x10 + 4 * (pci_read(slot, cap + 4) & 0xff)) &
				~15u) +
			       pci_read(slot, cap + 8);
		cap = head >> 8 & 0xff;
	}
	return 0;
}

static void set32(uint64_t at, uint32_t v)
{
	*(volatile uint32_t *)at = v;
}

static void set16(uint64_t at, uint16_t v)
{
	*(volatile uint16_t *)at = v;
}

/* Reset, acknowledged, its features half said, a queue with addresses but not on. */
static void fill_virtio(unsigned slot, uint64_t at)
{
	*(volatile uint8_t *)(at + 20) = 0;
	*(volatile uint8_t *)(at + 20) = 3;
	set32(at + 8, 1);
	set32(at + 12, 1); /* VERSION_1 */
	set32(at + 0, 1);
	set16(at + 22, 0);
	set16(at + 24, (uint16_t)(4u << salt));
	set32(at + 32, 0x100000 * (slot + 1) + (uint32_t)salt * 4096);
	set32(at + 40, 0x101000 * (slot + 1) + (uint32_t)salt * 4096);
	set32(at + 48, 0x102000 * (slot + 1) + (uint32_t)salt * 4096);
}

static void fill_pci(void)
{
	for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
		uint32_t id = pci_read(slot, 0);

		if (id == ~0u)
			continue;
		pci_write(slot, 0x3c, (uint32_t)(pattern(slot, 0x200) & 0xff));
		if ((id & 0xffff) != VIRTIO_VENDOR)
			continue;
		pci_write(slot, 4, pci_read(slot, 4) | 6);
		virtio_common[slot] = common_of(slot);
		if (virtio_common[slot])
			fill_virtio(slot, virtio_common[slot]);
	}
	outl(PCI_ADDRESS, 0x80000000u | (uint32_t)salt << 11 | 0x40);
}

static void say_pci(void)
{
	uint32_t address = inl(PCI_ADDRESS);

	say("v pci.address %x\n", (uint64_t)address);
	for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
		if (pci_read(slot, 0) == ~0u)
			continue;
		for (unsigned off = 0; off < 256; off += 4)
			if (pci_read(slot, off))
				say("v pci.%u.%x %x\n", (uint64_t)slot, (uint64_t)off,
				    (uint64_t)pci_read(slot, off));
		for (unsigned off = 0; virtio_common[slot] && off < COMMON_SIZE; off += 4)
			say("v virtio.%u.%x %x\n", (uint64_t)slot, (uint64_t)off,
			    (uint64_t) *
				    (volatile uint32_t *)((uint64_t)virtio_common[slot] + off));
	}
	outl(PCI_ADDRESS, address);
}

/* ---- interrupt controllers and timers ---- */

static void fill_pics(void)
{
	static const uint16_t base[2] = { 0x20, 0xa0 };

	for (unsigned i = 0; i < 2; i++) {
		outb(base[i], 0x11);
		outb(base[i] + 1, (uint8_t)(0x28 + 8 * i + 16 * salt));
		outb(base[i] + 1, i ? 2 : 4);
		outb(base[i] + 1, 1);
		outb(base[i] + 1, (uint8_t)(0xff & ~(salt << 4)));
	}
	outb(0x4d1, (uint8_t)(0x04 << salt));
	outb(LINES + 5, 1); /* waits in IRR, masked or not */
	for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
		set32(IOAPIC, 0x10 + 2 * pin);
		set32(IOAPIC + 0x10,
		      0x10000 | (pin & 1) << 15 | (0x30 + pin + 32 * (uint32_t)salt));
		set32(IOAPIC, 0x11 + 2 * pin);
		set32(IOAPIC + 0x10, (pin % 4) << 24);
	}
	set32(IOAPIC, (uint32_t)salt);
}

static void say_pics(void)
{
	uint32_t select = *(volatile uint32_t *)IOAPIC;

	say("v ioapic.select %x\n", (uint64_t)select);
	for (unsigned i = 0; i < 0x10 + 2 * IOAPIC_PINS; i++) {
		set32(IOAPIC, i);
		say("v ioapic.%x %x\n", (uint64_t)i,
		    (uint64_t) * (volatile uint32_t *)(IOAPIC + 0x10));
	}
	set32(IOAPIC, select);
	for (unsigned base = 0x20; base <= 0xa0; base += 0x80) {
		say("v pic.%x.imr %x\n", (uint64_t)base, (uint64_t)inb((uint16_t)(base + 1)));
		outb((uint16_t)base, 0x0a);
		say("v pic.%x.irr %x\n", (uint64_t)base,
		    (uint64_t)inb((uint16_t)base) &
			    (base == 0x20 ? 0xfe : 0xff)); /* PIT's goes on */
		outb((uint16_t)base, 0x0b);
		say("v pic.%x.isr %x\n", (uint64_t)base, (uint64_t)inb((uint16_t)base));
	}
	say("v pic.elcr %x\n", (uint64_t)inb(0x4d0) | (uint64_t)inb(0x4d1) << 8);
}

static void fill_timers(void)
{
	outb(0x43, 0x34); /* channel 0: mode 2 */
	outb(0x40, (uint8_t)(0x34 + salt));
	outb(0x40, 0xf2);
	outb(0x61, 1);
	outb(0x43, 0xba); /* channel 2: mode 5 */
	outb(0x42, (uint8_t)salt);
	outb(0x42, 0x10);
	for (unsigned i = 0x40; i < 0x50; i++) {
		outb(0x70, (uint8_t)i);
		outb(0x71, (uint8_t)pattern(i, 0x300));
	}
	for (unsigned i = 1; i <= 5; i += 2) { /* an alarm that is far away or never */
		outb(0x70, (uint8_t)i);
		outb(0x71, (uint8_t)(0x51 + salt));
	}
	outb(0x70, (uint8_t)(0x41 + salt));
	outl(PM_BASE, 0x01000000); /* the power button's enable */
	outl(0xe0, (uint32_t)pattern(0, 0x310));
	for (unsigned i = 0; i < 16; i++)
		set32(0xff000000ull + 4096 * i, (uint32_t)pattern(i, 0x311));
	wrmsr(0x4b564d01, CLOCK_AT | 1);
}

static uint64_t status_of(unsigned channel)
{
	outb(0x43, (uint8_t)(0xe0 | 2u << channel));
	return inb((uint16_t)(0x40 + channel)) & 0x7f; /* but for OUT, which goes on */
}

/* Registers of the date and its update flag go on. */
static bool goes_on(unsigned cmos)
{
	return cmos < 10 ? cmos != 1 && cmos != 3 && cmos != 5 : cmos == 0x32 || cmos == 12;
}

static void say_timers(void)
{
	uint64_t index = inb(0x70);

	say("v cmos.index %x\n", index);
	say("v cmos.selected %x\n", (uint64_t)inb(0x71));
	for (unsigned i = 0; i < 128; i++)
		if (!goes_on(i)) {
			outb(0x70, (uint8_t)i);
			say("v cmos.%x %x\n", (uint64_t)i,
			    (uint64_t)inb(0x71) & (i == 10 ? 0x7f : 0xff));
		}
	outb(0x70, (uint8_t)(0x41 + salt));
	for (unsigned i = 0; i < 3; i++)
		say("v pit.%u %x\n", (uint64_t)i, status_of(i));
	say("v port61 %x\n", (uint64_t)inb(0x61) & 0x0f);
	say("v pm.event %x\n", (uint64_t)inl(PM_BASE));
	say("v pm.control %x\n", (uint64_t)inl(PM_BASE + 4));
	say("v testdev.latch %x\n", (uint64_t)inl(0xe0));
	for (unsigned i = 0; i < 16; i++)
		say("v testdev.%u %x\n", (uint64_t)i,
		    (uint64_t) * (volatile uint32_t *)(0xff000000ull + 4096 * i));
}

struct clock_page {
	uint32_t version, pad;
	uint64_t tsc, ns;
	uint32_t mul;
	int8_t shift;
	uint8_t flags;
};

/* The TSC's frequency by kvmclock's own words; all three clocks of one moment. */
static void say_clocks(void)
{
	const volatile struct clock_page *p = (const volatile void *)CLOCK_AT;
	uint64_t hz = ((1000000000ull << 32) / p->mul), now = rdtsc(), d = now - p->tsc;
	uint64_t pm = inl(PM_TIMER) & 0xffffff;

	hz = p->shift < 0 ? hz << -p->shift : hz >> p->shift;
	d = p->shift < 0 ? d >> -p->shift : d << p->shift;
	say("c tsc %u\nc tsc-hz %u\nc pm-timer %u\n", now, hz, pm);
	say("c kvmclock %u\n", p->ns + (uint64_t)((unsigned __int128)d * p->mul >> 32));
}

/* ---- serial ports, fw_cfg ---- */

static void fill_ports(void)
{
	outb(COM2 + 3, 0x83);
	outb(COM2, (uint8_t)(3 + salt));
	outb(COM2 + 1, (uint8_t)salt);
	outb(COM2 + 3, 0x1b);
	outb(COM2 + 2, 0x41);
	outb(COM2 + 7, (uint8_t)pattern(0, 0x400));
	outb(COM2 + 1, 0x05);
	outb(COM2 + 4, 0x1b); /* looped back: what is sent waits to be read */
	for (unsigned i = 0; i < LOOPED; i++)
		outb(COM2, (uint8_t)pattern(i, 0x401));
	__asm__ volatile("outw %0, %1" ::"a"((uint16_t)FWCFG_SIGNATURE), "Nd"((uint16_t)FWCFG));
	(void)inb(FWCFG + 1);
}

static void say_ports(void)
{
	outb(COM2 + 3, 0x9b);
	say("v com2.divisor %x\n", (uint64_t)inb(COM2) | (uint64_t)inb(COM2 + 1) << 8);
	outb(COM2 + 3, 0x1b);
	for (unsigned i = 1; i < 8; i++)
		say("v com2.%u %x\n", (uint64_t)i, (uint64_t)inb((uint16_t)(COM2 + i)));
}

void state_devs_fill(void)
{
	fill_pci();
	fill_pics();
	fill_timers();
	fill_ports();
}

void state_devs_say(void)
{
	say_clocks();
	say_ports();
	say_timers();
	say_pics();
	say_pci();
}

void state_devs_end(void)
{
	unsigned wrong = 0, more;

	for (unsigned i = 0; i < LOOPED; i++)
		wrong += inb(COM2) != (uint8_t)pattern(i, 0x401);
	for (more = 0; inb(COM2 + 5) & 1; more++)
		(void)inb(COM2);
	say("behind %u\n", (uint64_t)more);
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
	check(!wrong, "state-looped", "%u bytes of %u are others", (uint64_t)wrong,
	      (uint64_t)LOOPED);
	check(inb(FWCFG + 1) == 'E' && inb(FWCFG + 1) == 'M', "state-fwcfg", "reads on elsewhere");
}
