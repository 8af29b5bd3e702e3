# SPDX-License-Identifier: BSD-2-Clause
#
#   make                  loader, kernel and a bootable image, in $(BUILD)
#   make demo [CPU=vmx]   two hosts in an emulator, a guest moves between them
#   make test [SUITE=..]  one suite of docs/testing.md: unit, lint, lab, svm...; all without
#   make bench | soak     figures; the long runs
#   make torture [SEED=N] [MINUTES=N]   random moves of a guest's disks, random faults
#   make lint             text, format, headers, rooms, vector registers, clang-tidy
#   make fuzz [SECONDS=60]  make model  make clean  make help
#
# BUILD=dir puts the output elsewhere; the libraries stay in build/third-party.
# V=1 shows the commands, DEBUG=0 leaves the lock checks out.

BUILD ?= build
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

include mk/toolchain.mk
include mk/third-party.mk
include mk/kernel.mk
include mk/boot.mk
include mk/tools.mk
include mk/unit.mk
include mk/fuzz.mk
include mk/lint.mk
include mk/payload.mk
include mk/run.mk

.PHONY: all help clean
all: $(KERNEL_ELF) $(EFI_APP) $(MB2_APP) $(IMAGE) $(TERNDISK)

help:
	@sed -n '3,12s/^# \{0,1\}//p' Makefile

# The libraries and what set-up fetched stay: `rm -rf build` removes these too.
clean:
	rm -rf $(addprefix $(BUILD)/,obj unit fuzz lint model tern.elf tern.pass1.elf tern.map \
		terndisk tern.efi tern.efi.so tern.mb2 kernel.elf tern.img)
