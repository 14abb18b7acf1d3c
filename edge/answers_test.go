package edge_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"oncegate/edge"
	"oncegate/internal/onetime"
)

// minted is a URL as the JSON answer has it. It is spelt out again here so that a
// member that is renamed is noticed.
type minted struct {
	URL       string            `json:"url"`
	Method    string            `json:"method"`
	Headers   map[string]string `json:"headers"`
	ID        string            `json:"id"`
	ExpiresAt string            `json:"expiresAt"`
	Limits    struct {
		MinBytes int64  `json:"minBytes"`
		MaxBytes int64  `json:"maxBytes"`
		Type     string `json:"type"`
		SHA256   string `json:"sha256"`
	} `json:"limits"`
	Name  string `json:"name"`
	Label string `json:"label"`
}

func decode(t testing.TB, response *edge.Response, into any) {
	t.Helper()
	if got := value(t, response, "content-type"); got != "application/json" || value(t, response, "cache-control") != "no-store" {
		t.Fatalf("answer %+v, want JSON that no cache keeps", response)
	}
	decoder := json.NewDecoder(strings.NewReader(response.Body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%s: %v", response.Body, err)
	}
}

func TestJSONAnswer(t *testing.T) {
	w := newWorld(t)
	query := "expires=60&minBytes=1&maxBytes=5&type=image/png&sha256=" + sumHex + "&name=%3Ca%26b%3E.png&label=for+Ann"
	response := w.run(t, edge.MintFunction, acceptJSON(byQuery(t, query))).Response
	var got minted
	decode(t, response, &got)
	path, presigned, _ := strings.Cut(strings.TrimPrefix(got.URL, "https://d111111abcdef8.cloudfront.net"), "?")
	want := minted{
		URL: got.URL, Method: "PUT", Headers: map[string]string{"content-type": "image/png"},
		ID: string(onetime.Fingerprint(path, presigned)), ExpiresAt: "2026-03-04T05:07:07Z", Name: "<a&b>.png", Label: "for Ann",
	}
	want.Limits.MinBytes, want.Limits.MaxBytes, want.Limits.Type, want.Limits.SHA256 = 1, 5, "image/png", sumBase64
	if !reflect.DeepEqual(got, want) {
		t.Errorf("answer %+v\nwant   %+v", got, want)
	}
	if !strings.Contains(response.Body, got.URL) {
		t.Errorf("%s: want the URL in it as it is, for grep", response.Body)
	}

	// The time is exact: a nanosecond before it the URL is good, then no more.
	put := upload(t, path, presigned)
	put.Records[0].CF.Request.Headers["content-length"][0].Value = "5"
	put.Records[0].CF.Request.Headers["content-type"] = []edge.Header{{Value: got.Headers["content-type"]}}
	expires, err := time.Parse(time.RFC3339, got.ExpiresAt)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Set(expires)
	if reason := reasonOf(t, w.run(t, edge.GateFunction, put)); reason != onetime.Expired {
		t.Errorf("at expiresAt: reason %q, want expired", reason)
	}
	w.clock.Set(expires.Add(-1))
	forward := w.run(t, edge.GateFunction, put).Forward
	if forward == nil {
		t.Fatal("just before expiresAt: refused")
	}

	// What S3 must not see altered is signed, and nothing that was phrased freely.
	signed, err := w.presigner.PresignUpload(t.Context(), strings.TrimPrefix(path, "/"), map[string]string{"x-amz-checksum-sha256": sumBase64}, nil, w.clock.Now(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if forward.Querystring != signed {
		t.Errorf("forwards\n%s, want\n%s", forward.Querystring, signed)
	}
	set := edge.Headers{"x-amz-checksum-sha256": {{Value: sumBase64}}, "content-disposition": {{Value: "attachment; filename*=UTF-8''%3Ca%26b%3E.png"}}}
	if !reflect.DeepEqual(forward.Set, set) {
		t.Errorf("sets %v, want %v", forward.Set, set)
	}
}

// TestPlainJSON: what was not asked for is not there.
func TestPlainJSON(t *testing.T) {
	w := newWorld(t)
	for query, want := range map[string][]string{
		"":             {"expiresAt", "headers", "id", "limits", "method", "url"},
		"count=1":      {"urls"},
		"count=10":     {"urls"},
		"name=a":       {"expiresAt", "headers", "id", "limits", "method", "name", "url"},
		"type=image/*": {"expiresAt", "headers", "id", "limits", "method", "url"},
	} {
		var got map[string]json.RawMessage
		decode(t, w.run(t, edge.MintFunction, acceptJSON(byQuery(t, query))).Response, &got)
		var members []string
		for name := range got {
			members = append(members, name)
		}
		slices.Sort(members)
		if !slices.Equal(members, want) {
			t.Errorf("%q: members %v, want %v", query, members, want)
		}
		if all, ok := got["urls"]; ok {
			var urls []minted
			if err := json.Unmarshal(all, &urls); err != nil || fmt.Sprint("count=", len(urls)) != query {
				t.Errorf("%q: %d urls (%v)", query, len(urls), err)
			}
		} else if headers := string(got["headers"]); headers != "{}" {
			t.Errorf("%q: headers %s, want none", query, headers)
		}
	}
}

// TestNegotiation: JSON is for who asks for it by name, refusals included.
func TestNegotiation(t *testing.T) {
	for _, test := range []struct {
		accept []string
		json   bool
	}{
		{nil, false},
		{[]string{""}, false},
		{[]string{"*/*"}, false},
		{[]string{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}, false},
		{[]string{"application/*"}, false},
		{[]string{"application/jsonx"}, false},
		{[]string{"application/problem+json"}, false},
		{[]string{"text/plain; application/json"}, false},
		{[]string{"application/json"}, true},
		{[]string{"Application/JSON ; charset=utf-8"}, true},
		{[]string{"application/json, text/plain, */*"}, true},
		{[]string{"text/plain", "application/json;q=0.1"}, true},
		{[]string{"application/json;q=0"}, false},
		{[]string{"application/json; Q=0.000, */*"}, false},
		{[]string{"application/json;q=x"}, true},
	} {
		for _, about := range []struct {
			name, function, event string
			change                func(*edge.Request)
			status                string
		}{
			{"URL", edge.MintFunction, "get-url.json", func(*edge.Request) {}, "200"},
			{"HEAD", edge.MintFunction, "get-url.json", func(r *edge.Request) { r.Method = "HEAD" }, "200"},
			{"refused options", edge.MintFunction, "get-url.json", func(r *edge.Request) { r.Querystring = "x=1" }, "400"},
			{"refused upload", edge.GateFunction, "put-upload.json", func(*edge.Request) {}, "403"},
			{"fault", "no function of ours", "get-url.json", func(*edge.Request) {}, "503"},
		} {
			w := newWorld(t)
			event := load(t, about.event)
			headers := event.Records[0].CF.Request.Headers
			delete(headers, "accept")
			for _, line := range test.accept {
				headers["accept"] = append(headers["accept"], edge.Header{Value: line})
			}
			about.change(&event.Records[0].CF.Request)
			response := w.run(t, about.function, event).Response
			want := "text/plain; charset=utf-8"
			if test.json {
				want = "application/json"
			}
			if got := value(t, response, "content-type"); got != want || response.Status != about.status {
				t.Errorf("accept %q, %s: %s %s, want %s %s", test.accept, about.name, response.Status, got, about.status, want)
			}
			if asObject := json.Valid([]byte(response.Body)); response.Body != "" && asObject != test.json {
				t.Errorf("accept %q, %s: body %s", test.accept, about.name, response.Body)
			}
		}
	}
}

// TestJSONRefusals: every reason says in JSON what it says in text, with the same
// headers otherwise.
func TestJSONRefusals(t *testing.T) {
	for reason := range edge.Refusals {
		for _, detail := range []string{"", "expires: want more"} {
			text, asJSON := edge.Refusal(reason, detail, false), edge.Refusal(reason, detail, true)
			var got struct {
				Status  int    `json:"status"`
				Reason  string `json:"reason"`
				Message string `json:"message"`
			}
			decode(t, asJSON, &got)
			if fmt.Sprint(got.Status) != text.Status || asJSON.Status != text.Status || got.Reason != string(reason) || got.Message != text.Body {
				t.Errorf("%s: in text %+v, in JSON %+v %s", reason, text, asJSON, asJSON.Body)
			}
			if detail != "" && !strings.HasSuffix(text.Body, ": "+detail+".") {
				t.Errorf("%s: %q does not say %q", reason, text.Body, detail)
			}
			delete(text.Headers, "content-type")
			delete(asJSON.Headers, "content-type")
			if !reflect.DeepEqual(text.Headers, asJSON.Headers) {
				t.Errorf("%s: headers %v in text, %v in JSON", reason, text.Headers, asJSON.Headers)
			}
		}
	}
	if got := edge.Refusal("never heard of", "secret detail", true); strings.Contains(got.Body, "secret") {
		t.Errorf("an unknown reason tells its detail: %s", got.Body)
	}
}

// TestLongestAnswer: ten URLs with the longest of everything stay below the 40 KB,
// headers included, that a viewer-request function may generate.
func TestLongestAnswer(t *testing.T) {
	for _, filler := range []string{`"`, "\u00e9", "<", "\u202f", "😀", `x`} {
		w := newWorld(t)
		w.AllowedOrigins = []string{"https://" + strings.Repeat("o", 240) + ".example"}
		fill := func(n int) string { return url.QueryEscape(strings.Repeat(filler, n/len(filler))) }
		event := acceptJSON(byQuery(t, "count=10&expires=604800&minBytes=5368709120&maxBytes=5368709120&type=a/"+strings.Repeat("b", 125)+
			"&sha256="+sumHex+"&name="+fill(255)+"&label="+fill(128)))
		headers := event.Records[0].CF.Request.Headers
		headers["host"][0].Value = strings.Repeat("h", 253)
		headers["origin"] = []edge.Header{{Value: w.AllowedOrigins[0]}}
		response := w.run(t, edge.MintFunction, event).Response
		if response.Status != "200" {
			t.Fatalf("%q: %+v", filler, response)
		}
		whole, err := json.Marshal(response)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%q: body of %d bytes", filler, len(response.Body))
		if len(whole) >= 40<<10 {
			t.Errorf("%q: answer of %d bytes, at most 40 KB are allowed", filler, len(whole))
		}
	}
}
