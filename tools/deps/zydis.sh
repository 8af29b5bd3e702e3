# SPDX-License-Identifier: BSD-2-Clause
#
# Zydis: the instruction decoder alone, without formatter, encoder, AVX-512 and
# KNC, and without a libc. Its base library Zycore is needed for headers only;
# they come from libzycore-dev (its source package is missing on some mirrors).

port_files=
defs="-DZYDIS_STATIC_BUILD -DZYCORE_STATIC_BUILD -DZYAN_NO_LIBC -DZYDIS_DISABLE_FORMATTER \
	-DZYDIS_DISABLE_ENCODER -DZYDIS_DISABLE_SEGMENT -DZYDIS_DISABLE_AVX512 -DZYDIS_DISABLE_KNC"

headers() {
	cp -r "$src/include/." "$1/"
	cp -r /usr/include/Zycore "$1/"
}

cppflags() {
	echo "-nostdinc -isystem $($CC -print-file-name=include) -I$1 -I$src/src" $defs
}

list() {
	local name
	for name in Decoder DecoderData SharedData Register MetaInfo Mnemonic Utils; do
		echo "$name $src/src/$name.c"
	done
}
