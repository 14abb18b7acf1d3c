#!/usr/bin/env bash
# Lints everything that is in git. staticcheck and govulncheck are in build/tools.
# What is known of vulnerabilities comes over the network. Where it cannot be reached,
# a line says that nothing was checked.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
staticcheck=$PWD/build/tools/staticcheck
govulncheck=$PWD/build/tools/govulncheck

unformatted=$(git ls-files -z '*.go' | xargs -0 gofmt -l)
if [ -n "$unformatted" ]; then
  printf 'not gofmt-ed:\n%s\n' "$unformatted"
  exit 1
fi
for script in .ci/* $(git ls-files '*.sh'); do bash -n "$script"; done

echo "go vet and staticcheck: this machine"
"$go" vet ./...
"$staticcheck" ./...
for tags in edge edge,jwt; do
  echo "go vet and staticcheck: js/wasm with tags $tags"
  GOOS=js GOARCH=wasm "$go" vet -tags "$tags" ./edge/wasm
  GOOS=js GOARCH=wasm "$staticcheck" -tags "$tags" ./edge/wasm
done
echo "go vet and staticcheck: infra"
(cd infra && "$go" vet ./... && "$staticcheck" ./...)

if out=$("$govulncheck" ./... 2>&1); then
  tail -n 3 <<<"$out"
elif grep -qE 'vuln\.go\.dev|fetching vulnerabilities|dial tcp|no such host' <<<"$out"; then
  echo "govulncheck: its database could not be reached, so nothing was checked for known vulnerabilities"
else
  echo "$out"
  exit 1
fi

for lock in $(git ls-files '*package-lock.json'); do
  dir=$(dirname "$lock")
  if out=$(cd "$dir" && npm audit --package-lock-only --audit-level=high --fetch-retries=0 2>&1); then
    echo "npm audit in $dir: nothing known"
  elif grep -qE 'audit endpoint returned an error|E(NOTFOUND|CONNREFUSED|AI_AGAIN|TIMEDOUT|CONNRESET)|network' <<<"$out"; then
    echo "npm audit in $dir: its data could not be reached, so nothing was checked for known vulnerabilities"
  else
    echo "$out"
    exit 1
  fi
done

# A module that is a folder of this tree has no checksum, and the go command says so.
for mod in $(git ls-files '*go.mod'); do
  dir=$(dirname "$mod")
  out=$("$go" -C "$dir" mod verify 2>&1 |
    grep -vE '^(go: downloading|all modules verified|oncegate v0.0.0: missing ziphash)' || true)
  if [ -n "$out" ]; then
    printf 'go mod verify in %s:\n%s\n' "$dir" "$out"
    exit 1
  fi
done
echo "go mod verify: what was fetched is what go.sum names"
