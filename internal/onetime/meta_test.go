package onetime_test

import (
	"maps"
	"net/url"
	"strings"
	"testing"

	"oncegate/internal/onetime"
)

// pairsOf are n pairs with different names.
func pairsOf(n int) string {
	var all []string
	for i := range n {
		all = append(all, string(rune('a'+i))+"=1")
	}
	return strings.Join(all, "&")
}

func TestParseMeta(t *testing.T) {
	for given, want := range map[string]string{
		"":                                "",
		"order=17":                        "order=17",
		"order=17&customer=acme":          "customer=acme&order=17",
		"a-b2=x+y":                        "a-b2=x%20y",
		"a=%61%20b":                       "a=a%20b",
		"%61=1":                           "a=1",
		"a=b=c":                           "a=b%3Dc",
		"a=b%26c":                         "a=b%26c",
		"a=/%7E~!\"":                      "a=%2F~~%21%22",
		pairsOf(10):                       pairsOf(10),
		"a=" + strings.Repeat("x", 1023):  "a=" + strings.Repeat("x", 1023),
		strings.Repeat("n", 32) + "=1":    strings.Repeat("n", 32) + "=1",
		"x-amz-meta-order=17":             "x-amz-meta-order=17", // it becomes x-amz-meta-x-amz-meta-order
		"once=1&oncegat=2&my-oncegate=17": "my-oncegate=17&once=1&oncegat=2",
	} {
		if got, err := onetime.ParseMeta(given); err != nil || string(got) != want {
			t.Errorf("ParseMeta(%.60q) = %.60q, %v, want %.60q", given, got, err, want)
		}
	}
	for _, given := range []string{
		"a", "=1", "a=", "a=1&", "&a=1", "a=1&&b=2", "a=1&a=2", "a=1&%61=2", "A=1", "a_b=1", "a.b=1", "1a=1", "-a=1", "a b=1", "é=1", "a%0d=1", "a:=1",
		"a=%0d%0ax: y", "a=\n", "a=\x00", "a=\x7f", "a=é", "a=%zz", "a=%e", "a=+x", "a=x+", "a=%20", "a=1;b=2\t",
		"oncegate=1", "oncegate-version=1", pairsOf(11), "a=" + strings.Repeat("x", 1024), strings.Repeat("n", 33) + "=1",
	} {
		got, err := onetime.ParseMeta(given)
		if err == nil || !strings.HasPrefix(err.Error(), "meta: want up to 10 pairs name=value") || got != "" {
			t.Errorf("ParseMeta(%.60q) = %.60q, %v, want it refused", given, got, err)
		}
	}
}

// FuzzParseMeta: what is taken has one spelling, which reads as the same pairs, and holds
// nothing that ends a header or a parameter.
func FuzzParseMeta(f *testing.F) {
	for _, s := range []string{"", "a=1", "b=2&a=1", "a=%20", "a=b%26c=d", "a=+", "%61=%62", "oncegate=1", "a=1&a=2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		meta, err := onetime.ParseMeta(s)
		if err != nil {
			if onetime.AnyMeta(s).Check() == nil {
				t.Errorf("%q is refused and then taken", s)
			}
			return
		}
		if again, err := onetime.ParseMeta(string(meta)); err != nil || again != meta || meta.Check() != nil {
			t.Errorf("%q reads as %q, and that as %q, %v", s, meta, again, err)
		}
		want := map[string]string{}
		query, err := url.ParseQuery(s)
		if err != nil {
			if strings.Contains(s, ";") { // which net/url refuses
				return
			}
			t.Fatalf("%q is taken: %v", s, err)
		}
		size := 0
		for name, values := range query {
			want[name] = values[0]
			size += len(name) + len(values[0])
			if strings.ContainsFunc(name+values[0], func(r rune) bool { return r < ' ' || r > '~' }) || name != strings.ToLower(name) {
				t.Errorf("%q has %q", s, name)
			}
		}
		if got := meta.Values(); !maps.Equal(got, want) || size > onetime.MaxMetaBytes || len(want) > onetime.MaxMetaPairs {
			t.Errorf("%q reads as %v, want %v of %d bytes", s, got, want, size)
		}
	})
}

// TestMetaIsSigned: what was minted is in what the gate signs, and not among the headers, where
// CloudFront might drop it; a multipart upload begins with it. The viewer's own goes nowhere.
func TestMetaIsSigned(t *testing.T) {
	w := newWorld(t)
	minted := w.order(t, onetime.Order{Meta: "customer=acme&order=17%20b"})
	entry, _, _ := w.store.Current(minted.ID.ValidKey())
	if !strings.HasSuffix(string(entry.Body), `,"meta":"customer=acme&order=17%20b"}`) {
		t.Errorf("entry %s", entry.Body)
	}
	own := upload(minted, "1")
	own.Headers = headers{"content-length": {"5"}, "x-amz-meta-order": {"18"}, "x-amz-meta-mine": {"1"}}
	m, _ := w.multipart(onetime.Conditional)
	start := ask(minted, "POST", "uploads")
	start.Headers = own.Headers
	if _, err := m.Start(t.Context(), start, w.deadline()); err != nil {
		t.Fatal(err)
	}
	if got := w.store.UploadHeaders(w.store.Uploads()[0]); !maps.Equal(got, map[string]string{"x-amz-meta-customer": "acme", "x-amz-meta-order": "17 b"}) {
		t.Errorf("the multipart upload has %v", got)
	}
	gate, _ := w.gate(onetime.Conditional)
	pass, err := gate.Decide(t.Context(), own, w.deadline())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(pass.Query, "&x-amz-meta-customer=acme&x-amz-meta-order=17+b&") || len(pass.Headers) != 0 {
		t.Errorf("signed %s, headers %v", pass.Query, pass.Headers)
	}
	for _, meta := range []string{"order=17&customer=acme", "a=%61", "oncegate-version=1", "a", "a=\\n", "A=1"} {
		body := strings.Replace(string(entry.Body), "customer=acme&order=17%20b", meta, 1)
		if e, err := onetime.ParseValidEntry([]byte(body)); err == nil {
			t.Errorf("%s is read as %+v", body, e)
		}
	}
}
