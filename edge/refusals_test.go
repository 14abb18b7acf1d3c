package edge_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"oncegate/edge"
	"oncegate/internal/onetime"
)

// reasons reads the constants of type Reason out of package onetime's source: Go
// has no other list of them.
func reasons(t *testing.T) (all []onetime.Reason) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../internal/onetime/onetime.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != "Reason" {
			return true
		}
		for _, value := range spec.Values {
			word, err := strconv.Unquote(value.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, onetime.Reason(word))
		}
		return true
	})
	return all
}

// TestRefusals: the table has a row for every reason and no other, each answers as
// every refusal does, and only two ask to be tried again.
func TestRefusals(t *testing.T) {
	want := slices.Sorted(slices.Values(reasons(t)))
	if got := slices.Sorted(maps.Keys(edge.Refusals)); !slices.Equal(got, want) {
		t.Errorf("edge/refusals.go has %v, want those of internal/onetime/onetime.go, %v", got, want)
	}
	for _, reason := range want {
		response := edge.Refusal(reason, "", false)
		status := edge.RowStatus(edge.Refusals[reason])
		if got, want := response.Status, strconv.Itoa(status); got != want {
			t.Errorf("%s: status %s, want %s", reason, got, want)
		}
		text := http.StatusText(status)
		if response.StatusDescription != text {
			t.Errorf("%s: status description %q, want %q", reason, response.StatusDescription, text)
		}
		if body := response.Body; !strings.HasPrefix(body, text+": ") || !strings.HasSuffix(body, ".") || strings.Contains(body, "\n") {
			t.Errorf("%s: body %q, want one sentence after %q", reason, body, text+": ")
		}
		headers := map[string]string{
			"content-type":      "text/plain; charset=utf-8",
			"cache-control":     "no-store",
			"x-oncegate-reason": string(reason),
			"x-amz-error-code":  string(reason),
		}
		if reason == onetime.IndexUnavailable || reason == onetime.KeysUnavailable {
			headers["retry-after"] = "1"
		}
		for name, want := range headers {
			if got := value(t, response, name); got != want {
				t.Errorf("%s: %s %q, want %q", reason, name, got, want)
			}
		}
		if len(response.Headers) != len(headers) {
			t.Errorf("%s: headers %v, want no others", reason, response.Headers)
		}
	}
	if got := reasonOf(t, edge.Result{Response: edge.Refusal("never heard of", "", false)}); got != onetime.Internal {
		t.Errorf("an unknown reason is answered as %q, want internal", got)
	}
}

// TestCORS: whose pages may read an answer, whatever the answer.
func TestCORS(t *testing.T) {
	const page = "https://app.example"
	list := []string{"https://other.example", page}
	for _, test := range []struct {
		name    string
		allowed []string
		origins []string
		want    string // of access-control-allow-origin, "" for none
		vary    string
	}{
		{"none allowed", nil, []string{page}, "", ""},
		{"none allowed, none asks", nil, nil, "", ""},
		{"all allowed", []string{"*"}, []string{page}, "*", ""},
		{"all allowed, none asks", []string{"*"}, nil, "*", ""},
		{"listed", list, []string{page}, page, "Origin"},
		{"not listed", list, []string{"https://evil.example"}, "", "Origin"},
		{"none asks", list, nil, "", "Origin"},
		{"listed twice over", list, []string{page, page}, "", "Origin"},
		{"both in one line", list, []string{page + ", https://other.example"}, "", "Origin"},
		{"prefix of a listed one", list, []string{"https://app.exampl"}, "", "Origin"},
		{"listed one as a prefix", list, []string{page + ".evil.example"}, "", "Origin"},
		{"another scheme", list, []string{"http://app.example"}, "", "Origin"},
		{"another spelling", list, []string{"https://APP.example"}, "", "Origin"},
		{"another port", list, []string{page + ":8443"}, "", "Origin"},
		{"sandboxed page", list, []string{"null"}, "", "Origin"},
		{"star as an origin", list, []string{"*"}, "", "Origin"},
		{"empty", list, []string{""}, "", "Origin"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, answer := range []struct{ function, event, status string }{
				{edge.MintFunction, "get-url.json", "200"},
				{edge.MintFunction, "put-upload.json", "403"},
				{edge.MintFunction, "preflight.json", "204"},
				{edge.GateFunction, "put-upload.json", "403"},
				{edge.GateFunction, "get-url.json", "403"},
				{edge.GateFunction, "preflight.json", "204"},
			} {
				w := newWorld(t)
				w.AllowedOrigins = test.allowed
				event := load(t, answer.event)
				headers := event.Records[0].CF.Request.Headers
				delete(headers, "origin")
				for _, origin := range test.origins {
					headers["origin"] = append(headers["origin"], edge.Header{Value: origin})
				}
				response := w.run(t, answer.function, event).Response
				what := answer.function + " of " + answer.event
				if response.Status != answer.status {
					t.Errorf("%s: status %s, want %s", what, response.Status, answer.status)
				}
				if got := value(t, response, "access-control-allow-origin"); got != test.want {
					t.Errorf("%s: allowed origin %q, want %q", what, got, test.want)
				}
				if got := value(t, response, "vary"); got != test.vary {
					t.Errorf("%s: vary %q, want %q", what, got, test.vary)
				}
				exposed := value(t, response, "access-control-expose-headers")
				if readable := strings.Contains(exposed, "x-oncegate-reason") && strings.Contains(exposed, "retry-after"); readable != (test.want != "") {
					t.Errorf("%s: exposed headers %q", what, exposed)
				}
				credentials := ""
				if test.want != "" && test.want != "*" {
					credentials = "true"
				}
				if got := value(t, response, "access-control-allow-credentials"); got != credentials {
					t.Errorf("%s: credentials allowed: %q, want %q", what, got, credentials)
				}
			}
		})
	}
}

// TestCORSAfterPanic: a page can read that something broke.
func TestCORSAfterPanic(t *testing.T) {
	w := newWorld(t)
	w.AllowedOrigins = []string{"*"}
	w.Minter = nil
	response := w.run(t, edge.MintFunction, load(t, "get-url.json")).Response
	if got := value(t, response, "access-control-allow-origin"); response.Status != "503" || got != "*" {
		t.Errorf("response %+v, want a readable 503", response)
	}
}
