package edge_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"oncegate/edge"
	"oncegate/internal/onetime"
)

// FuzzHandle: any bytes as an event end in one valid result, and none is forwarded
// without a claim in the store. Mint is always given the same values, so that an
// event can hold the URL that the store knows.
func FuzzHandle(f *testing.F) {
	path, query := newWorld(f).mint(f)
	good, err := json.Marshal(upload(f, path, query))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(edge.GateFunction, good)
	f.Add(edge.GateFunction, []byte(strings.Replace(string(good), "PUT", "OPTIONS", 1)))
	f.Add(edge.GateFunction, []byte(strings.Replace(string(good), `"uri"`, `"URI"`, 1)))
	f.Add(edge.GateFunction, []byte(strings.Replace(string(good), `"content-length"`, `"content-length":null,"Content-Length"`, 1)))
	f.Add(edge.GateFunction, []byte(strings.Replace(string(good), path, path+`\u0000`, 1)))
	f.Add(edge.MintFunction, []byte(strings.NewReplacer("PUT", "GET", path, "/url", "X-Amz", "").Replace(string(good))))
	f.Add(edge.MintFunction, []byte(`{"Records":[{"cf":{"config":{"eventType":"viewer-request"},"request":{"uri":"/url","method":"GET","querystring":"","headers":{"host":[{"value":"h"}]}}}}]}`))
	f.Add("", []byte(`{}`))
	f.Fuzz(func(t *testing.T, function string, eventJSON []byte) {
		w := newWorld(t)
		w.mint(t)
		result := w.runJSON(t, function, eventJSON) // fails the test unless it is one result
		claimed := slices.ContainsFunc(w.store.Keys(), func(key string) bool {
			return strings.HasPrefix(key, onetime.ID("").ExpiredKey())
		})
		if result.Forward != nil {
			if !claimed || !strings.Contains(result.Forward.Querystring, "X-Amz-Signature=") {
				t.Errorf("forwarded, claimed %t: %+v", claimed, result.Forward)
			}
			return
		}
		if claimed {
			t.Errorf("refused, and yet claimed: %+v", result.Response)
		}
		if status, err := strconv.Atoi(result.Response.Status); err != nil || status < 200 || status > 599 {
			t.Errorf("status %q", result.Response.Status)
		}
	})
}

// FuzzOrders: any query and any body end in one answer; what is refused wrote
// nothing and repeats nothing long of what was sent; what is granted is in bounds,
// in the index as in the answer, and below what CloudFront lets a function generate.
func FuzzOrders(f *testing.F) {
	for _, query := range []string{"", "expires=5", "count=10&name=%22%5C&label=%26", "type=image/*&minBytes=1&maxBytes=5", "sha256=" + sumHex, "sha256=" + sumBase64, "a=b&a=b", "name=%ff", "count=01"} {
		f.Add("GET", query, "", true)
	}
	for _, body := range []string{`{}`, `{"expires":5,"name":"é"}`, `{"count":10}`, `{"a":[{}]}`, `{}}`, `{"name":"\ud800"}`} {
		f.Add("POST", "", body, false)
	}
	f.Fuzz(func(t *testing.T, method, query, body string, asJSON bool) {
		if method != "GET" && method != "POST" && method != "HEAD" {
			return
		}
		w := newWorld(t)
		event := byBody(t, body)
		event.Records[0].CF.Request.Method = method
		event.Records[0].CF.Request.Querystring = query
		if asJSON {
			event = acceptJSON(event)
		}
		response := w.run(t, edge.MintFunction, event).Response
		if size := len(response.Body); size > 40<<10-1000 {
			t.Errorf("answer of %d bytes", size)
		}
		if response.Status != "200" {
			if tally := w.index.Tally(); tally != "" || response.Status != "400" {
				t.Errorf("%s %q %q: status %s, index requests %s", method, query, body, response.Status, tally)
			}
			return
		}
		all := w.entries(t) // each of them parses
		if method == "HEAD" {
			if len(all) != 0 || response.Body != "" {
				t.Errorf("HEAD: %d entries, %q", len(all), response.Body)
			}
			return
		}
		if len(all) < 1 || len(all) > 10 || strings.Count(response.Body, "https://") < len(all) {
			t.Errorf("%d entries, answer %q", len(all), response.Body)
		}
		if asJSON && !json.Valid([]byte(response.Body)) {
			t.Errorf("answer %q", response.Body)
		}
		for _, entry := range all {
			if life := entry.Expires.Sub(entry.Created); life < time.Second || life > onetime.MaxLife || len(entry.Name) > 255 || len(entry.Label) > 128 {
				t.Errorf("%q %q: entry %+v", query, body, entry)
			}
		}
	})
}
