package edge_test

import (
	"slices"
	"strings"
	"testing"

	"oncegate/edge"
	"oncegate/internal/onetime"
)

// TestHost: whatever is asked for, a request that does not name one host is refused as
// the client's mistake. Nothing is asked of S3, nothing made, spent or revoked.
func TestHost(t *testing.T) {
	w, ledger, _ := newOwnerWorld(t)
	path, query, id := w.owned(t, "")
	gate := func() edge.Event { return upload(t, path, query) }
	mint := func(method, uri string) func() edge.Event {
		return func() edge.Event {
			event := asking(t)
			event.Records[0].CF.Request.Method, event.Records[0].CF.Request.URI = method, uri
			return event
		}
	}
	requests := []struct {
		name, function string
		event          func() edge.Event
	}{
		{"mint", edge.MintFunction, mint("GET", "/url")},
		{"mint by POST", edge.MintFunction, mint("POST", "/url")},
		{"check", edge.MintFunction, mint("HEAD", "/url")},
		{"status", edge.MintFunction, mint("GET", "/url/"+string(id))},
		{"revoke", edge.MintFunction, mint("DELETE", "/url/"+string(id))},
		{"upload", edge.GateFunction, gate},
		{"another path", edge.GateFunction, mint("GET", "/")},
	}
	asked, keys := w.index.Tally(), w.store.Keys()
	ledger.Index.Store = nil // asked for anything, it panics: 503

	for _, hosts := range [][]string{
		nil, {""}, {"a.example", "a.example"}, {"a.example", ""},
		{" "}, {"a b"}, {" a"}, {"a\t"}, {"a\r\nx: y"}, {"a\n"}, {"a\x00"}, {"a\x7f"},
		{"a/b"}, {"a?b"}, {"a#b"}, {`a\b`}, {"user@a"}, {"a@b:1"}, {"a%2fb"}, {"a,b"}, {`a"b`}, {"a'b"}, {"a&b"}, {"a=b"}, {"<a>"},
		{"bücher.example"}, {"a\u2028b"}, {"a\u202eb"}, {"a\xffb"},
		{":80"}, {"a:"}, {"a:b"}, {"a:80:80"}, {"a:123456"}, {"a:-1"}, {"a:+1"}, {"::1"},
		{"[::1"}, {"[]"}, {"[]:80"}, {"[::1]80"}, {"[::1]:"}, {"[::1]:x"}, {"[fe80::1%25en0]"}, {"[a.example]"}, {"a[::1]"}, {"::1]"},
		{strings.Repeat("a", 260)},
	} {
		for _, request := range requests {
			event := request.event()
			headers := event.Records[0].CF.Request.Headers
			delete(headers, "host")
			for _, host := range hosts {
				headers["host"] = append(headers["host"], edge.Header{Value: host})
			}
			w.log.Reset()
			result := w.run(t, request.function, event)
			if reason := reasonOf(t, result); reason != onetime.Header || result.Response.Status != "400" {
				t.Errorf("%s with hosts %q: %+v, want 400 header", request.name, hosts, result)
			}
			if log := w.log.String(); !strings.Contains(log, `"level":"INFO"`) || !strings.Contains(log, `"message":"refused","function":"`+request.function+`","reason":"header"`) ||
				strings.Count(log, "\n") != 1 {
				t.Errorf("%s with hosts %q: log %s, want one line about a refusal, and none about an error", request.name, hosts, log)
			}
		}
	}
	if got := w.index.Tally(); got != asked {
		t.Errorf("index requests %s, want those of the mint before: %s", got, asked)
	}
	if got := w.store.Keys(); !slices.Equal(got, keys) {
		t.Errorf("store holds %v, want %v", got, keys)
	}
}

// TestMintedHost: a URL begins with the viewer's own host, as it was sent.
func TestMintedHost(t *testing.T) {
	for _, host := range []string{
		"a", "A.Example", "a.example.", "a_b:8080", "xn--bcher-kva.example", "127.0.0.1:8080", "localhost:0", "a:65535",
		"[::1]", "[::1]:8080", "[::ffff:127.0.0.1]", strings.Repeat("a", 253) + ":65535",
	} {
		w := newWorld(t)
		event := load(t, "get-url.json")
		event.Records[0].CF.Request.Headers["host"][0].Value = host
		response := w.run(t, edge.MintFunction, event).Response
		if response.Status != "200" || !strings.HasPrefix(response.Body, "https://"+host+"/uploads/") {
			t.Errorf("host %q: %+v", host, response)
		}
	}
}
