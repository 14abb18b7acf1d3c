package verify_test

import (
	"testing"

	"oncegate/internal/client"
	"oncegate/internal/evidence/testbed"
	"oncegate/internal/verify"
)

// withKeys is a stack that asks for API keys, and the options with one of them.
func withKeys(t *testing.T, settings map[string]any, more ...testbed.Option) verify.Options {
	t.Helper()
	st := newStack(t, append(more, func(s *testbed.Setup) {
		for name, value := range settings {
			s.Settings[name] = value
		}
	})...)
	key, _ := st.APIKey(t, "verify")
	o := options(st)
	var err error
	if o.Credential, err = client.Key(key); err != nil {
		t.Fatal(err)
	}
	return o
}

func lineOf(t *testing.T, report verify.Report, id string) verify.Line {
	t.Helper()
	for _, l := range report.Lines {
		if l.ID == id {
			return l
		}
	}
	t.Fatalf("there is no line %s", id)
	return verify.Line{}
}

// TestOwnerAPI: with the setting and without, and where deployment and settings
// differ.
func TestOwnerAPI(t *testing.T) {
	on, off := true, false
	keys := map[string]any{"auth": "api-key"}
	owners := map[string]any{"auth": "api-key", "ownerApi": true}
	without := func(sid string) testbed.Option {
		return func(s *testbed.Setup) {
			s.Template = func(t *testbed.Templates) { testbed.Without(t.RolePolicy("Mint"), sid) }
		}
	}
	for _, c := range []struct {
		name     string
		settings map[string]any
		known    *bool
		broken   []testbed.Option
		failed   []string
		observed string
	}{
		{"off", keys, &off, nil, nil, "it is off"},
		{"on", owners, &on, nil, nil, "it is on"},
		{"on, and the settings are not known", owners, nil, nil, nil, "it is on"},
		{"off, and meant to be on", keys, &on, nil, []string{"owner"}, ""},
		{"on, and meant to be off", owners, &off, nil, []string{"owner"}, ""},
		{"the mint may not revoke", owners, &on, []testbed.Option{without("RevokeURLs")}, []string{"owner"}, "it is on"},
		{"the mint may not read", owners, &on, []testbed.Option{without("ReadURLs")}, []string{"owner"}, "503 index-unavailable, repeated; it is on"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			o := withKeys(t, c.settings, c.broken...)
			o.OwnerAPI = c.known
			report := check(t, o, c.failed...)
			if l := lineOf(t, report, "owner"); l.Observed != c.observed {
				t.Errorf("%s, want %q", l.Text(), c.observed)
			}
			if l := lineOf(t, report, "credential"); l.Result != verify.OK {
				t.Error(l.Text())
			}
		})
	}
}
