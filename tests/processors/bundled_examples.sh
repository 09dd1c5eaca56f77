#!/usr/bin/env bash
# Every example of configs/processors/: what comes of its records is what stands beside it, and docs/bundled-processors.md
# shows both, and the configuration, to the letter.
#
#   bundled_examples.sh MILLRACE SOURCE_DIR
set -euo pipefail
millrace=$(realpath "$1") root=$(realpath "$2")
cd "$root/configs/processors"
shopt -s nullglob
failed=0
check() {  # check WHAT COMMAND...
  local what=$1 said
  shift
  if said=$("$@" 2>&1); then echo "pass $what"; else echo "fail $what: $said"; failed=1; fi
}
shows() {  # shows FILE: the page has its lines, four blanks in front
  python3 - "$1" "$root/docs/bundled-processors.md" <<'PY'
import sys
lines, page = (open(name).read() for name in sys.argv[1:])
block = "".join("    " + line + "\n" if line else "\n" for line in lines.splitlines())
sys.exit(None if "\n\n" + block in page else f"the page does not show {sys.argv[1]} as it is")
PY
}
for config in *.toml; do
  name=${config%.toml}
  # Of several inputs each has a file: NAME.INPUT.in.jsonl.
  inputs=("$name"{,.*}.in.json[l]) given=()
  for file in "${inputs[@]}"; do
    input=${file%.in.jsonl} input=${input#"$name"} input=${input#.}
    given+=(--input "${input:+$input=}$file")
  done
  tried=("$millrace" processor test "$config" --json "${given[@]}" --expect "$name.out.jsonl")
  check "$name" "${tried[@]}"
  check "$name, cut otherwise" "${tried[@]}" --seed 12
  for file in "$config" "${inputs[@]}" "$name.out.jsonl"; do check "$file is in the documentation" shows "$file"; done
done
steps=$("$millrace" processor test filter.toml --describe text)
check "its steps" grep -q 'filter (speed > 100' <<<"$steps"
exit $failed
