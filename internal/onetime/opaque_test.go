package onetime_test

import (
	"strings"
	"testing"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// TestOpaqueETags: in a bucket that encrypts with a key of KMS no ETag is made of MD5s. The parts
// are named by the ETags that they were answered with, and the answer has the object's own.
func TestOpaqueETags(t *testing.T) {
	w := newWorld(t)
	w.store.Opaque = true
	minted := w.mint(t)
	m, index := w.multipart(onetime.Conditional)
	m.OpaqueETags = true
	upload := w.begin(t, m, minted)
	w.send(t, m, minted, upload, 1, whole)
	w.send(t, m, minted, upload, 2, mib)
	_, parts, err := m.List(t.Context(), ask(minted, "GET", "parts"), w.deadline())
	if err != nil {
		t.Fatal(err)
	}
	named, err := onetime.ObjectETag(parts)
	if err != nil || named == etagOf(whole, mib) {
		t.Fatalf("%s, %v", named, err)
	}
	if _, err := m.Complete(t.Context(), ask(minted, "POST", "complete&etag="+etagOf(whole, mib)), w.deadline()); reasonOf(t, err) != onetime.Incomplete {
		t.Errorf("named by MD5s: %v", err)
	}
	// S3 makes the object, and its answer is lost.
	index.Intercept = func(call onetimetest.Call) *onetimetest.Fault {
		if call.Op == "CompleteUpload" {
			return &onetimetest.Fault{Applied: true}
		}
		return nil
	}
	if done, err := m.Complete(t.Context(), ask(minted, "POST", "complete&etag="+named), w.deadline()); err == nil && done.Stored && done.ETag == named {
		t.Errorf("%+v: that is no ETag of S3's", done)
	}
	index.Intercept = nil
	object, there, _ := w.store.Current(minted.Key)
	if !there || object.ETag == named {
		t.Fatalf("%+v, %t", object, there)
	}
	for range 2 {
		done, err := m.Complete(t.Context(), ask(minted, "POST", "complete&etag="+named), w.deadline())
		if err != nil || !done.Stored || done.ETag != object.ETag || done.Size != 6<<20 {
			t.Errorf("again: %+v, %v; the object has %s", done, err, object.ETag)
		}
	}
	// Who believes in MD5s does not know the object again.
	m.OpaqueETags = false
	if done, err := complete(t, w, m, minted); reasonOf(t, err) != onetime.ClaimUnknown {
		t.Errorf("%+v, %v", done, err)
	}
}

// TestOpaqueETagOfAnother: an object of another size, or of another number of parts, is another.
func TestOpaqueETagOfAnother(t *testing.T) {
	for name, object := range map[string]onetimetest.Entry{
		"size": {Body: mib[1:], ETag: strings.Repeat("0", 32) + "-1"}, "parts": {Body: mib, ETag: strings.Repeat("0", 32) + "-2"},
		"eleven parts": {Body: mib, ETag: strings.Repeat("0", 32) + "-11"}, "one PUT": {Body: mib, ETag: strings.Repeat("0", 31) + "1"},
	} {
		w := newWorld(t)
		w.store.Opaque = true
		minted := w.mint(t)
		m, index := w.multipart(onetime.Conditional)
		m.OpaqueETags = true
		upload := w.begin(t, m, minted)
		w.send(t, m, minted, upload, 1, mib)
		index.Intercept = func(call onetimetest.Call) *onetimetest.Fault {
			if call.Op == "CompleteUpload" && call.N == 1 {
				w.store.Put(minted.Key, object, true) // somebody writes past the gate
			}
			return nil
		}
		if done, err := complete(t, w, m, minted); reasonOf(t, err) != onetime.ClaimUnknown {
			t.Errorf("%s: %+v, %v", name, done, err)
		}
	}
}

func TestObjectETag(t *testing.T) {
	md5 := strings.Repeat("0a", 16)
	of := func(etags ...string) (parts []onetime.StoredPart) {
		for i, etag := range etags {
			parts = append(parts, onetime.StoredPart{Number: 1 + i, ETag: etag})
		}
		return parts
	}
	seen := map[string]bool{}
	for _, parts := range [][]onetime.StoredPart{of(md5), of(md5, md5), of("Opaque-1_x"), of("Opaque-1_x", md5), of(md5, "Opaque-1_x"), of(md5[:30])} {
		named, err := onetime.ObjectETag(parts)
		if err != nil || seen[named] {
			t.Errorf("%+v: %s, %v", parts, named, err)
		}
		seen[named] = true
	}
	for _, parts := range [][]onetime.StoredPart{nil, of(""), of("a b"), of(strings.Repeat("a", 65)), {{Number: 2, ETag: md5}}} {
		if named, err := onetime.ObjectETag(parts); reasonOf(t, err) != onetime.Incomplete {
			t.Errorf("%+v: %s, %v", parts, named, err)
		}
	}
}
