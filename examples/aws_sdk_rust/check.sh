#!/usr/bin/env bash
# Builds the example with the AWS SDK for Rust and runs it against a laboratory:
# `examples/aws_sdk_rust/check.sh`. The first build of aws-sdk-ec2 takes minutes and needs 8 GB of memory.
set -euo pipefail
cd "$(dirname "$0")/../.."
readonly EXAMPLE=examples/aws_sdk_rust

cargo build --locked --quiet --bin traffic-mirror
(cd "$EXAMPLE" && cargo fmt --check && cargo build --locked --quiet)

OUTPUT="$(mktemp)"
readonly OUTPUT
# The laboratory ends with its standard input, which this script holds open.
coproc LAB { exec "${CARGO_TARGET_DIR:-target}/debug/traffic-mirror" lab --listen 127.0.0.1:0 \
    --end-with-stdin --network-interface eni-0a1b2c3d4e5f60718=10.0.0.5; }
trap 'kill "$LAB_PID" 2>/dev/null || true; rm -f "$OUTPUT"' EXIT
read -r -t 30 line <&"${LAB[0]}"

AWS_ENDPOINT_URL="${line#listening on }" \
    "${CARGO_TARGET_DIR:-$EXAMPLE/target}/debug/traffic-mirror-aws-sdk-example" \
    pcaps/quickstart/input.pcap | tee "$OUTPUT"
grep -q '^21 frames were mirrored; tmt-.* has 21 copies$' "$OUTPUT"
