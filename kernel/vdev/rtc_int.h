/* SPDX-License-Identifier: BSD-2-Clause */
/* The clock chip as a device, for rtc.c and rtc_state.c. */
#ifndef KERNEL_VDEV_RTC_INT_H
#define KERNEL_VDEV_RTC_INT_H

#include "rtc.h"

#define CMOS_SIZE 128u

enum {
	SEC,
	SEC_ALARM,
	MIN_,
	MIN_ALARM,
	HOUR,
	HOUR_ALARM,
	WDAY,
	DAY,
	MONTH,
	YEAR,
	REG_A,
	REG_B,
	REG_C,
	REG_D
};
#define CENTURY 0x32u
#define LAST_TIME YEAR

#define B_SET 0x80u
#define B_ALARM 0x20u
#define B_UPDATE 0x10u

struct rtc {
	struct vdev d;
	struct io_region io;
	uint8_t index;
	uint8_t cmos[CMOS_SIZE]; /* time registers only valid while SET */
	int64_t offset_ns;	 /* time of day - guest time, when placed */
	int64_t change_ns;	 /* time of day - the host's, when not */
	bool placed;
	bool quiet;	 /* [atom] quiesced: the timer does not go on */
	uint64_t seen_s; /* the last second whose interrupts were given, while ticks() */
	struct timer timer;
	struct spinlock irq_lock; /* guards flags and line */
	uint8_t flags;		  /* register C without the IRQ bit */
	bool line;
};

static inline struct rtc *rtc_of(struct vdev *d)
{
	return container_of(d, struct rtc, d);
}

/* Time of day, placed at the first use. */
uint64_t rtc_now_ns(struct rtc *t);
/* The time registers, in the form that register B asks for. */
void rtc_put_regs(struct rtc *t, uint64_t seconds);
uint64_t rtc_regs_s(const struct rtc *t);

void rtc_save(struct vdev *d, struct rec_writer *w);
MUST_CHECK int rtc_check(struct vdev *d, struct rec_reader *r);
MUST_CHECK int rtc_load(struct vdev *d, struct rec_reader *r);

#endif
