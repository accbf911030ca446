#!/usr/bin/env bash
# Runs every fuzz target, or the given ones, for SECONDS each, one per processor at a time:
# `fuzz/run.sh SECONDS [TARGET...]`.
#
# Needs `cargo install cargo-fuzz --locked`. Every target starts from the seeds in fuzz/seeds/TARGET;
# capture_reader and configuration also from the golden cases in pcaps/. Inputs of earlier runs
# (fuzz/corpus, not in the repository) are kept. An input that crashes a target is written to
# fuzz/artifacts and ends that target: make it a golden case or a unit test.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ ! "${1:-}" =~ ^[0-9]+$ ]]; then
    echo "usage: fuzz/run.sh SECONDS [TARGET...]" >&2
    exit 2
fi
readonly SECONDS_EACH="$1"
# FUZZ_SANITIZER=none halves the time to compile, but errors of memory in unsafe code are not found.
readonly SANITIZER="${FUZZ_SANITIZER:-address}"
shift
# libFuzzer's instrumentation needs unstable flags, which a stable compiler accepts with this.
export RUSTC_BOOTSTRAP=1

# seed TARGET FILE...: copies the files into the corpus of the target. The folder of a file becomes
# the first part of its name there.
seed() {
    local corpus="fuzz/corpus/$1"
    mkdir -p "$corpus"
    for file in "${@:2}"; do
        cp "$file" "$corpus/$(basename "$(dirname "$file")")-$(basename "$file")"
    done
}

targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    mapfile -t targets < <(cargo fuzz list)
fi
readonly HOST="$(rustc -vV | sed -n 's/^host: //p')"

# fuzz TARGET: runs the target and prints its output only if it fails, so that the outputs of targets
# that run at the same time are not mixed.
fuzz() {
    local corpus="fuzz/corpus/$1" artifacts="fuzz/artifacts/$1/" output status=0
    mkdir -p "$artifacts"
    output="$("fuzz/target/$HOST/release/$1" "$corpus" -artifact_prefix="$artifacts" \
        -max_total_time="$SECONDS_EACH" -timeout=10 -rss_limit_mb=1024 -max_len=65536 \
        -verbosity=0 2>&1)" || status=$?
    echo "=== $1: $SECONDS_EACH s, $(find "$corpus" -type f | wc -l) inputs, exit code $status"
    [ "$status" -eq 0 ] || echo "$output"
    return "$status"
}
export -f fuzz
export HOST SECONDS_EACH

for target in "${targets[@]}"; do
    if [ ! -d "fuzz/seeds/$target" ]; then
        echo "fuzz/seeds/$target: expected a folder of seeds for the target $target" >&2
        exit 1
    fi
    seed "$target" "fuzz/seeds/$target"/*
    case "$target" in
        configuration) seed "$target" pcaps/*/*.toml pcaps/*/aws.json ;;
        capture_reader) seed "$target" pcaps/*/input.pcap* ;;
    esac
done
cargo fuzz build --sanitizer "$SANITIZER"
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I TARGET bash -c 'fuzz TARGET'
