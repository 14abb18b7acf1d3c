#!/usr/bin/env bash
# Runs the Go tests of the main module, first those that may run beside each other. RACE
# is -race, or empty where there is no C compiler. With CI=true nothing may be missing.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}

for missing in ${RACE:-cc} "${CHROMIUM:-/usr/bin/chromium}" curl python3; do
  if [ "$missing" = -race ] || command -v "$missing" >/dev/null; then continue; fi
  case $missing in
    cc) echo "there is no C compiler: the tests run without the race detector" ;;
    *) echo "there is no $missing: the tests that need it are skipped" ;;
  esac
  if [ "${CI:-}" = true ]; then
    echo "CI=true, so this is a failure"
    exit 1
  fi
done

# Tests on the testbed run the whole chain in real time: at the edge a function has five
# seconds. They have the machine to themselves, one package after the other.
chains=$("$go" list -f '{{.ImportPath}} {{.TestImports}} {{.XTestImports}}' ./... |
  grep -w oncegate/internal/evidence/testbed | cut -d' ' -f1)
# An explorer lets one of its actors run at a time, so the race detector has nothing to
# find there, and takes five times as long.
explorers=$("$go" list ./... | grep '/explore$')
others=$("$go" list ./... | grep -vxF "$chains"$'\n'"$explorers")
# shellcheck disable=SC2086 # each is a list of packages
"$go" test -timeout 60m $explorers
# shellcheck disable=SC2086
"$go" test ${RACE:-} -timeout 60m $others
# shellcheck disable=SC2086
"$go" test ${RACE:-} -p 1 -parallel 16 -timeout 60m $chains
