#!/bin/bash
# tests/fuzz/fuzz.sh TARGET [LIBTORCH]: builds the fuzzer of config, csv or safetensors in build/fuzz and lets it run for
# STYLESCOPE_FUZZ_SECONDS (600). What it learned stays in build/fuzz/corpus; an input that fails is written to
# build/fuzz/found, and belongs into tests/fuzz/found with the correction.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.." && pwd)
target=$1
libtorch=${2:-}
build=${STYLESCOPE_FUZZ_BUILD:-$root/build/fuzz}

command -v clang++ >/dev/null || {
  echo "fuzz.sh: needs clang++ with libFuzzer (Debian: clang, libclang-rt-14-dev)" >&2
  exit 1
}
cmake -S "$root" -B "$build" -G Ninja -Wno-dev -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_COMPILER=clang++ \
  -DSTYLESCOPE_FUZZ=ON ${libtorch:+-DLIBTORCH="$libtorch"} >/dev/null
ninja -C "$build" "fuzz_$target"

corpus=$build/corpus/$target found=$build/found/$target known=$root/tests/fuzz/found/$target
mkdir -p "$corpus" "$found"
[[ -d $known ]] || known=
export STYLESCOPE_FUZZ_SEEDS=$corpus
# LibTorch never gives back what it keeps until the end.
export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1
exec "$build/tests/fuzz/fuzz_$target" -max_total_time="${STYLESCOPE_FUZZ_SECONDS:-600}" -timeout=20 -rss_limit_mb=4096 \
  -max_len=4096 -print_final_stats=1 -artifact_prefix="$found/" "$corpus" ${known:+"$known"}
