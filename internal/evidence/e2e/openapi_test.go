package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"oncegate/internal/cfn"
	"oncegate/internal/config"
	"oncegate/internal/evidence/testbed"
	"oncegate/internal/local/s3server"
	"oncegate/internal/local/s3server/s3servertest"
)

func init() { openapi3filter.RegisterBodyDecoder("application/xml", openapi3filter.FileBodyDecoder) }

// document reads openapi.yaml, and fails the test if it is not valid OpenAPI.
func document(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile(root + "/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return doc
}

func properties(t *testing.T, doc *openapi3.T, schema string) openapi3.Schemas {
	t.Helper()
	s := doc.Components.Schemas[schema]
	if s == nil || len(s.Value.Properties) == 0 {
		t.Fatalf("there is no schema %s", schema)
	}
	return s.Value.Properties
}

// TestDocument: the document has every option in both places, every reason, and the web
// ACL's answer, in the words of the code.
func TestDocument(t *testing.T) {
	testbed.DefaultRuntimeOnly(t, "the API is the same")
	doc := document(t)
	options := slices.Sorted(maps.Keys(properties(t, doc, "Order")))
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		var parameters []string
		for _, p := range doc.Paths.Value("/url").GetOperation(method).Parameters {
			parameters = append(parameters, p.Value.Name)
			if p.Value.Schema.Value != doc.Components.Schemas["Order"].Value.Properties[p.Value.Name].Value {
				t.Errorf("%s: %s has another schema than in the body", method, p.Value.Name)
			}
		}
		slices.Sort(parameters)
		if !slices.Equal(parameters, options) {
			t.Errorf("%s has parameters %v, the body options %v", method, parameters, options)
		}
	}

	code, err := os.ReadFile(root + "/internal/onetime/onetime.go")
	if err != nil {
		t.Fatal(err)
	}
	var reasons []any
	for _, m := range regexp.MustCompile(`Reason\s+= "([a-z-]+)"`).FindAllSubmatch(code, -1) {
		reasons = append(reasons, string(m[1]))
	}
	if got := doc.Components.Schemas["Reason"].Value.Enum; len(got) == 0 || !slices.Equal(got, reasons) {
		t.Errorf("reasons %v, in the code %v", got, reasons)
	}

	deployment, err := cfn.Read(root + "/internal/cfn/testdata/full")
	if err != nil {
		t.Fatal(err)
	}
	var body any
	if err := json.Unmarshal([]byte(deployment.WebACL.CustomResponseBodies["rate"].Content), &body); err != nil {
		t.Fatal(err)
	}
	if err := doc.Components.Schemas["RateLimited"].Value.VisitJSON(body, openapi3.EnableJSONSchema2020()); err != nil {
		t.Errorf("the web ACL's answer %v: %v", body, err)
	}
}

// driver makes requests and compares the answers with the document.
type driver struct {
	*testbed.Stack
	doc  *openapi3.T
	seen *sightings
}

// sightings are the answers that were seen, by method, path and status. Several clients of a
// race may note theirs at once.
type sightings struct {
	mu   sync.Mutex
	rows map[string]bool
}

func (s *sightings) note(row string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[row] = true
}

func (d *driver) do(t *testing.T, method, rawURL string, header http.Header, body string) testbed.Answer {
	t.Helper()
	var reader io.Reader
	if body != "" || method == http.MethodPut {
		reader = strings.NewReader(body)
	}
	a := d.Do(t, method, rawURL, header, reader)
	d.check(t, method, rawURL, a)
	return a
}

// check compares one answer with the document: status, headers, media type and body.
func (d *driver) check(t *testing.T, method, rawURL string, a testbed.Answer) {
	t.Helper()
	request, err := http.NewRequest(method, rawURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := "/url"
	switch {
	case strings.HasPrefix(request.URL.Path, "/url/"):
		path = "/url/{id}"
	case strings.HasPrefix(request.URL.Path, "/invitations/"):
		path = "/invitations/{invitation}"
	case strings.HasPrefix(request.URL.Path, "/invitation"):
		path = request.URL.Path
	case strings.HasPrefix(request.URL.Path, "/uploads/"):
		path = "/uploads/{id}"
	case strings.HasPrefix(request.URL.Path, "/s3/"):
		path = uppyPath(request.URL.Path)
	}
	item := d.doc.Paths.Value(path)
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: request,
			Route:   &routers.Route{Spec: d.doc, Path: path, PathItem: item, Method: method, Operation: item.GetOperation(method)},
		},
		Status:  a.Status,
		Header:  a.Header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	}
	input.SetBodyBytes([]byte(a.Body))
	if err := openapi3filter.ValidateResponse(t.Context(), input); err != nil {
		t.Errorf("%s %.80s: %v is not as documented: %v", method, rawURL, a, err)
	}
	status := strconv.Itoa(a.Status)
	if item.GetOperation(method).Responses.Value(status) == nil {
		status = status[:1] + "XX"
	}
	d.seen.note(method + " " + path + " " + status)
}

// candidates are values at, just over and far over the bounds that a schema states,
// and some of the wrong form. The schema says which of them are good.
func candidates(s *openapi3.Schema) (values []any) {
	if s.Type.Is("integer") {
		for _, v := range []float64{*s.Min - 1, *s.Min, *s.Min + 1, *s.Max - 1, *s.Max, *s.Max + 1, *s.Max * 1000, math.Ceil(*s.Max/2) + 0.5} {
			values = append(values, v)
		}
		return append(values, "", "x")
	}
	values = []any{"", "\x00", "a\nb", "*/*", "text/html; charset=utf-8"}
	for _, e := range s.Examples {
		values = append(values, e, e.(string)[1:]+"\n", "\t"+e.(string), strings.Repeat(e.(string), 1000))
	}
	if s.MaxLength != nil {
		n := int(*s.MaxLength)
		for _, n := range []int{n - 1, n, n + 1, n + 1000} {
			values = append(values, strings.Repeat("x", n), "a/"+strings.Repeat("x", n-2))
		}
	}
	return values
}

// TestDocumentedOptions asks for every documented option at its documented bounds,
// in every way. Exactly what the document allows is granted.
func TestDocumentedOptions(t *testing.T) {
	testbed.DefaultRuntimeOnly(t, "the API is the same")
	doc := document(t)
	st := testbed.New(t, func(s *testbed.Setup) {
		s.Settings["sha256"], s.Settings["maxExpires"], s.Settings["maxBytes"] = true, 604800, config.MaxUpload
		s.Settings["prefixes"], s.Settings["tags"] = []string{"*"}, []string{"project", "customer"}
	})
	d := &driver{st, doc, &sightings{rows: map[string]bool{}}}
	accept := http.Header{"Accept": {"application/json"}}
	for name, ref := range properties(t, doc, "Order") {
		good, bad := 0, 0
		for _, value := range candidates(ref.Value) {
			want := http.StatusOK
			if ref.Value.VisitJSON(value, openapi3.EnableJSONSchema2020()) != nil {
				want = http.StatusBadRequest
				bad++
			} else {
				good++
			}
			text := fmt.Sprint(value)
			if f, ok := value.(float64); ok && f == math.Trunc(f) {
				text = fmt.Sprintf("%.0f", f)
			}
			if len(text) > 6000 {
				continue // over CloudFront's limit on URLs, not ours
			}
			target := st.Edge.URL() + "/url?" + name + "=" + url.QueryEscape(text)
			body, err := json.Marshal(map[string]any{name: value})
			if err != nil {
				t.Fatal(err)
			}
			for how, a := range map[string]testbed.Answer{
				"GET":         d.do(t, http.MethodGet, target, nil, ""),
				"GET as JSON": d.do(t, http.MethodGet, target, accept, ""),
				"HEAD":        d.do(t, http.MethodHead, target, nil, ""),
				"POST": d.do(t, http.MethodPost, st.Edge.URL()+"/url",
					http.Header{"Accept": {"application/json"}, "Content-Type": {"application/json"}}, string(body)),
			} {
				if a.Status != want {
					t.Errorf("%s, %s=%.60q: %v, the document means %d", how, name, text, a, want)
				}
			}
		}
		if good == 0 || bad == 0 {
			t.Errorf("%s: %d values that are documented as good, %d as bad: nothing was tried", name, good, bad)
		}
	}
}

// multipartAnswers causes what is answered about parts.
func multipartAnswers(t *testing.T, d *driver) {
	t.Helper()
	fault := func(f s3server.Fault, of string, do func()) {
		d.EveryRequest(func(r *http.Request) s3server.Fault {
			if of == "" || s3server.Call(r) == of {
				return f
			}
			return s3server.Fault{}
		})
		do()
		d.EveryRequest(nil)
	}
	for _, accept := range []string{"*/*", "application/json"} {
		with := http.Header{"Accept": {accept}}
		m := ask(t, d.Stack, "type=image/png&maxBytes=3&minBytes=2")
		altered := m.URL[:len(m.URL)-1] + flip(m.URL)
		d.do(t, http.MethodPut, m.URL+"&partNumber=1", with, "xx") // not started
		d.do(t, http.MethodGet, m.URL+"&parts", with, "")
		d.do(t, http.MethodGet, m.URL+"&parts&after=0", with, "")
		d.do(t, http.MethodGet, m.URL, with, "")
		d.do(t, http.MethodPost, m.URL+"&complete", with, "")
		d.do(t, http.MethodPost, m.URL+"&complete=1", with, "")
		d.do(t, http.MethodPost, altered+"&uploads", with, "")
		d.do(t, http.MethodDelete, altered, with, "")
		d.do(t, http.MethodPost, m.URL+"&uploads", http.Header{"Accept": {accept}, "Content-Type": {"text/html"}}, "x")
		fault(s3server.Fault{Kind: s3server.Answer, Status: 403}, "", func() {
			d.do(t, http.MethodPost, m.URL+"&uploads", with, "")
			d.do(t, http.MethodGet, m.URL+"&parts", with, "")
			d.do(t, http.MethodDelete, m.URL, with, "")
		})
		d.do(t, http.MethodPost, m.URL+"&uploads", with, "")
		d.do(t, http.MethodPut, m.URL+"&partNumber=2000", with, "xx")
		d.do(t, http.MethodPut, m.URL+"&partNumber=1", with, "xxxx")
		d.do(t, http.MethodPost, m.URL+"&complete", with, "") // too large
		d.do(t, http.MethodPut, m.URL+"&partNumber=1", with, "xxx")
		d.do(t, http.MethodGet, m.URL+"&parts", with, "")
		fault(s3server.Fault{Kind: s3server.Drop}, "POST uploads/?uploadId", func() {
			d.do(t, http.MethodPost, m.URL+"&complete", with, "") // it goes on
		})
		d.do(t, http.MethodPost, m.URL+"&complete", with, "")
		d.do(t, http.MethodDelete, ask(t, d.Stack, "").URL, with, "")
	}
}

// TestDocumentedAnswers causes every answer that the document has.
func TestDocumentedAnswers(t *testing.T) {
	testbed.DefaultRuntimeOnly(t, "the API is the same")
	doc := document(t)
	st := testbed.New(t, withOptions("https://app.example"))
	d := &driver{st, doc, &sightings{rows: map[string]bool{}}}
	mint := st.Edge.URL() + "/url"
	ofType := func(kind string) http.Header { return http.Header{"Content-Type": {kind}} }

	fault := func(f s3server.Fault, do func()) {
		st.EveryRequest(func(*http.Request) s3server.Fault { return f })
		do()
		st.EveryRequest(nil)
	}
	for _, accept := range []string{"*/*", "application/json"} {
		with := func(h http.Header) http.Header {
			h = h.Clone()
			if h == nil {
				h = http.Header{}
			}
			h.Set("Accept", accept)
			return h
		}
		d.do(t, http.MethodOptions, mint, with(nil), "")
		d.do(t, http.MethodGet, mint+"?count=2", with(nil), "")
		d.do(t, http.MethodGet, mint+"?x=1", with(nil), "")
		d.do(t, http.MethodHead, mint, with(nil), "")
		d.do(t, http.MethodHead, mint+"?x=1", with(nil), "")
		d.do(t, http.MethodPost, mint, with(ofType("application/json")), `{"count":2,"label":"x"}`)
		d.do(t, http.MethodPost, mint, with(ofType("text/plain")), `{}`)
		m := ask(t, st, "type=image/png&minBytes=2&maxBytes=3&sha256="+sumOf(2))
		d.do(t, http.MethodOptions, m.URL, with(nil), "")
		d.do(t, http.MethodPut, m.URL, with(ofType("text/html")), "xx")
		d.do(t, http.MethodPut, m.URL, with(ofType("image/png")), "xxxx")
		d.do(t, http.MethodPut, m.URL, with(ofType("image/png")), "x")
		d.do(t, http.MethodPut, m.URL[:len(m.URL)-1]+flip(m.URL), with(nil), "xx")
		d.do(t, http.MethodPut, m.URL, with(http.Header{"Content-Md5": {"x"}}), "xx")
		chunked := d.Do(t, http.MethodPut, m.URL, with(nil), io.MultiReader(strings.NewReader("xx"))) // of no known length
		d.check(t, http.MethodPut, m.URL, chunked)
		fault(s3server.Fault{Kind: s3server.Answer, Status: 403}, func() {
			d.do(t, http.MethodPut, m.URL, with(ofType("image/png")), "xx")
			d.do(t, http.MethodGet, mint, with(nil), "")
			d.do(t, http.MethodPost, mint, with(ofType("application/json")), `{}`)
		})
		d.do(t, http.MethodPut, m.URL, with(ofType("image/png")), "xy") // of another sum: S3's answer
		d.do(t, http.MethodPut, m.URL, with(ofType("image/png")), "xx") // used
		if a := d.do(t, http.MethodPut, ask(t, st, "").URL, with(nil), "xx"); a.Header.Get("X-Amz-Version-Id") == "" {
			t.Errorf("an upload: %v without x-amz-version-id", a)
		}
		moved := ask(t, st, "")
		st.FaultOn(moved.Name, func(*http.Request) s3server.Fault { return s3server.Fault{Kind: s3server.Answer, Status: 307} })
		d.do(t, http.MethodPut, moved.URL, with(nil), "xx")
		st.FaultOn(moved.Name, nil)
		m = ask(t, st, "")
		if _, err := s3servertest.Client(st.S3).PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String(s3servertest.Bucket), Key: &m.Key, Body: bytes.NewReader(nil),
		}); err != nil {
			t.Fatal(err)
		}
		d.do(t, http.MethodPut, m.URL, with(nil), "xx") // writeOnce: S3's answer
	}

	multipartAnswers(t, d)
	companionAnswers(t, d)

	closed := &driver{testbed.New(t, apiKeys), doc, d.seen}
	for _, accept := range []string{"*/*", "application/json"} {
		header := http.Header{"Accept": {accept}, "Content-Type": {"application/json"}}
		closed.do(t, http.MethodGet, closed.Edge.URL()+"/url", header, "")
		closed.do(t, http.MethodPost, closed.Edge.URL()+"/url", header, "{}")
		header.Set("X-Api-Key", "x")
		closed.do(t, http.MethodGet, closed.Edge.URL()+"/url", header, "")
	}

	owned(t, doc, d.seen)
	off := closed.Edge.URL() + "/url/" + strings.Repeat("0", 64)
	closed.do(t, http.MethodGet, off, nil, "")
	closed.do(t, http.MethodDelete, off, nil, "")
	off = closed.Edge.URL() + "/invitations"
	closed.do(t, http.MethodPost, off, nil, "")
	closed.do(t, http.MethodGet, off+"/"+strings.Repeat("0", 64), nil, "")
	closed.do(t, http.MethodDelete, off+"/"+strings.Repeat("0", 64), nil, "")
	closed.do(t, http.MethodPost, closed.Edge.URL()+"/s3/multipart", http.Header{"Content-Type": {"application/json"}}, "{}")

	var missing []string
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			for status := range operation.Responses.Map() {
				if row := method + " " + path + " " + status; !d.seen.rows[row] && status != "429" { // the web ACL's
					missing = append(missing, row)
				}
			}
		}
	}
	slices.Sort(missing)
	if len(missing) > 0 {
		t.Errorf("documented, and not brought about: %q", missing)
	}
}
