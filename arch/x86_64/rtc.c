/* SPDX-License-Identifier: BSD-2-Clause */
/* Wall clock: the CMOS RTC, read once at boot (UTC), and time_ns() from there on. */
#include <tern/cpu.h>
#include <tern/timer.h>

#include "arch.h"

#define CMOS_INDEX 0x70
#define CMOS_DATA 0x71
#define RTC_STATUS_A 0x0a
#define RTC_STATUS_B 0x0b
#define RTC_UPDATING 0x80
#define RTC_24H 0x02
#define RTC_BINARY 0x04
#define RTC_PM 0x80

static uint64_t boot_wall_ns; /* [const] wall clock when time_ns() was 0; 0 = unknown */

struct rtc_time {
	unsigned sec, min, hour, day, month, year;
};

static uint8_t cmos(uint8_t reg)
{
	outb(CMOS_INDEX, reg);
	return inb(CMOS_DATA);
}

static unsigned from_bcd(unsigned v)
{
	return (v >> 4) * 10 + (v & 15);
}

static void read_once(struct rtc_time *t)
{
	for (int i = 0; i < 100000 && cmos(RTC_STATUS_A) & RTC_UPDATING; i++)
		cpu_pause();
	*t = (struct rtc_time){ .sec = cmos(0),
				.min = cmos(2),
				.hour = cmos(4),
				.day = cmos(7),
				.month = cmos(8),
				.year = cmos(9) };
}

static void decode(struct rtc_time *t)
{
	uint8_t b = cmos(RTC_STATUS_B);
	bool pm = !(b & RTC_24H) && t->hour & RTC_PM;

	if (!(b & RTC_24H))
		t->hour &= ~(unsigned)RTC_PM;
	if (!(b & RTC_BINARY)) {
		t->sec = from_bcd(t->sec);
		t->min = from_bcd(t->min);
		t->hour = from_bcd(t->hour);
		t->day = from_bcd(t->day);
		t->month = from_bcd(t->month);
		t->year = from_bcd(t->year);
	}
	if (!(b & RTC_24H))
		t->hour = t->hour % 12 + (pm ? 12 : 0);
	t->year += 2000;
}

/* Days since 1970-01-01 in the Gregorian calendar, years beginning in March. */
static uint64_t days(unsigned y, unsigned m, unsigned d)
{
	if (m <= 2)
		y--;
	unsigned shifted = (m + 9) % 12;

	return 365ull * y + y / 4 - y / 100 + y / 400 + (153 * shifted + 2) / 5 + d - 1 - 719468;
}

void clock_read_rtc(void)
{
	struct rtc_time a, b;

	for (int i = 0; i < 4; i++) {
		read_once(&a);
		read_once(&b);
		if (a.sec == b.sec && a.min == b.min && a.hour == b.hour && a.day == b.day)
			break;
	}
	decode(&b);
	if (b.month < 1 || b.month > 12 || b.day < 1 || b.day > 31 || b.hour > 23 || b.min > 59)
		return;
	boot_wall_ns =
		(days(b.year, b.month, b.day) * 86400 + b.hour * 3600ull + b.min * 60 + b.sec) *
			NSEC_PER_SEC -
		time_ns();
}

uint64_t wall_clock_ns(void)
{
	return boot_wall_ns ? boot_wall_ns + time_ns() : 0;
}

uint64_t wall_clock_s(void)
{
	return wall_clock_ns() / NSEC_PER_SEC;
}
