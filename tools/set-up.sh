# shellcheck shell=bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Sourced by tools/quickstart and tools/check: install what is missing, set up the main build.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

# No questions from apt, the same messages everywhere, and the compilers that are asked for here.
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
unset CFLAGS LDFLAGS CPPFLAGS CC

say() {
    printf '== %s\n' "$*"
}

missing_packages() {
    local package
    sed 's/#.*//' tools/packages | while read -r package; do
        if [ -n "$package" ] &&
            ! dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q ' installed$'; then
            printf '%s\n' "$package"
        fi
    done
}

install_packages() {
    local list as_root=()
    if ! command -v dpkg-query >/dev/null; then
        say "no Debian packages here: the libraries of tools/packages must be there already"
        return
    fi
    mapfile -t list < <(missing_packages)
    if [ ${#list[@]} -eq 0 ]; then
        return
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! sudo -n true </dev/null 2>/dev/null; then
            printf 'These Debian packages are missing. Please install them and start again:\n\n' >&2
            printf '  sudo apt-get install --no-install-recommends %s\n\n' "${list[*]}" >&2
            exit 1
        fi
        as_root=(sudo -n env DEBIAN_FRONTEND=noninteractive)
    fi
    say "installing ${#list[@]} missing packages with apt: ${list[*]}"
    "${as_root[@]}" apt-get -qq update </dev/null
    "${as_root[@]}" apt-get -qq -y --no-install-recommends install "${list[@]}" </dev/null >/dev/null
}

# set_up DIRECTORY COMPILER [MESON OPTIONS]: configures once; a build directory whose options or
# tree are others than before is configured again, not thrown away.
set_up() {
    local dir=$1 compiler=$2 log
    shift 2
    if [ -f "$dir/build.ninja" ] && [ "$(cat "$dir/set-up" 2>/dev/null)" = "$compiler $*" ]; then
        # Which directories and tests there are is looked at when meson runs, so a tree that has
        # gained or lost a file is looked at again.
        if [ "$(tree_shape)" != "$(cat "$dir/tree" 2>/dev/null)" ]; then
            meson setup --reconfigure "$dir" >"$dir/set-up.log" 2>&1 || fail_with "$dir/set-up.log"
            tree_shape >"$dir/tree"
        fi
        return
    fi
    say "setting up $dir/ with $compiler${*:+ ($*)}"
    mkdir -p "$dir"
    if [ -f "$dir/build.ninja" ]; then
        set -- "$@" --wipe
    fi
    # not in the directory, which --wipe empties, nor beside it, among the sources
    log=$(mktemp)
    if ! CC=$compiler meson setup "$dir" "$@" >"$log" 2>&1 </dev/null; then
        mv "$log" "$dir/set-up.log"
        fail_with "$dir/set-up.log"
    fi
    mv "$log" "$dir/set-up.log"
    if [ "${*: -1}" = --wipe ]; then
        set -- "${@:1:$#-1}"
    fi
    printf '%s' "$compiler $*" >"$dir/set-up"
    tree_shape >"$dir/tree"
}

tree_shape() {
    find src include tools tests -name '*.[ch]' -o -name meson.build | LC_ALL=C sort | cksum
}

fail_with() {
    tail -n 40 "$1" >&2
    printf 'failed; the whole of it is in %s\n' "$1" >&2
    exit 1
}
