#!/bin/sh
# DPDK's packet classifier against ours: the same rules, the same headers, one core, in turn.
# Installs Debian's DPDK where it is missing; all else is in rte_acl.py beside this file.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if ! command -v dpdk-test-acl >/dev/null; then
    if ! apt-get install -y --no-install-recommends dpdk-dev >/dev/null 2>&1; then
        echo "rte_acl.sh: dpdk-test-acl is missing, and apt-get could not install dpdk-dev (as root, on Debian 12 or later)" >&2
        exit 2
    fi
fi
exec python3 "$here/rte_acl.py" "$@"
