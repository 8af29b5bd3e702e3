/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * newlib's configuration for Tern, in the place of the file that its configure
 * script would make. tools/deps/build puts it among newlib's headers.
 *
 * The subset has no floating point, no files and no wide characters. What the
 * kernel gives to it:
 *   _sbrk_r, __malloc_lock, __malloc_unlock    kernel/base, the heap
 *   memcpy, memmove, memset                    mem.c
 * errno is one global: set by the libc, read by nobody. Tern's own functions
 * return their errors.
 */
#ifndef __NEWLIB_H__
#define __NEWLIB_H__ 1

#define _NEWLIB_VERSION_H__ 1
#define _NEWLIB_VERSION "3.3.0"
#define __NEWLIB__ 3
#define __NEWLIB_MINOR__ 3
#define __NEWLIB_PATCHLEVEL__ 0

#define _WANT_IO_C99_FORMATS 1
#define _WANT_IO_LONG_LONG 1
#define _REENT_GLOBAL_ATEXIT 1
#define _LITE_EXIT 1
#define _UNBUF_STREAM_OPT 1
#define _MB_LEN_MAX 1
#define _HAVE_CC_INHIBIT_LOOP_TO_LIBCALL 1
#define _LDBL_EQ_DBL 1

#endif
