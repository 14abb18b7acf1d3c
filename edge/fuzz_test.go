package edge_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

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
