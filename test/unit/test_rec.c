/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Typed records: golden bytes, round trip, hostile streams.
 * // SOURCES: kernel/lib/rec.c
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <tern/rec.h>

static void golden(void **state)
{
	static const uint8_t want[] = {
		3, 0, 1, 0, 0, 0, 2, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0x44, 0x33, 0x22, 0x11,
		7, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,    0,    0,	  0,
	};
	struct rec_writer w;

	rec_writer_init(&w);
	rec_begin(&w, REC_VCPU, 1, 0, 2);
	rec_u32(&w, 0x11223344);
	rec_u8(&w, 7);
	rec_end(&w);
	assert_int_equal(rec_finish(&w), 0);
	assert_int_equal(w.len, sizeof(want));
	assert_memory_equal(w.buf, want, sizeof(want));
	rec_writer_fini(&w);
}

static void round_trip(void **state)
{
	struct rec_writer w;
	struct rec_reader r;
	char name[16];

	rec_writer_init(&w);
	for (unsigned i = 0; i < 1000; i++) { /* grows the buffer several times */
		rec_begin(&w, REC_VM, 2, REC_OPTIONAL, (uint16_t)i);
		rec_str(&w, "name");
		rec_u64(&w, i * 3ull);
		rec_end(&w);
	}
	assert_int_equal(rec_finish(&w), 0);
	rec_reader_init(&r, w.buf, w.len);
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(rec_next(&r), 1);
		assert_int_equal(r.head.instance, i);
		rec_get_str(&r, name, sizeof(name));
		assert_string_equal(name, "name");
		assert_int_equal(rec_get_u64(&r), i * 3ull);
		assert_int_equal(rec_done(&r), 0);
	}
	assert_int_equal(rec_next(&r), 0);
	rec_writer_fini(&w);
}

static void short_and_long_bodies(void **state)
{
	struct rec_writer w;
	struct rec_reader r;

	rec_writer_init(&w);
	rec_begin(&w, REC_PM, 1, 0, 0);
	rec_u16(&w, 5);
	rec_end(&w);
	assert_int_equal(rec_finish(&w), 0);
	rec_reader_init(&r, w.buf, w.len);
	assert_int_equal(rec_next(&r), 1);
	assert_int_equal(rec_get_u32(&r), 0); /* past the body: zero, and remembered */
	assert_int_equal(rec_done(&r), -EBADMSG);
	rec_reader_init(&r, w.buf, w.len);
	assert_int_equal(rec_next(&r), 1);
	assert_int_equal(rec_get_u8(&r), 5);
	assert_int_equal(rec_done(&r), -EBADMSG); /* a byte is left over */
	rec_writer_fini(&w);
}

static void refused_headers(void **state)
{
	struct rec_header h = { .type = REC_VM, .version = 1, .length = 8 };
	uint8_t buf[24] = { 0 };
	struct rec_reader r;

	memcpy(buf, &h, sizeof(h));
	rec_reader_init(&r, buf, 24);
	assert_int_equal(rec_next(&r), 1);
	rec_reader_init(&r, buf, 23); /* body cut */
	assert_int_equal(rec_next(&r), -EBADMSG);
	rec_reader_init(&r, buf, 15); /* head cut */
	assert_int_equal(rec_next(&r), -EBADMSG);
	h.length = UINT32_MAX;
	memcpy(buf, &h, sizeof(h));
	rec_reader_init(&r, buf, 24);
	assert_int_equal(rec_next(&r), -EBADMSG);
	h.length = 8;
	h.reserved = 1;
	memcpy(buf, &h, sizeof(h));
	rec_reader_init(&r, buf, 24);
	assert_int_equal(rec_next(&r), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden),
		cmocka_unit_test(round_trip),
		cmocka_unit_test(short_and_long_bodies),
		cmocka_unit_test(refused_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
