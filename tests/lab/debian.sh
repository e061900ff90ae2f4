#!/bin/bash
# Sourced by scripts that need packages of Debian's which must not be installed: downloads them and unpacks them below
# $CACHE. Expects the repository as the working folder.

# shellcheck disable=SC2034  # $CACHE is for those who source this
CACHE=$PWD/.cache/lab
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
APT_OPTIONS=()                # of apt-get, while another suite is used

say() { printf 'lab: %s\n' "$*" >&2; }
die() { say "$1 - $2"; exit 1; }

apt() { DEBIAN_FRONTEND=noninteractive apt-get -o APT::Sandbox::User=root -o DPkg::Lock::Timeout=120 -q "$@" >&2; }

# A fresh image has no package lists, an old one stale ones: update once, and only after a first failure.
apt_with_lists() {
    apt "$@" 2>/dev/null && return 0
    apt update || true
    apt "$@"
}

# unpack FOLDER PACKAGE...: download and unpack beside the target, then rename: FOLDER is there only when whole.
unpack() {
    local target=$CACHE/$1 work deb
    shift
    work=$(mktemp -d "$CACHE/.unpack.XXXXXX")
    (cd "$work" && apt_with_lists "${APT_OPTIONS[@]}" download "$@") ||
        die "apt-get could not download: $*" "look at the errors above; is a Debian mirror configured and reachable?"
    mkdir "$work/root"
    for deb in "$work"/*.deb; do
        dpkg -x "$deb" "$work/root"
    done
    rm -rf "$target"
    mv -T "$work/root" "$target"
    rm -rf "$work"
}

# use_suite NAME: what is unpacked from here on, until leave_suite, is of that suite of Debian's, by an apt configuration
# of its own, from the mirror that this machine already uses; the machine's package sources and lists stay as they are.
use_suite() {
    local suite=$1 mirror apt=$CACHE/apt
    mirror=$(release_mirror)
    [ -n "$mirror" ] || { apt update || true; mirror=$(release_mirror); }
    [ -n "$mirror" ] || die "no Debian mirror among apt's sources" "configure one (deb, component main) and run again"
    rm -rf "$apt"
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    echo "deb [signed-by=$KEYRING] $mirror $suite main" >"$apt/sources.list"
    APT_OPTIONS=(
        -o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$apt/lists"
        -o "Dir::Cache=$apt/cache" -o Acquire::Languages=none
        -o Dir::State::status=/dev/null   # else what is installed here, and newer, is asked for
    )
    apt "${APT_OPTIONS[@]}" update || die "no package list for $suite at $mirror" "use a mirror that carries it"
}

# The mirror of the release itself: its -security and -updates siblings do not carry whole suites.
release_mirror() {
    # shellcheck disable=SC2016  # apt-get expands these
    apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
        awk '$1 == "Debian" && $2 == "main" && $3 !~ /-/ { print $4; exit }'
}

leave_suite() {
    APT_OPTIONS=()
    rm -rf "$CACHE/apt"
}
