/* SPDX-License-Identifier: BSD-2-Clause */
/* A home that is sent with its VM, in its offer: golden bytes, and what is refused. */
// SOURCES: mig/offer_home.c kernel/lib/rec.c kernel/lib/name.c kernel/lib/text.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "mig/offer.h"

#define HEAD 16u

static struct vm_config read_cfg;
static uint8_t rec[256];
static size_t rec_len;

static struct home_sent sent, read_sent;

static void save_sent(void)
{
	struct rec_writer w;

	rec_writer_init(&w);
	offer_sent_save(&sent, &w);
	assert_int_equal(rec_finish(&w), 0);
	assert_true(w.len <= sizeof(rec));
	memcpy(rec, w.buf, w.len);
	rec_len = w.len;
	rec_writer_fini(&w);
}

static int check_sent(void)
{
	struct rec_reader r;

	memset(&read_sent, 0, sizeof(read_sent));
	rec_reader_init(&r, rec, rec_len);
	assert_int_equal(rec_next(&r), 1);
	assert_int_equal(r.head.type, REC_HOME_SENT);
	return offer_sent_check(&r, &read_cfg, &read_sent);
}

static int begin_sent(void **state)
{
	sent = (struct home_sent){ .store = "ds2",
				   .files = 1,
				   .file = { { .name = "g/k", .size = 70000 } },
				   .text = "mem = 64M\n" };
	save_sent();
	return 0;
}

static void golden_sent(void **state)
{
	static const uint8_t body[] = {
		1,    0,    0,	 0,   0,   0, 0, 0, /* files */
		0x70, 0x11, 1,	 0,   0,   0, 0, 0, /* size, name */
		3,    0,    'g', '/', 'k', 3, 0, 'd', 's', '2', 10, 0, 'm', 'e', 'm',
	};

	assert_memory_equal(rec + HEAD, body, sizeof(body));
	assert_int_equal(check_sent(), 0);
	assert_memory_equal(&read_sent, &sent, sizeof(sent));
	assert_string_equal(read_cfg.home, "ds2");
	sent.store[0] = '\0';
	save_sent();
	assert_int_equal(rec_len, HEAD);
}

static void refused_sent_with(size_t at, uint8_t value)
{
	uint8_t was = rec[at];

	rec[at] = value;
	assert_int_equal(check_sent(), -EBADMSG);
	rec[at] = was;
	assert_int_equal(check_sent(), 0);
}

static void refused_sent(void **state)
{
	refused_sent_with(2, 2); /* version */
	refused_sent_with(HEAD, HOME_FILES_MAX + 1);
	refused_sent_with(HEAD, 2);	      /* more than there are */
	refused_sent_with(HEAD + 4, 1);	      /* reserved */
	refused_sent_with(HEAD + 17, 1);      /* longer than the record */
	refused_sent_with(HEAD + 19, '\x1b'); /* what a terminal would obey */
	refused_sent_with(HEAD + 23, '/');    /* the datastore's name */
	sent.file[0].size = 0;
	save_sent();
	assert_int_equal(check_sent(), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(golden_sent, begin_sent),
		cmocka_unit_test_setup(refused_sent, begin_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
