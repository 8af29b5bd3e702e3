# SPDX-License-Identifier: BSD-2-Clause
#
# What runs: demo, tests, models, figures. Each builds what it needs first.

SUITE ?= all

export BUILD FUZZ_SECONDS

.PHONY: demo test bench soak torture model guest

guest: $(SETUP_STAMP) $(CPU_GUEST)
	@tools/guest

demo: all guest
	@tools/demo $(if $(CPU),--cpu $(CPU)) $(ARGS)

# The unit suite needs no hosts; all others boot them.
test: unit fuzz-build $(if $(filter unit lint fuzz model,$(SUITE)),,all guest)
	@tools/runtests $(SUITE)

model: $(SETUP_STAMP)
	@tools/runtests model

bench: all guest
	@tools/bench $(ARGS)

soak: all guest unit fuzz-build
	@tools/soak $(ARGS)

torture: all guest
	@tools/torture $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)
