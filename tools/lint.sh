#!/usr/bin/env bash
# Lints everything that is in git. staticcheck and govulncheck are in build/tools.
# What is known of vulnerabilities comes over the network. Where it cannot be had, a warning
# says at the end what was not checked.
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

# What a tool could not look up is said as the last thing, a line for each tool, where people
# and CI find it, and is no failure: lint works without a network. A tool that has found
# something, or that fails in any other way, is one.
unchecked=()
trap 'for what in ${unchecked[@]+"${unchecked[@]}"}; do echo "warning: $what"; done' EXIT

status=0
out=$("$govulncheck" ./... 2>&1) || status=$?
if [ $status = 0 ]; then
  tail -n 3 <<<"$out"
elif [ $status != 3 ] && grep -q '^govulncheck: fetching vulnerabilities: ' <<<"$out"; then # 3 is "found"
  echo "$out"
  unchecked+=("govulncheck did not run: its database of known vulnerabilities could not be read")
else
  echo "$out"
  exit 1
fi

unasked=()
found=
for lock in $(git ls-files '*package-lock.json'); do
  dir=$(dirname "$lock")
  status=0
  out=$(cd "$dir" && npm audit --package-lock-only --audit-level=high --fetch-retries=0 --fetch-timeout=30000 2>&1) || status=$?
  if [ $status = 0 ] && grep -qE '^(found )?[0-9]+ .*vulnerabilit(y|ies)' <<<"$out"; then
    echo "npm audit in $dir: nothing serious known"
  elif ! grep -q '^# npm audit report' <<<"$out" && grep -qE '^npm (error|ERR!) audit endpoint returned an error' <<<"$out"; then
    echo "$out"
    unasked+=("$dir")
  else
    printf 'npm audit in %s (exit status %s):\n%s\n' "$dir" "$status" "$out"
    found=yes
  fi
done
if [ ${#unasked[@]} != 0 ]; then
  unchecked+=("npm audit did not run in ${unasked[*]}: the registry did not give its advisories")
fi
[ -z "$found" ] || exit 1

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
