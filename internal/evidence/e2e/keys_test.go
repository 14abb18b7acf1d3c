package e2e

import (
	"net/http"
	"path"
	"strings"
	"testing"

	"oncegate/internal/evidence/testbed"
	"oncegate/internal/layout"
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
			for _, request := range []struct{ method, more, body string }{{http.MethodPost, "&uploads", ""}, {http.MethodPut, "&partNumber=1", content}, {http.MethodPost, "&complete", ""}} {
				if answer := a.Do(t, request.method, parts.URL+request.more, nil, strings.NewReader(request.body)); answer.Status != http.StatusOK {
					t.Fatalf("%s: %v", request.more, answer)
				}
			}
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
