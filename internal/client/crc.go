package client

import "math/bits"

// CRC-64/NVME is what S3 computes of every object by default, of one that came in parts too:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
// Its polynomial, reflected, and its check value: https://reveng.sourceforge.io/crc-catalogue/all.htm#crc.cat.crc-64-nvme

const nvmePolynomial = 0x9a6c9329ac4bc9b5

// joinCRC returns the CRC of two pieces, one after the other, from the CRC of each and the
// length of the second. A CRC is the rest of a division of polynomials; n bytes behind the
// first piece multiply it by x to the power of 8n.
func joinCRC(first, second uint64, n int64) uint64 {
	power := uint64(1 << 62) // x; the highest bit is the lowest power
	for range 3 {
		power = multiply(power, power) // x to the power of 8
	}
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			first = multiply(first, power)
		}
		power = multiply(power, power)
	}
	return first ^ second
}

// multiply multiplies two polynomials modulo that of the CRC.
func multiply(a, b uint64) (product uint64) {
	for ; a != 0; a <<= 1 {
		if bits.LeadingZeros64(a) == 0 {
			product ^= b
		}
		// times x
		carry := b & 1
		b >>= 1
		if carry == 1 {
			b ^= nvmePolynomial
		}
	}
	return product
}
