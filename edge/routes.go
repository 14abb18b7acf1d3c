package edge

import (
	"context"
	"strings"

	"oncegate/internal/onetime"
)

// route is a path and all that may be done there.
type route struct {
	function string
	// path is a path as it is, one that ends in {id} for a URL's fingerprint, one with
	// other names in braces for what the handler reads, or anyPath.
	path string
	// enabled reports whether the deployment has the route; nil: always.
	enabled func(f *Functions) bool
	methods []method
	// refusesHeader reports whether a page may not send this header here. nil: it may send
	// any.
	refusesHeader func(name string) bool
	// refusals are the answers that differ here from the table of refusals.
	refusals table
}

// method is one thing that may be done with a path.
type method struct {
	name string
	// enabled reports whether the deployment has the method here; nil: always.
	enabled func(f *Functions) bool
	handle  func(f *Functions, ctx context.Context, c *call) (Result, error)
	// credential is needed, if the deployment asks for any.
	credential bool
	// invited: the token of an invitation takes the place of the credential.
	invited bool
	// does is for the client that has used another method: "takes it back".
	does string
}

// anyPath is for the function that CloudFront calls for every path that no other
// function has. It judges the path itself.
const anyPath = "*"

// routes is the one table of what is answered. The first route of a function that
// covers a path answers it. Preflights are answered from the table as well; for a path
// that no route covers they are those of the function's first route.
var routes = []route{
	{
		function: MintFunction, path: "/url",
		methods: []method{
			{name: methodGet, handle: (*Functions).mint, credential: true, invited: true},
			{name: methodHead, handle: (*Functions).checkOrder},
			{name: methodPost, handle: (*Functions).mint, credential: true, invited: true},
		},
	},
	{
		function: MintFunction, path: "/url/{id}", enabled: hasOwners, refusals: ownerRefusals,
		methods: []method{
			{name: methodGet, handle: (*Functions).status, credential: true, does: "says what became of the URL"},
			{name: methodHead, handle: (*Functions).status, credential: true},
			{name: methodDelete, handle: (*Functions).revoke, credential: true, does: "takes it back"},
		},
	},
	{
		function: MintFunction, path: "/invitation", enabled: hasInvitations,
		methods: []method{
			{name: methodGet, handle: (*Functions).offer, invited: true},
			{name: methodHead, handle: (*Functions).alive},
		},
	},
	{
		function: MintFunction, path: "/invitations", enabled: hasKeeper,
		methods: []method{{name: methodPost, handle: (*Functions).invite, credential: true}},
	},
	{
		function: MintFunction, path: "/invitations/{invitation}", enabled: hasKeeper, refusals: keeperRefusals,
		methods: []method{
			{name: methodGet, handle: (*Functions).invitationStatus, credential: true, does: "shows the invitation"},
			{name: methodDelete, handle: (*Functions).revokeInvitation, credential: true, does: "takes it back"},
		},
	},
	{
		function: MintFunction, path: "/s3/multipart", enabled: hasMultipart,
		methods: []method{{name: methodPost, handle: (*Functions).create, credential: true}},
	},
	{
		function: GateFunction, path: "/s3/multipart", enabled: hasMultipart,
		methods: []method{{name: methodPost, handle: (*Functions).createOf}},
	},
	{
		function: GateFunction, path: "/s3/multipart/{uploadId}/complete", enabled: hasMultipart,
		methods: []method{{name: methodPost, handle: (*Functions).completeUpload}},
	},
	{
		function: GateFunction, path: "/s3/multipart/{uploadId}/{partNumber}", enabled: hasMultipart,
		methods: []method{{name: methodGet, handle: (*Functions).signPart}},
	},
	{
		function: GateFunction, path: "/s3/multipart/{uploadId}", enabled: hasMultipart,
		methods: []method{
			{name: methodGet, handle: (*Functions).listUpload},
			{name: methodDelete, handle: (*Functions).abortUpload},
		},
	},
	{
		function: GateFunction, path: "/s3/params", enabled: hasMultipart,
		methods: []method{{name: methodGet, handle: (*Functions).companionParams}},
	},
	{
		function: GateFunction, path: anyPath, refusesHeader: onetime.RefusesHeader,
		methods: []method{
			{name: methodPut, handle: (*Functions).upload},
			{name: methodPost, handle: (*Functions).post, enabled: hasMultipart},
			{name: methodGet, handle: (*Functions).listParts, enabled: hasMultipart},
			{name: methodDelete, handle: (*Functions).giveUp, enabled: hasMultipart},
		},
	},
}

// hasOwners: without credentials nobody owns anything.
func hasOwners(f *Functions) bool { return f.Owner != nil && f.Auth != nil }

// covers reports whether the route is about a path. What stands in place of {id} need
// not be a fingerprint.
func (r *route) covers(path string) bool {
	if strings.Contains(r.path, "{") {
		return placeholders(r.path, path) != nil
	}
	return r.path == anyPath || r.path == path
}

// placeholders returns what stands in a path in place of each {name} of a pattern, or nil if
// the path has another form. The last one takes all that is left.
func placeholders(pattern, path string) (values []string) {
	for {
		fixed, rest, more := strings.Cut(pattern, "{")
		if !more {
			if path != fixed {
				return nil
			}
			return values
		}
		below, ok := strings.CutPrefix(path, fixed)
		if _, pattern, _ = strings.Cut(rest, "}"); !ok {
			return nil
		}
		if pattern == "" {
			return append(values, below)
		}
		value, _, ok := strings.Cut(below, "/")
		if !ok {
			return nil
		}
		values, path = append(values, value), below[len(value):]
	}
}

// find returns the route that covers the call's path or, if none does, the
// function's first one and false.
func (f *Functions) find(c *call) (found *route, covers bool) {
	for i := range routes {
		r := &routes[i]
		if r.function != c.function || r.enabled != nil && !r.enabled(f) {
			continue
		}
		if r.covers(c.request.URI) {
			return r, true
		}
		if found == nil {
			found = r
		}
	}
	return found, false
}

// dispatch hands the call to what is there for its path and method, once its host is
// known and its credential holds.
func (f *Functions) dispatch(ctx context.Context, c *call) (Result, error) {
	var err error
	if c.host, err = parseHost(c.request.Headers); err != nil {
		return Result{}, err
	}
	r, covers := f.find(c)
	if !covers {
		return Result{}, &onetime.Refusal{Reason: onetime.Path}
	}
	c.route = r
	if prefix, ok := strings.CutSuffix(r.path, "{id}"); ok {
		if c.id, err = onetime.ParseID(c.request.URI[len(prefix):]); err != nil {
			return Result{}, &onetime.Refusal{Reason: onetime.Path}
		}
	}
	m := r.method(f, c.request.Method)
	if m == nil {
		return Result{}, &onetime.Refusal{Reason: onetime.Method, Detail: r.whatMethodsDo()}
	}
	if err := f.authorize(ctx, c, m); err != nil {
		return Result{}, err
	}
	return m.handle(f, ctx, c)
}

// authorize finds out who sent a request, as far as its method asks. The token of an
// invitation binds wherever it is sent to a method that makes or shows something, also in a
// deployment that asks for no credential or where another one is sent as well: whoever has
// it wants what it is good for, and no more.
func (f *Functions) authorize(ctx context.Context, c *call, m *method) (err error) {
	if !m.credential && !m.invited {
		return nil // as at the gate, where the URL is enough
	}
	token, given := invitationToken(c.request.Headers)
	switch {
	case given && m.invited:
		c.invitation, err = f.parseInvitation(token)
	case given && m.credential:
		return &onetime.Refusal{Reason: onetime.CredentialInvalid, Detail: "the token of an invitation gets URLs at /url, and nothing here"}
	case m.credential && f.Auth != nil:
		c.by, err = f.Auth.Authorize(ctx, c.request.Headers, c.deadline)
	}
	return err
}

func (r *route) method(f *Functions, name string) *method {
	for i := range r.methods {
		if m := &r.methods[i]; m.name == name && m.has(f) {
			return m
		}
	}
	return nil
}

func (m *method) has(f *Functions) bool { return m.enabled == nil || m.enabled(f) }

// whatMethodsDo tells a client that has used a wrong method which ones there are, in
// the words of the table, or "" where that has none.
func (r *route) whatMethodsDo() string {
	text := ""
	for _, m := range r.methods {
		switch {
		case m.does == "":
			continue
		case text == "":
			text = "this method is not allowed here; "
		default:
			text += ", "
		}
		text += m.name + " " + m.does
	}
	return text
}
