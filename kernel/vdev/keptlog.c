/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kept output of a guest's port (keptlog.h). The writer holds the lock for one
 * copy into the ring; a reader is woken only when one waits. A reset of the
 * guest keeps the log: what it said before is what people look for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <tern/page.h>

#include "keptlog.h"

#define LOG_REC_VERSION 1

static size_t slot(uint64_t offset)
{
	return (size_t)(offset & (KEPTLOG_BYTES - 1));
}

/* Copies [from, from + len) into or out of the ring, which may wrap once. */
static void ring_copy(struct keptlog *k, uint64_t from, void *buf, size_t len, bool in)
{
	size_t head = MIN(len, KEPTLOG_BYTES - slot(from));
	uint8_t *p = buf;

	if (in) {
		memcpy(k->ring + slot(from), p, head);
		memcpy(k->ring, p + head, len - head);
	} else {
		memcpy(p, k->ring + slot(from), head);
		memcpy(p + head, k->ring, len - head);
	}
}

void keptlog_put(struct keptlog *k, const void *bytes, size_t len)
{
	uint8_t chunk[64];
	const uint8_t *p = bytes;

	while (len > 0) {
		size_t n = MIN(len, sizeof(chunk));
		unsigned long flags;
		bool wake;

		memcpy(chunk, p, n);
		flags = spin_lock(&k->lock);
		ring_copy(k, k->end, chunk, n, true);
		k->end += n;
		if (k->end - k->first > KEPTLOG_BYTES)
			k->first = k->end - KEPTLOG_BYTES;
		wake = k->waiters > 0;
		spin_unlock(&k->lock, flags);
		if (wake)
			waitq_wake_all(&k->waitq);
		p += n;
		len -= n;
	}
}

size_t keptlog_read(struct keptlog *k, uint64_t *from, char *buf, size_t len)
{
	unsigned long flags = spin_lock(&k->lock);
	size_t n;

	if (*from < k->first)
		*from = k->first;
	n = *from >= k->end ? 0 : (size_t)MIN((uint64_t)len, k->end - *from);
	ring_copy(k, *from, buf, n, false);
	*from += n;
	spin_unlock(&k->lock, flags);
	return n;
}

uint64_t keptlog_end(struct keptlog *k)
{
	unsigned long flags = spin_lock(&k->lock);
	uint64_t end = k->end;

	spin_unlock(&k->lock, flags);
	return end;
}

int keptlog_wait(struct keptlog *k, uint64_t from, uint64_t deadline_ns)
{
	unsigned long flags = spin_lock(&k->lock);
	int rc = 0;

	k->waiters++;
	while (k->end <= from && rc == 0)
		rc = waitq_sleep(&k->waitq, &k->lock, &flags, deadline_ns);
	if (k->end > from)
		rc = 0;
	k->waiters--;
	spin_unlock(&k->lock, flags);
	return rc;
}

/*
 * REC_SERIAL_LOG version 1, instance = port:
 *   0  u64  absolute offset of the first byte kept
 *   8  u32  bytes that follow, at most KEPTLOG_BYTES
 *  12  ...  the bytes
 */
static void log_save(struct vdev *d, struct rec_writer *w)
{
	struct keptlog *k = container_of(d, struct keptlog, d);
	size_t len = (size_t)(k->end - k->first);
	size_t head = MIN(len, KEPTLOG_BYTES - slot(k->first));

	rec_begin(w, REC_SERIAL_LOG, LOG_REC_VERSION, 0, d->instance);
	rec_u64(w, k->first);
	rec_u32(w, (uint32_t)len);
	rec_bytes(w, k->ring + slot(k->first), head);
	rec_bytes(w, k->ring, len - head);
	rec_end(w);
}

static int log_parse(struct rec_reader *r, uint64_t *first, size_t *len)
{
	if (r->head.version != LOG_REC_VERSION)
		return -EBADMSG;
	*first = rec_get_u64(r);
	*len = rec_get_u32(r);
	if (r->bad || *len > KEPTLOG_BYTES || *first > UINT64_MAX / 2)
		return -EBADMSG;
	return *len == r->end - r->at ? 0 : -EBADMSG;
}

static int log_check(struct vdev *d, struct rec_reader *r)
{
	uint64_t first;
	size_t len;

	(void)d;
	return log_parse(r, &first, &len);
}

static int log_load(struct vdev *d, struct rec_reader *r)
{
	struct keptlog *k = container_of(d, struct keptlog, d);
	uint64_t first;
	size_t len, head;
	unsigned long flags;
	int rc = log_parse(r, &first, &len);

	if (rc)
		return rc;
	flags = spin_lock(&k->lock);
	head = MIN(len, KEPTLOG_BYTES - slot(first));
	rec_get_bytes(r, k->ring + slot(first), head);
	rec_get_bytes(r, k->ring, len - head);
	k->first = first;
	k->end = first + len;
	spin_unlock(&k->lock, flags);
	waitq_wake_all(&k->waitq);
	return rec_done(r);
}

static void log_destroy(struct vdev *d)
{
	struct keptlog *k = container_of(d, struct keptlog, d);

	page_put(ptr_hpa(k->ring));
	free(k);
}

static const struct vdev_ops log_ops = {
	.name = "kept log",
	.save = log_save,
	.check = log_check,
	.load = log_load,
	.destroy = log_destroy,
};

int keptlog_create(struct vm *vm, uint16_t port, struct keptlog **out)
{
	struct keptlog *k = calloc(1, sizeof(*k));
	hpa_t ring;

	if (!k)
		return -ENOMEM;
	if (page_alloc(KEPTLOG_ORDER, 0, FRAME_VM, &ring)) {
		free(k);
		return -ENOMEM;
	}
	k->ring = hpa_ptr(ring);
	spin_init(&k->lock, LOCK_VDEV_LOG, "kept log");
	waitq_init(&k->waitq, "kept log");
	vdev_init(&k->d, vm, &log_ops, REC_SERIAL_LOG, REC_SERIAL_LOG, port);
	*out = k;
	return 0;
}
