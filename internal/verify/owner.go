package verify

import (
	"context"
	"regexp"
	"strings"

	"oncegate/internal/onetime"
)

// asksMint matches the requests that may need a credential. No other request carries one.
var asksMint = regexp.MustCompile(`^/url($|\?|/[0-9a-f]{64}$)`)

// credential returns the header with the credential, if there is one.
func (o Options) credential() []header {
	if name, value := o.Credential.Header(); name != "" {
		return []header{{name, value}}
	}
	return nil
}

// owned is a request about a URL, by its id.
func owned(what, method string, id onetime.ID) request {
	return request{what: what, method: method, target: "/url/" + string(id)}
}

func anonymous(q request) request {
	q.what += " without a credential"
	q.anonymous = true
	return q
}

// credentialLine checks that there is no URL without a credential, or with a wrong one.
func (r *run) credentialLine(ctx context.Context) error {
	good := r.o.credential()
	if good == nil {
		return skip("no API key and no token is known: give one where the deployment asks for it")
	}
	get := request{what: "GET /url", method: "GET", target: "/url"}
	post := request{what: "POST /url", method: "POST", target: "/url", body: strings.NewReader("{}"), length: 2, headers: []header{{"Content-Type", "application/json"}}}
	wrong, twice := get, get
	wrong.what, wrong.anonymous, wrong.headers = "GET /url with a wrong credential", true, []header{{good[0].name, good[0].value + "0"}}
	twice.what, twice.headers = "GET /url with the credential twice", good
	return r.expect(ctx, []expectation{
		{anonymous(get), 401, "credential-missing"},
		{anonymous(post), 401, "credential-missing"},
		{wrong, 401, "credential-invalid"},
		{twice, 401, "credential-invalid"},
	})
}

// owner asks about URLs by their ids. Without the setting there is nothing at these
// paths; with it they are the owner's.
func (r *run) owner(ctx context.Context) error {
	m, _, err := r.mint(ctx)
	if err != nil {
		return err
	}
	r.survives("owner", m)
	a, err := r.do(ctx, owned("GET /url/<id>", "GET", m.id))
	if err != nil {
		return err
	}
	on := !a.is(403, "path")
	if r.o.OwnerAPI != nil && *r.o.OwnerAPI != on {
		r.refused = r.refused[:len(r.refused)-1]
		if on {
			return want("403 path, for ownerApi is off", "%v", a)
		}
		return want("200, for ownerApi is on", "%v", a)
	}
	if !on {
		r.observe("it is off")
		return r.expect(ctx, []expectation{
			{owned("HEAD /url/<id>", "HEAD", m.id), 403, "path"},
			{owned("DELETE /url/<id>", "DELETE", m.id), 403, "path"},
		})
	}
	r.observe("it is on")
	if r.o.credential() == nil {
		return want("403 path or a credential to be asked for", "%v", a)
	}
	gone, _, err := r.mint(ctx)
	if err != nil {
		return err
	}
	never := onetime.Fingerprint(m.path(), "")
	for _, c := range []struct {
		q    request
		want string
	}{
		{owned("GET /url/<id> of an unspent URL", "GET", m.id), "minted"},
		{owned("GET /url/<id> of a used URL", "GET", r.first.id), "used"},
		{owned("DELETE /url/<id>", "DELETE", gone.id), "revoked"},
		{owned("DELETE /url/<id> again", "DELETE", gone.id), "revoked"},
		{owned("GET /url/<id> of a revoked URL", "GET", gone.id), "revoked"},
	} {
		a, err := r.do(ctx, c.q)
		if err != nil {
			return err
		}
		gone.spent = gone.spent || c.q.method == "DELETE" && a.status != 403
		if a.status != 200 || a.text != c.want {
			return want("200 "+c.want+" for "+c.q.what, "%v", a)
		}
	}
	return r.expect(ctx, []expectation{
		{put("a PUT of a revoked URL", gone.target, "x"), 403, "revoked"},
		{owned("DELETE /url/<id> of a used URL", "DELETE", r.first.id), 409, "used"},
		{owned("GET /url/<id> of no URL", "GET", never), 404, "unknown"},
		{owned("DELETE /url/<id> of no URL", "DELETE", never), 404, "unknown"},
		{anonymous(owned("GET /url/<id>", "GET", m.id)), 401, "credential-missing"},
		{anonymous(owned("HEAD /url/<id>", "HEAD", m.id)), 401, "credential-missing"},
		{anonymous(owned("DELETE /url/<id>", "DELETE", m.id)), 401, "credential-missing"},
	})
}
