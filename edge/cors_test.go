package edge_test

import (
	"strings"
	"testing"

	"oncegate/edge"
)

// TestForeignOriginIsLogged: a page that may not read answers sees only that its
// request failed, so the log says why. It repeats nothing but an origin.
func TestForeignOriginIsLogged(t *testing.T) {
	list := []string{"http://localhost:3000"}
	for _, test := range []struct {
		name            string
		allowed, origin []string
		want            string // "" for no line
	}{
		{"listed", list, list, ""},
		{"none sent", list, nil, ""},
		{"all allowed", []string{"*"}, []string{"http://127.0.0.1:3000"}, ""},
		{"its own page", list, []string{"https://d111111abcdef8.cloudfront.net"}, ""},
		{"another spelling of it", list, []string{"http://127.0.0.1:3000"}, "http://127.0.0.1:3000"},
		{"none allowed", nil, []string{"http://127.0.0.1:3000"}, "http://127.0.0.1:3000"},
		{"two", list, []string{"http://localhost:3000", "http://localhost:3000"}, "http://localhost:3000"},
		{"a sandboxed page", list, []string{"null"}, "null"},
		{"a query", list, []string{"https://a.example/?X-Amz-Signature=0"}, "malformed"},
		{"too long", list, []string{"https://" + strings.Repeat("a", 93)}, "malformed"},
		{"as long as it may be", list, []string{"https://" + strings.Repeat("a", 92)}, "https://" + strings.Repeat("a", 92)},
		{"of a terminal", list, []string{"https://a.example\x1b[2J"}, "malformed"},
		{"empty", list, []string{""}, "malformed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.AllowedOrigins = test.allowed
			event := load(t, "preflight.json")
			request := &event.Records[0].CF.Request
			delete(request.Headers, "origin")
			for _, origin := range test.origin {
				request.Headers["origin"] = append(request.Headers["origin"], edge.Header{Value: origin})
			}
			w.run(t, edge.GateFunction, event)
			log := w.log.String()
			if test.want == "" {
				if log != "" {
					t.Errorf("log %s, want nothing", log)
				}
				return
			}
			for _, want := range []string{`"level":"INFO"`, `"message":"origin not allowed"`, `"function":"gate"`, `"origin":"` + test.want + `"`, `"request":"`} {
				if !strings.Contains(log, want) {
					t.Errorf("log %s, want %s", log, want)
				}
			}
			if strings.Count(log, "\n") != 1 {
				t.Errorf("log %s, want one line", log)
			}
		})
	}
}
