//go:build !edge

package digest

import (
	"crypto/md5"
	"crypto/sha256"
)

// MD5 is the MD5 of data.
func MD5(data []byte) [MD5Size]byte { return md5.Sum(data) }

// Sum is the SHA-256 of data.
func Sum(data []byte) [Size]byte { return sha256.Sum256(data) }
