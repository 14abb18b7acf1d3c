#!/usr/bin/env bash
# Mints a URL for one JPEG, uploads it, and shows what is refused.
#
#   ONCEGATE_URL=http://localhost:8080 ./upload.sh photo.jpg
set -euo pipefail
file=$1

# The URL takes one upload of at most this size and of this type, within a minute.
size=$(wc -c <"$file" | tr -d ' ')
url=$(curl -sS --fail-with-body "$ONCEGATE_URL/url?expires=60&maxBytes=$size&type=image/jpeg")

# put TYPE prints the status and oncegate's reason, "403 used". Not --data-binary: it
# would send the type of a form. Not --retry: what a repeat is told says nothing about
# the first try.
put() {
  curl -sS -T "$file" -H "content-type: $1" -o /dev/null -w '%{http_code} %header{x-oncegate-reason}' "$url"
}

echo "as text/plain: $(put text/plain)" # 415 type: refused, and nothing is spent
answer=$(put image/jpeg) || answer="no answer"
echo "as image/jpeg: $answer" # 200
echo "once more:     $(put image/jpeg)" # 403 used

case $answer in
  200*) ;;
  *index-unavailable) echo "Nothing is spent: send the same request again after a second." >&2; exit 1 ;;
  "no answer" | *used | 50?" ") echo "The file may be stored: ask the owner, or upload it again and have it twice." >&2; exit 1 ;;
  *) echo "Not stored. Get a new URL." >&2; exit 1 ;;
esac
