/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The migration stream as a hostile peer would write it: heads, bodies, records.
 * // SOURCES: mig/wire.c mig/delta.c mig/offer_disks.c mig/offer_state.c kernel/lib/rec.c
 * // SOURCES: kernel/lib/text.c
 */
#include <stdlib.h>
#include <string.h>

#include <tern/rec.h>

#include "mig/delta.h"
#include "mig/offer.h"
#include "mig/wire.h"

#define MAX_GFN (1u << 18)

/* Accepted batches name only frames inside memory, and as many as their payload has. */
static void batch(const uint8_t *body, size_t len, uint32_t payload)
{
	const struct wire_pages *p = (const void *)body;
	const wire_run *run = (const void *)(p + 1);
	uint64_t raw = 0;

	if (wire_pages_check(body, len, payload, MAX_GFN))
		return;
	for (uint32_t i = 0; i < p->raw_runs + p->zero_runs; i++) {
		if (wire_run_first(run[i]) + wire_run_count(run[i]) > MAX_GFN)
			abort();
		raw += i < p->raw_runs ? wire_run_count(run[i]) : 0;
	}
	if (raw * PAGE_SIZE != payload || raw > WIRE_BATCH_MAX)
		abort();
}

/* An accepted batch of changes writes inside pages of memory, ascending, and ends where it says. */
static void changes(const uint8_t *body, size_t len)
{
	const uint8_t *at = body + sizeof(struct wire_delta), *end = body + len;
	static uint64_t page[PAGE_SIZE / 8];
	const struct wire_delta *d = (const void *)body;
	struct delta_entry e;
	uint32_t pages = 0;
	gfn_t next = 0;

	if (delta_check(body, len, MAX_GFN))
		return;
	for (; delta_next(&at, end, &e); pages++) {
		if (e.gfn < next || e.gfn >= MAX_GFN)
			abort();
		next = e.gfn + 1;
		delta_apply(&e, page); /* the sanitizer watches */
	}
	if (pages != d->pages || at != end)
		abort();
}

/* Two pages out of the input: what is encoded passes the check and restores one from the other. */
static void round_trip(const uint8_t *data, size_t len)
{
	static uint64_t live[PAGE_SIZE / 8], base[PAGE_SIZE / 8], there[PAGE_SIZE / 8];
	static struct {
		struct wire_delta head;
		uint8_t entry[DELTA_ENTRY_MAX];
	} m;
	const uint8_t *at = m.entry;
	struct delta_entry e;
	size_t n;

	memset(base, 0, sizeof(base));
	memcpy(base, data, MIN(len, sizeof(base)));
	memcpy(there, base, sizeof(there));
	memcpy(live, base, sizeof(live));
	for (size_t i = 0; i + 3 < len && i < 300; i += 3)
		live[(data[i] << 8 | data[i + 1]) % (PAGE_SIZE / 8)] ^= data[i + 2];
	m.head = (struct wire_delta){ .seq = 1, .pages = 1 };
	n = delta_encode(9, live, base, m.entry);
	if (!n)
		return;
	if (delta_check(&m, sizeof(m.head) + n, MAX_GFN) || !delta_next(&at, m.entry + n, &e))
		abort();
	delta_apply(&e, there);
	if (memcmp(there, live, sizeof(live)) || memcmp(base, live, sizeof(live)))
		abort();
}

/* What is accepted of a disk's stream has the contents that it says, in a range that ends. */
static void disk_change(const uint8_t *body, size_t len, uint32_t payload, uint16_t version)
{
	struct wire_blocks b;

	if (wire_blocks_read(body, len, version, &b) || wire_blocks_check(&b, payload))
		return;
	if (b.offset + b.bytes < b.offset ||
	    (b.op == BLOCKS_FLUSH || b.op == BLOCKS_SNAPSHOT) == (b.bytes != 0))
		abort();
	if (b.op == BLOCKS_WRITE ? payload < b.bytes || payload - b.bytes >= PAGE_SIZE : payload)
		abort();
	if ((b.op == BLOCKS_WRITE || b.op == BLOCKS_CHECK) && b.bytes > WIRE_BLOCKS_MAX)
		abort();
	if (version < WIRE_VERSION_CHECKS && (b.op == BLOCKS_CHECK || b.flags || b.sum))
		abort();
	if (version < WIRE_VERSION_CHAINS && b.op == BLOCKS_SNAPSHOT)
		abort();
}

static void records(const uint8_t *body, size_t len)
{
	struct rec_reader r;
	char text[64];

	rec_reader_init(&r, body, len);
	while (rec_next(&r) == 1) {
		rec_get_str(&r, text, sizeof(text));
		(void)rec_get_u64(&r);
		if (!rec_done(&r) && r.bad)
			abort();
	}
}

static void plain(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			abort();
}

/* How many snapshots they have. */
static unsigned snapshots(const struct vdisk_id *id)
{
	unsigned all = 0;

	for (unsigned i = 0; i < VM_DISKS_MAX; i++) {
		const struct vdisk_chain *c = id[i].chain;

		if (c && (!c->nr || c->nr > VDISK_LINKS_MAX || id[i].how != VDISK_COPIED))
			abort();
		for (unsigned k = 0; c && k < c->nr; k++, all++)
			plain(c->link[k].name);
	}
	return all;
}

/*
 * Accepted disks are written as they were read, in the lowest version that says all, and name
 * nothing that a terminal would obey.
 */
static void disks(const uint8_t *body, size_t len, uint16_t version)
{
	static struct vm_config cfg;
	struct vdisk_id id[VM_DISKS_MAX] = { 0 };
	struct rec_writer w;
	struct rec_reader r;

	rec_writer_init(&w);
	rec_begin(&w, REC_DISKS, version, 0, 0);
	rec_bytes(&w, body, len);
	rec_end(&w);
	if (rec_finish(&w))
		abort();
	rec_reader_init(&r, w.buf, w.len);
	if (rec_next(&r) == 1 && !offer_disks_check(&r, &cfg, id)) {
		bool chains = snapshots(id) > 0;
		struct rec_writer again;

		for (unsigned i = 0; i < cfg.disks; i++) {
			plain(cfg.disk[i].path);
			memcpy(id[i].to, cfg.disk[i].path,
			       sizeof(id[i].to)); /* as the source has it */
		}
		rec_writer_init(&again);
		offer_disks_save(&cfg, id, &again);
		if (rec_finish(&again) || (version == 1 && chains))
			abort();
		if ((version == 1 || chains) &&
		    (again.len != w.len || memcmp(again.buf, w.buf, w.len)))
			abort();
		rec_writer_fini(&again);
	}
	offer_disks_fini(id);
	rec_writer_fini(&w);
}

/* What is accepted of how a VM's last run ended is a text, written again as it was read. */
static void ended(const uint8_t *body, size_t len)
{
	struct rec_writer in, out;
	struct vm_end end;
	struct rec_reader r;

	rec_writer_init(&in);
	rec_begin(&in, REC_ENDED, 1, REC_OPTIONAL, 0);
	rec_bytes(&in, body, len);
	rec_end(&in);
	if (rec_finish(&in))
		abort();
	rec_reader_init(&r, in.buf, in.len);
	if (rec_next(&r) == 1 && !offer_ended_check(&r, &end)) {
		for (const char *at = end.reason; *at; at++)
			if ((uint8_t)*at < ' ' || *at == 0x7f)
				abort();
		rec_writer_init(&out);
		offer_ended_save(end.error ? VM_STOPPED_ERROR : VM_OFF, &end, &out);
		if (rec_finish(&out))
			abort();
		if ((end.error || end.exited || end.reason[0]) &&
		    (out.len != in.len || memcmp(out.buf, in.buf, in.len)))
			abort();
		rec_writer_fini(&out);
	}
	rec_writer_fini(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_head h;
	uint8_t *body;
	size_t len;

	if (size < sizeof(h))
		return 0;
	memcpy(&h, data, sizeof(h));
	len = size - sizeof(h);
	if (!wire_head_check(&h, true) && h.length > wire_body_max())
		abort();
	(void)wire_head_check(&h, false);
	body = malloc(len ? len : 1);
	memcpy(body, data + sizeof(h), len);
	batch(body, len, h.payload);
	changes(body, len);
	disk_change(body, len, h.payload, WIRE_VERSION);
	disk_change(body, len, h.payload, WIRE_VERSION_CHECKS);
	disk_change(body, len, h.payload, WIRE_VERSION_DISKS);
	round_trip(body, len);
	(void)wire_remain_check(body, len, MAX_GFN);
	records(body, len);
	for (uint16_t version = 1; version <= 2 && len <= REC_MAX_BODY; version++)
		disks(body, len, version);
	if (len <= REC_MAX_BODY)
		ended(body, len);
	if (len == sizeof(struct wire_text))
		(void)wire_text_check((const void *)body);
	if (len == sizeof(struct wire_hello))
		(void)wire_hello_check((const void *)body);
	free(body);
	return 0;
}
