/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Seconds since 1970 to calendar and back, and the clock chip's number formats
 * (rtc.h). Days are counted in years that begin with March, so that the leap
 * day is the last one. Pure code.
 */
#include "rtc.h"

#define DAYS_400Y 146097u
#define DAYS_TO_1970 719468u /* from 1 March of year 0 */
#define HOUR_PM 0x80u

void rtc_from_seconds(uint64_t s, struct rtc_time *t)
{
	uint64_t days = s / 86400 + DAYS_TO_1970;
	uint64_t era = days / DAYS_400Y;
	unsigned doe = (unsigned)(days % DAYS_400Y);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned m = (5 * doy + 2) / 153; /* 0 = March */
	unsigned rest = (unsigned)(s % 86400);

	t->day = doy - (153 * m + 2) / 5 + 1;
	t->month = m < 10 ? m + 3 : m - 9;
	t->year = (unsigned)(era * 400) + yoe + (t->month <= 2);
	t->wday = (unsigned)((s / 86400 + 4) % 7) + 1;
	t->hour = rest / 3600;
	t->min = rest / 60 % 60;
	t->sec = rest % 60;
}

uint64_t rtc_to_seconds(const struct rtc_time *t)
{
	unsigned month = (t->month + 11) % 12 + 1;
	unsigned y = MAX(t->year, 1970u) - (month <= 2);
	unsigned yoe = y % 400;
	unsigned doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + MAX(t->day, 1u) - 1;
	uint64_t days = (uint64_t)(y / 400) * DAYS_400Y + yoe * 365 + yoe / 4 - yoe / 100 + doy;

	return (days - DAYS_TO_1970) * 86400 + t->hour * 3600 + t->min * 60 + t->sec;
}

uint8_t rtc_encode(unsigned v, uint8_t b)
{
	return (uint8_t)(b & RTC_B_BINARY ? v : v / 10 << 4 | v % 10);
}

unsigned rtc_decode(uint8_t v, uint8_t b)
{
	return b & RTC_B_BINARY ? v : (v >> 4) * 10u + (v & 15u);
}

uint8_t rtc_encode_hour(unsigned hour, uint8_t b)
{
	unsigned h = hour % 12 ? hour % 12 : 12;

	if (b & RTC_B_24H)
		return rtc_encode(hour, b);
	return (uint8_t)(rtc_encode(h, b) | (hour >= 12 ? HOUR_PM : 0));
}

unsigned rtc_decode_hour(uint8_t v, uint8_t b)
{
	if (b & RTC_B_24H)
		return rtc_decode(v, b);
	return rtc_decode(v & (uint8_t)~HOUR_PM, b) % 12 + (v & HOUR_PM ? 12 : 0);
}
