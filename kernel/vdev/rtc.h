/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MC146818 clock and CMOS memory of a guest, ports 0x70 and 0x71, IRQ 8. The
 * clock runs with guest time; the memory carries RAM sizes for firmware.
 */
#ifndef KERNEL_VDEV_RTC_H
#define KERNEL_VDEV_RTC_H

#include "device.h"

MUST_CHECK int rtc_create(struct vm *vm);

/* rtc_time.c: calendar of the Gregorian rule, years 1970 to 9999. */
struct rtc_time {
	unsigned sec, min, hour, wday /* 1 = Sunday */, day, month /* 1-12 */, year;
};
void rtc_from_seconds(uint64_t s, struct rtc_time *t);
/* Fields out of range carry over, as a clock that counts on from there would. */
uint64_t rtc_to_seconds(const struct rtc_time *t);
/* Register forms: B's DM bit (binary) and 24-hour bit. */
#define RTC_B_24H 0x02u
#define RTC_B_BINARY 0x04u
uint8_t rtc_encode(unsigned v, uint8_t b);
unsigned rtc_decode(uint8_t v, uint8_t b);
uint8_t rtc_encode_hour(unsigned hour, uint8_t b);
unsigned rtc_decode_hour(uint8_t v, uint8_t b);

#endif
