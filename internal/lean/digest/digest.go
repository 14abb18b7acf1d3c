// Package digest is SHA-256, HMAC-SHA-256, and MD5 where S3 wants it: the standard library's or, in the program
// of the edge, Node's.
package digest

import "encoding/hex"

// Size of a digest in bytes.
const Size = 32

// MD5Size of an MD5 in bytes.
const MD5Size = 16

const blockSize = 64

// Hex is the SHA-256 of data in lower-case hex.
func Hex(data []byte) string {
	sum := Sum(data)
	var digits [2 * Size]byte
	hex.Encode(digits[:], sum[:])
	return string(digits[:])
}

// HMAC is the HMAC-SHA-256 of data: RFC 2104.
func HMAC(key, data []byte) [Size]byte {
	var padded [blockSize]byte
	if len(key) > blockSize {
		sum := Sum(key)
		key = sum[:]
	}
	copy(padded[:], key)
	inner := make([]byte, blockSize, blockSize+len(data))
	outer := make([]byte, blockSize, blockSize+Size)
	for i, b := range padded {
		inner[i], outer[i] = b^0x36, b^0x5c
	}
	sum := Sum(append(inner, data...))
	return Sum(append(outer, sum[:]...))
}
