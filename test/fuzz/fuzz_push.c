/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file that is pushed: the input is what a pusher sends. When its first byte is odd, the
 * sums of its messages are made right before, so that what stands behind them is reached.
 * Whatever comes, the host says only what its side may say, never takes a byte twice or
 * behind the file's size, and a file that came whole has said its size twice.
 */
// SOURCES: kernel/lib/crc32c.c kernel/xfer/push_wire.c
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/lib/crc32c.h"
#include "kernel/xfer/push_wire.h"

#define PIECE (256u << 10) /* as ds_import asks */
#define MOST (8ull << 20)

struct line {
	const uint8_t *bytes;
	size_t left;
	uint64_t acked;
};

static int line_read(void *user, void *buf, size_t len)
{
	struct line *l = user;

	if (len > l->left)
		return -EPIPE;
	memcpy(buf, l->bytes, len);
	l->bytes += len;
	l->left -= len;
	return 0;
}

static int line_send(void *user, enum push_type type, const void *body, size_t len)
{
	struct push_offset o;
	struct line *l = user;
	struct push_head h;

	push_head_fill(&h, type, body, len);
	assert(!push_head_check(&h, false) && type == PUSH_ACK);
	memcpy(&o, body, sizeof(o));
	assert(o.offset >= l->acked);
	l->acked = o.offset;
	return 0;
}

static void seal(uint8_t *bytes, size_t size)
{
	struct push_head h;

	for (size_t at = 0; size - at >= sizeof(h); at += sizeof(h) + h.length) {
		memcpy(&h, bytes + at, sizeof(h));
		h.length = (uint32_t)MIN((size_t)h.length, size - at - sizeof(h));
		h.crc = crc32c(push_head_crc(&h), bytes + at + sizeof(h), h.length);
		memcpy(bytes + at, &h, sizeof(h));
	}
}

static void take_file(struct push_in *in)
{
	uint8_t *buf = malloc(PIECE);
	uint64_t size = MIN(in->put.size, MOST);
	int err = 0;

	for (uint64_t at = 0, n; at < size && !err; at += n) {
		n = MIN((uint64_t)PIECE, in->put.size - at);
		err = push_take(in, at, (size_t)n, buf);
		assert(in->at <= in->put.size && in->left <= in->put.size - in->at);
	}
	if (!err && size && size == in->put.size)
		assert(in->ended);
	free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct line l;
	struct push_in in = { .read = line_read, .send = line_send, .user = &l };
	uint8_t *copy;

	if (!size)
		return 0;
	copy = malloc(size);
	memcpy(copy, data + 1, size - 1);
	if (data[0] & 1)
		seal(copy, size - 1);
	l = (struct line){ .bytes = copy, .left = size - 1 };
	if (!push_hear_put(&in)) {
		assert(strlen(in.put.name) < sizeof(in.put.name));
		assert(strlen(in.put.datastore) < sizeof(in.put.datastore));
		take_file(&in);
	}
	free(copy);
	return 0;
}
