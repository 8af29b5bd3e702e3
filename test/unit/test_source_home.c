/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether a VM's home stays, goes along, or keeps its VM where it is, by what is asked for. */
// SOURCES: mig/source_home.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "mig/offer.h"
#include "mig/source_disks.h"

static struct mig_job job;
static struct vm vm;
static struct source s;
static bool copied, sent, lease_goes;
static char why[160];

/* ---- what the source takes from elsewhere ---- */

bool offer_disks_copied(const struct vdisk_id *disk, unsigned n)
{
	return copied;
}

int home_identify(struct vm *v, bool goes, struct home_id *out, char *text, size_t len)
{
	lease_goes = goes;
	return 0;
}

int home_send(struct vm *v, struct vm_config *cfg, struct home_sent *out, char *text, size_t len)
{
	sent = true;
	return 0;
}

int home_leaves(const struct vm *v, const struct home_mark *to, uint64_t *file, char *text,
		size_t len)
{
	abort();
}

bool home_info(const char *name, struct home_info *out)
{
	abort();
}

void journal_last_file(struct journal *j, uint64_t file)
{
	abort();
}

void job_mark(const struct mig_job *j, struct home_mark *out)
{
	abort();
}

void job_error(struct mig_job *j, const char *code, const char *fmt, ...)
{
	abort();
}

const char *ds_error_code(int err)
{
	abort();
}

const char *ds_error_text(int err)
{
	abort();
}

int ds_path(const char *path, struct datastore **ds, const char **file)
{
	abort();
}

int ds_open(struct datastore *ds, const char *name, enum ds_open_mode mode, struct ds_file **out)
{
	abort();
}

void ds_close(struct ds_file *f)
{
	abort();
}

uint64_t ds_file_size(const struct ds_file *f)
{
	abort();
}

struct blkdev *ds_file_blk(struct ds_file *f)
{
	abort();
}

int blk_transfer(struct blkdev *d, enum blk_op op, uint64_t block, uint64_t count, void *buf)
{
	abort();
}

struct blkdev *blk_sender_disk(struct blk_sender *b, unsigned i)
{
	abort();
}

/* ---- */

/* To this host itself? With --disks TO? So that a disk is copied? At home? */
static int plan(bool self, const char *to, bool disks, const char *home)
{
	int err;

	job = (struct mig_job){ .self = self, .vm = &vm };
	vm = (struct vm){ .cfg = { .name = "g", .disks = 1 } };
	s = (struct source){ .j = &job };
	strcpy(job.req.disks.all, to);
	strcpy(vm.cfg.home, home);
	copied = disks;
	sent = lease_goes = false;
	why[0] = '\0';
	err = source_home_plan(&s, why, sizeof(why));
	free(s.going);
	return err;
}

static void to_another_host(void **state)
{
	assert_int_equal(plan(false, "", false, "ds1"), 0);
	assert_true(lease_goes && !sent);
	assert_int_equal(plan(false, "ds2", true, "ds1"), 0);
	assert_true(sent && !lease_goes);
	assert_int_equal(plan(false, "ds2", false, "ds1"), 0); /* it has no disk that would go */
	assert_true(sent);
	assert_int_equal(plan(false, "", true, "ds1"), -ENOTSUP);
	assert_string_equal(why,
			    "g is at home on ds1, which no disk leaves alone for another host: "
			    "add --disks DATASTORE for the rest, or 'svmotion' it to one that "
			    "both have");
}

static void to_its_own_host(void **state)
{
	assert_int_equal(plan(true, "", false, "ds1"), 0);
	assert_false(sent || lease_goes);
	assert_int_equal(plan(true, "ds2", true, "ds1"), -ENOTSUP);
	assert_non_null(strstr(why, "svmotion"));
	assert_int_equal(plan(true, "ds2", false, "ds1"), -ENOTSUP); /* not as if it had gone */
	assert_non_null(strstr(why, "svmotion"));
}

static void without_a_home(void **state)
{
	assert_int_equal(plan(false, "ds2", true, ""), 0);
	assert_int_equal(plan(true, "ds2", true, ""), 0);
	assert_int_equal(plan(true, "ds2", false, ""), 0);
	assert_false(sent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(to_another_host),
		cmocka_unit_test(to_its_own_host),
		cmocka_unit_test(without_a_home),
	};

	return cmocka_run_group_tests_name("source_home", tests, NULL, NULL);
}
