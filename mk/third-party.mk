# SPDX-License-Identifier: BSD-2-Clause
#
# The three libraries. tools/deps/build keys each by its recipe, flags, pins and
# port headers, and compiles only when the key has changed, whatever BUILD= is;
# the prerequisites here only say when it is worth asking.

TP := $(CURDIR)/build/third-party
SETUP_STAMP := $(TP)/setup.stamp

TP_RECIPE := tools/deps/build tools/deps/pins.txt mk/toolchain.mk $(SETUP_STAMP)
LIBS := $(TP)/newlib/newlib.a $(TP)/lwip/lwip.a $(TP)/zydis/zydis.a

build_lib = TP='$(TP)' CC='$(CC)' CFLAGS='$(CODEGEN)' tools/deps/build

$(SETUP_STAMP): tools/setup $(wildcard tools/deps/*.txt)
	@tools/setup
	@touch $@

$(TP)/newlib/newlib.a: $(TP_RECIPE) tools/deps/newlib.sh kernel/lib/libc/newlib.h
	@$(build_lib) newlib

# lwIP is compiled against newlib's headers.
$(TP)/lwip/lwip.a: $(TP_RECIPE) tools/deps/lwip.sh $(wildcard net/lwip/*.h net/lwip/*/*.h) \
		$(TP)/newlib/newlib.a
	@$(build_lib) lwip

$(TP)/zydis/zydis.a: $(TP_RECIPE) tools/deps/zydis.sh
	@$(build_lib) zydis

.PHONY: third-party
third-party: $(LIBS)
