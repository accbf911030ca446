#!/usr/bin/env bash
# Builds the Debian package: the program, its manual, completions, the unit and an example
# configuration. Needs cargo-deb (`cargo install cargo-deb --locked`). PROFILE=dev packs a
# development build.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly PROFILE="${PROFILE:-release}" OUT=target/package
case "$PROFILE" in
    dev) BINARY=target/debug/traffic-mirror ;;
    *) BINARY="target/$PROFILE/traffic-mirror" ;;
esac
cargo build --profile "$PROFILE" --quiet
rm -rf "$OUT"
mkdir -p "$OUT"
"$BINARY" man >"$OUT/traffic-mirror.1"
"$BINARY" completions bash >"$OUT/traffic-mirror.bash"
"$BINARY" completions zsh >"$OUT/_traffic-mirror"
"$BINARY" completions fish >"$OUT/traffic-mirror.fish"
cargo deb --quiet --no-build --profile "$PROFILE" --output "$OUT/traffic-mirror.deb"
echo "$OUT/traffic-mirror.deb"
