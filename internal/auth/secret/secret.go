// Package secret has the form of the secrets that may mint: API keys and the tokens of
// invitations. A secret is a prefix that says what it is for, 256 random bits in
// lower-case hex, and the CRC-32 of all that in eight more digits:
//
//	<prefix><64 hex digits><8 hex digits>
//
// Thanks to the checksum typos are detected, and garbage is refused without a request to
// S3. The bucket holds a secret's id, its SHA-256, and never the secret. A slow hash is
// not needed, because a secret is too random to guess; it would only make every mint slow.
package secret

import (
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"strings"

	"oncegate/internal/lean/digest"
)

const (
	randomBytes = 32
	sumDigits   = 2 * crc32.Size
)

// Digits is how many hex digits follow the prefix of a secret.
const Digits = 2*randomBytes + sumDigits

// Kind is one kind of secrets.
type Kind struct {
	Prefix string
	Name   string // with its article: "a key"
	// What can be wrong with the text of a secret of this kind. Neither may hold anything
	// of it.
	ErrForm, ErrChecksum error
}

// New makes a secret of entropy that is fit for secrets.
func (k Kind) New(entropy io.Reader) (secret string, err error) {
	b := make([]byte, randomBytes)
	if _, err := io.ReadFull(entropy, b); err != nil {
		return "", fmt.Errorf("read random bytes: %w", err)
	}
	body := k.Prefix + hex.EncodeToString(b)
	return body + checksum(body), nil
}

// Parse checks the form of a secret and returns its id. Each secret has one spelling. Its
// errors are the kind's ErrForm and ErrChecksum.
func (k Kind) Parse(secret string) (id string, err error) {
	digits, ok := strings.CutPrefix(secret, k.Prefix)
	if !ok || len(digits) != Digits || !lowerHex(digits) {
		return "", k.ErrForm
	}
	body := secret[:len(secret)-sumDigits]
	if secret[len(body):] != checksum(body) {
		return "", k.ErrChecksum
	}
	return digest.Hex([]byte(secret)), nil
}

// IDDigits is how many hex digits an id has.
const IDDigits = 2 * digest.Size

// CheckID wants the form of an id.
func (k Kind) CheckID(s string) error {
	if len(s) != IDDigits || !lowerHex(s) {
		return fmt.Errorf("id of %s: want %d lower-case hex digits", k.Name, IDDigits)
	}
	return nil
}

func checksum(body string) string {
	return fmt.Sprintf("%0*x", sumDigits, crc32.ChecksumIEEE([]byte(body)))
}

func lowerHex(s string) bool {
	return strings.Trim(s, "0123456789abcdef") == ""
}
