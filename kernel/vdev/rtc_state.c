/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * REC_RTC version 1, instance 0:
 *   0  u64  offset: time of day - guest time, nanoseconds, signed
 *   8  u8   index register
 *   9  u8   flags of register C
 *  10  u8   bit 0: line high
 *  11  u8   zero
 *  12  128  CMOS memory, registers A and B in it; with SET off the time registers
 *           hold the last second whose interrupts were given
 */
#include <errno.h>
#include <string.h>

#include "rtc_int.h"

#define RTC_REC_VERSION 1

void rtc_save(struct vdev *d, struct rec_writer *w)
{
	struct rtc *t = rtc_of(d);

	rtc_now_ns(t); /* places it */
	if (!(t->cmos[REG_B] & B_SET))
		rtc_put_regs(t, t->seen_s);
	rec_begin(w, REC_RTC, RTC_REC_VERSION, 0, d->instance);
	rec_u64(w, (uint64_t)t->offset_ns);
	rec_u8(w, t->index);
	rec_u8(w, t->flags);
	rec_u8(w, t->line);
	rec_u8(w, 0);
	rec_bytes(w, t->cmos, CMOS_SIZE);
	rec_end(w);
}

struct rtc_image {
	uint64_t offset;
	uint8_t index, flags, line, zero;
	uint8_t cmos[CMOS_SIZE];
};

static int rtc_parse(struct rec_reader *r, struct rtc_image *m)
{
	if (r->head.version != RTC_REC_VERSION)
		return -EBADMSG;
	m->offset = rec_get_u64(r);
	m->index = rec_get_u8(r);
	m->flags = rec_get_u8(r);
	m->line = rec_get_u8(r);
	m->zero = rec_get_u8(r);
	rec_get_bytes(r, m->cmos, CMOS_SIZE);
	if (m->index >= CMOS_SIZE || m->flags & ~(B_ALARM | B_UPDATE) || m->line > 1 || m->zero)
		return -EBADMSG;
	/* Centuries either way, far from overflow. */
	if (m->offset + (UINT64_MAX >> 2) > UINT64_MAX >> 1)
		return -EBADMSG;
	return rec_done(r);
}

int rtc_check(struct vdev *d, struct rec_reader *r)
{
	struct rtc_image m;

	(void)d;
	return rtc_parse(r, &m);
}

int rtc_load(struct vdev *d, struct rec_reader *r)
{
	struct rtc *t = rtc_of(d);
	struct rtc_image m;
	int rc = rtc_parse(r, &m);

	if (rc)
		return rc;
	t->offset_ns = (int64_t)m.offset;
	t->placed = true;
	t->index = m.index;
	t->flags = m.flags;
	t->line = m.line;
	memcpy(t->cmos, m.cmos, CMOS_SIZE);
	t->seen_s = rtc_regs_s(t);
	return 0;
}
