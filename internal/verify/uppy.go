package verify

import (
	"context"
	"encoding/base64"
	"strings"
)

// uppy sends a file in one part as Uppy does. Complete has its list of parts in a body, which
// only one behavior of the distribution shows the gate.
func (r *run) uppy(ctx context.Context) error {
	m, _, err := r.mint(ctx)
	if err != nil {
		return err
	}
	upload := "/s3/multipart/" + base64.RawURLEncoding.EncodeToString([]byte(m.target))
	get := func(what, below, key string) request {
		return request{what: what, method: "GET", target: upload + below + "?key=" + key, body: strings.NewReader("")}
	}
	complete := func(what, etag string) request {
		body := `{"parts":[{"PartNumber":1,"ETag":"` + etag + `"}]}`
		return request{
			what: what, method: "POST", target: upload + "/complete?key=" + m.key, headers: []header{{"Content-Type", "application/json"}},
			body: strings.NewReader(body), length: int64(len(body)),
		}
	}
	sign := get("the address of a part", "/1", m.key)
	a, err := r.do(ctx, sign)
	switch {
	case err != nil:
		return err
	case a.is(403, "method"):
		r.observe("it is off")
		r.survives("uppy", m)
		return nil
	case a.status != 200 || !strings.Contains(a.text, "partNumber=1"):
		return want("200 for "+sign.what, "%v", a)
	}
	r.observe("it is on")
	m.spent, m.parts = true, true // from here on, perhaps
	a, err = r.do(ctx, put("a part", m.target+"&partNumber=1", "part"))
	if err != nil {
		return err
	}
	etag := strings.Trim(a.header.Get("Etag"), `"`)
	if a.status != 200 || etag == "" {
		return want("200 with an etag for a part", "%v", a)
	}
	if err := r.expect(ctx, []expectation{
		{get("a list with another key", "", m.key+"x"), 403, "unknown"},
		{complete("a complete of other parts", strings.Repeat("0", len(etag))), 409, "incomplete"},
	}); err != nil {
		return err
	}
	for _, c := range []struct {
		q    request
		want string // in the answer
	}{
		{get("the list of parts", "", m.key), etag}, {complete("complete", etag), m.key}, {complete("complete again", etag), m.key},
	} {
		a, err := r.do(ctx, c.q)
		switch {
		case err != nil:
			return err
		case a.status != 200 || !strings.Contains(a.text, c.want):
			return want("200 for "+c.q.what, "%v", a)
		}
	}
	m.stored = true
	return r.expect(ctx, []expectation{{put("a PUT after complete", m.target, "x"), 403, "used"}})
}
