# SPDX-License-Identifier: GPL-2.0
#
# Everything is done by the scripts in tools/vm; each goal sets up what it needs.
# The patched tree, the builds and all downloads are in
# $XDG_CACHE_HOME/linux-checkpoint (~/.cache/linux-checkpoint).

MAKEFLAGS += --no-print-directory
VM := tools/vm

.DEFAULT_GOAL := help
.PHONY: help setup tree kernel demo check check-amx check-debug check-faults shell kunit selftests \
	host-test docs inventory menuconfig export bench lint clean

help:
	@sed -n 's/^#: \?//p' Makefile

#: Build and see
#:   make demo         build the kernel, boot it, checkpoint and restart programs in it
#:   make check        every test; the last line is "N passed, N failed"
#:   make kernel       build the patched kernel
#:   make shell        a shell in the VM
#:
#: Single steps
#:   make setup        install what is missing (as root), or say what to type
#:   make inventory    is every member of the kernel's structures accounted for
#:   make kunit        KUnit tests in the VM
#:   make selftests    kselftests in the VM
#:   make host-test    cargo test, rustfmt and clippy of the tools
#:   make lint         the rules of the house, rustfmt, clippy, checkpatch, man pages
#:   make check-debug  selftests under KASAN, lockdep, kmemleak
#:   make check-amx    selftests on an emulated processor with AVX-512 and AMX
#:   make check-faults selftests with one allocation after another failed (takes hours)
#:   make bench        measurements
#:   make docs         check and build the documentation
#:   make export       the whole work as a series for 'git am', in out/
#:   make menuconfig   look at the guest's configuration
#:   make clean        remove out/ and all builds (ALL=1: the whole cache)
#:
#: Variables
#:   KERNEL_TARBALL=path  use this source      ACCEL=tcg|kvm  do not try KVM
#:   TESTS="memory files"  only these selftests
#:   CHECK_DEBUG=0  no debug kernel in make check
#:   FAIL_NTH=1:7  in check-faults: every 7th allocation only, from the first on
#:   JOBS=n  MEM=2G  CPUS=2

setup:
	@$(VM)/setup

tree: setup
	@$(VM)/tree

kernel: setup
	@$(VM)/build guest

shell: kernel
	@$(VM)/run --shell

demo kunit selftests host-test inventory lint docs menuconfig export bench check check-debug check-faults: setup
	@$(VM)/$@

check-amx: setup
	@$(VM)/bochs

clean:
	@$(VM)/clean
