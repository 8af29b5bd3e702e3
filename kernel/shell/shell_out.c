/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A command's output: gathered to whole lines, prefixed when framed, and given
 * to the console in one write each, so that lines of different worlds never mix.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tern/log.h>

#include "shell_int.h"

#define PRINT_MAX 1024

static bool out_reserve(struct shell *sh, size_t more)
{
	size_t cap = sh->out_cap ? sh->out_cap : 256;
	char *p;

	if (sh->out_len + more <= sh->out_cap)
		return true;
	while (cap < sh->out_len + more)
		cap *= 2;
	p = realloc(sh->out, cap);
	if (!p)
		return false;
	sh->out = p;
	sh->out_cap = cap;
	return true;
}

static void out_bytes(struct shell *sh, const char *text, size_t len)
{
	if (!out_reserve(sh, len))
		return; /* out of memory: the line is cut, the console lives on */
	memcpy(sh->out + sh->out_len, text, len);
	sh->out_len += len;
}

void shell_out_flush(struct shell *sh)
{
	if (sh->out_len)
		console_write(sh->out, sh->out_len);
	sh->out_len = 0;
}

static void out_newline(struct shell *sh)
{
	out_bytes(sh, "\r\n", 2);
	shell_out_flush(sh);
}

void shell_write(struct shell *sh, const char *bytes, size_t len)
{
	sh->wrote = true;
	if (sh->raw) {
		console_write(bytes, len);
		return;
	}
	while (len) {
		const char *nl = memchr(bytes, '\n', len);
		size_t n = nl ? (size_t)(nl - bytes) : len;

		if (sh->framed && !sh->out_len) {
			out_bytes(sh, "@", 1);
			out_bytes(sh, sh->tag, strlen(sh->tag));
			out_bytes(sh, "|", 1);
		}
		out_bytes(sh, bytes, n);
		if (nl) {
			out_newline(sh);
			n++;
		}
		bytes += n;
		len -= n;
	}
}

void shell_out_end(struct shell *sh)
{
	if (sh->out_len || sh->progress_open)
		out_newline(sh);
	sh->progress_open = false;
}

void shell_out_free(struct shell *sh)
{
	free(sh->out);
	sh->out = NULL;
	sh->out_len = sh->out_cap = 0;
}

static void end_progress(struct shell *sh)
{
	if (sh->progress_open)
		out_newline(sh);
	sh->progress_open = false;
}

void shell_printf(struct shell *sh, const char *fmt, ...)
{
	char buf[PRINT_MAX];
	va_list ap;
	int n;

	end_progress(sh);
	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	if (n > 0)
		shell_write(sh, buf, MIN((size_t)n, sizeof(buf) - 1));
}

int shell_error(struct shell *sh, const char *code, const char *fmt, ...)
{
	char buf[PRINT_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	if (sh->out_len || sh->progress_open)
		shell_out_end(sh);
	shell_write(sh, "error: ", 7);
	shell_write(sh, code, strlen(code));
	shell_write(sh, " ", 1);
	if (n > 0)
		shell_write(sh, buf, MIN((size_t)n, sizeof(buf) - 1));
	shell_write(sh, "\n", 1);
	sh->failed = true;
	return 1;
}

void shell_progress(struct shell *sh, const char *fmt, ...)
{
	char buf[PRINT_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	if (n <= 0)
		return;
	if (sh->framed) {
		shell_write(sh, buf, MIN((size_t)n, sizeof(buf) - 1));
		shell_write(sh, "\n", 1);
		return;
	}
	out_bytes(sh, "\r", 1);
	out_bytes(sh, buf, MIN((size_t)n, sizeof(buf) - 1));
	out_bytes(sh, "\x1b[K", 3);
	shell_out_flush(sh);
	sh->progress_open = true;
}
