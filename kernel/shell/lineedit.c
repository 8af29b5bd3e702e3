/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One line of typing: cursor keys, Emacs keys, history. Keys come one byte at a
 * time; escape sequences of a VT100 and its heirs are put together here. The
 * whole line is drawn again after a change: it is short and the line is fast. What
 * comes faster than that, as a paste does, is drawn when it ends: so says the caller.
 *
 * A line longer than the terminal is wide is seen through a window that follows the
 * cursor, with < and > where more of it lies; when it is done it is shown as a whole. The
 * width comes as a terminal's answer to lineedit_ask, among the keys. The last column
 * stays free, because terminals differ in where the cursor is behind it.
 */
#include <stdio.h>
#include <string.h>

#include "shell_int.h"

#define CTRL(c) ((c)&0x1f)
#define KEY_ESC 0x1b
#define KEY_DEL 0x7f
#define ESCAPE_ARG_MAX 9999u

/* The cursor has a character on each side of it that is no mark. */
static void scroll(struct lineedit *e, size_t room)
{
	if (e->len <= room)
		e->left = 0;
	else if ((e->left && e->pos < e->left + 2) || e->pos + 2 > e->left + room)
		e->left = e->pos > room / 2 ? e->pos - room / 2 : 0;
}

static void draw_window(const struct lineedit *e, size_t shown, struct shell *sh)
{
	size_t from = e->left, to = e->left + shown;

	if (e->left)
		shell_write(sh, "<", 1);
	from += e->left != 0;
	to -= to < e->len;
	shell_write(sh, e->buf + from, to - from);
	if (to < e->len && shown)
		shell_write(sh, ">", 1);
	shell_write(sh, "\x1b[K", 3);
}

void lineedit_draw(struct lineedit *e, struct shell *sh)
{
	size_t cols = e->cols ? e->cols : LINEEDIT_COLS;
	size_t prompt = strlen(e->prompt), cut = prompt > cols / 2 ? prompt - cols / 2 : 0;
	size_t room = cols - 1 - (prompt - cut), shown;
	char move[16];

	scroll(e, room);
	shown = MIN(e->len - e->left, room);
	shell_write(sh, "\r", 1);
	shell_write(sh, e->prompt + cut, prompt - cut);
	draw_window(e, shown, sh);
	if (e->pos < e->left + shown) {
		snprintf(move, sizeof(move), "\x1b[%uD", (unsigned)(e->left + shown - e->pos));
		shell_write(sh, move, strlen(move));
	}
	shell_out_flush(sh);
}

void lineedit_ask(struct shell *sh)
{
	shell_write(sh, "\x1b[999C\x1b[6n", 10); /* [ECMA-48 8.3.20 CUF, 8.3.35 DSR] */
	shell_out_flush(sh);
}

static void draw_whole(const struct lineedit *e, struct shell *sh)
{
	shell_write(sh, "\r", 1);
	shell_write(sh, e->prompt, strlen(e->prompt));
	shell_write(sh, e->buf, e->len);
	shell_write(sh, "\x1b[K\n", 4);
	shell_out_flush(sh);
}

void lineedit_reset(struct lineedit *e)
{
	e->len = e->pos = e->left = 0;
	e->buf[0] = '\0';
	e->browse = e->nr_history;
	e->escape = 0;
}

void lineedit_remember(struct lineedit *e)
{
	if (!e->len || (e->nr_history && !strcmp(e->history[e->nr_history - 1], e->buf)))
		return;
	if (e->nr_history == SHELL_HISTORY)
		memmove(e->history[0], e->history[1], sizeof(e->history[0]) * --e->nr_history);
	memcpy(e->history[e->nr_history++], e->buf, e->len + 1);
}

static void erase(struct lineedit *e, size_t from, size_t to)
{
	memmove(e->buf + from, e->buf + to, e->len - to + 1);
	e->len -= to - from;
	e->pos = from;
}

static void erase_word(struct lineedit *e)
{
	size_t from = e->pos;

	while (from && e->buf[from - 1] == ' ')
		from--;
	while (from && e->buf[from - 1] != ' ')
		from--;
	erase(e, from, e->pos);
}

static bool insert(struct lineedit *e, char c)
{
	if (e->len + 1 >= sizeof(e->buf))
		return false;
	memmove(e->buf + e->pos + 1, e->buf + e->pos, e->len - e->pos + 1);
	e->buf[e->pos++] = c;
	e->len++;
	return true;
}

void lineedit_insert(struct lineedit *e, const char *text, struct shell *sh)
{
	while (*text && insert(e, *text))
		text++;
	lineedit_draw(e, sh);
}

static void browse(struct lineedit *e, bool back)
{
	if (back ? !e->browse : e->browse == e->nr_history)
		return;
	if (e->browse == e->nr_history)
		memcpy(e->saved, e->buf, e->len + 1);
	e->browse += back ? -1u : 1u;
	strcpy(e->buf, e->browse == e->nr_history ? e->saved : e->history[e->browse]);
	e->len = e->pos = strlen(e->buf);
}

/* What follows ESC [ or ESC O: a letter behind the last number, or a number and a tilde. */
static void escape_final(struct lineedit *e, char key, unsigned arg)
{
	switch (key) {
	case 'A':
	case 'B':
		browse(e, key == 'A');
		break;
	case 'C':
		e->pos += e->pos < e->len;
		break;
	case 'D':
		e->pos -= e->pos > 0;
		break;
	case 'H':
		e->pos = 0;
		break;
	case 'F':
		e->pos = e->len;
		break;
	case 'R': /* the cursor is there: the answer to lineedit_ask; F3 has no such number */
		if (arg >= LINEEDIT_COLS_MIN && arg <= LINEEDIT_COLS_MAX)
			e->cols = arg;
		break;
	case '~':
		if (arg == 3 && e->pos < e->len)
			erase(e, e->pos, e->pos + 1);
		else if (arg == 1 || arg == 7)
			e->pos = 0;
		else if (arg == 4 || arg == 8)
			e->pos = e->len;
		break;
	default:
		break;
	}
}

static void escape_key(struct lineedit *e, char key)
{
	if (e->escape == 1) {
		e->escape = key == '[' || key == 'O' ? 2 : 0;
		e->escape_arg = 0;
	} else if (key >= '0' && key <= '9') {
		e->escape_arg = MIN(e->escape_arg * 10 + (unsigned)(key - '0'), ESCAPE_ARG_MAX);
	} else if (key == ';') {
		e->escape_arg = 0;
	} else {
		escape_final(e, key, e->escape_arg);
		e->escape = 0;
	}
}

static void edit_key(struct lineedit *e, char key, struct shell *sh)
{
	switch (key) {
	case KEY_ESC:
		e->escape = 1;
		break;
	case CTRL('A'):
		e->pos = 0;
		break;
	case CTRL('E'):
		e->pos = e->len;
		break;
	case CTRL('B'):
		e->pos -= e->pos > 0;
		break;
	case CTRL('F'):
		e->pos += e->pos < e->len;
		break;
	case CTRL('P'):
	case CTRL('N'):
		browse(e, key == CTRL('P'));
		break;
	case CTRL('K'):
		erase(e, e->pos, e->len);
		break;
	case CTRL('U'):
		erase(e, 0, e->pos);
		break;
	case CTRL('W'):
		erase_word(e);
		break;
	case CTRL('D'):
		if (e->pos < e->len)
			erase(e, e->pos, e->pos + 1);
		break;
	case KEY_DEL:
	case CTRL('H'):
		if (e->pos)
			erase(e, e->pos - 1, e->pos);
		break;
	default:
		if (key >= ' ' && !insert(e, key))
			shell_write(sh, "\a", 1); /* the line is full */
		break;
	}
}

enum lineedit_result lineedit_key(struct lineedit *e, char key, struct shell *sh)
{
	if (e->escape) {
		escape_key(e, key);
	} else if (key == '\r' || key == '\n') {
		draw_whole(e, sh);
		return LINE_DONE;
	} else if (key == '\t') {
		return LINE_TAB;
	} else if (key == CTRL('C')) {
		shell_write(sh, "^C\n", 3);
		return LINE_ABORT;
	} else {
		edit_key(e, key, sh);
	}
	return LINE_MORE;
}
