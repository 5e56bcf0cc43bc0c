# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What all scripts here share: where things are, which tools build the kernel,
# and how a long step is shown. Sourced, never run.

set -euo pipefail

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
# shellcheck disable=SC2034 # used by those who source this
VM=$REPO/tools/vm
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/linux-checkpoint
mkdir -p "$CACHE"
CACHE=$(cd "$CACHE" && pwd -P)
TREE=$CACHE/tree
BUILD=$CACHE/build
LOGS=$CACHE/log
JOBS=${JOBS:-$(nproc)}
mkdir -p "$LOGS"

# What git shows and what sort does must not depend on who runs this.
export LC_ALL=C.UTF-8
unset CDPATH GREP_OPTIONS MAKEFLAGS MFLAGS MAKELEVEL KBUILD_OUTPUT O

die() {
	echo "error: $*" >&2
	exit 1
}

warn() {
	echo "warning: $*" >&2
}

say() {
	printf '%s\n' "$*"
}

# One run at a time changes the tree and the build directories. Scripts call one
# another: who holds the lock already says so in the environment.
take_lock() {
	[[ ${CHECKPOINT_LOCKED:-} == "$CACHE" ]] && return
	exec {lock_fd}>"$CACHE/lock"
	if ! flock -n "$lock_fd"; then
		say "waiting for another build on this machine to finish"
		flock "$lock_fd"
	fi
	export CHECKPOINT_LOCKED=$CACHE
}

elapsed() {
	local s=$(($(date +%s) - $1))
	if ((s < 60)); then printf '%d s' "$s"; else printf '%d min %02d s' $((s / 60)) $((s % 60)); fi
}

# step NAME COMMAND...: runs it with its output in a log, shows one line, and the
# tail of the log when it fails. On a terminal the line counts compiled objects.
step() {
	local name=$1 start log pid rc=0 ticks=0
	shift
	log=$LOGS/${name//[^A-Za-z0-9.-]/_}.log
	start=$(date +%s)
	[[ -t 1 ]] || printf '%s: running\n' "$name"
	# A process group of its own, to end make and all below it with one signal.
	set -m
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	set +m
	# shellcheck disable=SC2064 # the pid of now
	trap "kill -- -$pid 2>/dev/null || true; echo; exit 130" INT TERM HUP
	while kill -0 "$pid" 2>/dev/null; do
		if [[ -t 1 ]]; then
			printf '\r%s: %s%s \e[K' "$name" "$(elapsed "$start")" "$(objects "$log")"
		elif ((++ticks % 120 == 0)); then
			printf '%s: %s%s\n' "$name" "$(elapsed "$start")" "$(objects "$log")"
		fi
		sleep 0.5
	done
	wait "$pid" || rc=$?
	trap - INT TERM HUP
	[[ -t 1 ]] && printf '\r\e[K'
	if ((rc)); then
		printf '%s: FAILED after %s\n' "$name" "$(elapsed "$start")"
		show_failure "$log" >&2
		echo "error: $name failed (exit code $rc); all of its output is in $log" >&2
		return "$rc"
	fi
	printf '%s: done in %s\n' "$name" "$(elapsed "$start")"
}

# How far a kernel build is, where there is one.
objects() {
	local n
	n=$(grep -cE '^ +(CC|AS|RUSTC|CLIPPY|LD|AR|HOSTCC|EXPORTS|BINDGEN)\b' "$1" || true)
	if ((n)); then printf ', %d objects' "$n"; fi
}

# The first errors of a parallel build are far from its end: show both.
show_failure() {
	grep -nE '(error(\[E[0-9]+\])?:|\*\*\* )' "$1" | head -n 12 || true
	echo "--- last lines of $1"
	tail -n "${TAIL:-30}" "$1"
}

# ver_ge A B: version A is at least B.
ver_ge() {
	[[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]
}

major_of() {
	"$1" --version 2>/dev/null | sed -n 's/.*version \([0-9]*\).*/\1/p' | head -n 1
}

# The tools that build the kernel. rustc is Debian's own even when rustup's comes
# first in PATH: only Debian's has the source of core beside it.
find_tools() {
	local v
	LLVM_SUFFIX=
	v=$(major_of clang || true)
	if [[ -z $v ]] || ((v < 17)) || ! command -v ld.lld >/dev/null; then
		for v in 19 20 21 22 18 17; do
			command -v "clang-$v" >/dev/null && command -v "ld.lld-$v" >/dev/null && break
		done
		command -v "clang-$v" >/dev/null || die "no clang of version 17 or later: run 'make setup'"
		LLVM_SUFFIX=-$v
	fi
	RUSTC=/usr/bin/rustc
	[[ -x $RUSTC ]] || die "no $RUSTC: run 'make setup'"
	v=$($RUSTC --version | cut -d' ' -f2)
	ver_ge "$v" 1.85.0 || die "$RUSTC is $v, the kernel needs 1.85: run 'make setup'"
	BINDGEN=$CACHE/cargo/bin/bindgen
	if [[ ! -x $BINDGEN ]]; then
		BINDGEN=/usr/bin/bindgen
		[[ -x $BINDGEN ]] || die "no bindgen: run 'make setup'"
	fi
	v=$($BINDGEN --version | cut -d' ' -f2)
	ver_ge "$v" 0.71.1 || die "$BINDGEN is $v, the kernel needs 0.71.1: run 'make setup'"
}

# kmake FLAVOUR ARGUMENTS...: make in the patched tree, built in build/FLAVOUR.
kmake() {
	local flavour=$1 cc=clang$LLVM_SUFFIX
	shift
	# One ccache for all build directories: paths inside the cache directory are
	# made relative, so that guest, off and debug share what they can.
	export CCACHE_DIR=$CACHE/ccache CCACHE_BASEDIR=$CACHE CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=5G
	export KBUILD_BUILD_USER=checkpoint KBUILD_BUILD_HOST=localhost
	command -v ccache >/dev/null && cc="ccache $cc"
	make -C "$TREE" O="$BUILD/$flavour" -j"$JOBS" --no-print-directory \
		LLVM="${LLVM_SUFFIX:-1}" CC="$cc" \
		RUSTC="$RUSTC" RUSTDOC=/usr/bin/rustdoc RUSTFMT=/usr/bin/rustfmt \
		CLIPPY_DRIVER=/usr/bin/clippy-driver BINDGEN="$BINDGEN" "$@"
}

# cargo for the tools that run on the host: the user's, or Debian's.
find_cargo() {
	command -v cargo >/dev/null || die "no cargo: run 'make setup'"
	export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CACHE/target}
}

# totals NAME PASSED FAILED [SKIPPED]: what check adds up.
totals() {
	printf '%s: %d passed, %d failed%s\n' "$1" "$2" "$3" \
		"$( ((${4:-0})) && printf ', %d skipped' "$4" || true)"
	echo "$2 $3 ${4:-0}" >"$LOGS/$1.totals"
}

# A suite that ran nothing has not passed. Returns what the suite's script returns.
verdict() {
	totals "$@"
	if (($2 + $3 == 0)); then
		echo "error: $1 ran no test at all" >&2
		return 1
	fi
	(($3 == 0))
}

# locked COMMAND...: with the lock, for this command only.
locked() {
	(take_lock && "$@")
}
