/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Typed records, both directions (include/tern/rec.h, docs/wire.md). Pure code:
 * the writer's buffer is malloc'ed, the reader never reads past what it was given.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <tern/rec.h>

#define BUFFER_START 4096u

void rec_writer_init(struct rec_writer *w)
{
	memset(w, 0, sizeof(*w));
}

void rec_writer_fini(struct rec_writer *w)
{
	free(w->buf);
	memset(w, 0, sizeof(*w));
}

static uint8_t *room_for(struct rec_writer *w, size_t n)
{
	size_t cap = w->cap ? w->cap : BUFFER_START;
	uint8_t *p;

	if (w->error)
		return NULL;
	while (cap - w->len < n)
		cap *= 2;
	if (cap != w->cap) {
		p = realloc(w->buf, cap);
		if (!p) {
			w->error = -ENOMEM;
			return NULL;
		}
		w->buf = p;
		w->cap = cap;
	}
	p = w->buf + w->len;
	w->len += n;
	return p;
}

void rec_bytes(struct rec_writer *w, const void *from, size_t n)
{
	uint8_t *p = room_for(w, n);

	if (p && n)
		memcpy(p, from, n);
}

void rec_u8(struct rec_writer *w, uint8_t v)
{
	rec_bytes(w, &v, sizeof(v));
}

void rec_u16(struct rec_writer *w, uint16_t v)
{
	rec_bytes(w, &v, sizeof(v));
}

void rec_u32(struct rec_writer *w, uint32_t v)
{
	rec_bytes(w, &v, sizeof(v));
}

void rec_u64(struct rec_writer *w, uint64_t v)
{
	rec_bytes(w, &v, sizeof(v));
}

void rec_str(struct rec_writer *w, const char *s)
{
	size_t n = strlen(s);

	if (n > UINT16_MAX)
		n = UINT16_MAX;
	rec_u16(w, (uint16_t)n);
	rec_bytes(w, s, n);
}

void rec_begin(struct rec_writer *w, enum rec_type type, uint16_t version, uint16_t flags,
	       uint16_t instance)
{
	struct rec_header h = {
		.type = (uint16_t)type, .version = version, .flags = flags, .instance = instance
	};

	w->open = w->len + 1;
	rec_bytes(w, &h, sizeof(h));
}

void rec_end(struct rec_writer *w)
{
	static const uint8_t zeros[8];
	size_t at = w->open - 1;
	uint32_t body;

	if (w->error)
		return;
	if (w->len - at - sizeof(struct rec_header) > REC_MAX_BODY) {
		w->error = -E2BIG;
		return;
	}
	body = (uint32_t)(w->len - at - sizeof(struct rec_header));
	memcpy(w->buf + at + offsetof(struct rec_header, length), &body, sizeof(body));
	rec_bytes(w, zeros, (8 - body % 8) % 8);
	w->open = 0;
}

int rec_finish(struct rec_writer *w)
{
	rec_begin(w, REC_END, 1, 0, 0);
	rec_end(w);
	return w->error;
}

void rec_reader_init(struct rec_reader *r, const void *buf, size_t len)
{
	memset(r, 0, sizeof(*r));
	r->buf = buf;
	r->len = len;
}

int rec_next(struct rec_reader *r)
{
	size_t padded;

	if (r->len - r->pos < sizeof(r->head))
		return -EBADMSG;
	memcpy(&r->head, r->buf + r->pos, sizeof(r->head));
	padded = ALIGN_UP((size_t)r->head.length, 8);
	if (r->head.length > REC_MAX_BODY || r->head.reserved || (r->head.flags & ~REC_OPTIONAL) ||
	    padded > r->len - r->pos - sizeof(r->head))
		return -EBADMSG;
	r->at = r->pos + sizeof(r->head);
	r->end = r->at + r->head.length;
	r->pos = r->at + padded;
	r->bad = false;
	return r->head.type == REC_END ? 0 : 1;
}

void rec_get_bytes(struct rec_reader *r, void *p, size_t n)
{
	if (r->bad || n > r->end - r->at) {
		r->bad = true;
		memset(p, 0, n);
		return;
	}
	memcpy(p, r->buf + r->at, n);
	r->at += n;
}

uint8_t rec_get_u8(struct rec_reader *r)
{
	uint8_t v;

	rec_get_bytes(r, &v, sizeof(v));
	return v;
}

uint16_t rec_get_u16(struct rec_reader *r)
{
	uint16_t v;

	rec_get_bytes(r, &v, sizeof(v));
	return v;
}

uint32_t rec_get_u32(struct rec_reader *r)
{
	uint32_t v;

	rec_get_bytes(r, &v, sizeof(v));
	return v;
}

uint64_t rec_get_u64(struct rec_reader *r)
{
	uint64_t v;

	rec_get_bytes(r, &v, sizeof(v));
	return v;
}

void rec_get_str(struct rec_reader *r, char *buf, size_t cap)
{
	size_t n = rec_get_u16(r);

	buf[0] = '\0';
	if (n >= cap || n > r->end - r->at) {
		r->bad = true;
		return;
	}
	rec_get_bytes(r, buf, n);
	buf[n] = '\0';
	if (strlen(buf) != n)
		r->bad = true;
}

int rec_done(const struct rec_reader *r)
{
	return r->bad || r->at != r->end ? -EBADMSG : 0;
}
