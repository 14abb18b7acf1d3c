package e2e

import (
	"net/http"
	"strings"
	"testing"

	"oncegate/internal/evidence/testbed"
)

// answered is what a page knows of an upload.
type answered struct {
	URL, Error, Reason, Code, Version string
	Status                            int
}

// onGenerated puts the response headers policy on the functions' answers too.
func onGenerated(s *testbed.Setup) { s.Edge.PolicyOnGenerated = true }

// TestPageHeaders: whatever headers a page's libraries add, and with or without
// credentials, it uploads from an allowed origin in a real browser, by both readings of
// what the response headers policy is put on.
func TestPageHeaders(t *testing.T) {
	type try struct {
		Headers     map[string]string `json:"headers"`
		Credentials string            `json:"credentials"`
	}
	tracing := map[string]string{
		"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=b", "baggage": "a=b", "sentry-trace": "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
		"x-datadog-trace-id": "1", "x-datadog-parent-id": "2", "x-b3-traceid": "1",
	}
	tries := []try{
		{tracing, "omit"},
		{nil, "include"},
		{map[string]string{"authorization": "Bearer x", "x-api-key": "x"}, "omit"},
		{map[string]string{"x-requested-with": "XMLHttpRequest", "cache-control": "no-cache", "pragma": "no-cache", "x-xsrf-token": "x", "x-amz-acl": "private"}, "omit"},
	}
	for name, c := range map[string]struct {
		any     bool // origin may upload
		options []testbed.Option
	}{
		"named, origin-only":   {false, nil},
		"named, all":           {false, []testbed.Option{onGenerated}},
		"anybody, origin-only": {true, nil},
		"anybody, all":         {true, []testbed.Option{onGenerated}},
	} {
		t.Run(name, func(t *testing.T) {
			page := pageServer(t)
			st := testbed.New(t, append(c.options, func(s *testbed.Setup) {
				s.Settings["allowedOrigins"] = []string{page}
				if c.any {
					s.Settings["allowedOrigins"] = []string{"*"}
				}
			})...)
			var got []answered
			inChromium(t, &got, map[string]any{"mint": st.Edge.URL() + "/url", "tries": tries}, page, "uploads")
			if len(got) != len(tries)+1 {
				t.Fatalf("%d answers", len(got))
			}
			for i, a := range got[:len(tries)] {
				// A page that sends credentials cannot read an answer that is for anybody: the
				// Fetch standard.
				if c.any && tries[i].Credentials == "include" {
					if a.Error != "TypeError" {
						t.Errorf("try %d: %+v, want the browser to refuse", i, a)
					}
					continue
				}
				if a.Status != http.StatusOK || a.Version == "" {
					t.Errorf("try %d: %+v, want 200 and a version to read", i, a)
					continue
				}
				st.WantVersions(t, testbed.ParseMinted(t, a.URL).Key, 1)
			}
			if last := got[len(tries)]; last.Status != http.StatusForbidden || last.Reason != "used" || last.Code != "used" {
				t.Errorf("once more: %+v, want 403 with its reason", last)
			}
		})
	}
}

// TestForeignPageHeaders: from an origin that is not allowed nothing is minted for the
// page to read, and with a URL that it has from elsewhere nothing is uploaded.
func TestForeignPageHeaders(t *testing.T) {
	for name, options := range map[string][]testbed.Option{"origin-only": nil, "all": {onGenerated}} {
		t.Run(name, func(t *testing.T) {
			page := pageServer(t)
			st := testbed.New(t, append(options, func(s *testbed.Setup) { s.Settings["allowedOrigins"] = []string{page} })...)
			var got []answered
			tries := []map[string]any{
				{"headers": map[string]string{"traceparent": "x"}, "credentials": "omit"}, {"credentials": "include"}, {"headers": map[string]string{"authorization": "x"}},
			}
			inChromium(t, &got, map[string]any{"mint": st.Edge.URL() + "/url", "tries": tries}, pageServer(t), "uploads")
			for i, a := range got {
				if a.Error != "TypeError" {
					t.Errorf("try %d: %+v, want the browser to refuse", i, a)
				}
			}
			m := st.Mint(t)
			if a := st.Do(t, http.MethodOptions, m.URL, http.Header{
				"Origin": {"https://stranger.example"}, "Access-Control-Request-Method": {"PUT"}, "Access-Control-Request-Headers": {"traceparent"},
			}, nil); a.Header.Get("Access-Control-Allow-Origin") != "" || strings.Contains(a.Header.Get("Access-Control-Allow-Headers"), "traceparent") {
				t.Errorf("preflight: %v", a.Header)
			}
			st.WantClaims(t, m.ID, 0)
			st.WantVersions(t, m.Key, 0)
		})
	}
}
