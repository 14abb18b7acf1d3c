#!/usr/bin/env bash
# destroy.sh [--detach] STACKS CDK...: takes the edge down with the CDK's command line.
# With --detach it begins with step 1. Step 2 repeats the deletion of STACKS until it
# succeeds: Lambda lets a function go when CloudFront has removed its replicas.
# CloudFormation tries once and gives up; asked again, it goes on where it was.
set -euo pipefail
detach=
if [ "$1" = --detach ]; then
  detach=1
  shift
fi
read -ra stacks <<<"$1"
shift
if [ "$detach" ]; then
  echo 'Step 1 of 2: taking the functions off the distribution. CloudFront needs 5 to 15 minutes.'
  # A stack whose creation failed (ROLLBACK_FAILED) cannot be deployed. It can be deleted.
  if ! ONCEGATE_DETACH=1 "$@" deploy Edge --exclusively --require-approval never; then
    echo 'Step 1 failed, for the reason above. Step 2 deletes the distribution as it is.'
  fi
fi
cat <<'TEXT'
Step 2 of 2: deleting. Lambda lets a function go when CloudFront has removed its replicas,
mostly within a few hours of step 1. Until then a try ends in "replicated function".
There is a try every 15 minutes, for a day at most. Ctrl-C is harmless: make destroy-edge
goes on. The bucket, its policy, the table of the index and their stack stay.
TEXT
tries=96
for try in $(seq "$tries"); do
  if "$@" destroy "${stacks[@]}" --force; then exit 0; fi
  next=$(date -d '+15 minutes' +%H:%M 2>/dev/null || date -v+15M +%H:%M)
  echo "try $try of $tries did not finish, for the reason above; the next one is at $next"
  sleep 900
done
exit 1
