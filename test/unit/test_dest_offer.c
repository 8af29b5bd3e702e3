/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An offer of a VM whose copy of an earlier attempt is here: one that its source has given up is
 * waited for until it is gone, any other stays.
 */
// SOURCES: mig/dest_offer.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tern/bootinfo.h>
#include <tern/home.h>
#include <tern/store.h>
#include <tern/vdev.h>

#include "mig/dest_int.h"
#include "mig/history.h"
#include "mig/phase.h"
#include "mig/query.h"

static const uint8_t uuid[16] = { 1, 2, 3 };

const struct virt_ops *virt;

static struct {
	struct mig_job old, fresh;
	struct vm copy;
	bool named;			       /* the name is taken */
	uint64_t now_ns, over_ns, complete_ns; /* when that happens to the copy; 0: never */
	bool forbidden, accepted;
	bool hears; /* its world, of its source, just now */
	char code[WIRE_CODE];
} w;
static struct dest d;

/* ---- the host around it ---- */

uint64_t time_ns(void)
{
	if (w.hears)
		w.old.heard_ns = w.now_ns + 1;
	return w.now_ns;
}

struct mig_job *job_search(bool (*fn)(struct mig_job *j, void *arg), void *arg)
{
	return fn(&w.old, arg) ? &w.old : NULL;
}

/* As long as nothing happens to it before. */
int job_wait_locked(struct mig_job *j, unsigned long *flags, uint64_t deadline_ns)
{
	uint64_t next = w.complete_ns ? w.complete_ns : w.over_ns ? w.over_ns : deadline_ns;

	if (w.now_ns >= deadline_ns)
		return -ETIMEDOUT;
	w.now_ns = MIN(next, deadline_ns);
	if (w.now_ns == w.complete_ns)
		j->dst = DST_HELD;
	if (w.now_ns == w.over_ns) {
		j->dst = DST_GONE;
		j->vm = NULL;
		j->over = true;
		w.named = false;
	}
	return w.now_ns == next ? 0 : -ETIMEDOUT;
}

bool dest_forbid(struct mig_job *j, bool held_too)
{
	assert_false(held_too);
	w.forbidden = j->dst == DST_EMPTY;
	if (w.forbidden)
		j->dst = DST_GONE;
	return w.forbidden;
}

int dest_refuse(struct dest *of, int err, const char *code, const char *fmt, ...)
{
	strcpy(w.code, code);
	return err;
}

struct vm *vm_find(const char *name)
{
	return w.named ? &w.copy : NULL;
}

void vm_put(struct vm *vm)
{
}

struct mig_job *job_new(const struct mig_request *r, bool incoming, const uint8_t *id)
{
	return &w.fresh;
}

void job_phase(struct mig_job *j, enum mig_phase p)
{
	w.accepted = j == &w.fresh;
}

int peer_send(struct peer *p, enum wire_type type, const void *body, size_t len)
{
	assert_int_equal(type, WIRE_ACCEPT);
	return 0;
}

int offer_read(const void *buf, size_t len, struct offer *o)
{
	memcpy(o->uuid, uuid, sizeof(o->uuid));
	strcpy(o->cfg.name, "g");
	return 0;
}

int offer_check(const struct offer *o, char *why, size_t why_len)
{
	return 0;
}

const char *config_get(const char *key)
{
	return NULL;
}

const char *virt_absent_reason(void)
{
	return "";
}

void dest_settle(const struct wire_settle *m, struct wire_verdict *v)
{
	abort();
}

const char *ds_error_code(int err)
{
	return "";
}

int ds_room_check(const struct ds_room *r, const char *where, char *why, size_t len)
{
	return 0;
}

bool history_find(struct wire_verdict *v)
{
	return false;
}

int home_check(const char *name, const struct home_id *id, char *why, size_t why_len)
{
	return 0;
}

bool home_gives_way(const struct vm *vm, const struct home_id *id)
{
	return false;
}

int home_sent_check(const struct vm_config *cfg, const struct home_sent *s, char *why,
		    size_t why_len)
{
	return 0;
}

void home_sent_room(const struct home_sent *s, struct ds_room *room)
{
}

struct mig_job *job_find_outgoing(const uint8_t id[WIRE_ID_BYTES])
{
	return NULL;
}

struct mig_job *job_find_wire_id(const uint8_t id[WIRE_ID_BYTES])
{
	return NULL;
}

void job_put(struct mig_job *j)
{
}

uint64_t page_spare_bytes(void)
{
	return 1;
}

uint64_t vm_overhead_bytes(const struct vm_config *cfg)
{
	return 0;
}

int vm_check(const struct vm_config *cfg, char *why, size_t why_len)
{
	return 0;
}

int query_answer(struct peer *p)
{
	abort();
}

void stream_info(struct stream *s, struct stream_info *out)
{
}

int vdisks_check(const struct vm_config *cfg, const struct vdisk_id *ids, char *why, size_t len)
{
	return 0;
}

void vdisks_host(uint8_t id[16])
{
}

void vdisks_room(const struct vm_config *cfg, const struct vdisk_id *ids, struct ds_room *room)
{
}

int wire_hello_check(const struct wire_hello *h)
{
	abort();
}

uint16_t wire_version_with(const struct wire_hello *h)
{
	abort();
}

/* ---- */

static int setup(void **state)
{
	static const struct virt_ops ops;

	virt = &ops;
	memset(&w, 0, sizeof(w));
	memset(&d, 0, sizeof(d));
	d.version = WIRE_VERSION;
	w.now_ns = 100 * NSEC_PER_SEC;
	w.named = true;
	w.old = (struct mig_job){ .st = { .incoming = true, .id = 1 },
				  .vm = &w.copy,
				  .dst = DST_EMPTY,
				  .heard_ns = w.now_ns };
	memcpy(w.old.uuid, uuid, sizeof(uuid));
	return 0;
}

static void accepted(void)
{
	assert_int_equal(dest_on_offer(&d, NULL, 0), 0);
	assert_true(w.accepted);
}

static void refused(void)
{
	assert_int_equal(dest_on_offer(&d, NULL, 0), -EEXIST);
	assert_string_equal(w.code, "exists");
	assert_false(w.accepted || w.forbidden);
}

/* Its source has canceled the move: that is on its way here, and the user moves it again. */
static void one_that_is_given_up_soon(void **state)
{
	w.over_ns = w.now_ns + NSEC_PER_SEC;
	accepted();
	assert_false(w.forbidden);
}

/* The job has let go of the VM, which is still being taken apart. */
static void one_that_is_taken_apart(void **state)
{
	w.old.dst = DST_GONE;
	w.old.vm = NULL;
	w.over_ns = w.now_ns + NSEC_PER_SEC;
	accepted();
}

static void one_whose_source_is_silent(void **state)
{
	w.old.heard_ns = w.now_ns - SILENT_NS - 1;
	w.over_ns = w.now_ns + NSEC_PER_SEC;
	accepted();
	assert_true(w.forbidden);
}

static void one_that_is_being_filled(void **state)
{
	uint64_t begun = w.now_ns;

	refused();
	assert_in_range(w.now_ns - begun, 1, LINK_TIMEOUT_NS - 1); /* the source waits so long */
}

static void one_whose_source_is_heard_of_just_now(void **state)
{
	w.hears = true;
	refused();
}

static void one_that_is_complete(void **state)
{
	uint64_t begun = w.now_ns;

	w.old.dst = DST_HELD;
	refused();
	assert_int_equal(w.now_ns, begun);
}

static void one_that_becomes_complete(void **state)
{
	w.complete_ns = w.now_ns + NSEC_PER_SEC;
	refused();
	assert_int_equal(w.now_ns, w.complete_ns);
}

static void none(void **state)
{
	w.old.uuid[0]++;
	w.named = false;
	accepted();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(one_that_is_given_up_soon, setup),
		cmocka_unit_test_setup(one_that_is_taken_apart, setup),
		cmocka_unit_test_setup(one_whose_source_is_silent, setup),
		cmocka_unit_test_setup(one_that_is_being_filled, setup),
		cmocka_unit_test_setup(one_whose_source_is_heard_of_just_now, setup),
		cmocka_unit_test_setup(one_that_is_complete, setup),
		cmocka_unit_test_setup(one_that_becomes_complete, setup),
		cmocka_unit_test_setup(none, setup),
	};

	return cmocka_run_group_tests_name("dest_offer", tests, NULL, NULL);
}
