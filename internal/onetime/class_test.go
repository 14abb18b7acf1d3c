package onetime_test

import (
	"maps"
	"testing"

	"oncegate/internal/onetime/onetimetest"
)

// TestStorageClassIsSigned: what the settings say is in a header that the gate signs; a multipart
// upload begins with it, and parts have none. The viewer's own goes nowhere.
func TestStorageClassIsSigned(t *testing.T) {
	for _, mode := range modes {
		for _, class := range []string{"", "STANDARD_IA"} {
			want := map[string]string{}
			if class != "" {
				want["x-amz-storage-class"] = class
			}
			w := newWorld(t)
			minted := w.mint(t)
			own := headers{"content-length": {"5"}, "x-amz-storage-class": {"GLACIER"}}
			m, _ := w.multipart(mode)
			m.StorageClass = class
			start := ask(minted, "POST", "uploads")
			start.Headers = own
			if _, err := m.Start(t.Context(), start, w.deadline()); err != nil {
				t.Fatal(err)
			}
			if got := w.store.UploadHeaders(w.store.Uploads()[0]); !maps.Equal(got, want) {
				t.Errorf("the multipart upload has %v, want %v", got, want)
			}
			part := ask(minted, "PUT", "partNumber=1")
			part.Headers = own
			if pass, err := m.Part(t.Context(), part, w.deadline()); err != nil || len(pass.Headers) != 0 {
				t.Errorf("a part passes as %+v, %v", pass, err)
			}
			gate, _ := w.gate(mode)
			signs := &signing{Presigner: onetimetest.Presigner{}}
			gate.Presigner, gate.StorageClass = signs, class
			put := upload(minted, "1")
			put.Headers = own
			pass, err := gate.Decide(t.Context(), put, w.deadline())
			if err != nil || !maps.Equal(pass.Headers, want) || !maps.Equal(signs.headers, want) {
				t.Errorf("passes with %v, %v, signed are %v, want %v", pass.Headers, err, signs.headers, want)
			}
		}
	}
}
