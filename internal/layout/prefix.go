package layout

import "strings"

// MaxPrefixBytes bounds the prefix of an upload's name.
const MaxPrefixBytes = 64

// PrefixRule says what a prefix may be, in the words of a refusal.
const PrefixRule = "1 to 64 of a-z, 0-9, hyphen, underscore and slash, where each part between slashes begins with a letter or digit and is no UUID"

// ValidPrefix reports whether s can stand before the UUID in the name of an upload. It has
// no character that a URL, a terminal or a policy takes for anything else, so a key with a
// prefix is spelled in one way. No part of it is a UUID, so that no upload lies below another.
func ValidPrefix(s string) bool {
	for part := range strings.SplitSeq(s, "/") {
		if !validPart(part) {
			return false
		}
	}
	return len(s) <= MaxPrefixBytes
}

func validPart(part string) bool {
	for i, c := range []byte(part) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (i == 0 || c != '-' && c != '_') {
			return false
		}
	}
	return part != "" && !IsUUIDv4(part)
}

// ValidPrefixPattern reports whether s can be in a list of prefixes: a prefix, one with /*
// behind it, or * alone.
func ValidPrefixPattern(s string) bool {
	return s == "*" || ValidPrefix(strings.TrimSuffix(s, "/*"))
}

// PrefixMatches reports whether a valid prefix is one of those that a valid pattern stands
// for: itself, or, for "teams/*", all that lie below teams.
func PrefixMatches(prefix, pattern string) bool {
	below, all := strings.CutSuffix(pattern, "*")
	return prefix == pattern || all && strings.HasPrefix(prefix, below)
}

// IsUUIDv4 reports whether s is a UUIDv4 in lower case (RFC 9562, 5.4).
func IsUUIDv4(s string) bool {
	return len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' &&
		s[14] == '4' && strings.IndexByte("89ab", s[19]) >= 0 &&
		strings.Trim(s[:8]+s[9:13]+s[14:18]+s[19:23]+s[24:], "0123456789abcdef") == ""
}

// SplitUpload takes apart what follows Uploads in the key of an upload. The prefix is "" if
// there is none. ok is false if no upload has such a name; uuid is its last part all the same.
func SplitUpload(name string) (prefix, uuid string, ok bool) {
	slash := strings.LastIndexByte(name, '/')
	prefix, uuid = name[:max(slash, 0)], name[slash+1:]
	return prefix, uuid, IsUUIDv4(uuid) && (slash < 0 || ValidPrefix(prefix))
}

// UploadName is what follows Uploads in the key of an upload.
func UploadName(prefix, uuid string) string {
	if prefix == "" {
		return uuid
	}
	return prefix + "/" + uuid
}
