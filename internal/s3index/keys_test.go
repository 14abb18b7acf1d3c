//go:build !js

package s3index_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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
	bucket = &stub{pages: []s3index.Page{{Status: 200, Next: &s3index.Marker{Key: "keys/b"}}}} // again and again
	if ids, err := s3index.New(bucket).ListKeys(t.Context(), limit); err == nil {
		t.Errorf("an endless list gives %v", ids)
	}
}

// TestMostKeys: 100,000 keys are listed, and not one more.
func TestMostKeys(t *testing.T) {
	var pages []s3index.Page
	for n := range 100 {
		page := s3index.Page{Status: 200, Next: &s3index.Marker{Key: fmt.Sprint(n)}}
		for i := range 1000 {
			page.Versions = append(page.Versions, s3index.KeyVersion{Key: fmt.Sprintf("keys/%d", 1000*n+i)})
		}
		pages = append(pages, page)
	}
	ids, err := s3index.New(&stub{pages: append(pages[:100:100], s3index.Page{Status: 200})}).ListKeys(t.Context(), limit)
	if err != nil || len(ids) != 100_000 {
		t.Errorf("the most: %d, %v", len(ids), err)
	}
	more := s3index.Page{Status: 200, Versions: []s3index.KeyVersion{{Key: "keys/more"}}, Next: &s3index.Marker{Key: "keys/more"}}
	bucket := &stub{pages: append(pages[:100:100], more, s3index.Page{Status: 200})}
	if ids, err := s3index.New(bucket).ListKeys(t.Context(), limit); err == nil {
		t.Errorf("one more: %d", len(ids))
	}
}

// slow is a bucket whose pages take their time.
type slow struct{ stub }

func (b *slow) ListVersions(ctx context.Context, limit time.Duration, prefix string, from s3index.Marker) (s3index.Page, error) {
	time.Sleep(400 * time.Millisecond)
	return b.stub.ListVersions(ctx, limit, prefix, from)
}

// TestListTime: the pages of a list share its time, and none begins without any.
func TestListTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slow{}
		for n := range 9 {
			b.pages = append(b.pages, s3index.Page{Status: 200, Next: &s3index.Marker{Key: fmt.Sprint(n)}})
		}
		versions, err := s3index.New(b).ListExpired(t.Context(), time.Second, id)
		if fault, ok := errors.AsType[*onetime.Fault](err); !ok || fault.Op != "ListExpired" {
			t.Errorf("got %v, %v; want a fault", versions, err)
		}
		if want := []time.Duration{time.Second, 600 * time.Millisecond, 200 * time.Millisecond}; !slices.Equal(b.limits, want) {
			t.Errorf("the pages had %v, want %v", b.limits, want)
		}
	})
}
