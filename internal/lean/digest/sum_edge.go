//go:build edge

package digest

import "unsafe"

//go:wasmimport oncegate sha256
func hostSHA256(data unsafe.Pointer, length uint32, sum unsafe.Pointer)

// Sum is the SHA-256 of data, by Node: see edge/node/index.mjs.
func Sum(data []byte) (sum [Size]byte) {
	hostSHA256(unsafe.Pointer(unsafe.SliceData(data)), uint32(len(data)), unsafe.Pointer(&sum))
	return sum
}

//go:wasmimport oncegate md5
func hostMD5(data unsafe.Pointer, length uint32, sum unsafe.Pointer)

// MD5 is the MD5 of data, by Node.
func MD5(data []byte) (sum [MD5Size]byte) {
	hostMD5(unsafe.Pointer(unsafe.SliceData(data)), uint32(len(data)), unsafe.Pointer(&sum))
	return sum
}
