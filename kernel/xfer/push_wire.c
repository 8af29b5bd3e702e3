/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>

#include "kernel/lib/crc32c.h"
#include "kernel/xfer/push_wire.h"

static const struct {
	bool by_pusher;
	uint32_t min, max; /* body bytes */
} rules[PUSH_TYPES] = {
	[PUSH_PUT] = { true, sizeof(struct push_put), sizeof(struct push_put) },
	[PUSH_READY] = { false, 0, 0 },
	[PUSH_DATA] = { true, sizeof(struct push_offset) + 1,
			sizeof(struct push_offset) + PUSH_DATA_MAX },
	[PUSH_END] = { true, sizeof(struct push_offset), sizeof(struct push_offset) },
	[PUSH_DONE] = { false, sizeof(struct push_offset), sizeof(struct push_offset) },
	[PUSH_FAIL] = { false, sizeof(struct push_fail), sizeof(struct push_fail) },
	[PUSH_ACK] = { false, sizeof(struct push_offset), sizeof(struct push_offset) },
};

int push_head_check(const struct push_head *h, bool from_pusher)
{
	if (h->magic != PUSH_MAGIC || h->zero || !h->type || h->type >= PUSH_TYPES)
		return -EBADMSG;
	if (rules[h->type].by_pusher != from_pusher)
		return -EBADMSG;
	return h->length < rules[h->type].min || h->length > rules[h->type].max ? -EBADMSG : 0;
}

uint32_t push_head_crc(const struct push_head *h)
{
	struct push_head head = *h;

	head.crc = 0;
	return crc32c(0, &head, sizeof(head));
}

void push_head_fill(struct push_head *h, enum push_type type, const void *body, size_t length)
{
	*h = (struct push_head){ .magic = PUSH_MAGIC,
				 .type = (uint16_t)type,
				 .length = (uint32_t)length };
	h->crc = crc32c(push_head_crc(h), body, length);
}

/* ---- what the host hears ---- */

/* A head that is right but for its sum, which covers the body: in->crc goes on there. */
static int hear_head(struct push_in *in, struct push_head *h)
{
	int err = in->read(in->user, h, sizeof(*h));

	if (!err)
		err = push_head_check(h, true);
	in->crc = push_head_crc(h);
	in->want = h->crc;
	return err;
}

static int hear_bytes(struct push_in *in, void *buf, size_t len)
{
	int err = in->read(in->user, buf, len);

	if (!err)
		in->crc = crc32c(in->crc, buf, len);
	return err;
}

static bool ends(const char *text, size_t len)
{
	return memchr(text, '\0', len) != NULL;
}

int push_hear_put(struct push_in *in)
{
	struct push_put *p = &in->put;
	struct push_head h;
	int err = hear_head(in, &h);

	if (!err)
		err = h.type == PUSH_PUT ? hear_bytes(in, p, sizeof(*p)) : -EBADMSG;
	if (err)
		return err;
	if (in->crc != in->want || p->zero || !ends(p->name, sizeof(p->name)) ||
	    !ends(p->datastore, sizeof(p->datastore)))
		return -EBADMSG;
	return p->version == PUSH_VERSION ? 0 : -EPROTO;
}

/* The next message: contents, whose bytes are still to be read, or the end. */
static int next_message(struct push_in *in)
{
	struct push_offset o = { in->at };
	struct push_head h;
	uint64_t contents;
	int err = in->at ? in->send(in->user, PUSH_ACK, &o, sizeof(o)) : 0;

	if (!err)
		err = hear_head(in, &h);
	if (!err)
		err = h.type == PUSH_PUT ? -EBADMSG : hear_bytes(in, &o, sizeof(o));
	if (err)
		return err;
	if (h.type == PUSH_END) {
		in->ended = true;
		in->at = in->put.size;
		return o.offset == in->put.size && in->crc == in->want ? 0 : -EBADMSG;
	}
	contents = h.length - sizeof(o);
	if (o.offset < in->at || o.offset > in->put.size || contents > in->put.size - o.offset)
		return -EBADMSG;
	in->at = o.offset;
	in->left = contents;
	return 0;
}

/* n bytes of the message's contents; with its last one its sum is checked. */
static int take_bytes(struct push_in *in, uint8_t *buf, size_t n)
{
	int err = hear_bytes(in, buf, n);

	in->at += n;
	in->left -= n;
	return err || in->left || in->crc == in->want ? err : -EBADMSG;
}

int push_take(struct push_in *in, uint64_t at, size_t bytes, uint8_t *buf)
{
	uint64_t end = at + bytes;
	int err = 0;

	while (at < end && !err) {
		size_t n;

		if (!in->left && !in->ended && in->at <= at) {
			err = next_message(in);
		} else if (at < in->at) {
			n = (size_t)(MIN(in->at, end) - at);
			memset(buf, 0, n);
			at += n;
			buf += n;
		} else {
			n = (size_t)MIN(in->left, end - at);
			err = take_bytes(in, buf, n);
			at += n;
			buf += n;
		}
	}
	if (!err && end == in->put.size && !in->ended)
		err = next_message(in);
	return err || end < in->put.size || in->ended ? err : -EBADMSG;
}
