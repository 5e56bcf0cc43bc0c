# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# A program that is built from Debian's source package: what that takes. Sourced after
# lib.sh by those who make $WORK, and remove it.

missing_packages() {
	local p
	for p; do
		[[ $(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null) == installed ]] || echo "$p"
	done
}

# need_packages NAME PACKAGE...: what it is built with. Installs what is missing, or says
# what to type.
need_packages() {
	local name=$1 missing
	shift
	missing=$(missing_packages "$@" | paste -sd' ')
	[[ -n $missing ]] || return 0
	if (($(id -u))); then
		echo "error: $name is built with packages that are missing; type this, then try again:" >&2
		echo "    sudo apt-get install --no-install-recommends $missing" >&2
		exit 1
	fi
	say "missing for $name: $missing"
	export DEBIAN_FRONTEND=noninteractive
	step "$name: reading the package lists" apt-get update
	# shellcheck disable=SC2086 # a list
	step "$name: installing packages" apt-get install -y --no-install-recommends $missing
	missing=$(missing_packages "$@" | paste -sd' ')
	[[ -z $missing ]] || die "these packages did not install: $missing"
}

# get_source NAME SUITE: the source package, unpacked as WORK/source, and VERSION. The
# lists are signed, and have the sums of all files, which apt-get holds against what it
# gets.
get_source() {
	local name=$1 suite=$2 site conf keyring
	keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	[[ -r $keyring ]] || die "there is no $keyring"
	# The mirror that this machine uses, as its own configuration names it.
	site=$(apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
		sed -n '/security/d;s/^\(Debian\)\?|//p' | sort -u | head -n 1)
	[[ -n $site ]] || die "apt's configuration names no mirror of Debian"
	mkdir -p "$WORK/lists/partial" "$WORK/cache/archives/partial" "$WORK/out"
	cat >"$WORK/source.sources" <<-EOS
		Types: deb-src
		URIs: $site
		Suites: $suite
		Components: main
		Signed-By: $keyring
	EOS
	conf=(-o Dir::Etc::SourceParts=/dev/null -o Dir::Etc::SourceList="$WORK/source.sources"
		-o Dir::State::Lists="$WORK/lists" -o Dir::Cache="$WORK/cache"
		-o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=3)
	step "$name: reading the list of Debian's $suite" apt-get "${conf[@]}" update
	VERSION=$(apt-cache "${conf[@]}" showsrc "$name" | sed -n 's/^Version: //p' | sort -V | tail -n 1)
	[[ -n $VERSION ]] || die "Debian's $suite has no source of $name"
	cd "$WORK/out"
	if step "$name: downloading the source of $VERSION" \
		apt-get "${conf[@]}" --download-only source "$name=$VERSION"; then
		step "$name: unpacking" dpkg-source --no-check -x ./*.dsc "$WORK/source"
	else
		# Mirrors have been seen without Debian's part, which is about packaging mostly.
		step "$name: downloading upstream's part of it only" \
			apt-get "${conf[@]}" --download-only --tar-only source "$name=$VERSION"
		warn "the mirror lacks Debian's part of $name $VERSION: built without its patches"
		VERSION+=.upstream
		mkdir "$WORK/source"
		tar -C "$WORK/source" --strip-components=1 -xf ./*.orig.tar.*
	fi
	cd "$REPO"
}
