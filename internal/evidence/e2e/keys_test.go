package e2e

import (
	"maps"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/config"
	"oncegate/internal/evidence/testbed"
	"oncegate/internal/layout"
	"oncegate/internal/local/s3server/s3servertest"
	"oncegate/internal/onetime"
)

// TestPrefix: an object with a prefix is stored under it by one PUT and in parts, its copy by
// acceptance lies under the same one, and what is asked about it by its key finds its URL.
func TestPrefix(t *testing.T) {
	testbed.EachIndex(t, func(t *testing.T, index string) {
		a := newAccepting(t, testbed.In(index), func(s *testbed.Setup) {
			s.Settings["prefixes"] = []string{"invoices", "teams/*"}
		})
		for _, prefix := range []string{"invoices", "teams/red/2026"} {
			whole, parts := ask(t, a.Stack, "prefix="+prefix+"&label=kept"), ask(t, a.Stack, "prefix="+prefix+"&label=kept")
			for _, m := range []testbed.Minted{whole, parts} {
				if path.Dir(m.Key) != "uploads/"+prefix {
					t.Fatalf("key %s, want it below %s", m.Key, prefix)
				}
			}
			content := "content of " + prefix
			if answer := a.Put(t, whole, content); answer.Status != http.StatusOK {
				t.Fatalf("upload: %v", answer)
			}
			if answer := a.Put(t, whole, content); answer.Reason() != "used" {
				t.Errorf("again: %v", answer)
			}
			uploadInParts(t, a.Stack, parts, nil, content)
			a.settle(t)
			for _, m := range []testbed.Minted{whole, parts} {
				a.WantVersions(t, m.Key, 1)
				a.WantClaims(t, m.ID, 1)
				if got := a.Stored(t, m.Key); got != content {
					t.Errorf("%s holds %q", m.Key, got)
				}
				if got := a.Stored(t, layout.AcceptedCopy(m.Key)); got != content {
					t.Errorf("the copy of %s holds %q", m.Key, got)
				}
				events := a.events(t, m.Key)
				if len(events) == 0 {
					t.Errorf("%s was not announced", m.Key)
				}
				for _, e := range events {
					if e.ID != m.ID || e.Label != "kept" || e.Accepted != "accepted/"+prefix+"/"+m.Name {
						t.Errorf("announced %+v", e)
					}
				}
			}
		}
		for _, prefix := range []string{"teams", "invoices/may", "other", "teams/../x"} {
			if answer := a.Do(t, http.MethodGet, a.Edge.URL()+"/url?prefix="+prefix, nil, nil); answer.Reason() != "options" || !strings.Contains(answer.Body, "prefix: ") {
				t.Errorf("prefix %s: %v", prefix, answer)
			}
		}
	})
}

// TestMeta: S3 keeps with the object what was minted, however the upload comes, and nothing of
// what the uploader sends. The copy by acceptance and its event have it too.
func TestMeta(t *testing.T) {
	testbed.EachIndex(t, func(t *testing.T, index string) {
		a := newAccepting(t, testbed.In(index))
		const order = "meta=" + "order%3D17%2520b%26customer%3Dacme%252FM%25C3%25BCller"
		if answer := a.Do(t, http.MethodGet, a.Edge.URL()+"/url?"+order, nil, nil); answer.Reason() != "options" || !strings.Contains(answer.Body, "printable ASCII") {
			t.Errorf("what is not ASCII: %v", answer)
		}
		const good = "meta=order%3D17%2520b%26customer%3Dacme%252F%2526%253D%252B%2525"
		want := map[string]string{"order": "17 b", "customer": "acme/&=+%"}
		whole, parts := ask(t, a.Stack, good), ask(t, a.Stack, good)
		own := http.Header{"X-Amz-Meta-Order": {"18"}, "x-amz-meta-mine": {"1"}, "X-Amz-Tagging": {"a=b"}, "X-Amz-Meta-Customer": {""}}
		if answer := a.Do(t, http.MethodPut, whole.URL, own, strings.NewReader("content")); answer.Status != http.StatusOK {
			t.Fatalf("upload: %v", answer)
		}
		uploadInParts(t, a.Stack, parts, own, "content")
		a.settle(t)
		for _, m := range []testbed.Minted{whole, parts} {
			if got := a.metadata(t, m.Key); !maps.Equal(got, want) {
				t.Errorf("%s has the metadata %v, want %v", m.Key, got, want)
			}
			copied := a.metadata(t, layout.AcceptedCopy(m.Key))
			for name, value := range want {
				if copied[name] != value {
					t.Errorf("the copy of %s has the metadata %v, want %v besides", m.Key, copied, want)
				}
			}
			events := a.events(t, m.Key)
			if len(events) == 0 || string(events[0].Meta) != "customer=acme%2F%26%3D%2B%25&order=17%20b" {
				t.Errorf("announced %+v", events)
			}
		}
		for _, raw := range a.Services.Events() {
			if !strings.Contains(string(raw), `"meta":{"customer":"acme/\u0026=+%","order":"17 b"}`) {
				t.Errorf("event %s", raw)
			}
		}
	})
}

// TestTags: S3 tags the object with what was minted, however the upload comes, and with nothing of
// what the uploader sends. The copy by acceptance has the same tags, and the version that was copied has
// that of acceptance besides.
func TestTags(t *testing.T) {
	testbed.EachIndex(t, func(t *testing.T, index string) {
		a := newAccepting(t, testbed.In(index), func(s *testbed.Setup) {
			s.Settings["tags"] = []string{"project", "cost center", "a", "b", "c", "d", "e", "f", "g"}
		})
		for tags, why := range map[string]string{
			"customer%3Dacme": "tags: allowed are project, cost center", "oncegate%3Daccepted": "tags: want ", "project%3Da%250d%250ax-amz-acl:x": "tags: want ",
		} {
			if answer := a.Do(t, http.MethodGet, a.Edge.URL()+"/url?tags="+tags, nil, nil); answer.Reason() != "options" || !strings.Contains(answer.Body, why) {
				t.Errorf("%s: %v", tags, answer)
			}
		}
		const good = "tags=project%3DM%25C3%25BCller%2520%2526%26"
		if answer := a.Do(t, http.MethodGet, a.Edge.URL()+"/url?"+good, nil, nil); answer.Reason() != "options" {
			t.Errorf("what no tag may hold: %v", answer)
		}
		want := map[string]string{"project": "Müller+1 / @", "cost center": "42", "a": "1", "b": "1", "c": "1", "d": "1", "e": "1", "f": "1", "g": "1"}
		asked := url.Values{}
		for key, value := range want {
			asked.Set(key, value)
		}
		order := "label=kept&tags=" + url.QueryEscape(asked.Encode())
		whole, parts, plain := ask(t, a.Stack, order), ask(t, a.Stack, order), ask(t, a.Stack, "label=kept")
		own := http.Header{"X-Amz-Tagging": {"project=red&mine=1"}, "X-Amz-Tagging-Directive": {"REPLACE"}, "X-Amz-Tagging-Count": {"0"}}
		for _, m := range []testbed.Minted{whole, plain} {
			if answer := a.Do(t, http.MethodPut, m.URL, own.Clone(), strings.NewReader("content")); answer.Status != http.StatusOK {
				t.Fatalf("upload: %v", answer)
			}
		}
		uploadInParts(t, a.Stack, parts, own, "content")
		a.settle(t)
		for _, m := range []testbed.Minted{whole, parts, plain} {
			minted, all := want, maps.Clone(want)
			if m.ID == plain.ID {
				minted, all = map[string]string{}, map[string]string{}
			}
			all["oncegate"] = "accepted"
			if got := s3servertest.Tags(t, a.S3, m.Key); !maps.Equal(got, all) {
				t.Errorf("%s has the tags %v, want %v", m.Key, got, all)
			}
			if got := s3servertest.Tags(t, a.S3, layout.AcceptedCopy(m.Key)); !maps.Equal(got, minted) {
				t.Errorf("the copy of %s has the tags %v, want %v", m.Key, got, minted)
			}
			events := a.events(t, m.Key)
			if len(events) == 0 || !maps.Equal(onetime.Tags(events[0].Tags).Values(), onetime.Tags(asked.Encode()).Values()) != (m.ID == plain.ID) {
				t.Errorf("announced %+v", events)
			}
		}
	})
}

// TestStorageClass: S3 stores an upload in the class of the settings, in one PUT or in parts, whatever
// the uploader sends. With acceptance it stores only the copy so.
func TestStorageClass(t *testing.T) {
	settings := func(s *testbed.Setup) { s.Settings["storageClass"] = config.InstantRetrieval }
	uploads := func(t *testing.T, st *testbed.Stack) (all [2]testbed.Minted) {
		own := http.Header{"X-Amz-Storage-Class": {"DEEP_ARCHIVE"}}
		for i := range all {
			all[i] = ask(t, st, "")
		}
		if answer := st.Do(t, http.MethodPut, all[0].URL, own.Clone(), strings.NewReader("content")); answer.Status != http.StatusOK {
			t.Fatalf("upload: %v", answer)
		}
		uploadInParts(t, st, all[1], own, "content")
		return all
	}
	testbed.EachIndex(t, func(t *testing.T, index string) {
		st := testbed.New(t, testbed.In(index), settings)
		for _, m := range uploads(t, st) {
			if got := s3servertest.StorageClass(t, st.S3, m.Key); got != config.InstantRetrieval {
				t.Errorf("%s is in class %q", m.Key, got)
			}
		}
		a := newAccepting(t, testbed.In(index), settings)
		all := uploads(t, a.Stack)
		a.settle(t)
		for _, m := range all {
			if got := s3servertest.StorageClass(t, a.S3, m.Key); got != "" {
				t.Errorf("%s is in class %q", m.Key, got)
			}
			if got := s3servertest.StorageClass(t, a.S3, layout.AcceptedCopy(m.Key)); got != config.InstantRetrieval {
				t.Errorf("the copy of %s is in class %q", m.Key, got)
			}
		}
	})
}

// metadata is the object's, as S3's HEAD gives it.
func (a *acceptingStack) metadata(t *testing.T, key string) map[string]string {
	t.Helper()
	out, err := a.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(s3servertest.Bucket), Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	return out.Metadata
}
