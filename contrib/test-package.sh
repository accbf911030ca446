#!/usr/bin/env bash
# Builds the package, installs it, runs the program, purges the package and checks that no file
# remains. Needs root, and a machine or container on which the package is not installed.
set -euo pipefail
cd "$(dirname "$0")/.."
if dpkg-query --show traffic-mirror >/dev/null 2>&1; then
    echo "NOT RUN: the package traffic-mirror is already installed" && exit 0
fi
PACKAGE="$(contrib/package.sh | tail -1)"
trap 'dpkg --purge traffic-mirror >/dev/null 2>&1 || true' EXIT
dpkg --install "$PACKAGE"
/usr/bin/traffic-mirror --version
/usr/bin/traffic-mirror check --config /etc/traffic-mirror/mirror.toml >/dev/null
grep -q '^\.TH traffic-mirror' <(zcat -f /usr/share/man/man1/traffic-mirror.1*)
for command in replay explain check export bench run receive interfaces completions man; do
    grep -q "^\.TH traffic-mirror-$command " <(zcat -f /usr/share/man/man1/traffic-mirror-$command.1*)
done
# dpkg may be configured not to unpack documentation, but lists it.
dpkg --listfiles traffic-mirror | grep -c '/doc/traffic-mirror/docs/README.md$' >/dev/null
test -s /usr/share/bash-completion/completions/traffic-mirror
UNIT="$(dpkg --listfiles traffic-mirror | grep 'traffic-mirror.service$')"
# Every option of the unit must be in the help of the program.
for option in $(grep -o -- '--[a-z-]*' < <(grep ^ExecStart "$UNIT")); do
    /usr/bin/traffic-mirror run --help | grep -q -- "$option"
done
if command -v systemd-analyze >/dev/null; then
    systemd-analyze verify "$UNIT" || echo "systemd-analyze reports the problems above"
else
    echo "NOT RUN: systemd-analyze is not installed, so the unit is not verified"
fi
dpkg --purge traffic-mirror
for path in /usr/bin/traffic-mirror /etc/traffic-mirror "$UNIT"; do
    test ! -e "$path" || { echo "$path still exists after the purge" >&2; exit 1; }
done
trap - EXIT
echo "the package installs, runs and is removed completely"
