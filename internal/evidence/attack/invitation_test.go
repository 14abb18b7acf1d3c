package attack

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"oncegate/internal/config"
	"oncegate/internal/evidence/testbed"
	"oncegate/internal/invite"
	"oncegate/internal/layout"
	"oncegate/internal/local/s3server/s3servertest"
)

// party is a deployment with keys, owners and an invitation.
type party struct {
	*field
	key       http.Header // of whoever made the invitation
	token, id string
}

// newParty makes an invitation with these terms.
func newParty(t *testing.T, terms string) *party {
	t.Helper()
	f := newField(t, func(s *testbed.Setup) { s.Settings["auth"], s.Settings["ownerApi"] = config.AuthAPIKey, true })
	key, _ := f.APIKey(t, "the host")
	p := &party{field: f, key: http.Header{"X-Api-Key": {key}}}
	header := p.key.Clone()
	header.Set("Accept", "application/json")
	header.Set("Content-Type", "application/json")
	a := f.Do(t, http.MethodPost, f.Edge.URL()+"/invitations", header, strings.NewReader(terms))
	var made struct{ ID, Token string }
	if err := json.Unmarshal([]byte(a.Body), &made); err != nil || made.Token == "" {
		t.Fatalf("%v, %v", a, err)
	}
	p.token, p.id = made.Token, made.ID
	f.Secret(made.Token)
	return p
}

// mint asks for a URL as a guest.
func (p *party) mint(t *testing.T) testbed.Answer {
	t.Helper()
	return p.Do(t, http.MethodGet, p.Edge.URL()+"/url", http.Header{"Authorization": {"Bearer " + p.token}}, nil)
}

// keys are the keys of all objects.
func (p *party) keys(t *testing.T) (keys []string) {
	t.Helper()
	page, err := s3servertest.Client(p.S3).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(s3servertest.Bucket)})
	if err != nil || aws.ToBool(page.IsTruncated) {
		t.Fatalf("list: %v", err)
	}
	for _, o := range page.Contents {
		keys = append(keys, aws.ToString(o.Key))
	}
	return keys
}

// TestInvitationToken: the token of an invitation gets URLs within its terms at /url and
// does nothing else, in no spelling but its own. Without it nothing is made or told: a
// scanner that follows a link has no token.
func TestInvitationToken(t *testing.T) {
	p := newParty(t, `{"label":"Acme","uploads":3,"life":600,"minBytes":2,"maxBytes":100,"type":"image/*"}`)
	minted := p.mint(t)
	if minted.Status != http.StatusOK {
		t.Fatal(minted)
	}
	m := aim(testbed.ParseMinted(t, minted.Body))
	bearer := "Authorization: Bearer " + p.token
	stranger, err := invite.NewToken(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	body := func(path, text string) string {
		return strings.TrimSuffix(put(path, "Content-Type: application/json", bearer), marker) + text + strings.Repeat(" ", len(marker)-len(text))
	}
	post := func(path, text string) string { return "POST" + strings.TrimPrefix(body(path, text), "PUT") }
	all := []attempt{
		{"its URL's state", "a guest asks about no URL", edge, head("GET", "/url/@id", bearer), "401 credential-invalid"},
		{"its URL revoked by id", "a guest revokes no URL by its id", edge, head("DELETE", "/url/@id", bearer), "401 credential-invalid"},
		{"an invitation by a guest", "a guest invites nobody", edge, post("/invitations", `{}`), "401 credential-invalid"},
		{"its own invitation", "a guest sees no more than its offer", edge, head("GET", "/invitations/"+p.id, bearer), "401 credential-invalid"},
		{"its own invitation revoked", "a guest revokes nothing", edge, head("DELETE", "/invitations/"+p.id, bearer), "401 credential-invalid"},
		{"an upload of Uppy", "a guest mints at /url", edge, post("/s3/multipart", `{}`), "401 credential-invalid"},
		{"a list of invitations", "there is none", edge, head("GET", "/invitations", bearer), "403 method"},
		{"an upload by the token alone", "an upload needs a URL", edge, put("/uploads/@uuid", bearer), anyhow},
		{"another upload by the token", "a URL is for one object", edge, put("/uploads/00000000-0000-4000-8000-000000000000?@query", bearer), "403 unknown"},

		{"a longer life", "an option may be stricter only", edge, head("GET", "/url?expires=601", bearer), "400 options"},
		{"more bytes", "an option may be stricter only", edge, head("GET", "/url?maxBytes=101", bearer), "400 options"},
		{"fewer bytes", "an option may be stricter only", edge, head("GET", "/url?minBytes=1", bearer), "400 options"},
		{"another type", "an option may be stricter only", edge, head("GET", "/url?type=text/html", bearer), "400 options"},
		{"several URLs", "one at a time", edge, head("GET", "/url?count=2", bearer), "400 options"},
		{"uploads", "the number is the invitation's", edge, head("GET", "/url?uploads=99", bearer), "400 options"},
		{"a name with an escape", "the operator's terminal shows it", edge, head("GET", "/url?name=a%1b%5b2J", bearer), "400 options"},
		{"a name that reads backwards", "the operator's terminal shows it", edge, head("GET", "/url?name=%E2%80%AEgpj.exe", bearer), "400 options"},
		{"a label with a line end", "the operator's terminal shows it", edge, head("GET", "/url?label=a%0ab", bearer), "400 options"},

		{"in the query", "the token travels in a header, not in logs", edge, head("GET", "/url?token="+p.token), "401 credential-missing"},
		{"in the path", "the token travels in a header, not in logs", edge, head("GET", "/url/"+p.token), "403 path"},
		{"as a key", "the token is no API key", edge, head("GET", "/url", "X-Api-Key: "+p.token), "401 credential-invalid"},
		{"as a cookie", "no cookie is read", edge, head("GET", "/url", "Cookie: authorization="+p.token), "401 credential-missing"},
		{"without a scheme", "the token is a bearer token", edge, head("GET", "/url", "Authorization: "+p.token), "401 credential-missing"},
		{"as a password", "the token is a bearer token", edge, head("GET", "/url", "Authorization: Basic "+p.token), "401 credential-missing"},
		{"twice", "one token", edge, head("GET", "/url", bearer, bearer), "401 invitation-unknown"},
		{"beside another", "one token", edge, head("GET", "/url", bearer, "Authorization: Bearer x"), "401 invitation-unknown"},
		{"two in a line", "one token", edge, head("GET", "/url", bearer+", Bearer "+p.token), "401 invitation-unknown"},
		{"in capitals", "a token has one spelling", edge, head("GET", "/url", "Authorization: Bearer ogi_"+strings.ToUpper(p.token[4:])), "401 invitation-unknown"},
		{"cut off", "a token has one spelling", edge, head("GET", "/url", bearer[:len(bearer)-1]), "401 invitation-unknown"},
		{"and more", "a token has one spelling", edge, head("GET", "/url", bearer+"0"), "401 invitation-unknown"},
		{"of nobody", "256 bits are not guessed", edge, head("GET", "/url", "Authorization: Bearer "+stranger), "401 invitation-unknown"},
		{"an offer to nobody", "256 bits are not guessed", edge, head("GET", "/invitation", "Authorization: Bearer "+stranger), "401 invitation-unknown"},
		{"its id", "the id is no secret and no token", edge, head("GET", "/url", "Authorization: Bearer ogi_"+p.id+"00000000"), "401 invitation-unknown"},

		{"an offer without a token", "a scanner has no token", edge, head("GET", "/invitation"), "401 invitation-unknown"},
		{"a URL without a token", "a scanner has no token", edge, head("GET", "/url"), "401 credential-missing"},
		{"a slot, by the gate", "nobody reads the bucket", edge, head("GET", "/"+layout.Invitations+"slots/"+p.id+"/000", bearer), anyhow},
		{"the record, at S3", "nobody reads the bucket", bucket, head("GET", "@prefix/"+layout.Invitations+p.id, bearer), anyhow},
		{"a slot, at S3", "nobody writes the bucket", bucket, put("@prefix/"+layout.Slots(p.id)+"000", bearer), anyhow},
	}
	before := p.keys(t)
	for _, a := range all {
		// A token of the right form may be looked up, and nothing more.
		if t.Run(a.name, func(t *testing.T) {
			p.refused(t, a, m, "GET keys/", "GET invitations/", "GetItem key#", "GetItem invitation#")
		}) {
			total.add(1)
		}
	}
	if after := p.keys(t); !slices.Equal(before, after) {
		t.Errorf("the bucket had %q, and has %q", before, after)
	}
	// The page behind the link is the same for everybody, and its answer needs no bucket.
	p.sinceThen()
	for _, method := range []string{"GET", "HEAD"} {
		if answer := verdict(method, p.speak(t, edge, p.fill(attempt{wire: head(method, "/upload")}, m))); answer != "200" {
			t.Errorf("%s of the page: %s", method, answer)
		}
	}
	if asked := p.sinceThen(); len(asked) > 0 {
		t.Errorf("the page asked S3 for %v", asked)
	}
	if a := p.Put(t, m.Minted, "x"); a.Reason() != "type" && a.Reason() != "too-small" {
		t.Errorf("the guest's own URL: %v", a)
	}
}

// TestGuestParksParts: a guest who begins uploads and ends none holds as many places as the
// invitation has, in as many parts as its limits mean, and a revoke ends all of it.
func TestGuestParksParts(t *testing.T) {
	p := newParty(t, `{"label":"Acme","uploads":2,"maxBytes":10}`)
	var urls []string
	for range 2 {
		a := p.mint(t)
		if a.Status != http.StatusOK {
			t.Fatal(a)
		}
		url := strings.TrimSpace(a.Body)
		if a := p.Do(t, http.MethodPost, url+"&uploads", nil, nil); a.Status != http.StatusOK {
			t.Fatalf("start: %v", a)
		}
		if a := p.Do(t, http.MethodPut, url+"&partNumber=1", nil, strings.NewReader(marker[:10])); a.Status != http.StatusOK {
			t.Fatalf("part: %v", a)
		}
		urls = append(urls, url)
	}
	if a := p.mint(t); a.Reason() != "invitation-full" {
		t.Errorf("a third: %v", a)
	}
	wanted := func(what, reason string, a testbed.Answer) {
		t.Helper()
		if a.Reason() != reason {
			t.Errorf("%s: %v, want %s", what, a, reason)
		}
	}
	for _, url := range urls {
		wanted("a longer part", "", p.Do(t, http.MethodPut, url+"&partNumber=1", nil, strings.NewReader(marker[:11])))
		wanted("more bytes", "too-large", p.Do(t, http.MethodPost, url+"&complete", nil, nil))
		wanted("more parts", "part", p.Do(t, http.MethodPut, url+"&partNumber=3", nil, strings.NewReader(marker[:10])))
	}
	if a := p.Do(t, http.MethodDelete, p.Edge.URL()+"/invitations/"+p.id, p.key, nil); a.Status != http.StatusOK {
		t.Fatal(a)
	}
	for _, url := range urls {
		wanted("a part after the revoke", "revoked", p.Do(t, http.MethodPut, url+"&partNumber=1", nil, strings.NewReader(marker[:10])))
		wanted("complete after the revoke", "revoked", p.Do(t, http.MethodPost, url+"&complete", nil, nil))
		p.WantVersions(t, testbed.ParseMinted(t, url).Key, 0)
	}
}
