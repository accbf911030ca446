#!/usr/bin/env bash
# Builds the Debian package: the program, its manual, completions, the unit and an example
# configuration. Wants cargo-deb (`cargo install cargo-deb --locked`).
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --quiet
readonly BINARY=target/release/traffic-mirror OUT=target/package
rm -rf "$OUT"
mkdir -p "$OUT"
"$BINARY" man >"$OUT/traffic-mirror.1"
"$BINARY" completions bash >"$OUT/traffic-mirror.bash"
"$BINARY" completions zsh >"$OUT/_traffic-mirror"
"$BINARY" completions fish >"$OUT/traffic-mirror.fish"
cargo deb --quiet --no-build --output "$OUT/traffic-mirror.deb"
echo "$OUT/traffic-mirror.deb"
