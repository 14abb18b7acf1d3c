//go:build !js

package s3index_test

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
	"oncegate/internal/onetime"
	"oncegate/internal/s3index"
)

// TestKeys: the records of API keys, at a real S3 server.
func TestKeys(t *testing.T) {
	both(t, func(t *testing.T, c client, server *s3server.Server, _ *atomic.Pointer[s3server.Fault]) {
		x := s3index.New(c)
		name := func(part string) string { return fmt.Sprintf("%x", t.Name()) + part }
		if _, err := x.ReadKey(t.Context(), limit, name("a")); !errors.Is(err, onetime.ErrAbsent) {
			t.Errorf("before: %v", err)
		}
		for _, part := range []string{"a", "b"} {
			if err := x.CreateKey(t.Context(), limit, name(part), []byte("1")); err != nil {
				t.Fatal(err)
			}
		}
		if err := x.CreateKey(t.Context(), limit, name("a"), []byte("2")); !errors.Is(err, onetime.ErrExists) {
			t.Errorf("again: %v, want ErrExists", err)
		}
		if err := x.ReplaceKey(t.Context(), limit, name("a"), []byte("3")); err != nil {
			t.Fatal(err)
		}
		if body, err := x.ReadKey(t.Context(), limit, name("a")); err != nil || string(body) != "3" {
			t.Errorf("got %s, %v", body, err)
		}
		key := "keys/" + name("b")
		if _, err := s3servertest.Client(server).DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(s3servertest.Bucket), Key: &key}); err != nil {
			t.Fatal(err)
		}
		if _, err := x.ReadKey(t.Context(), limit, name("b")); !errors.Is(err, onetime.ErrAbsent) {
			t.Errorf("deleted: %v", err)
		}
		ids, err := x.ListKeys(t.Context(), limit)
		if err != nil || !slices.Contains(ids, name("a")) || !slices.Contains(ids, name("b")) {
			t.Errorf("got %v, %v", ids, err)
		}
	})
}

// TestListKeysPages: every page is read, each key is told once.
func TestListKeysPages(t *testing.T) {
	version := func(key string) s3index.KeyVersion { return s3index.KeyVersion{Key: "keys/" + key} }
	bucket := &stub{pages: []s3index.Page{
		{Status: 200, Versions: []s3index.KeyVersion{version("a"), version("a"), version("b")}, Next: &s3index.Marker{Key: "keys/b", VersionID: "1"}},
		{Status: 200, Versions: []s3index.KeyVersion{version("b"), version("c")}},
	}}
	ids, err := s3index.New(bucket).ListKeys(t.Context(), limit)
	if err != nil || !slices.Equal(ids, []string{"a", "b", "c"}) {
		t.Errorf("got %v, %v", ids, err)
	}
	if want := []s3index.Marker{{}, {Key: "keys/b", VersionID: "1"}}; !slices.Equal(bucket.markers, want) {
		t.Errorf("markers %v, want %v", bucket.markers, want)
	}
	bucket = &stub{pages: []s3index.Page{{Status: 200, Next: &s3index.Marker{Key: "keys/b"}}}}
	if ids, err := s3index.New(bucket).ListKeys(t.Context(), limit); err == nil {
		t.Errorf("an endless list gives %v", ids)
	}
}
