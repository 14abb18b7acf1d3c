package layout

import (
	"strings"
	"unicode"
)

// AcceptanceTag is the tag of an upload in which acceptance notes what it has done.
const AcceptanceTag = "oncegate"

// TagKeyRule says what the key of a tag may be, in the words of a refusal.
const TagKeyRule = "1 to 128 letters, digits, spaces and + - = . _ : / @, with no space at either end, and not beginning with aws: or oncegate"

// ValidTagKey reports whether a URL can be minted with a tag that has this key. Keys that begin
// with aws: are AWS's own, and keys that begin with oncegate are ours, in upper or lower case.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
func ValidTagKey(s string) bool {
	lower := strings.ToLower(s)
	return validTagText(s, 128) && !strings.HasPrefix(lower, "aws:") && !strings.HasPrefix(lower, AcceptanceTag)
}

// ValidTagValue reports whether a tag can have this value.
func ValidTagValue(s string) bool { return validTagText(s, 256) }

// validTagText takes what S3 does, except for spaces and numbers of other kinds. It counts as
// S3 keeps tags, in UTF-16.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_Tag.html
func validTagText(s string, most int) bool {
	size := 0
	for _, r := range s {
		size++
		if r > 0xffff {
			size++
		}
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(" +-=._:/@", r) {
			return false
		}
	}
	return size > 0 && size <= most && strings.Trim(s, " ") == s
}
