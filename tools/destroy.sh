#!/usr/bin/env bash
# destroy.sh COMMAND...: repeats the command that deletes the stacks until it succeeds.
# Lambda lets a function go when CloudFront has removed its replicas. CloudFormation
# tries once and gives up; asked again, it goes on where it was.
set -euo pipefail
cat <<'TEXT'
Step 2 of 2: deleting. Lambda lets a function go when CloudFront has removed its replicas,
mostly within a few hours of step 1. Until then a try ends in "replicated function".
There is a try every 15 minutes, for a day at most. Ctrl-C is harmless: make destroy-edge
goes on.
TEXT
tries=96
for try in $(seq "$tries"); do
  if "$@"; then exit 0; fi
  next=$(date -d '+15 minutes' +%H:%M 2>/dev/null || date -v+15M +%H:%M)
  echo "try $try of $tries did not finish, for the reason above; the next one is at $next"
  sleep 900
done
exit 1
