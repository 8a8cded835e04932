#!/bin/sh
# Runs each fuzzer that is built for some seconds: tests/fuzz/run.sh SECONDS [target...]
# FUZZ_SEED (default 1) is the seed of the first input that is made; the same seed does not make the same run, for how far one
# comes in its seconds is the machine's. Works in build/fuzz-work: a copy of each corpus, logs, and what failed, which is run
# again, first, the next time.
set -eu
cd -- "$(dirname -- "$0")/../.."

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

built=build/asan/tests/fuzz
work=build/fuzz-work
failures=$work/failures
seed=${FUZZ_SEED:-1}
seconds=${1:-}
case $seconds in
  '' | *[!0-9]* | 0) die "usage: tests/fuzz/run.sh SECONDS [target...]" ;;
esac
shift
if [ $# -eq 0 ]; then
  for target in "$built"/*_fuzz; do
    [ ! -x "$target" ] || set -- "$@" "${target##*/}"
  done
fi
[ $# -gt 0 ] || die "no fuzzer is built: cmake --preset asan && cmake --build --preset asan --target fuzzers"
for target; do
  [ -x "$built/$target" ] || die "$target is not built"
done

# What targets write to files is in memory where it can be: that is faster.
scratch=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# fuzz target: its log beside it says all; the exit code is libFuzzer's.
fuzz() {
  rm -rf "${work:?}/$1" && mkdir -p "$work/$1/corpus" "$failures"
  [ ! -d "tests/fuzz/corpus/$1" ] || cp "tests/fuzz/corpus/$1"/* "$work/$1/corpus"
  [ "$1" != config_fuzz ] || cp conf/entrepot.toml "$work/$1/corpus"
  for file in "$failures/$1"-*; do
    [ ! -f "$file" ] || cp "$file" "$work/$1/corpus"
  done
  TMPDIR=$scratch "$built/$1" "$work/$1/corpus" -max_total_time="$seconds" -seed="$seed" -max_len=8192 \
    -rss_limit_mb=1024 -timeout=10 -print_final_stats=1 -artifact_prefix="$failures/$1-" >"$work/$1/log" 2>&1
}

say "seed $seed, $seconds s each"
failed=0
for target; do
  result=passed
  fuzz "$target" || result=FAILED
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$target/log")
  covered=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$work/$target/log" | tail -n 1)
  printf '%-22s %12s executions %6s edges  %s\n' "$target" "${executions:-?}" "${covered:-?}" "$result"
  if [ $result = FAILED ]; then
    failed=1
    grep -E 'broken invariant|ERROR|SUMMARY|Test unit written' "$work/$target/log" >&2 || tail -n 5 "$work/$target/log" >&2
  fi
done
exit $failed
