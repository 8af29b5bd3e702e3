# SPDX-License-Identifier: BSD-2-Clause
#
# newlib: strings, ctype, integer conversions and formatting, sorting, malloc.
# Only files that need no floating point; vfprintf.c is built in its integer form
# under the plain names, so snprintf() is what others call sniprintf(). memcpy,
# memmove and memset are Tern's own (kernel/lib/libc/mem.c): newlib's assembler
# uses weakly ordered stores, its C form goes by bytes when unaligned.

port_files=kernel/lib/libc/newlib.h
c=$src/newlib/libc

headers() {
	cp -r "$c/include/." "$1/"
	mkdir -p "$1/machine" "$1/sys"
	cp "$c/machine/x86_64/sys/"*.h "$1/sys/"
	cp "$root/kernel/lib/libc/newlib.h" "$1/newlib.h"
}

cppflags() {
	echo "-nostdinc -isystem $($CC -print-file-name=include) -isystem $1" \
		"-I$c/stdio -I$c/locale -I$c/ctype -D_COMPILING_NEWLIB -D_GNU_SOURCE" \
		"-fno-tree-loop-distribute-patterns -fno-builtin"
}

files() {
	local dir=$1 name
	shift
	for name in "$@"; do echo "$dir-$name $c/$dir/$name.c"; done
}

list() {
	files string bcmp bcopy bzero ffsl ffsll flsl flsll memccpy memchr memcmp memmem \
		mempcpy memrchr rawmemchr stpcpy stpncpy strcasecmp strcasestr strcat strchr \
		strchrnul strcmp strcpy strcspn strdup strdup_r strlcat strlcpy strlen strncasecmp \
		strncat strncmp strncpy strndup strndup_r strnlen strpbrk strrchr strsep strspn \
		strstr strtok strtok_r index rindex
	files ctype ctype_ isalnum isalpha isascii isblank iscntrl isdigit islower isprint \
		ispunct isspace isupper isxdigit tolower toupper
	files stdlib abs labs llabs div ldiv atoi atol atoll strtol strtoul strtoll strtoull \
		strtoll_r strtoull_r strtoimax strtoumax itoa utoa rand_r mbtowc_r wctomb_r
	files search bsearch qsort
	files errno errno
	files reent impure
	files locale locale localeconv
	files stdio snprintf sprintf vsnprintf vsprintf
	echo "stdio-svfprintf $c/stdio/vfprintf.c -DINTEGER_ONLY -DSTRING_ONLY" \
		"-D_svfiprintf_r=_svfprintf_r"
	files stdlib malloc calloc realloc
	for part in MALLOC FREE CALLOC REALLOC MEMALIGN MALLOC_USABLE_SIZE MALLINFO; do
		echo "mallocr-$part $c/stdlib/mallocr.c -DINTERNAL_NEWLIB -DDEFINE_$part" \
			"-Dmalloc_getpagesize=4096 -DDEFAULT_TRIM_THRESHOLD=-1L"
	done
	files stdlib malign msize
}
