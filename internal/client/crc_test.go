package client

import (
	"hash/crc64"
	"math/rand/v2"
	"testing"

	"github.com/minio/crc64nvme"
)

// TestCRC: the check value of the catalogue, and every way to cut a text in two.
func TestCRC(t *testing.T) {
	if got := crc64nvme.Checksum([]byte("123456789")); got != 0xae8b14860a799888 {
		t.Errorf("check value %x", got)
	}
	text := make([]byte, 300)
	rand.NewChaCha8([32]byte{}).Read(text)
	want := crc64nvme.Checksum(text)
	if plain := crc64.Checksum(text, crc64.MakeTable(nvmePolynomial)); plain != want {
		t.Fatalf("%x, want %x", want, plain)
	}
	for i := range len(text) + 1 {
		first, second := crc64nvme.Checksum(text[:i]), crc64nvme.Checksum(text[i:])
		if got := joinCRC(first, second, int64(len(text)-i)); got != want {
			t.Fatalf("cut at %d: %x, want %x", i, got, want)
		}
	}
}
