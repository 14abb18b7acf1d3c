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
	"errors"
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

// What can be wrong with the text of a secret.
var (
	ErrForm     = errors.New("not a secret of this kind")
	ErrChecksum = errors.New("the checksum does not fit")
)

// New makes a secret with this prefix of entropy that is fit for secrets.
func New(prefix string, entropy io.Reader) (secret string, err error) {
	b := make([]byte, randomBytes)
	if _, err := io.ReadFull(entropy, b); err != nil {
		return "", fmt.Errorf("read random bytes: %w", err)
	}
	body := prefix + hex.EncodeToString(b)
	return body + checksum(body), nil
}

// Parse checks the form of a secret with this prefix and returns its id. Each secret has
// one spelling. Its errors are ErrForm and ErrChecksum and hold nothing of the secret.
func Parse(prefix, secret string) (id string, err error) {
	digits, ok := strings.CutPrefix(secret, prefix)
	if !ok || len(digits) != Digits || !lowerHex(digits) {
		return "", ErrForm
	}
	body := secret[:len(secret)-sumDigits]
	if secret[len(body):] != checksum(body) {
		return "", ErrChecksum
	}
	return digest.Hex([]byte(secret)), nil
}

// IDDigits is how many hex digits an id has.
const IDDigits = 2 * digest.Size

// IsID reports whether s has the form of an id.
func IsID(s string) bool { return len(s) == IDDigits && lowerHex(s) }

func checksum(body string) string {
	return fmt.Sprintf("%0*x", sumDigits, crc32.ChecksumIEEE([]byte(body)))
}

func lowerHex(s string) bool {
	return strings.Trim(s, "0123456789abcdef") == ""
}
