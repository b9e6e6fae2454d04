# Shared by the scripts of this folder; sourced, not run.

# say TEXT...: one line of progress, apart from what a command prints.
say() { printf '%s\n' "$*" >&2; }

# fail TEXT...: one sentence that says what is missing and how to get it.
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# install WHAT PACKAGE...: installs Debian packages when we are root, else says which command does it.
install() {
    local what=$1
    shift
    if ! command -v apt-get >/dev/null; then
        fail "$what is missing; install it with your system's package manager (Debian calls it: $*) and run this again."
    fi
    if [ "$(id -u)" -ne 0 ]; then
        fail "$what is missing; run: sudo apt-get install -y $*"
    fi
    say "installing $* ($what is missing)"
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y --no-install-recommends "$@" >&2 && return
    # A fresh image has no package lists yet.
    if ! { apt-get update >&2 && apt-get install -y --no-install-recommends "$@" >&2; }; then
        fail "$what is missing and could not be installed; run: apt-get update && apt-get install -y $*"
    fi
}
