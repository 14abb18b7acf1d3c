#!/usr/bin/env bash
# Makes the release of the commit that is checked out in two clones, compares their checksums,
# and uses what was made without a clone: dev, an upload, the same upload again. The second
# clone is in a directory with a longer name and has a build cache of its own, so that nothing
# is the same because it is only copied. The release runs with this clone's versitygw and Node, which must be there.
#
#   tools/release/check.sh 1.2.3
set -euo pipefail
cd "$(dirname "$0")/../.."
version=$1
root=$PWD
commit=$(git rev-parse HEAD)
work=$(mktemp -d)
dev=
trap '[ -z "$dev" ] || kill "$dev" 2>/dev/null || true; chmod -R u+w "$work"; rm -rf "$work"' EXIT

for clone in one a-second-one; do
  git clone -q --no-checkout "$root" "$work/$clone"
  git -C "$work/$clone" checkout -q "$commit"
done
make -C "$work/one" --no-print-directory release VERSION="$version"
# The CDK app is not shipped, and takes longest: from the cache. What it writes is compared.
make -C "$work/a-second-one" --no-print-directory bin/oncegate-infra
GOCACHE=$work/cache make -C "$work/a-second-one" --no-print-directory release VERSION="$version"
diff "$work/one/dist/SHA256SUMS" "$work/a-second-one/dist/SHA256SUMS"
(cd "$work/a-second-one/dist" && sha256sum -c --quiet SHA256SUMS)
echo "two clones made the same release:"
cat "$work/one/dist/SHA256SUMS"

# Without a clone: what a user unpacks.
case $(uname -s)_$(uname -m) in
  Linux_x86_64) system=linux_amd64 ;;
  Linux_aarch64) system=linux_arm64 ;;
  Darwin_x86_64) system=darwin_amd64 ;;
  *) system=darwin_arm64 ;;
esac
mkdir "$work/user"
cd "$work/user"
tar xzf "$work/one/dist/oncegate_${version}_$system.tar.gz"
tar xzf "$work/one/dist/oncegate_${version}_templates.tar.gz"
oncegate=$PWD/oncegate_${version}_$system/oncegate
"$oncegate" version | tee said
grep -q "^oncegate $version, commit $commit of " said
# The zip holds what the templates have beside them.
mkdir zip
(cd zip && python3 -m zipfile -e "$work/one/dist/oncegate_${version}_edge.zip" . && diff -r . "../oncegate_${version}_templates/edge")
"$oncegate" dev --template "oncegate_${version}_templates" --port 0 --s3-port 0 --data dev \
  --node "$(echo "$root"/node_modules/node22-*/bin/node)" --s3-server "$root/build/tools/versitygw" >dev.log 2>&1 &
dev=$!
for _ in $(seq 600); do
  grep -q '^Ctrl-C stops everything' dev.log && break
  kill -0 "$dev" || { cat dev.log; exit 1; }
  sleep 0.1
done
. dev/env
"$oncegate" url >url
echo "a file" >file
"$oncegate" put --url - file <url | grep '^verified yes'
status=0
"$oncegate" put --url - file <url || status=$?
[ "$status" = 3 ] # the URL is spent
"$oncegate" status - <url | grep 'used'
echo "the release runs without a clone: one upload, and no second one"
