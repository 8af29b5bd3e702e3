# SPDX-License-Identifier: BSD-2-Clause
#
# make lint: text, format, headers that stand alone, who may know whom, no use of vector
# registers, clang-tidy; each is a target of its own too (lint-text ...), and one test of
# `make test`'s unit suite.
# Each file's result is kept in $(BUILD)/lint until the file changes. `make format`
# puts the C sources into the tree's format.

LINT := $(BUILD)/lint
LINT_C := $(sort $(shell find include boot kernel arch drivers net mig test tools \
	-name '*.[ch]' 2>/dev/null))
MAN_PAGES := $(wildcard tools/*/*.1)
FACE_HEADERS := $(sort $(wildcard include/tern/*.h))

$(LINT)/%.format: % .clang-format | $(SETUP_STAMP)
	@mkdir -p $(@D)
	@clang-format --dry-run -Werror $<
	@touch $@

# A header compiles alone, and twice. What it includes may change too, so: always.
$(LINT)/headers: $(FACE_HEADERS) $(LIBS)
	@mkdir -p $(LINT)
	@for h in $(FACE_HEADERS); do \
		printf '#include "%s"\n#include "%s"\n' $$h $$h | \
		$(CC) $(KERNEL_CFLAGS) $(KERNEL_CPPFLAGS) -fsyntax-only -x c - || exit 1; \
	done
	@touch $@

# clang-tidy reads the kernel's sources as clang sees them; checks are in .clang-tidy.
TIDY_FLAGS := -Wno-unknown-warning-option -Wno-unused-command-line-argument \
	-Wno-ignored-optimization-argument -fno-caret-diagnostics
$(LINT)/%.tidy: % .clang-tidy $(BUILD)/obj/%.o
	@mkdir -p $(@D)
	@clang-tidy --quiet $< -- $(KERNEL_CFLAGS) $(call kernel_cppflags,$<) $(TIDY_FLAGS) \
		2>$@.log || { cat $@.log; exit 1; }
	@touch $@

.PHONY: lint lint-format lint-headers lint-tidy lint-rooms lint-vectors lint-text format
lint-format: $(LINT_C:%=$(LINT)/%.format)
lint-headers: $(LINT)/headers
lint-tidy: $(patsubst %,$(LINT)/%.tidy,$(filter %.c,$(KERNEL_SRCS)))
lint-rooms: $(KERNEL_OBJS)
	@tools/checkrooms $(BUILD)/obj
lint-vectors: $(KERNEL_ELF)
	@tools/checkvectors $<
lint-text:
	@tools/linttext
	@groff -man -ww -z -Tutf8 $(MAN_PAGES) 2>&1 | { ! grep .; }

lint: lint-text lint-format lint-headers lint-rooms lint-vectors lint-tidy
	@echo 'lint: ok'

format: | $(SETUP_STAMP)
	@clang-format -i $(LINT_C)
