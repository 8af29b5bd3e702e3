/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log: a ring in memory with levels, echoed to the console at or above a
 * level. Any context. One line a call, no newline at its end. An event is
 * logged once, where it is handled.
 */
#ifndef TERN_LOG_H
#define TERN_LOG_H

#include <stdarg.h>
#include <tern/types.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* "[   12.345678] info  net: text" */
void log_line(enum log_level level, const char *room, const char *fmt, ...) PRINTF_LIKE(3, 4);
#define log_error(room, ...) log_line(LOG_ERROR, room, __VA_ARGS__)
#define log_warn(room, ...) log_line(LOG_WARN, room, __VA_ARGS__)
#define log_info(room, ...) log_line(LOG_INFO, room, __VA_ARGS__)
#define log_debug(room, ...) log_line(LOG_DEBUG, room, __VA_ARGS__)

void log_set_console_level(enum log_level level);
/* Walks the ring, oldest first; seq starts at 0 and is advanced. False at the end. text gets at
 * most len bytes. */
bool log_read(uint64_t *seq, char *text, size_t len);

/* Where console bytes go; registered by main.c (serial driver, framebuffer). */
struct console_sink {
	void (*write)(struct console_sink *s, const char *text, size_t len);
	struct console_sink *next;
};
void console_add(struct console_sink *s);
void console_write(const char *text, size_t len); /* raw bytes to all sinks; any context */
/* Input bytes: a driver's handler pushes, the shell's world reads. */
void console_input(const char *bytes, size_t len);		  /* any context */
size_t console_read(char *buf, size_t len, uint64_t deadline_ns); /* sleeps; 0 on time-out */

NORETURN void panic(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* For broken invariants of our own, never for input. */
#define tern_assert(c)                                                                             \
	do {                                                                                       \
		if (__builtin_expect(!(c), 0))                                                     \
			panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #c);              \
	} while (0)

/* "kernel_main+0x12" for an address in the kernel's text; buf of at least 64 bytes. */
void symbolize(uint64_t addr, char *buf, size_t len);

#endif
