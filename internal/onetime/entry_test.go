package onetime_test

import (
	"errors"
	"strings"
	"testing"

	"oncegate/internal/onetime"
)

func TestParseExpiredEntry(t *testing.T) {
	const good = `{"version":1,"reason":"used","at":"2026-03-04T05:06:07Z","nonce":"00112233445566778899aabbccddeeff","request":"r"}`
	for _, test := range []struct {
		name, old, new string
		ok             bool
	}{
		{"as written", "", "", true},
		{"revoked", `"used"`, `"revoked"`, true},
		{"no request", `,"request":"r"`, ``, true},
		{"another reason", `"used"`, `"unknown"`, false},
		{"no reason", `"reason":"used",`, ``, false},
		{"another version", `"version":1`, `"version":2`, false},
		{"no version", `"version":1,`, ``, false},
		{"unknown field", `"request"`, `"more"`, false},
		{"no nonce", `,"nonce":"00112233445566778899aabbccddeeff"`, ``, false},
		{"short nonce", `eeff"`, `ee"`, false},
		{"nonce in upper case", `aabb`, `AABB`, false},
		{"time without zone", `07Z`, `07`, false},
		{"cut short", `"}`, ``, false},
		{"more behind", `"r"}`, `"r"} x`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			body := strings.Replace(good, test.old, test.new, 1)
			if test.old != "" && body == good {
				t.Fatalf("%q is not in the entry", test.old)
			}
			entry, err := onetime.ParseExpiredEntry([]byte(body))
			if ok := err == nil; ok != test.ok {
				t.Fatalf("error %v, want success: %t", err, test.ok)
			}
			if test.ok && string(entry.Marshal()) != body {
				t.Errorf("marshals as %s, want %s", entry.Marshal(), body)
			}
			if !test.ok && entry != (onetime.ExpiredEntry{}) {
				t.Errorf("refused, and yet there is %+v", entry)
			}
		})
	}
}

func TestParseValidEntry(t *testing.T) {
	const good = `{"version":1,"created":"2026-03-04T05:06:07Z","expires":"2026-03-04T06:06:07Z","key":"uploads/` + aUUID + `","limits":{}}`
	for _, test := range []struct {
		name, old, new string
		ok             bool
	}{
		{"as written", "", "", true},
		{"for seven days", "2026-03-04T06:06:07Z", "2026-03-11T05:06:07Z", true},
		{"for longer", "2026-03-04T06:06:07Z", "2026-03-11T05:06:08Z", false},
		{"for no time", "2026-03-04T06:06:07Z", "2026-03-04T05:06:07Z", false},
		{"key of an index entry", "uploads/", "signatures/expired/", false},
		{"key of another folder", "uploads/", "uploads/../", false},
		{"no key", `"key":"uploads/` + aUUID + `",`, ``, false},
		{"unknown limit", `{}`, `{"colour":"red"}`, false},
		{"limits that none can keep to", `{}`, `{"minBytes":2,"maxBytes":1}`, false},
		{"sha256 with a line end", `{}`, `{"sha256":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"}`, false},
		{"a name", `}}`, `},"name":"a b"}`, true},
		{"unknown field", `}}`, `},"colour":"red"}`, false},
		{"name that is a path", `}}`, `},"name":"../b"}`, false},
		{"label of two lines", `}}`, `},"label":"a\nb"}`, false},
		{"another version", `"version":1`, `"version":2`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			body := strings.Replace(good, test.old, test.new, 1)
			if test.old != "" && body == good {
				t.Fatalf("%q is not in the entry", test.old)
			}
			entry, err := onetime.ParseValidEntry([]byte(body))
			if ok := err == nil; ok != test.ok {
				t.Fatalf("error %v, want success: %t", err, test.ok)
			}
			if !test.ok && entry != (onetime.ValidEntry{}) {
				t.Errorf("refused, and yet there is %+v", entry)
			}
		})
	}
}

func TestParseID(t *testing.T) {
	id := onetime.Fingerprint("/path", "query")
	if got, err := onetime.ParseID(string(id)); err != nil || got != id {
		t.Errorf("ParseID(%q) = %q, %v", id, got, err)
	}
	for _, s := range []string{"", string(id[:63]), string(id) + "0", strings.ToUpper(string(id)), "g" + string(id[1:]), "../" + string(id[3:])} {
		if got, err := onetime.ParseID(s); err == nil || got != "" {
			t.Errorf("ParseID(%q) = %q, %v, want an error", s, got, err)
		}
	}
	// printf '%s' '/path?query' | sha256sum
	const want = "signatures/expired/32dbe9335686a64f7b941cfeb84b148bb6aec8eb6b64b256e9ff79aab463a878"
	if got := id.ExpiredKey(); got != want {
		t.Errorf("expired key %s, want %s", got, want)
	}
}

func TestReasonOf(t *testing.T) {
	cause := errors.New("cause")
	refusal := &onetime.Refusal{Reason: onetime.Used, Err: cause}
	if got := onetime.ReasonOf(refusal); got != onetime.Used {
		t.Errorf("reason %q, want used", got)
	}
	if got := onetime.ReasonOf(cause); got != onetime.Internal {
		t.Errorf("reason of what is no refusal: %q, want internal", got)
	}
	if !errors.Is(refusal, cause) {
		t.Error("a refusal hides its cause")
	}
	for fault, want := range map[*onetime.Fault]string{
		{Op: "Claim", Status: 503}:              "Claim: status 503",
		{Op: "Claim"}:                           "Claim: no answer",
		{Op: "Claim", Stale: true}:              "Claim: reused connection was dead",
		{Op: "Claim", Err: errors.New("reset")}: "Claim: no answer: reset",
	} {
		if fault.Error() != want {
			t.Errorf("%q, want %q", fault, want)
		}
	}
}
