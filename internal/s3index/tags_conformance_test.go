//go:build !js

package s3index_test

import (
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"oncegate/internal/lean/wire"
	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
	"oncegate/internal/s3index"
	"oncegate/internal/s3wire"
)

// tagging is a header with tags, as the gate writes it, and tagged what it says.
const tagging = "customer=M%C3%BCller%20%2B1&project=blue"

var tagged = map[string]string{"customer": "Müller +1", "project": "blue"}

// TestSignedTags: S3 keeps the tags of a header that was signed, and takes no upload without them or with
// others. In the query it does not look for any.
func TestSignedTags(t *testing.T) {
	at := time.Date(2026, 3, 1, 23, 59, 59, 0, time.UTC)
	wireQuery, err := wireClient(t, "http://127.0.0.1:9", testKey).PresignUpload(t.Context(), "uploads/x", map[string]string{"x-amz-tagging": tagging}, nil, at, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	sdkQuery, err := sdkClient("http://127.0.0.1:9", testKey).PresignUpload(t.Context(), "uploads/x", map[string]string{"x-amz-tagging": tagging}, nil, at, time.Minute)
	if err != nil || wireQuery != sdkQuery || !strings.Contains(wireQuery, "X-Amz-SignedHeaders=host%3Bx-amz-tagging&") || strings.Contains(wireQuery, "blue") {
		t.Errorf("wire %s\nsdk  %s, %v", wireQuery, sdkQuery, err)
	}
	both(t, func(t *testing.T, c client, server *s3server.Server, _ *atomic.Pointer[s3server.Fault]) {
		key := "uploads/" + string(newID(t, "tags"))
		query, err := c.PresignUpload(t.Context(), key, map[string]string{"x-amz-tagging": tagging}, nil, time.Now(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		put := func(query string, headers ...wire.Header) int {
			s := sender{scheme: "http", host: s3wire.ProductionHost(s3servertest.Bucket, s3servertest.Region), dial: strings.TrimPrefix(server.URL(), "http://")}
			reply, err := s.Send(t.Context(), limit, http.MethodPut, "/"+key+"?"+query, headers, []byte("body"))
			if err != nil {
				t.Fatal(err)
			}
			return reply.Status
		}
		for how, headers := range map[string][]wire.Header{
			"omitted": nil, "changed": {{Name: "x-amz-tagging", Value: strings.Replace(tagging, "blue", "red", 1)}},
			"added to": {{Name: "x-amz-tagging", Value: tagging + "&mine=1"}}, "spelt anew": {{Name: "x-amz-tagging", Value: strings.Replace(tagging, "%20", "+", 1)}},
			"sent twice": {{Name: "x-amz-tagging", Value: tagging}, {Name: "x-amz-tagging", Value: "mine=1"}},
		} {
			if status := put(query, headers...); status != http.StatusForbidden {
				t.Errorf("tags %s: %d, want 403", how, status)
			}
		}
		if status := put(query+"&x-amz-tagging=mine%3D1", wire.Header{Name: "x-amz-tagging", Value: tagging}); status != http.StatusForbidden {
			t.Errorf("with tags in the query too: %d, want 403", status)
		}
		if status := put(query, wire.Header{Name: "x-amz-tagging", Value: tagging}); status != http.StatusOK {
			t.Fatalf("with its tags: %d, want 200", status)
		}
		if got := s3servertest.Tags(t, server, key); !maps.Equal(got, tagged) {
			t.Errorf("tags %v, want %v", got, tagged)
		}
	})
}

// TestTagsOfParts: an upload in parts has the tags that it was created with.
func TestTagsOfParts(t *testing.T) {
	bothParts(t, func(t *testing.T, parts *s3index.Parts, c client, server *s3server.Server, key string) {
		upload, err := parts.CreateUpload(t.Context(), limit, key, nil, map[string]string{"x-amz-tagging": tagging}, nil)
		if err != nil {
			t.Fatal(err)
		}
		putParts(t, c, server, key, upload)
		listed, err := parts.ListParts(t.Context(), limit, key, upload)
		if err == nil {
			_, _, err = parts.CompleteUpload(t.Context(), limit, key, upload, listed)
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := s3servertest.Tags(t, server, key); !maps.Equal(got, tagged) {
			t.Errorf("tags %v, want %v", got, tagged)
		}
	})
}
