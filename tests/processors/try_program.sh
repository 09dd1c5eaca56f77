#!/usr/bin/env bash
# `millrace processor test` on the examples: what it prints, what it compares, and what it refuses.
#
#   try_program.sh MILLRACE EXAMPLES_DIR BAD_PLUGINS_DIR
set -euo pipefail
millrace=$(realpath "$1") examples=$(realpath "$2") bad=$(realpath "$3")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
failed=0
check() {  # check WHAT STATUS EXPECTED-PART COMMAND...
  local what=$1 status=$2 part=$3 got=0
  shift 3
  "$@" >out 2>&1 || got=$?
  if [ "$got" = "$status" ] && grep -qF -- "$part" out; then
    echo "pass $what"
  else
    echo "fail $what: status $got; $(cat out)"
    failed=1
  fi
}
test_of() { "$millrace" processor test "$@"; }

printf '%s\n' 'a b a' b >words
printf 'counted\ta\t1\ncounted\tb\t1\ncounted\ta\t2\ncounted\tb\t2\n' >counted
check "it prints what is emitted" 0 "$(sed -n 3p counted)" test_of "$examples/word_count.so" --input words
check "it compares with what is expected" 0 "4 records, as expected" test_of "$examples/word_count.so" --input words --expect counted
sed -i '$d' counted
check "it says where they differ" 1 "line 4 differs" test_of "$examples/word_count.so" --input words --expect counted

printf '%s\n' '{"key":"k","value":{"amount":1},"timestamp":10}' '{"key":"k","value":"no","timestamp":20}' \
  '{"key":"k","value":"{\"amount\":2}","timestamp":120,"headers":{"h":"x"}}' >amounts
check "records as JSON, timers and configuration" 0 \
  '{"output":"totals","key":"k","value":"{\"from\":0,\"sum\":1,\"count\":1}","timestamp":120}' \
  test_of "$examples/window_sum.so" --json --input amounts --config window_ms=100
check "a record that fails is told" 0 "record 2 failed: the value is not JSON" \
  test_of "$examples/window_sum.so" --json --input amounts --config window_ms=100
check "an option that is wrong" 1 "window_ms must be at least 1" \
  test_of "$examples/window_sum.so" --input words --config window_ms=0
check "a record that is none" 1 'input line 1: a record has no "colour"' \
  test_of "$examples/shout.so" --json --input <(echo '{"colour":1}')
check "an object without the symbol" 1 "does not export millrace_processor_entry" \
  test_of "$bad/bad_missing_symbol.so" --input words
check "an object of another ABI" 1 "built for ABI 7" test_of "$bad/bad_other_abi.so" --input words
check "the steps of a topology" 0 "3 aggregate (tumbling 1min, grace 10s, on close, late to late) [speeds] -> 4" \
  test_of "$examples/average_speed.so" --describe text
check "the same as a graph" 0 's3 -> "speeds" [dir=both, style=dashed];' test_of "$examples/average_speed.so" --describe graph
check "a processor that tells no steps" 1 "is not made of steps" test_of "$examples/shout.so" --describe text
printf '%s\n' '{"key":"u","value":"Ada","timestamp":1}' >users
printf '%s\n' '{"key":"u","value":"tea","timestamp":2}' >orders
check "several inputs, by time" 0 'tea by Ada' \
  test_of "$examples/order_names.so" --json --input orders=orders --input users=users
check "several inputs need their names" 1 "the processor has several inputs, so NAME=FILE is expected" \
  test_of "$examples/order_names.so" --json --input orders
check "a topology, and records at once" 2 "usage:" test_of "$examples/shout.so" --describe text --input words
check "no such file" 1 "cannot open nowhere" test_of "$examples/shout.so" --input nowhere
check "no input" 2 "usage: millrace processor test" test_of "$examples/shout.so"
check "its help" 0 "--expect FILE" test_of --help
exit $failed
