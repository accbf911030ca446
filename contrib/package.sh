#!/usr/bin/env bash
# Builds target/package/traffic-mirror.deb: the program, a manual page for each command, shell
# completions, the systemd unit, an example configuration, a Grafana dashboard and the documentation.
# Needs cargo-deb (`cargo install cargo-deb --locked`). PROFILE=dev packages a development build.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly PROFILE="${PROFILE:-release}" OUT=target/package
case "$PROFILE" in
    dev) BINARY=target/debug/traffic-mirror ;;
    *) BINARY="target/$PROFILE/traffic-mirror" ;;
esac
cargo build --locked --profile "$PROFILE" --quiet
rm -rf "$OUT"
mkdir -p "$OUT"
"$BINARY" man >"$OUT/traffic-mirror.1"
for command in $("$BINARY" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]\{1,\}\).*/\1/p'); do
    test "$command" = help || "$BINARY" man "$command" >"$OUT/traffic-mirror-$command.1"
done
"$BINARY" completions bash >"$OUT/traffic-mirror.bash"
"$BINARY" completions zsh >"$OUT/_traffic-mirror"
"$BINARY" completions fish >"$OUT/traffic-mirror.fish"
cargo deb --locked --quiet --no-build --profile "$PROFILE" --output "$OUT/traffic-mirror.deb"
echo "$OUT/traffic-mirror.deb"
