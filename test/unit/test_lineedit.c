/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The line editor on a terminal of 80 and of other columns: whatever is typed and wherever
 * the cursor goes, one row is used, the cursor stands at the character that it is at, and
 * the line that is done is there as a whole.
 */
// SOURCES: kernel/shell/lineedit.c drivers/fbterm.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/fbterm.h"
#include "kernel/shell/shell_int.h"

#define ROWS 20u
#define PROMPT "tern:a> "
#define LEFT "\x1b[D"
#define HOME "\x01"
#define END "\x05"

static struct lineedit e;
static struct fbterm t;
static struct shell sh;
static char text[ROWS * LINEEDIT_COLS_MAX];

void shell_write(struct shell *s, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '\n')
			fbterm_write(&t, "\r", 1);
		fbterm_write(&t, bytes + i, 1);
	}
}

void shell_out_flush(struct shell *s)
{
}

static void begin(unsigned cols)
{
	memset(&e, 0, sizeof(e));
	strcpy(e.prompt, PROMPT);
	e.cols = cols;
	fbterm_init(&t, cols ? cols : LINEEDIT_COLS, ROWS, text);
	lineedit_reset(&e);
	lineedit_draw(&e, &sh);
}

/* What is under the cursor is what the next key works on; only marks hide others. */
static void check_view(void)
{
	char at = fbterm_line(&t, t.y)[t.x];

	assert_int_equal(t.y, 0);
	assert_memory_equal(fbterm_line(&t, 0), PROMPT, strlen(PROMPT));
	assert_true(t.x < t.cols);
	assert_int_equal(at, e.pos < e.len ? e.buf[e.pos] : ' ');
	if (e.pos)
		assert_int_equal(fbterm_line(&t, 0)[t.x - 1], e.buf[e.pos - 1]);
}

static enum lineedit_result keys(const char *k)
{
	enum lineedit_result r = LINE_MORE;

	for (; *k && r == LINE_MORE; k++) {
		r = lineedit_key(&e, *k, &sh);
		if (r == LINE_MORE && !e.escape) {
			lineedit_draw(&e, &sh);
			check_view();
		}
	}
	return r;
}

static void type_letters(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char k[2] = { (char)('a' + i % 26), 0 };

		assert_int_equal(keys(k), LINE_MORE);
	}
}

static void a_long_line_stays_in_one_row(void **state)
{
	static const unsigned widths[] = { 0, 20, 21, 40, 80, 132, 999 };

	for (unsigned w = 0; w < ARRAY_SIZE(widths); w++) {
		begin(widths[w]);
		type_letters(300);
		for (unsigned i = 0; i < 300; i++)
			keys(LEFT);
		assert_int_equal(e.pos, 0);
		keys(END);
		keys(HOME);
		for (unsigned i = 0; i < 200; i++)
			keys("\x06");
		for (unsigned i = 0; i < 150; i++)
			keys("\x7f"); /* from the middle */
		keys("X\x0b");
		assert_int_equal(e.len, 51);
		assert_string_equal(e.buf + 45, "tuvwxX");
	}
}

static void a_short_line_is_shown_as_it_is(void **state)
{
	begin(80);
	type_letters(71); /* the last column stays free */
	assert_null(memchr(fbterm_line(&t, 0), '<', 80));
	assert_int_equal(fbterm_line(&t, 0)[78], 'a' + 70 % 26);
	keys("x");
	assert_int_equal(fbterm_line(&t, 0)[strlen(PROMPT)], '<');
	keys(HOME);
	assert_int_equal(fbterm_line(&t, 0)[strlen(PROMPT)], 'a');
	assert_int_equal(fbterm_line(&t, 0)[78], '>');
	keys("\x05\x7f");
	assert_null(memchr(fbterm_line(&t, 0), '<', 80));
}

static void what_is_done_is_shown_as_a_whole(void **state)
{
	begin(40);
	type_letters(90);
	keys(HOME);
	assert_int_equal(keys("\r"), LINE_DONE);
	assert_int_equal(t.y, 3); /* behind 98 characters in rows of 40 */
	assert_memory_equal(fbterm_line(&t, 0) + strlen(PROMPT), e.buf, 32);
	assert_memory_equal(fbterm_line(&t, 1), e.buf + 32, 40);
	assert_memory_equal(fbterm_line(&t, 2), e.buf + 72, 18);
}

static void the_terminal_says_how_wide_it_is(void **state)
{
	begin(0);
	keys("vm\x1b[24;132R l");
	assert_int_equal(e.cols, 132);
	assert_string_equal(e.buf, "vm l");
	keys("\x1bOR\x1b[1;1R\x1b[1;9999R\x1b[3;99999999999R"); /* a key, and nonsense */
	assert_int_equal(e.cols, 132);
	assert_string_equal(e.buf, "vm l");
	lineedit_ask(&sh);
	lineedit_draw(&e, &sh);
	assert_int_equal(t.y, 0);
	assert_memory_equal(fbterm_line(&t, 0), PROMPT "vm l ", strlen(PROMPT) + 5);
}

static void keys_with_numbers(void **state)
{
	begin(80);
	keys("abc\x1b[1~\x1b[3~"); /* home, delete */
	assert_string_equal(e.buf, "bc");
	keys("\x1b[4~d\x1b[13~\x1b[31~"); /* end; F3 and F17 are nothing */
	assert_string_equal(e.buf, "bcd");
	keys("\x1b[1;5D!"); /* with Ctrl */
	assert_string_equal(e.buf, "bc!d");
}

static void a_long_prompt_leaves_room(void **state)
{
	begin(20);
	strcpy(e.prompt, "tern:a-host-with-a-long-name.example> ");
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(lineedit_key(&e, 'x', &sh), LINE_MORE);
		lineedit_draw(&e, &sh);
		assert_int_equal(t.y, 0);
	}
	assert_int_equal(fbterm_line(&t, 0)[10], '<');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_long_line_stays_in_one_row),
		cmocka_unit_test(a_short_line_is_shown_as_it_is),
		cmocka_unit_test(what_is_done_is_shown_as_a_whole),
		cmocka_unit_test(the_terminal_says_how_wide_it_is),
		cmocka_unit_test(keys_with_numbers),
		cmocka_unit_test(a_long_prompt_leaves_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
