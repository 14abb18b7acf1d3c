package onetime_test

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	"oncegate/internal/layout"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

func TestParseTags(t *testing.T) {
	for given, want := range map[string]string{
		"":                                   "",
		"project=blue":                       "project=blue",
		"project=blue&customer=acme":         "customer=acme&project=blue",
		"Cost Center=42":                     "Cost%20Center=42",
		"Cost+Center=4+2":                    "Cost%20Center=4%202",
		"a=%61%20b":                          "a=a%20b",
		"a=b=c":                              "a=b%3Dc",
		"a%3Db=c":                            "a%3Db=c",
		"a=%2B-=._:/@":                       "a=%2B-%3D._%3A%2F%40",
		"customer=Müller":                    "customer=M%C3%BCller",
		"Größe=%C3%A4":                       "Gr%C3%B6%C3%9Fe=%C3%A4",
		"a=1&A=2":                            "A=2&a=1",
		pairsOf(9):                           pairsOf(9),
		strings.Repeat("k", 128) + "=1":      strings.Repeat("k", 128) + "=1",
		"a=" + strings.Repeat("x", 256):      "a=" + strings.Repeat("x", 256),
		"a=" + strings.Repeat("%C3%A9", 170): "a=" + strings.Repeat("%C3%A9", 170),
	} {
		if got, err := onetime.ParseTags(given); err != nil || string(got) != want {
			t.Errorf("ParseTags(%.60q) = %.60q, %v, want %.60q", given, got, err, want)
		}
	}
	for _, given := range []string{
		"a", "=1", "a=", "a=1&", "&a=1", "a=1&&b=2", "a=1&a=2", "a=1&%61=2", "a=%0d%0ax-amz-acl: public-read", "a=\n", "a=\x00", "a=%zz", "a=%e", "a=+x", "a=x+", "a=%20",
		"a=1;b=2", "a=1,2", "a=<b>", "a=%26", "a%26=1", "a=%FF", "aws:x=1", "AWS:x=1", "oncegate=accepted", "Oncegate=accepted", "oncegate-x=1", pairsOf(10),
		strings.Repeat("k", 129) + "=1", "a=" + strings.Repeat("x", 257), "a=" + strings.Repeat("%C3%A9", 171),
		"a=" + strings.Repeat("x", 256) + "&b=" + strings.Repeat("x", 256) + "&c=" + strings.Repeat("x", 256) + "&d=" + strings.Repeat("x", 246),
	} {
		got, err := onetime.ParseTags(given)
		if err == nil || !strings.HasPrefix(err.Error(), "tags: want up to 9 pairs key=value") || got != "" {
			t.Errorf("ParseTags(%.60q) = %.60q, %v, want it refused", given, got, err)
		}
	}
}

// FuzzParseTags: what is taken has one spelling, which reads as the same tags, is short enough, and
// holds nothing that ends a header.
func FuzzParseTags(f *testing.F) {
	for _, s := range []string{"", "a=1", "b=2&a=1", "a=%20", "a b=c d", "a=+", "%61=%62", "aws:=1", "a=1&a=2", "Größe=\u00fc", "a=\U0001d4b3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tags, err := onetime.ParseTags(s)
		if err != nil {
			if onetime.AnyTags(s).Check() == nil {
				t.Errorf("%q is refused and then taken", s)
			}
			return
		}
		if again, err := onetime.ParseTags(string(tags)); err != nil || again != tags || tags.Check() != nil || onetime.AnyTags(s) != tags {
			t.Errorf("%q reads as %q, and that as %q, %v", s, tags, again, err)
		}
		if len(tags) > onetime.MaxTagsBytes || strings.ContainsFunc(string(tags), func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("%q is the header %q", s, tags)
		}
		query, err := url.ParseQuery(s)
		if err != nil {
			t.Fatalf("%q is taken: %v", s, err)
		}
		want := map[string]string{}
		for key, values := range query {
			want[key] = values[0]
			if lower := strings.ToLower(key); !layout.ValidTagKey(key) || !layout.ValidTagValue(values[0]) || strings.HasPrefix(lower, "aws:") || strings.HasPrefix(lower, "oncegate") {
				t.Errorf("%q has %q", s, key)
			}
		}
		if got := tags.Values(); !maps.Equal(got, want) || len(want) > onetime.MaxTags {
			t.Errorf("%q reads as %v, want %v", s, got, want)
		}
	})
}

// signing keeps which headers were to be signed.
type signing struct {
	onetime.Presigner
	headers map[string]string
}

func (s *signing) PresignUpload(ctx context.Context, key string, headers, metadata map[string]string, at time.Time, life time.Duration) (string, error) {
	s.headers = headers
	return s.Presigner.PresignUpload(ctx, key, headers, metadata, at, life)
}

// TestTagsAreSigned: what was minted is in a header that the gate signs; a multipart upload begins
// with it. The viewer's own goes nowhere.
func TestTagsAreSigned(t *testing.T) {
	for _, mode := range modes {
		w := newWorld(t)
		minted := w.order(t, onetime.Order{Tags: "cost%20center=4%202&project=blue"})
		entry, _, _ := w.store.Current(minted.ID.ValidKey())
		if !strings.HasSuffix(string(entry.Body), `,"tags":"cost%20center=4%202&project=blue"}`) {
			t.Errorf("entry %s", entry.Body)
		}
		own := upload(minted, "1")
		own.Headers = headers{"content-length": {"5"}, "x-amz-tagging": {"project=red"}, "x-amz-tagging-directive": {"REPLACE"}}
		m, _ := w.multipart(mode)
		m.WriteOnce = true // its condition is for the last step, not for this one
		start := ask(minted, "POST", "uploads")
		start.Headers = own.Headers
		if _, err := m.Start(t.Context(), start, w.deadline()); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"x-amz-tagging": "cost%20center=4%202&project=blue"}
		if got := w.store.UploadHeaders(w.store.Uploads()[0]); !maps.Equal(got, want) {
			t.Errorf("the multipart upload has %v", got)
		}
		part := ask(minted, "PUT", "partNumber=1")
		part.Headers = headers{"content-length": {"5"}, "x-amz-tagging": {"project=red"}}
		if pass, err := m.Part(t.Context(), part, w.deadline()); err != nil || len(pass.Headers) != 0 || strings.Contains(pass.Query, "tagging") {
			t.Errorf("a part passes as %+v, %v", pass, err)
		}
		gate, _ := w.gate(mode)
		signs := &signing{Presigner: onetimetest.Presigner{}}
		gate.Presigner = signs
		pass, err := gate.Decide(t.Context(), own, w.deadline())
		if err != nil || !maps.Equal(pass.Headers, want) || !maps.Equal(signs.headers, want) {
			t.Errorf("passes with %v, %v, signed are %v", pass.Headers, err, signs.headers)
		}
		for _, tags := range []string{"project=blue&cost%20center=1", "project=%62lue", "oncegate=accepted", "aws:x=1", "project", "project=", "project=b l", "a=\\n"} {
			body := strings.Replace(string(entry.Body), "cost%20center=4%202&project=blue", tags, 1)
			if e, err := onetime.ParseValidEntry([]byte(body)); err == nil {
				t.Errorf("%s is read as %+v", body, e)
			}
		}
	}
}

// TestTagsBounds: only keys that the settings name may be asked for.
func TestTagsBounds(t *testing.T) {
	bounds := onetime.Bounds{Tags: []string{"project", "cost center"}}
	for tags, want := range map[onetime.Tags]string{
		"":                             "",
		"project=blue":                 "",
		"cost%20center=1&project=blue": "",
		"customer=acme":                "tags: allowed are project, cost center",
		"Project=blue":                 "tags: allowed are project, cost center",
		"customer=acme&project=blue":   "tags: allowed are project, cost center",
		"project=blue&cost%20center=1": "tags: not in the form in which they are stored",
		"project":                      "tags: want up to 9 pairs key=value",
		"oncegate=accepted":            "tags: want up to 9 pairs key=value",
	} {
		if err := bounds.CheckTags(tags); (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("CheckTags(%s) = %v, want %q", tags, err, want)
		}
	}
	if err := (onetime.Bounds{}).CheckTags("project=blue"); err == nil || err.Error() != `tags: not enabled here; set "tags" in config.json` {
		t.Errorf("without the setting: %v", err)
	}
	w := newWorld(t)
	minter, _ := w.minter()
	if _, err := minter.Mint(t.Context(), onetime.Order{Tags: "other=1"}, w.deadline()); onetime.ReasonOf(err) != onetime.Options {
		t.Errorf("minted: %v", err)
	}
}

// TestTagsTakenAway: a gate that may not tag any more spends no URL that was minted with tags.
func TestTagsTakenAway(t *testing.T) {
	for _, mode := range modes {
		w := newWorld(t)
		minted := w.order(t, onetime.Order{Tags: "project=blue"})
		gate, _ := w.gate(mode)
		gate.Tags = false
		atOnce, _ := w.spender()
		atOnce.Tags = false
		for _, g := range []*onetime.Gate{gate, atOnce} {
			if _, err := g.Decide(t.Context(), upload(minted, "1"), w.deadline()); onetime.ReasonOf(err) != onetime.IndexUnavailable {
				t.Errorf("an upload: %v", err)
			}
		}
		m, _ := w.multipart(mode)
		m.Tags = false
		if _, err := m.Start(t.Context(), ask(minted, "POST", "uploads"), w.deadline()); onetime.ReasonOf(err) != onetime.IndexUnavailable || len(w.store.Uploads()) != 0 {
			t.Errorf("a start: %v, uploads %v", err, w.store.Uploads())
		}
		if who := w.claimants(t, minted.ID); len(who) != 0 {
			t.Errorf("spent by %v", who)
		}
		m.Tags = true
		if _, err := m.Start(t.Context(), ask(minted, "POST", "uploads"), w.deadline()); err != nil {
			t.Fatal(err)
		}
		m.Tags = false // what is under way has its tags
		if _, err := m.Start(t.Context(), ask(minted, "POST", "uploads"), w.deadline()); err != nil {
			t.Errorf("a second start: %v", err)
		}
	}
}

// TestTagsNotSigned: what cannot be signed does not pass, and the URL counts as spent.
func TestTagsNotSigned(t *testing.T) {
	w := newWorld(t)
	minted := w.order(t, onetime.Order{Tags: "project=blue"})
	gate, _ := w.gate(onetime.Conditional)
	gate.Presigner = onetimetest.Presigner{Err: errors.New("no credentials")}
	if pass, err := gate.Decide(t.Context(), upload(minted, "1"), w.deadline()); onetime.ReasonOf(err) != onetime.ClaimUnknown || pass.Headers != nil {
		t.Errorf("passes as %+v, %v", pass, err)
	}
}
