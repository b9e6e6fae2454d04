#!/usr/bin/env bash
# Checks what a build needs, before a long build fails on it with a worse message.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

cargo=${CARGO:-cargo}
if ! command -v "$cargo" >/dev/null; then
    fail "cargo is missing; install Rust with rustup (https://rustup.rs) and open a new shell, so that ~/.cargo/bin is on the PATH."
fi

wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
found=$("$cargo" --version | awk '{ print $2 }')
if [ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)" != "$wanted" ]; then
    fail "cargo $found is too old, $wanted or newer is needed; install it with rustup (https://rustup.rs), which then picks the version of rust-toolchain.toml."
fi

# ring and mimalloc have parts in C, and rustc links by calling `cc`.
if ! command -v cc >/dev/null; then
    install "a C compiler" gcc libc6-dev
fi
