#!/usr/bin/env bash
# Lists the licences of what is shipped and of the tools of the tests, and writes bills
# of materials in CycloneDX, all to build/licenses. It fails if anything that is shipped
# has a licence that is not allowed. go-licenses and cyclonedx-gomod are in build/tools.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
tools=$root/build/tools
out=$root/build/licenses
GOROOT=$("${GO:-go}" env GOROOT)
export GOROOT

allowed='Apache-2\.0|MIT|BSD-2-Clause|BSD-3-Clause|ISC'

# report NAME DIR PACKAGE... lists the licences of these packages of the module in DIR.
report() {
  local file=$out/$1.csv dir=$2
  shift 2
  (cd "$dir" && "$tools/go-licenses" report "$@" 2>/dev/null | { grep -v '^oncegate' || true; } >"$file")
  if [ ! -s "$file" ]; then
    echo "no licences found for $file"
    exit 1
  fi
  echo "$(wc -l <"$file") licences in ${file#"$root"/}"
}

mkdir -p "$out"
rm -f "$out"/*
report oncegate . ./cmd/oncegate
report accept . ./edge/accept
GOOS=js GOARCH=wasm GOFLAGS=-tags=jwt report edge . ./edge/wasm
report infra infra .
report versitygw tools/versitygw github.com/versity/versitygw/cmd/versitygw
report lint tools/lint honnef.co/go/tools/cmd/staticcheck golang.org/x/vuln/cmd/govulncheck

bad=$(cut -d, -f1,3 "$out"/{oncegate,accept,edge,infra}.csv | grep -vE ",($allowed)\$" || true)
if [ -n "$bad" ]; then
  printf 'shipped, and with a licence that is not allowed:\n%s\n' "$bad"
  exit 1
fi

for dir in . infra tools/versitygw tools/lint; do
  name=$(basename "$root/$dir")
  [ "$dir" = . ] && name=oncegate
  (cd "$dir" && "$tools/cyclonedx-gomod" mod -json -licenses -output "$out/$name.cdx.json" . 2>/dev/null)
done
for lock in $(git ls-files '*package-lock.json'); do
  dir=$(dirname "$lock")
  name=npm
  [ "$dir" = . ] || name=npm-${dir//\//-}
  (cd "$dir" && npm sbom --package-lock-only --sbom-format cyclonedx 2>/dev/null >"$out/$name.cdx.json")
done
ls "$out"/*.cdx.json
