/* SPDX-License-Identifier: BSD-2-Clause */
/* REC_PIT: save, check, load. Times are guest nanoseconds; the timer is armed by resume. */
#include <errno.h>

#include "pit_int.h"

#define PIT_VERSION 1u

void pit_save(struct vdev *d, struct rec_writer *w)
{
	struct pit *p = pit_of(d);
	struct pit_channel ch[3];
	uint8_t speaker;
	uint64_t next;
	unsigned long flags = spin_lock(&p->lock);

	for (unsigned i = 0; i < 3; i++)
		ch[i] = p->ch[i];
	speaker = p->speaker;
	next = p->next_ns;
	spin_unlock(&p->lock, flags);
	rec_begin(w, REC_PIT, PIT_VERSION, 0, 0);
	rec_u64(w, next);
	rec_u64(w, speaker);
	for (unsigned i = 0; i < 3; i++) {
		const struct pit_channel *c = &ch[i];

		rec_u64(w, c->start_ns);
		rec_u32(w, c->reload);
		rec_u16(w, c->latch);
		rec_u8(w, c->mode);
		rec_u8(w, c->access);
		rec_u8(w, c->status);
		rec_u8(w, c->write_low);
		rec_u8(w,
		       (uint8_t)(c->bcd | c->gate << 1 | c->count_latched << 2 |
				 c->status_latched << 3 | c->read_high << 4 | c->write_high << 5));
		rec_u8(w, 0);
		rec_u32(w, 0);
	}
	rec_end(w);
}

static int parse_channel(struct rec_reader *r, struct pit_channel *c)
{
	uint8_t flag;

	c->start_ns = rec_get_u64(r);
	c->reload = rec_get_u32(r);
	c->latch = rec_get_u16(r);
	c->mode = rec_get_u8(r);
	c->access = rec_get_u8(r);
	c->status = rec_get_u8(r);
	c->write_low = rec_get_u8(r);
	flag = rec_get_u8(r);
	(void)rec_get_u8(r);
	(void)rec_get_u32(r);
	c->bcd = flag & 1;
	c->gate = flag >> 1 & 1;
	c->count_latched = flag >> 2 & 1;
	c->status_latched = flag >> 3 & 1;
	c->read_high = flag >> 4 & 1;
	c->write_high = flag >> 5 & 1;
	if (c->reload > 65536 || c->mode > 5 || !c->access || c->access > 3 || flag >> 6)
		return -EBADMSG;
	return 0;
}

static int parse(struct rec_reader *r, struct pit *s)
{
	uint64_t speaker;

	if (r->head.version != PIT_VERSION)
		return -EBADMSG;
	s->next_ns = rec_get_u64(r);
	speaker = rec_get_u64(r);
	if (speaker & ~(uint64_t)PORT61_SPEAKER)
		return -EBADMSG;
	s->speaker = (uint8_t)speaker;
	for (unsigned i = 0; i < 3; i++)
		if (parse_channel(r, &s->ch[i]))
			return -EBADMSG;
	return rec_done(r);
}

int pit_check(struct vdev *d, struct rec_reader *r)
{
	struct pit s;

	(void)d;
	return parse(r, &s);
}

int pit_load(struct vdev *d, struct rec_reader *r)
{
	struct pit *p = pit_of(d), s;
	unsigned long flags;

	if (parse(r, &s))
		return -EBADMSG;
	flags = spin_lock(&p->lock);
	for (unsigned i = 0; i < 3; i++)
		p->ch[i] = s.ch[i];
	p->speaker = s.speaker;
	p->next_ns = s.next_ns;
	spin_unlock(&p->lock, flags);
	return 0;
}
