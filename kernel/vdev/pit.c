/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 8254 interval timer and port 0x61. Channel 0 is IRQ 0, channel 2 is gated
 * and read through port 0x61 (kernels and firmware calibrate by it), channel 1
 * counts for nobody.
 *
 * pit->lock guards all; the host timer's callback takes it in interrupt context
 * and raises the line after it is free. Channel 0's next rise is kept as guest
 * time, so that a migration arms what is left of it.
 */
#include <errno.h>
#include <stdlib.h>

#include "irqchip.h"
#include "pit_int.h"

#define PORT61_GATE 0x01u
#define PORT61_REFRESH 0x10u
#define PORT61_OUT 0x20u
/* The callback arms its timer no sooner: counts of a microsecond must not keep the CPU busy. */
#define AGAIN_MIN_NS (100 * NSEC_PER_USEC)
#define EARLY_NS 16u /* how far guest time, otherwise rounded, may be behind at a callback */

static uint64_t now(const struct pit *p)
{
	return vm_guest_ns(p->dev.vm);
}

static void arm_locked(struct pit *p, uint64_t least_ns)
{
	uint64_t t = now(p), left = p->next_ns > t ? p->next_ns - t : 0;

	if (p->next_ns != NEVER_NS && !p->quiet)
		timer_arm(&p->timer, time_ns() + MAX(left, least_ns));
}

static void schedule_locked(struct pit *p, uint64_t from_ns, uint64_t least_ns)
{
	p->next_ns = pit_next_rise(&p->ch[0], from_ns);
	arm_locked(p, least_ns);
}

static void fired(struct timer *t)
{
	struct pit *p = container_of(t, struct pit, timer);
	unsigned long flags = spin_lock(&p->lock);
	uint64_t at = now(p) + EARLY_NS;
	bool due = !p->quiet && at >= p->next_ns;

	if (due)
		schedule_locked(p, at, AGAIN_MIN_NS);
	else
		arm_locked(p, AGAIN_MIN_NS); /* an older arming: what is due comes later */
	spin_unlock(&p->lock, flags);
	if (due) { /* both controllers take the edge */
		vm_set_gsi(p->dev.vm, GSI_OF_IRQ0, true);
		vm_set_gsi(p->dev.vm, GSI_OF_IRQ0, false);
	}
}

/* ---- the counters' ports ---- */

static void load_locked(struct pit *p, unsigned n, uint32_t count)
{
	struct pit_channel *c = &p->ch[n];

	if (c->bcd)
		count = (count >> 12 & 15) * 1000 + (count >> 8 & 15) * 100 +
			(count >> 4 & 15) * 10 + (count & 15);
	c->reload = count ? count : c->bcd ? 10000 : 65536;
	c->start_ns = now(p);
	if (!n)
		schedule_locked(p, now(p), 0);
}

static void data_write_locked(struct pit *p, unsigned n, uint8_t v)
{
	struct pit_channel *c = &p->ch[n];

	if (c->access == 1) {
		load_locked(p, n, v);
	} else if (c->access == 2) {
		load_locked(p, n, (uint32_t)v << 8);
	} else if (!c->write_high) {
		c->write_low = v;
		c->write_high = true;
	} else {
		c->write_high = false;
		load_locked(p, n, (uint32_t)v << 8 | c->write_low);
	}
}

static uint8_t data_read_locked(struct pit *p, unsigned n)
{
	struct pit_channel *c = &p->ch[n];
	uint16_t count;
	bool high;

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	count = c->count_latched ? c->latch : pit_count(c, now(p));
	high = c->access == 2 || (c->access == 3 && c->read_high);
	if (c->access == 3)
		c->read_high = !c->read_high;
	if (c->access != 3 || high)
		c->count_latched = false;
	return (uint8_t)(high ? count >> 8 : count);
}

static void latch_count_locked(struct pit *p, unsigned n)
{
	struct pit_channel *c = &p->ch[n];

	if (c->count_latched)
		return;
	c->latch = pit_count(c, now(p));
	c->count_latched = true;
}

static void latch_status_locked(struct pit *p, unsigned n)
{
	struct pit_channel *c = &p->ch[n];

	if (c->status_latched)
		return;
	c->status = (uint8_t)(pit_out(c, now(p)) << 7 | !c->reload << 6 | c->access << 4 |
			      c->mode << 1 | c->bcd);
	c->status_latched = true;
}

static void control_locked(struct pit *p, uint8_t v)
{
	unsigned n = v >> 6, access = v >> 4 & 3;
	struct pit_channel *c;

	if (n == 3) { /* read-back */
		for (unsigned i = 0; i < 3; i++) {
			if (!(v >> (i + 1) & 1))
				continue;
			if (!(v & 0x20))
				latch_count_locked(p, i);
			if (!(v & 0x10))
				latch_status_locked(p, i);
		}
		return;
	}
	if (!access) {
		latch_count_locked(p, n);
		return;
	}
	c = &p->ch[n];
	c->access = (uint8_t)access;
	c->mode = (uint8_t)(v >> 1 & 7) > 5 ? (v >> 1 & 3) : (v >> 1 & 7);
	c->bcd = v & 1;
	c->reload = 0; /* stands still until a count is written */
	c->read_high = c->write_high = c->count_latched = c->status_latched = false;
	if (!n)
		schedule_locked(p, now(p), 0);
}

static void ports_read(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t *value)
{
	struct pit *p = arg;
	unsigned long flags = spin_lock(&p->lock);

	(void)c;
	(void)size;
	*value = off < 3 ? data_read_locked(p, (unsigned)off) : 0;
	spin_unlock(&p->lock, flags);
}

static void ports_write(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t value)
{
	struct pit *p = arg;
	unsigned long flags = spin_lock(&p->lock);

	(void)c;
	(void)size;
	if (off < 3)
		data_write_locked(p, (unsigned)off, (uint8_t)value);
	else
		control_locked(p, (uint8_t)value);
	spin_unlock(&p->lock, flags);
}

/* ---- port 0x61 ---- */

static void port61_read(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t *value)
{
	struct pit *p = arg;
	unsigned long flags = spin_lock(&p->lock);

	(void)c;
	(void)off;
	(void)size;
	p->refresh ^= PORT61_REFRESH;
	*value = (p->ch[2].gate ? PORT61_GATE : 0) | p->speaker | p->refresh |
		 (pit_out(&p->ch[2], now(p)) ? PORT61_OUT : 0);
	spin_unlock(&p->lock, flags);
}

static void port61_write(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t value)
{
	struct pit *p = arg;
	unsigned long flags = spin_lock(&p->lock);
	bool gate = value & PORT61_GATE;

	(void)c;
	(void)off;
	(void)size;
	if (gate && !p->ch[2].gate)
		p->ch[2].start_ns = now(p); /* a rising gate starts the count again */
	p->ch[2].gate = gate;
	p->speaker = value & PORT61_SPEAKER;
	spin_unlock(&p->lock, flags);
}

static const struct io_ops ports_ops = { .read = ports_read, .write = ports_write };
static const struct io_ops port61_ops = { .read = port61_read, .write = port61_write };

/* ---- as a device ---- */

static void reset(struct vdev *d)
{
	struct pit *p = pit_of(d);
	unsigned long flags = spin_lock(&p->lock);

	for (unsigned i = 0; i < 3; i++)
		p->ch[i] = (struct pit_channel){ .access = 3, .mode = 3, .gate = i != 2 };
	p->speaker = p->refresh = 0;
	p->next_ns = NEVER_NS;
	spin_unlock(&p->lock, flags);
}

/* The interrupt controllers are saved before this: an edge after that would be lost. */
static int quiesce(struct vdev *d, uint64_t deadline_ns)
{
	struct pit *p = pit_of(d);
	unsigned long flags = spin_lock(&p->lock);

	(void)deadline_ns;
	p->quiet = true;
	spin_unlock(&p->lock, flags);
	(void)timer_cancel(&p->timer);
	return 0;
}

static void resume(struct vdev *d)
{
	struct pit *p = pit_of(d);
	unsigned long flags = spin_lock(&p->lock);

	p->quiet = false;
	arm_locked(p, 0);
	spin_unlock(&p->lock, flags);
}

static void destroy(struct vdev *d)
{
	struct pit *p = pit_of(d);

	(void)quiesce(d, 0); /* a callback under way does not arm it again */
	free(p);
}

static const struct vdev_ops ops = {
	.name = "pit",
	.reset = reset,
	.quiesce = quiesce,
	.resume = resume,
	.save = pit_save,
	.check = pit_check,
	.load = pit_load,
	.destroy = destroy,
};

int pit_create(struct vm *vm)
{
	struct pit *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	spin_init(&p->lock, LOCK_VTIMER, "pit");
	timer_setup(&p->timer, fired);
	vdev_init(&p->dev, vm, &ops, REC_PIT, REC_PIT, 0);
	reset(&p->dev);
	vdev_region(&p->dev, &p->region[0], IO_PIO, 0x40, 4, &ports_ops, NULL);
	vdev_region(&p->dev, &p->region[1], IO_PIO, 0x61, 1, &port61_ops, NULL);
	p->region[0].arg = p->region[1].arg = p;
	return 0;
}
