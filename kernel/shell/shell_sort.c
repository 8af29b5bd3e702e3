/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whose a byte is that the console receives (shell_int.h): a program's, from '@' at the begin of a
 * line to its end, or a person's. Who types may be in the middle of a line, or of a guest's
 * (`vm console`); so a program says RS before its '@', which then is one wherever the other
 * is, and leaves the other where he is. RS before anything else is a key like
 * others, and so it is when nothing comes for a while.
 */
#include "shell_int.h"

#define KEY_CTRL_C 0x03
#define KEY_RS 0x1e /* [ASCII "RS", Ctrl-^] */

static enum shell_byte take(struct shell_sort *s, char c)
{
	if (s->len + 1 < sizeof(s->line))
		s->line[s->len++] = c;
	else
		s->cut = true;
	return SHELL_BYTE_TAKEN;
}

bool shell_sort_quiet(struct shell_sort *s)
{
	bool key = s->marked && !s->framed;

	s->marked = false;
	return key;
}

enum shell_byte shell_sort(struct shell_sort *s, char c, bool raw)
{
	bool end = c == '\n' || c == '\r', marked = s->marked;

	s->marked = c == KEY_RS;
	if (c == '@' && (marked || (s->line_start && !s->framed))) {
		s->framed = true;
		s->cut = false;
		s->len = 0;
	}
	if (s->marked)
		return marked && !s->framed ? SHELL_BYTE_KEY : SHELL_BYTE_TAKEN;
	if (!s->framed) {
		s->line_start = end || (c == KEY_CTRL_C && !raw);
		return marked ? SHELL_BYTE_KEY_BEFORE : SHELL_BYTE_KEY;
	}
	if (!end)
		return take(s, c);
	s->line[s->len] = '\0';
	s->framed = false;
	return SHELL_BYTE_LINE;
}
