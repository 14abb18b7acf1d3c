package onetime

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"oncegate/internal/lean/ascii"
)

// Limits are the conditions that were minted into a URL. The zero value has none.
type Limits struct {
	MinBytes int64 `json:"minBytes,omitempty"` // at least this many
	MaxBytes int64 `json:"maxBytes,omitempty"` // at most this many; 0: as many as S3 takes
	// Type is a MIME type in lower case, or "image/*", or several of these with commas.
	Type   string `json:"type,omitempty"`
	SHA256 string `json:"sha256,omitempty"` // of the body, base64; S3 checks it
}

// Lengths, in bytes, of what a minter may phrase freely.
const (
	MaxNameBytes  = 255 // a file name, as file systems have it
	MaxLabelBytes = 128
	maxTypeBytes  = 255 // of all types of a URL with their commas
)

// Check says what is wrong with limits that were stored or asked for.
func (l Limits) Check() error {
	switch {
	case l.MaxBytes < 0 || l.MaxBytes > MaxUploadBytes:
		return fmt.Errorf("maxBytes: want 1 to %d", int64(MaxUploadBytes))
	case l.MinBytes < 0 || l.MinBytes > l.most():
		return errors.New("minBytes: want 0 to maxBytes")
	case l.Type != "" && !validTypes(l.Type):
		return fmt.Errorf("type: want MIME types such as image/jpeg or image/*, with commas between them, at most %d bytes", maxTypeBytes)
	case l.SHA256 != "" && !validSHA256(l.SHA256):
		return errors.New("sha256: want the SHA-256 of the body, as 64 hex digits or in base64")
	}
	return nil
}

// within returns the limits with maxBytes no larger than most. 0 is no bound.
func (l Limits) within(most int64) Limits {
	if most > 0 {
		l.MaxBytes = min(l.most(), most)
	}
	return l
}

func (l Limits) most() int64 {
	if l.MaxBytes == 0 {
		return MaxBytes
	}
	return l.MaxBytes
}

// checkUpload is the gate's third step: it refuses, without spending the URL, an
// upload whose headers break the limits. length is the body's.
func (l Limits) checkUpload(length int64, headers Headers) error {
	switch {
	case length > l.most():
		return &Refusal{Reason: TooLarge, Detail: "this URL takes at most " + bytes(l.most())}
	case length < l.MinBytes:
		detail := "this URL takes at least " + bytes(l.MinBytes)
		if length == 0 {
			detail += ", and the upload is empty; send the file as the body, and for an empty file ask for a URL with minBytes=0"
		}
		return &Refusal{Reason: TooSmall, Detail: detail}
	}
	return l.checkType(headers)
}

// checkType refuses headers with another content-type than the limits have.
func (l Limits) checkType(headers Headers) error {
	if l.Type == "" {
		return nil
	}
	given := headers.Values("content-type")
	if len(given) == 0 {
		if l.OnlyType() != "" {
			return nil // the gate sets it
		}
		return &Refusal{Reason: Type, Detail: "send the header content-type with a type that fits " + strings.ReplaceAll(l.Type, ",", " or ") + "; none was sent"}
	}
	if essence := essenceOf(given); essence != "" && typeWithin(essence, l.Type) {
		return nil
	}
	return &Refusal{Reason: Type, Detail: "this URL takes one content-type, " + strings.ReplaceAll(l.Type, ",", " or ") + ", and another was sent"}
}

// essenceOf is the one type that the values of content-type name, in lower case and without
// parameters, or "" if they name none or more than one.
func essenceOf(values []string) string {
	if len(values) != 1 {
		return ""
	}
	essence, parameters, _ := strings.Cut(values[0], ";")
	essence = ascii.Lower(ascii.Trim(essence))
	// S3 gives the header back as it came, and of "image/png;x,text/html" a browser takes the
	// last: https://fetch.spec.whatwg.org/#concept-header-extract-mime-type
	if len(essence) > maxTypeBytes || !validType(essence) || strings.HasSuffix(essence, "*") || strings.Contains(parameters, ",") {
		return ""
	}
	return essence
}

// OnlyType is the one type that an upload can have, or "" if there are several or none is
// asked for.
func (l Limits) OnlyType() string {
	if strings.ContainsAny(l.Type, ",*") {
		return ""
	}
	return l.Type
}

// TypesWithin reports whether whatever has one of these types has one of the others.
func TypesWithin(types, others string) bool {
	for one := range strings.SplitSeq(types, ",") {
		if !typeWithin(one, others) {
			return false
		}
	}
	return true
}

// typeWithin reports whether a type is one of the types, or of a kind that is one of them.
func typeWithin(one string, types string) bool {
	for t := range strings.SplitSeq(types, ",") {
		kind, wild := strings.CutSuffix(t, "*")
		if one == t || wild && strings.HasPrefix(one, kind) {
			return true
		}
	}
	return false
}

func bytes(n int64) string {
	if n == 1 {
		return "1 byte"
	}
	return strconv.FormatInt(n, 10) + " bytes"
}

// validTypes accepts one type or more, with commas between them.
func validTypes(s string) bool {
	for t := range strings.SplitSeq(s, ",") {
		if !validType(t) {
			return false
		}
	}
	return len(s) <= maxTypeBytes
}

// validType accepts type/subtype in lower case, both tokens of RFC 6838, 4.2,
// where the subtype may be "*".
func validType(s string) bool {
	major, minor, ok := strings.Cut(s, "/")
	return ok && restrictedName(major) && (minor == "*" || restrictedName(minor))
}

func restrictedName(s string) bool {
	for i, c := range []byte(s) {
		alphanumeric := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !alphanumeric && (i == 0 || !strings.ContainsRune("!#$&-^_.+", rune(c))) {
			return false
		}
	}
	return s != ""
}

// validSHA256 counts the characters as well: the decoder skips line ends, and this
// becomes the value of a header.
func validSHA256(s string) bool {
	sum, err := base64.StdEncoding.Strict().DecodeString(s)
	return err == nil && len(sum) == 32 && len(s) == base64.StdEncoding.EncodedLen(32)
}

// ParseSHA256 reads a SHA-256 as 64 hex digits or in base64 and returns it in
// base64, as S3 wants it.
func ParseSHA256(s string) (string, error) {
	if sum, err := hex.DecodeString(s); err == nil && len(sum) == 32 {
		return base64.StdEncoding.EncodeToString(sum), nil
	}
	// A "+" that was put into a URL unescaped arrives as a space.
	s = strings.ReplaceAll(s, " ", "+")
	if !validSHA256(s) {
		return "", Limits{SHA256: "?"}.Check()
	}
	return s, nil
}

// checkName wants a plain file name: no path, nothing that a terminal or a file
// system would take for something else. seen is text.Visible for what is asked for, and
// storedText for what was stored.
func checkName(s string, seen func(string) bool) error {
	if len(s) > MaxNameBytes || s == "." || s == ".." || strings.ContainsAny(s, `/\`) || !seen(s) {
		return fmt.Errorf("name: want a file name of at most %d bytes, without / and \\ and invisible characters", MaxNameBytes)
	}
	return nil
}

func checkLabel(s string, seen func(string) bool) error {
	if len(s) > MaxLabelBytes || !seen(s) {
		return fmt.Errorf("label: want at most %d bytes of text, one line without invisible characters", MaxLabelBytes)
	}
	return nil
}

// storedText is what entries may hold. It takes more than text.Visible, for URLs that
// were minted when fillers and variation selectors still passed.
func storedText(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) && !unicode.Is(unicode.Zs, r) {
			return false
		}
	}
	return utf8.ValidString(s)
}

// disposition is the Content-Disposition that keeps a name with the object, in the
// one form that needs no quoting: RFC 8187, 3.2, with RFC 6266, 4.
func disposition(name string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.WriteString("attachment; filename*=UTF-8''")
	for _, c := range []byte(name) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~' {
			b.WriteByte(c)
		} else {
			b.WriteString("%" + hex[c>>4:c>>4+1] + hex[c&15:c&15+1])
		}
	}
	return b.String()
}
