package edge_test

import (
	"fmt"
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

// TestPreflightHeaders: a page of an allowed origin may send whatever is let through or
// dropped. What it asks for is named, never answered by "*".
func TestPreflightHeaders(t *testing.T) {
	const tracing = "traceparent, tracestate, baggage, sentry-trace, x-datadog-trace-id, x-b3-traceid"
	const page = "https://app.example" // as in preflight.json
	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprintf("x-%d", i)
	}
	long := strings.Repeat("a", 1000)
	for _, test := range []struct {
		name       string
		asked      []string
		origins    []string
		gate, mint string // of access-control-allow-headers
	}{
		{"none", nil, []string{page}, "", ""},
		{"empty", []string{""}, []string{page}, "", ""},
		{"tracing", []string{tracing}, []string{page}, tracing, tracing},
		{"a credential", []string{"authorization,x-api-key,content-type"}, []string{page}, "authorization, x-api-key, content-type", "authorization, x-api-key, content-type"},
		{"to anybody", []string{"authorization"}, []string{"*"}, "authorization", "authorization"},
		{"what clients add", []string{"cache-control,pragma,x-requested-with,x-xsrf-token,x-amz-acl"}, []string{page}, "cache-control, pragma, x-requested-with, x-xsrf-token, x-amz-acl", "cache-control, pragma, x-requested-with, x-xsrf-token, x-amz-acl"},
		{"what the gate refuses", []string{"content-type, x-amz-copy-source, if-match, x-amz-object-lock-mode"}, []string{page}, "content-type", "content-type, x-amz-copy-source, if-match, x-amz-object-lock-mode"},
		{"what may be whole", []string{"content-range"}, []string{page}, "content-range", "content-range"},
		{"other cases and spaces", []string{"\tX-A ,Content-TYPE"}, []string{page}, "x-a, content-type", "x-a, content-type"},
		{"twice", []string{"x-api-key, X-Api-Key", "x-api-key"}, []string{page}, "x-api-key", "x-api-key"},
		{"no names", []string{"*, a b, \u0130, a:b, (x), ,x-\u212a, ok"}, []string{page}, "ok", "ok"},
		{"another origin", []string{"content-type"}, []string{"https://other.example"}, "", ""},
		{"no origin", []string{"content-type"}, nil, "", ""},
		{"too many", []string{strings.Join(many, ",")}, []string{page}, strings.Join(many[:64], ", "), strings.Join(many[:64], ", ")},
		{"too long", []string{"x-" + long + ",y-" + long + ",z-" + long}, []string{page}, "x-" + long + ", y-" + long, "x-" + long + ", y-" + long},
	} {
		for function, want := range map[string]string{edge.GateFunction: test.gate, edge.MintFunction: test.mint} {
			w := newWorld(t)
			w.AllowedOrigins = test.origins
			event := load(t, "preflight.json")
			headers := event.Records[0].CF.Request.Headers
			delete(headers, "access-control-request-headers")
			for _, line := range test.asked {
				headers["access-control-request-headers"] = append(headers["access-control-request-headers"], edge.Header{Value: line})
			}
			response := w.run(t, function, event).Response
			if got := value(t, response, "access-control-allow-headers"); got != want {
				t.Errorf("%s, %s: allowed headers %q, want %q", function, test.name, got, want)
			}
		}
	}
}
