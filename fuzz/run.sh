#!/usr/bin/env bash
# Runs every fuzz target for SECONDS each: `fuzz/run.sh SECONDS [TARGET...]`.
#
# Needs `cargo install cargo-fuzz`. The files of fuzz/seeds/TARGET are the seeds; readers of whole
# captures and configurations also start from the golden cases of pcaps/. What was found before
# (fuzz/corpus, not in the repository) is kept. A finding is written to fuzz/artifacts and ends the
# run: make it a golden case or a unit test.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ ! "${1:-}" =~ ^[0-9]+$ ]]; then
    echo "usage: fuzz/run.sh SECONDS [TARGET...]" >&2
    exit 2
fi
readonly SECONDS_EACH="$1"
# Without the address sanitizer the targets compile in half the time; unsafe code is left unwatched.
readonly SANITIZER="${FUZZ_SANITIZER:-address}"
shift
# libFuzzer's instrumentation wants unstable flags, which a stable compiler takes so.
export RUSTC_BOOTSTRAP=1

# seed TARGET FILE...: copies them into its corpus, named after the folder that they come from.
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
    echo "=== $target: $SECONDS_EACH s, $(find "fuzz/corpus/$target" -type f | wc -l) seeds"
    cargo fuzz run --sanitizer "$SANITIZER" "$target" -- -max_total_time="$SECONDS_EACH" -timeout=10 -rss_limit_mb=1024 \
        -max_len=65536 -verbosity=0
done
