package digest_test

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"oncegate/internal/lean/digest"
)

// FuzzDigest holds the package to the standard library.
func FuzzDigest(f *testing.F) {
	f.Add([]byte(nil), []byte(nil))
	f.Add([]byte("key"), []byte("The quick brown fox jumps over the lazy dog"))
	f.Add(make([]byte, 64), make([]byte, 64))
	f.Add(make([]byte, 65), make([]byte, 1000))
	f.Fuzz(func(t *testing.T, key, data []byte) {
		sum := sha256.Sum256(data)
		if got := digest.Sum(data); got != sum || digest.Hex(data) != hex.EncodeToString(sum[:]) {
			t.Errorf("SHA-256 of %x is %x, want %x", data, got, sum)
		}
		if got, want := digest.MD5(data), md5.Sum(data); got != want {
			t.Errorf("MD5 of %x is %x, want %x", data, got, want)
		}
		mac := hmac.New(sha256.New, key)
		mac.Write(data)
		if got, want := digest.HMAC(key, data), mac.Sum(nil); string(got[:]) != string(want) {
			t.Errorf("HMAC of %x with %x is %x, want %x", data, key, got, want)
		}
	})
}
