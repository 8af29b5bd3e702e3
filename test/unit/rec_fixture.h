/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One record of an offer under test: record_take() what was saved, record_open() it in
 * check(), which the program brings and which says whether the record passes;
 * refused_with() changes a byte of it. One test program, one include.
 */
#ifndef TEST_REC_FIXTURE_H
#define TEST_REC_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mig/offer.h"

#define RECORD_HEAD 16u

static uint8_t record[4096];
static size_t record_len;

static int check(void);

/* Frees the writer. */
static void record_take(struct rec_writer *w)
{
	assert_int_equal(rec_finish(w), 0);
	assert_true(w->len <= sizeof(record));
	memcpy(record, w->buf, w->len);
	record_len = w->len;
	rec_writer_fini(w);
}

static void record_open(struct rec_reader *r, uint16_t type)
{
	rec_reader_init(r, record, record_len);
	assert_int_equal(rec_next(r), 1);
	assert_int_equal(r->head.type, type);
}

/* One byte of the record is another: it is refused. */
static void refused_with(size_t at, uint8_t value)
{
	uint8_t was = record[at];

	record[at] = value;
	assert_int_equal(check(), -EBADMSG);
	record[at] = was;
	assert_int_equal(check(), 0);
}

#endif
