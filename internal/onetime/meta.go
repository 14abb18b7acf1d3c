package onetime

import (
	"errors"
	"fmt"
	"strings"

	"oncegate/internal/lean/strictjson"
)

// Meta is what a minter has S3 keep with the object as x-amz-meta-*: name=value pairs with &
// between them, in the order of the names and percent-encoded. "" is none. Only ParseMeta makes
// one, so that two with the same pairs are equal.
type Meta string

// Bounds of Meta. S3 takes 2 KB of metadata; with three bytes for each, as in the query that
// the gate signs, this stays far below the 8 KB that CloudFront takes of a query.
const (
	MaxMetaPairs     = 10
	MaxMetaBytes     = 1024 // of all names and values
	maxMetaNameBytes = 32
)

var errMeta = fmt.Errorf("meta: want up to %d pairs name=value with & between them, encoded as in a query; "+
	"a name is 1 to %d of a-z, 0-9 and hyphen, begins with a letter and not with oncegate, and comes once; "+
	"a value is printable ASCII without a space at either end; all have at most %d bytes", MaxMetaPairs, maxMetaNameBytes, MaxMetaBytes)

// ParseMeta reads pairs in any order and any spelling. "" has none. Its error is for the client.
func ParseMeta(s string) (Meta, error) {
	size := 0
	all, ok := parsePairs(s, MaxMetaPairs, func(name, value string) bool {
		size += len(name) + len(value)
		return validMetaName(name) && validMetaValue(value) && size <= MaxMetaBytes
	})
	if !ok {
		return "", errMeta
	}
	return Meta(all), nil
}

// AnyMeta is ParseMeta for those who call Check later: of what cannot be read, Check says so.
func AnyMeta(s string) Meta {
	if m, err := ParseMeta(s); err == nil {
		return m
	}
	return Meta(s)
}

// validMetaName takes what is a header's name in lower case, as S3 gives it back, and none that
// oncegate itself uses.
func validMetaName(s string) bool {
	for i, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (i == 0 || (c < '0' || c > '9') && c != '-') {
			return false
		}
	}
	return s != "" && len(s) <= maxMetaNameBytes && !strings.HasPrefix(s, "oncegate")
}

// validMetaValue takes what S3 gives back as it was: beyond ASCII it answers in an encoding of
// mail headers, and spaces at the ends of a header are lost.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
func validMetaValue(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return s != "" && strings.Trim(s, " ") == s
}

// Check is an error unless ParseMeta has made m.
func (m Meta) Check() error {
	parsed, err := ParseMeta(string(m))
	if err == nil && parsed != m {
		err = errors.New("meta: not in the form in which it is stored")
	}
	return err
}

// Values are the values by their names, nil if there are none.
func (m Meta) Values() map[string]string { return pairs(m).values() }

// WriteIf writes the pairs as an object with this name, if there are any.
func (m Meta) WriteIf(w *strictjson.Writer, name string) { pairs(m).writeIf(w, name) }
