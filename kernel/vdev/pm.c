/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI power management (pm.h). The timer is guest time in other units, so
 * reading it takes no lock and it needs no state of its own. ACPI mode is
 * always on: SCI_EN reads 1 and there is no SMI command port. The timer's
 * overflow does not set TMR_STS; no kernel relies on it where the FADT offers
 * other clocks. [ACPI 6.4 4.8.3 "PM1 Event Registers" ff.]
 */
#include <errno.h>
#include <stdlib.h>

#include "pm.h"
#include "q35.h"

#define PM_REC_VERSION 1
#define PM1_BITS 0x0721u /* TMR, GBL, PWRBTN, SLPBTN, RTC */
#define PM1_PWRBTN 0x0100u
#define PM1_WAKE 0x8000u
#define CNT_SCI_EN 0x0001u
#define CNT_BITS 0x1c06u /* BM_RLD, GBL_RLS, SLP_TYP */
#define CNT_SLP_EN 0x2000u
#define CNT_SLP_TYP(v) ((v) >> 10 & 7u)
#define SLP_S5 0u /* as the DSDT's _S5 and OVMF have it */
#define SMI_EN 0x30u
#define SMI_EN_APMC 0x20u /* "firmware has set up SMIs": SeaBIOS then leaves them alone */
#define RESET_CPU 0x04u
#define KBC_PORT 0x64u
#define KBC_PULSE_RESET 0xfeu

struct pm {
	struct vdev d;
	struct io_region io, kbc;
	uint16_t status, enable, control;
	bool line;
};

static uint32_t timer_ticks(struct pm *pm)
{
	return (uint32_t)mul_div64(vm_guest_ns(pm->d.vm), PM_TIMER_HZ, NSEC_PER_SEC) & 0xffffffu;
}

static uint32_t read_dword(struct pm *pm, uint64_t off)
{
	switch (off) {
	case PM1_STS:
		return (uint32_t)pm->status | (uint32_t)pm->enable << 16;
	case PM1_CNT:
		return pm->control | CNT_SCI_EN;
	case SMI_EN:
		return SMI_EN_APMC;
	default:
		return 0;
	}
}

static void io_read(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t *value)
{
	struct pm *pm = container_of((struct vdev *)arg, struct pm, d);
	uint64_t v;

	(void)c;
	if ((off & ~3ull) == PM_TMR) {
		v = timer_ticks(pm);
	} else {
		mutex_lock(&pm->d.lock);
		v = read_dword(pm, off & ~3ull);
		mutex_unlock(&pm->d.lock);
	}
	v >>= 8 * (off & 3);
	*value = size < 8 ? v & (BIT(8 * size) - 1) : v;
}

static void update_line(struct pm *pm)
{
	bool high = pm->status & pm->enable & PM1_BITS;

	if (high == pm->line)
		return;
	pm->line = high;
	vm_set_gsi(pm->d.vm, GSI_SCI, high);
}

void pm_press_power(struct pm *pm)
{
	mutex_lock(&pm->d.lock);
	pm->status |= PM1_PWRBTN;
	update_line(pm);
	mutex_unlock(&pm->d.lock);
}

bool power_button(struct vm *vm)
{
	struct pm *pm = q35_of(vm)->pm;
	bool heard;

	mutex_lock(&pm->d.lock);
	heard = pm->enable & PM1_PWRBTN;
	mutex_unlock(&pm->d.lock);
	pm_press_power(pm);
	return heard;
}

static void write_control(struct pm *pm, uint16_t v)
{
	pm->control = v & CNT_BITS;
	if (v & CNT_SLP_EN && CNT_SLP_TYP(v) == SLP_S5)
		vm_request_off(pm->d.vm, "guest powered off", false);
}

static void io_write(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t value)
{
	struct pm *pm = container_of((struct vdev *)arg, struct pm, d);

	(void)c;
	if (size < 2)
		return;
	mutex_lock(&pm->d.lock);
	switch (off) {
	case PM1_STS:
		pm->status &= (uint16_t)~value;
		if (size >= 4)
			pm->enable = (uint16_t)(value >> 16) & PM1_BITS;
		break;
	case PM1_EN:
		pm->enable = (uint16_t)value & PM1_BITS;
		break;
	case PM1_CNT:
		write_control(pm, (uint16_t)value);
		break;
	default:
		break;
	}
	update_line(pm);
	mutex_unlock(&pm->d.lock);
}

static const struct io_ops pm_io = { .read = io_read, .write = io_write };

/* All-ones, as where there is no controller. */
static void kbc_read(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t *value)
{
	(void)arg, (void)c, (void)off, (void)size, (void)value;
}

static void kbc_write(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t value)
{
	struct pm *pm = container_of((struct vdev *)arg, struct pm, d);

	(void)c, (void)off;
	if (size == 1 && value == KBC_PULSE_RESET)
		vm_request_reset(pm->d.vm);
}

static const struct io_ops kbc_io = { .read = kbc_read, .write = kbc_write };

void pm_move(struct pm *pm, uint16_t base, bool enabled)
{
	enabled = enabled && base != 0;
	if (enabled != pm->io.enabled || (enabled && base != pm->io.base))
		vm_io_move(pm->d.vm, &pm->io, base, enabled);
}

void pm_reset_port(struct vm *vm, uint8_t value)
{
	if (value & RESET_CPU)
		vm_request_reset(vm);
}

static void pm_reset(struct vdev *d)
{
	struct pm *pm = container_of(d, struct pm, d);

	pm->status = pm->enable = pm->control = 0;
	update_line(pm);
}

/*
 * REC_PM version 1, instance 0:
 *   0  u16  PM1 status, PM1 enable, PM1 control
 *   6  u16  bit 0: SCI line high
 */
static void pm_save(struct vdev *d, struct rec_writer *w)
{
	struct pm *pm = container_of(d, struct pm, d);

	rec_begin(w, REC_PM, PM_REC_VERSION, 0, d->instance);
	rec_u16(w, pm->status);
	rec_u16(w, pm->enable);
	rec_u16(w, pm->control);
	rec_u16(w, pm->line);
	rec_end(w);
}

static int pm_parse(struct rec_reader *r, struct pm *pm)
{
	uint16_t line;

	if (r->head.version != PM_REC_VERSION)
		return -EBADMSG;
	pm->status = rec_get_u16(r);
	pm->enable = rec_get_u16(r);
	pm->control = rec_get_u16(r);
	line = rec_get_u16(r);
	pm->line = line;
	if (pm->status & ~(PM1_BITS | PM1_WAKE) || pm->enable & ~PM1_BITS ||
	    pm->control & ~CNT_BITS || line > 1)
		return -EBADMSG;
	return rec_done(r);
}

static int pm_check(struct vdev *d, struct rec_reader *r)
{
	struct pm scratch;

	(void)d;
	return pm_parse(r, &scratch);
}

static int pm_load(struct vdev *d, struct rec_reader *r)
{
	return pm_parse(r, container_of(d, struct pm, d));
}

static void pm_destroy(struct vdev *d)
{
	free(container_of(d, struct pm, d));
}

static const struct vdev_ops pm_ops = {
	.name = "pm",
	.reset = pm_reset,
	.save = pm_save,
	.check = pm_check,
	.load = pm_load,
	.destroy = pm_destroy,
};

int pm_create(struct vm *vm, struct pm **out)
{
	struct pm *pm = calloc(1, sizeof(*pm));

	if (!pm)
		return -ENOMEM;
	vdev_init(&pm->d, vm, &pm_ops, REC_PM, REC_PM, 0);
	vdev_region(&pm->d, &pm->io, IO_PIO, 0, PM_BLOCK_SIZE, &pm_io, NULL);
	vdev_region(&pm->d, &pm->kbc, IO_PIO, KBC_PORT, 1, &kbc_io, NULL);
	*out = pm;
	return 0;
}
