#!/bin/sh
# Installs Debian's DPDK if it is missing, and runs rte_acl.py, which compares its packet classifier
# with that of traffic-mirror.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if ! command -v dpdk-test-acl >/dev/null; then
    if ! apt-get install -y --no-install-recommends dpdk-dev >/dev/null 2>&1; then
        echo "rte_acl.sh: dpdk-test-acl is missing, and apt-get cannot install dpdk-dev: run this as root on Debian 12 or later" >&2
        exit 2
    fi
fi
exec python3 "$here/rte_acl.py" "$@"
