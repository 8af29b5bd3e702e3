/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MC146818 clock and CMOS memory (rtc.h). The time of day is guest time plus an
 * offset, which the guest changes by setting the clock; so it goes on through a
 * pause or a migration as the guest's other clocks do. Guest time starts anew
 * some time after a reset: the offset is made at the first use after that, from
 * the host's time of day and what the guest had changed. While register B's SET
 * bit is on, the time registers are a copy that takes effect when it goes off.
 *
 * Update-ended and alarm interrupts come from a timer that runs, once a second,
 * only while one of them is enabled. A look takes in all seconds since the one before,
 * so that an alarm which fell into a migration comes after it, once; the last second
 * looked at travels in the time registers, which mean nothing else then. The periodic
 * interrupt is not there.
 * [Motorola MC146818A "Register B" ff.]
 *
 * Locks: the device's mutex for the registers; irq_lock for C, which the timer
 * sets in interrupt context.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rtc_int.h"

#define PORT_INDEX 0x70u

#define A_UIP 0x80u
#define A_DEFAULT 0x26u
#define C_IRQ 0x80u
#define D_VALID 0x80u
#define ALARM_ANY 0xc0u /* alarm byte that matches every value */
/* UIP announces an update at least this long before it. */
#define UIP_NS 244000u
/* The timer may come a trifle before the guest's second does. */
#define TICK_EARLY_NS NSEC_PER_MSEC
#define DAY_S 86400u /* within it every alarm comes */
/* Nanoseconds since 1970 fit in 63 bits until 2262. */
#define YEAR_MAX 2200u

static int64_t host_ns(void)
{
	return (int64_t)(wall_clock_s() * NSEC_PER_SEC);
}

uint64_t rtc_now_ns(struct rtc *t)
{
	int64_t guest = (int64_t)vm_guest_ns(t->d.vm);

	if (!t->placed) {
		t->offset_ns = host_ns() + t->change_ns - guest;
		t->placed = true;
	}
	return (uint64_t)(guest + t->offset_ns);
}

/* ---- time registers ---- */

void rtc_put_regs(struct rtc *t, uint64_t seconds)
{
	uint8_t b = t->cmos[REG_B];
	struct rtc_time v;

	rtc_from_seconds(seconds, &v);
	t->cmos[SEC] = rtc_encode(v.sec, b);
	t->cmos[MIN_] = rtc_encode(v.min, b);
	t->cmos[HOUR] = rtc_encode_hour(v.hour, b);
	t->cmos[WDAY] = rtc_encode(v.wday, b);
	t->cmos[DAY] = rtc_encode(v.day, b);
	t->cmos[MONTH] = rtc_encode(v.month, b);
	t->cmos[YEAR] = rtc_encode(v.year % 100, b);
	t->cmos[CENTURY] = rtc_encode(v.year / 100, b & (uint8_t)~RTC_B_BINARY);
}

static void time_to_regs(struct rtc *t)
{
	rtc_put_regs(t, rtc_now_ns(t) / NSEC_PER_SEC);
}

uint64_t rtc_regs_s(const struct rtc *t)
{
	uint8_t b = t->cmos[REG_B];
	struct rtc_time v = {
		.sec = rtc_decode(t->cmos[SEC], b),
		.min = rtc_decode(t->cmos[MIN_], b),
		.hour = rtc_decode_hour(t->cmos[HOUR], b),
		.day = rtc_decode(t->cmos[DAY], b),
		.month = rtc_decode(t->cmos[MONTH], b),
		.year = rtc_decode(t->cmos[YEAR], b) + 100 * rtc_decode(t->cmos[CENTURY], 0),
	};

	v.year = MIN(v.year, YEAR_MAX);
	return rtc_to_seconds(&v);
}

/* The second whose tick came last, or is as good as there. */
static uint64_t ticked_s(struct rtc *t)
{
	return (rtc_now_ns(t) + TICK_EARLY_NS) / NSEC_PER_SEC;
}

static void regs_to_time(struct rtc *t)
{
	t->offset_ns = (int64_t)(rtc_regs_s(t) * NSEC_PER_SEC) - (int64_t)vm_guest_ns(t->d.vm);
	t->seen_s = ticked_s(t); /* seconds that were leapt over bring nothing */
}

static bool is_time(uint8_t index)
{
	return index == CENTURY || (index <= LAST_TIME && index != SEC_ALARM &&
				    index != MIN_ALARM && index != HOUR_ALARM);
}

/* ---- interrupts ---- */

static bool alarm_matches(const struct rtc *t, const struct rtc_time *v)
{
	uint8_t b = t->cmos[REG_B];
	uint8_t s = t->cmos[SEC_ALARM], m = t->cmos[MIN_ALARM], h = t->cmos[HOUR_ALARM];

	return (s >= ALARM_ANY || rtc_decode(s, b) == v->sec) &&
	       (m >= ALARM_ANY || rtc_decode(m, b) == v->min) &&
	       ((h & ALARM_ANY) == ALARM_ANY || rtc_decode_hour(h, b) == v->hour);
}

static void raise_flags(struct rtc *t, uint8_t set)
{
	unsigned long f = spin_lock(&t->irq_lock);

	t->flags |= set;
	if (t->flags & t->cmos[REG_B] && !t->line) {
		t->line = true;
		vm_set_gsi(t->d.vm, GSI_RTC, true);
	}
	spin_unlock(&t->irq_lock, f);
}

static uint8_t take_flags(struct rtc *t)
{
	unsigned long f = spin_lock(&t->irq_lock);
	uint8_t v = (uint8_t)(t->flags | (t->line ? C_IRQ : 0));

	t->flags = 0;
	if (t->line) {
		t->line = false;
		vm_set_gsi(t->d.vm, GSI_RTC, false);
	}
	spin_unlock(&t->irq_lock, f);
	return v;
}

static bool ticks(const struct rtc *t)
{
	uint8_t b = t->cmos[REG_B];

	return !(b & B_SET) && b & (B_ALARM | B_UPDATE) &&
	       !__atomic_load_n(&t->quiet, __ATOMIC_ACQUIRE);
}

/* The next second but for one that begins within TICK_EARLY_NS: its tick has been. */
static void arm(struct rtc *t)
{
	uint64_t past;

	if (!ticks(t))
		return;
	past = (rtc_now_ns(t) + TICK_EARLY_NS) % NSEC_PER_SEC;
	timer_arm(&t->timer, time_ns() + NSEC_PER_SEC - past + TICK_EARLY_NS);
}

/* What the seconds since the last look bring, together. */
static void look(struct rtc *t)
{
	uint64_t now = ticked_s(t), s = MAX(t->seen_s, now - MIN(now, DAY_S));
	uint8_t flags = B_UPDATE;
	struct rtc_time v;

	if (s >= now)
		return;
	while (s < now && flags == B_UPDATE) {
		rtc_from_seconds(++s, &v);
		flags |= alarm_matches(t, &v) ? B_ALARM : 0;
	}
	t->seen_s = now;
	raise_flags(t, flags);
}

/* Interrupt context. */
static void tick(struct timer *timer)
{
	struct rtc *t = container_of(timer, struct rtc, timer);

	if (!ticks(t))
		return; /* switched off since; the guest's time may be about to start anew */
	look(t);
	arm(t);
}

/* A tick that was under way may have armed the timer again: the second call finds that. */
static void stop_timer(struct rtc *t)
{
	__atomic_store_n(&t->quiet, true, __ATOMIC_RELEASE);
	timer_cancel(&t->timer);
	timer_cancel(&t->timer);
}

/* ---- accesses ---- */

static uint8_t read_reg(struct rtc *t)
{
	bool frozen = t->cmos[REG_B] & B_SET;

	if (is_time(t->index) && !frozen)
		time_to_regs(t);
	if (t->index == REG_A)
		return (uint8_t)(t->cmos[REG_A] |
				 (!frozen && rtc_now_ns(t) % NSEC_PER_SEC > NSEC_PER_SEC - UIP_NS
					  ? A_UIP
					  : 0));
	if (t->index == REG_C)
		return take_flags(t);
	return t->cmos[t->index];
}

static void write_b(struct rtc *t, uint8_t v)
{
	uint8_t old = t->cmos[REG_B];
	bool ticked = ticks(t);

	if (v & ~old & B_SET)
		time_to_regs(t);
	if (v & B_SET)
		v &= (uint8_t)~B_UPDATE;
	t->cmos[REG_B] = v;
	if (old & ~v & B_SET)
		regs_to_time(t);
	raise_flags(t, 0);
	if (!ticked)
		t->seen_s = ticked_s(t);
	arm(t);
}

static void write_reg(struct rtc *t, uint8_t v)
{
	if (t->index == REG_B) {
		write_b(t, v);
	} else if (t->index == REG_A) {
		t->cmos[REG_A] = v & (uint8_t)~A_UIP;
	} else if (is_time(t->index) && !(t->cmos[REG_B] & B_SET)) {
		time_to_regs(t);
		t->cmos[t->index] = v;
		regs_to_time(t);
	} else if (t->index != REG_C && t->index != REG_D) {
		t->cmos[t->index] = v;
	}
}

static void io_read(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t *value)
{
	struct rtc *t = container_of((struct vdev *)arg, struct rtc, d);

	(void)c;
	if (off == 1 && size == 1)
		*value = read_reg(t);
}

static void io_write(void *arg, struct vcpu *c, uint64_t off, unsigned size, uint64_t value)
{
	struct rtc *t = container_of((struct vdev *)arg, struct rtc, d);

	(void)c;
	if (size != 1)
		return;
	if (off == 0)
		t->index = value & (CMOS_SIZE - 1);
	else
		write_reg(t, (uint8_t)value);
}

static const struct io_ops rtc_io = { .read = io_read, .write = io_write };

/* ---- reset and migration ---- */

/* RAM above 16 MiB and above 4 GiB in units of 64 KiB, where firmware without fw_cfg looks. */
static void store_sizes(struct rtc *t)
{
	uint64_t ram = t->d.vm->cfg.mem_bytes;
	uint64_t low = MIN(ram, GMEM_LOW_MAX), high = ram - low;
	uint64_t mid = low > (16u << 20) ? (low - (16u << 20)) >> 16 : 0;

	t->cmos[0x34] = (uint8_t)mid;
	t->cmos[0x35] = (uint8_t)(mid >> 8);
	t->cmos[0x5b] = (uint8_t)(high >> 16);
	t->cmos[0x5c] = (uint8_t)(high >> 24);
	t->cmos[0x5d] = (uint8_t)(high >> 32);
}

/* The clock and the memory have a battery: only interrupts go. */
static void rtc_reset(struct vdev *d)
{
	struct rtc *t = container_of(d, struct rtc, d);

	if (t->placed)
		t->change_ns = (int64_t)rtc_now_ns(t) - host_ns();
	t->placed = false;
	t->cmos[REG_A] = A_DEFAULT;
	t->cmos[REG_B] = RTC_B_24H;
	t->cmos[REG_D] = D_VALID;
	take_flags(t);
}

static int rtc_quiesce(struct vdev *d, uint64_t deadline_ns)
{
	(void)deadline_ns;
	stop_timer(container_of(d, struct rtc, d));
	return 0;
}

static void rtc_resume(struct vdev *d)
{
	struct rtc *t = container_of(d, struct rtc, d);

	__atomic_store_n(&t->quiet, false, __ATOMIC_RELEASE);
	if (ticks(t))
		look(t);
	arm(t);
}

static void rtc_destroy(struct vdev *d)
{
	struct rtc *t = container_of(d, struct rtc, d);

	stop_timer(t);
	free(t);
}

static const struct vdev_ops rtc_ops = {
	.name = "rtc",
	.reset = rtc_reset,
	.quiesce = rtc_quiesce,
	.resume = rtc_resume,
	.save = rtc_save,
	.check = rtc_check,
	.load = rtc_load,
	.destroy = rtc_destroy,
};

int rtc_create(struct vm *vm)
{
	struct rtc *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->cmos[REG_B] = RTC_B_24H;
	spin_init(&t->irq_lock, LOCK_VDEV_LOG, "rtc");
	timer_setup(&t->timer, tick);
	vdev_init(&t->d, vm, &rtc_ops, REC_RTC, REC_RTC, 0);
	store_sizes(t);
	vdev_region(&t->d, &t->io, IO_PIO, PORT_INDEX, 2, &rtc_io, &t->d.lock);
	return 0;
}
