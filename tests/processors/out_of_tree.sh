#!/usr/bin/env bash
# Builds the examples the way their users do: from nothing but an installed prefix, outside of the tree, with g++ and
# with clang, and tries each. Checks the layout of the ABI as C and as C++, and that the results work in the host.
#
#   out_of_tree.sh BUILD_DIR SOURCE_DIR TRY_PLUGIN
set -euo pipefail
build=$(realpath "$1") source=$(realpath "$2") try=$(realpath "$3")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

DESTDIR=$scratch/root meson install -C "$build" --no-rebuild --tags devel >"$scratch/log" 2>&1 || { cat "$scratch/log"; exit 1; }
prefix=$(dirname "$(dirname "$(dirname "$(find "$scratch/root" -name millrace_processor.h)")")")
cp -r "$source/processors/examples" "$source/tests/processors/abi_layout.c" "$scratch"
cd "$scratch"
export PKG_CONFIG_PATH=$prefix/share/pkgconfig

# In a project of one's own, as examples/README.md says.
mkdir project
cp examples/shout/shout.cc project
sed -n '/# meson.build$/,/^$/{s/^    //;p}' examples/README.md >project/lines
grep -q shared_module project/lines || { echo "examples/README.md shows no meson.build any more"; exit 1; }
{ echo "project('own', 'cpp', default_options: ['cpp_std=c++17', 'warning_level=3', 'werror=true'])"; cat project/lines; } \
  >project/meson.build

for compiler in g++ clang++-19; do
  c_compiler=${compiler/++/cc}
  c_compiler=${c_compiler/clangcc/clang}
  command -v $compiler >/dev/null || { echo "$compiler is not installed"; exit 1; }
  for standard in c++17 c++20; do
    mkdir -p $compiler-$standard
    make -s -C examples check PREFIX="$prefix" CXX=$compiler OUT="$scratch/$compiler-$standard" MILLRACE="$build/millrace" \
      CXXFLAGS="-std=$standard -O2 -Wall -Wextra -Wpedantic -Werror"
    "$try" "$scratch/$compiler-$standard/shout.so" "$scratch/$compiler-$standard/line_cleaner.so"
    $compiler -x c++ -std=$standard -Wall -Wextra -Wpedantic -Werror -I"$prefix/include" -fsyntax-only abi_layout.c
  done
  $c_compiler -std=c11 -Wall -Wextra -pedantic -Werror -I"$prefix/include" -fsyntax-only abi_layout.c
  CXX=$compiler meson setup project/$compiler project >log 2>&1 && ninja -C project/$compiler >log 2>&1 || { cat log; exit 1; }
  "$build/millrace" processor test project/$compiler/shout.so --input examples/shout/test.in --expect examples/shout/test.out
  echo "pass $($compiler --version | head -1)"
done
