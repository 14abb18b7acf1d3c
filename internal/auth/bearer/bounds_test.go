package bearer_test

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"oncegate/internal/auth/bearer"
	"oncegate/internal/config"
	"oncegate/internal/onetime"
)

// boundsClaim is a name as Auth0 wants it for claims of one's own.
const boundsClaim = "https://example.com/uploads"

// newBoundedWorld asks for the claim in every token.
func newBoundedWorld() *world {
	w := newWorld()
	w.Authorizer = bearer.NewAuthorizer(bearer.Accepted{Issuer: issuer, Audience: audience, BoundsClaim: boundsClaim}, w.site, w.clock)
	return w
}

// bounded is a token whose claim has this text, whatever it is.
func bounded(t testing.TB, claim string) string {
	return rawEnd(t, `,"`+boundsClaim+`":`+claim+`}`)
}

// TestBounds: a token may ask for what its claim says. Without the claim, or with one that is
// not clear, it does not hold.
func TestBounds(t *testing.T) {
	atMost := func(bytes int64) string { return bounded(t, fmt.Sprintf(`{"maxBytes":%d}`, bytes)) }
	for _, tt := range []struct {
		name  string
		token string
		want  onetime.Allowance
		cause string // "" for: holds
	}{
		{"no bounds", bounded(t, `{}`), onetime.Allowance{}, ""},
		{"all of them", bounded(t, ` { "expires": 900, "minBytes": 1, "maxBytes": 20000000, "type": "image/*,application/pdf", "prefix": "kiosk/12" } `),
			onetime.Allowance{Life: 15 * time.Minute, MinBytes: 1, MaxBytes: 20_000_000, Type: "image/*,application/pdf", Prefix: "kiosk/12"}, ""},
		{"one of them", bounded(t, `{"maxBytes":5}`), onetime.Allowance{MaxBytes: 5}, ""},
		{"an escape", bounded(t, `{"pre\u0066ix":"\u006biosk"}`), onetime.Allowance{Prefix: "kiosk"}, ""},
		{"the longest life", bounded(t, `{"expires":604800}`), onetime.Allowance{Life: onetime.MaxLife}, ""},
		{"the largest size", atMost(onetime.MaxUploadBytes), onetime.Allowance{MaxBytes: onetime.MaxUploadBytes}, ""},
		{"a name in another case besides", rawEnd(t, `,"HTTPS://example.com/uploads":{"maxBytes":9},"`+boundsClaim+`":{"maxBytes":5}}`), onetime.Allowance{MaxBytes: 5}, ""},

		{"no claim", good(t), onetime.Allowance{}, "want an object"},
		{"its name in another case", rawEnd(t, `,"https://example.com/Uploads":{}}`), onetime.Allowance{}, "want an object"},
		{"its name with a slash", rawEnd(t, `,"`+boundsClaim+`/":{}}`), onetime.Allowance{}, "want an object"},
		{"null", bounded(t, `null`), onetime.Allowance{}, "want an object"},
		{"a list", bounded(t, `[{"maxBytes":5}]`), onetime.Allowance{}, "want an object"},
		{"an empty list", bounded(t, `[]`), onetime.Allowance{}, "want an object"},
		{"text", bounded(t, `"{}"`), onetime.Allowance{}, "want an object"},
		{"a number", bounded(t, `5`), onetime.Allowance{}, "want an object"},
		{"true", bounded(t, `true`), onetime.Allowance{}, "want an object"},
		{"the claim twice", bounded(t, `{"maxBytes":5},"`+boundsClaim+`":{}`), onetime.Allowance{}, "each name stands once"},
		{"the claim twice, once with an escape", bounded(t, `{"maxBytes":5},"\u0068ttps://example.com/uploads":{}`), onetime.Allowance{}, "each name stands once"},
		{"a member twice", bounded(t, `{"maxBytes":5,"maxBytes":5}`), onetime.Allowance{}, "a member is there twice"},
		{"an unknown member twice", bounded(t, `{"Confidential":5,"Confidential":5}`), onetime.Allowance{}, "a member is there twice"},
		{"an unknown member", bounded(t, `{"Confidential":5}`), onetime.Allowance{}, "a member that is not known"},
		{"an unknown member beside", bounded(t, `{"maxBytes":5,"Confidential":"Confidential"}`), onetime.Allowance{}, "a member that is not known"},
		{"a member in another case", bounded(t, `{"MaxBytes":5}`), onetime.Allowance{}, "a member that is not known"},
		{"a long s in a member", bounded(t, `{"expire\u017f":5}`), onetime.Allowance{}, "a member that is not known"},
		{"a member without a name", bounded(t, `{"":5}`), onetime.Allowance{}, "a member that is not known"},
		{"a name as keys have it", bounded(t, `{"max-bytes":5}`), onetime.Allowance{}, "a member that is not known"},
		{"the limit sha256", bounded(t, `{"sha256":"Confidential"}`), onetime.Allowance{}, "a member that is not known"},
		{"perDay", bounded(t, `{"perDay":5}`), onetime.Allowance{}, "perDay: not for tokens"},
		{"perDay is 0", bounded(t, `{"perDay":0}`), onetime.Allowance{}, "perDay: not for tokens"},

		{"expires is text", bounded(t, `{"expires":"900"}`), onetime.Allowance{}, `"expires": want a whole number`},
		{"expires has a fraction", bounded(t, `{"expires":900.0}`), onetime.Allowance{}, `"expires": want a whole number`},
		{"expires has an exponent", bounded(t, `{"expires":9e2}`), onetime.Allowance{}, `"expires": want a whole number`},
		{"expires is null", bounded(t, `{"expires":null}`), onetime.Allowance{}, `"expires": want a whole number`},
		{"maxBytes is true", bounded(t, `{"maxBytes":true}`), onetime.Allowance{}, `"maxBytes": want a whole number`},
		{"maxBytes is too large for a number", bounded(t, `{"maxBytes":99999999999999999999}`), onetime.Allowance{}, `"maxBytes": want a whole number`},
		{"minBytes is a list", bounded(t, `{"minBytes":[5]}`), onetime.Allowance{}, `"minBytes": want a whole number`},
		{"type is a list", bounded(t, `{"type":["image/png"]}`), onetime.Allowance{}, `"type": want a string`},
		{"prefix is null", bounded(t, `{"prefix":null}`), onetime.Allowance{}, `"prefix": want a string`},
		{"prefix is a number", bounded(t, `{"prefix":7}`), onetime.Allowance{}, `"prefix": want a string`},

		// In the record of a key these are no bound.
		{"expires is 0", bounded(t, `{"expires":0}`), onetime.Allowance{}, "0 or empty"},
		{"maxBytes is 0", bounded(t, `{"maxBytes":0}`), onetime.Allowance{}, "0 or empty"},
		{"maxBytes is -0", bounded(t, `{"maxBytes":-0}`), onetime.Allowance{}, "0 or empty"},
		{"minBytes is 0", bounded(t, `{"minBytes":0}`), onetime.Allowance{}, "0 or empty"},
		{"type is empty", bounded(t, `{"type":""}`), onetime.Allowance{}, "0 or empty"},
		{"prefix is empty", bounded(t, `{"maxBytes":5,"prefix":""}`), onetime.Allowance{}, "0 or empty"},

		{"expires is negative", bounded(t, `{"expires":-1}`), onetime.Allowance{}, "expires: want whole seconds from 1 to 604800"},
		{"expires is too long", bounded(t, `{"expires":604801}`), onetime.Allowance{}, "expires: want whole seconds from 1 to 604800"},
		{"expires that a duration cannot hold", bounded(t, `{"expires":18446744074}`), onetime.Allowance{}, "expires: want whole seconds"},
		{"maxBytes is negative", bounded(t, `{"maxBytes":-5}`), onetime.Allowance{}, "maxBytes: want 1 to"},
		{"maxBytes is too much", atMost(onetime.MaxUploadBytes + 1), onetime.Allowance{}, "maxBytes: want 1 to"},
		{"minBytes is negative", bounded(t, `{"minBytes":-1}`), onetime.Allowance{}, "minBytes: want 0 to maxBytes"},
		{"minBytes above maxBytes", bounded(t, `{"minBytes":6,"maxBytes":5}`), onetime.Allowance{}, "minBytes: want 0 to maxBytes"},
		{"type in capitals", bounded(t, `{"type":"Image/Confidential"}`), onetime.Allowance{}, "type: want MIME types"},
		{"any type", bounded(t, `{"type":"*/*"}`), onetime.Allowance{}, "type: want MIME types"},
		{"prefix in capitals", bounded(t, `{"prefix":"Confidential"}`), onetime.Allowance{}, "prefix: want 1 to 64"},
		{"prefix with a slash behind", bounded(t, `{"prefix":"kiosk/"}`), onetime.Allowance{}, "prefix: want 1 to 64"},
		{"prefix that leads out", bounded(t, `{"prefix":"../signatures"}`), onetime.Allowance{}, "prefix: want 1 to 64"},
		{"prefix as a pattern", bounded(t, `{"prefix":"kiosk/*"}`), onetime.Allowance{}, "prefix: want 1 to 64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			by, reason, err := newBoundedWorld().ask(headers{"authorization": {"Bearer " + tt.token}})
			nothingOf(t, tt.token, err)
			if tt.cause == "" {
				if err != nil || by.Label != "alice" || by.Allows != tt.want {
					t.Errorf("it may ask for %+v (%+v, %v), want %+v", by.Allows, by, err, tt.want)
				}
				return
			}
			if reason != onetime.CredentialInvalid || by != (onetime.Credential{}) || !strings.Contains(err.Error(), tt.cause) {
				t.Errorf("got %+v, %q, %v; want %q", by, reason, err, tt.cause)
			}
			if strings.Contains(err.Error(), "Confidential") {
				t.Errorf("the error quotes the token: %v", err)
			}
		})
	}
}

// TestNoBoundsClaim: without the setting a claim is like any other, and what it says is not
// looked at.
func TestNoBoundsClaim(t *testing.T) {
	for _, claim := range []string{`{"maxBytes":5}`, `{"perDay":5}`, `null`, `[]`, `"x"`} {
		by, _, err := newWorld().ask(headers{"authorization": {"Bearer " + bounded(t, claim)}})
		if err != nil || by.Label != "alice" || by.Allows != (onetime.Allowance{}) {
			t.Errorf("%s: %+v, %v", claim, by, err)
		}
	}
}

// TestBoundsOfAStranger: who cannot sign cannot say what a token may ask for, be it in the
// header, beside the claims, or in those of another token.
func TestBoundsOfAStranger(t *testing.T) {
	wide, narrow := strings.Split(bounded(t, `{}`), "."), strings.Split(bounded(t, `{"maxBytes":5}`), ".")
	for name, token := range map[string]string{
		"claims of a wider token":       narrow[0] + "." + wide[1] + "." + narrow[2],
		"a stranger's signature":        sign(t, jwt.SigningMethodRS256, strangerKey, "r", with(boundsClaim, map[string]any{})),
		"a claim in the header":         raw(t, `{"`+boundsClaim+`":{},`, ""),
		"a member of another claim":     rawEnd(t, `,"own":{"`+boundsClaim+`":{}}}`),
		"a claim that begins like ours": rawEnd(t, `,"https":{}}`),
	} {
		if _, reason, err := newBoundedWorld().ask(headers{"authorization": {"Bearer " + token}}); reason != onetime.CredentialInvalid {
			t.Errorf("%s: %q, %v", name, reason, err)
		}
	}
}

// TestRegisteredClaims: no claim that means something else can be named for bounds.
func TestRegisteredClaims(t *testing.T) {
	for _, name := range bearer.ClaimNames {
		_, err := config.Parse([]byte(`{"bucket":"abc","auth":{"jwt":{"issuer":"i","audience":"a","jwks":"https://i/k","boundsClaim":"` + name + `"}}}`))
		if err == nil || !strings.Contains(err.Error(), `boundsClaim is "`+name+`"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzBounds: whatever an issuer puts into the claim, a token that holds has bounds that are
// all of it.
func FuzzBounds(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"expires":900,"minBytes":1,"maxBytes":20000000,"type":"image/*","prefix":"kiosk"}`, `{"maxBytes":0}`, `{"maxBytes":5,"maxBytes":6}`,
		`{"perDay":1}`, `{"MaxBytes":5}`, `{"expires":18446744074}`, `{"type":""}`, `null`, `[]`, `"x"`, `{"prefix":"a/../b"}`, `{"maxBytes":1e3}`,
		`{},"x":{}`, `{"maxBytes":5},"` + boundsClaim + `":{}`, `{"pre\u0066ix":"a"}`, `{"minBytes":6,"maxBytes":5}`, `{"maxBytes":-5}`,
	} {
		f.Add(seed)
	}
	header := b64([]byte(`{"alg":"EdDSA","kid":"d"}`))
	claims := strings.TrimSuffix(string(must(json.Marshal(claims()))), "}")
	w := newBoundedWorld()
	f.Fuzz(func(t *testing.T, claim string) {
		w.clock.Set(start) // fetching moved it on
		content := header + "." + b64([]byte(claims+`,"`+boundsClaim+`":`+claim+`}`))
		by, reason, err := w.ask(headers{"authorization": {"Bearer " + content + "." + b64(ed25519.Sign(edKey, []byte(content)))}})
		if reason != "" {
			if reason != onetime.CredentialInvalid || by != (onetime.Credential{}) {
				t.Errorf("%s: %+v, %q, %v", claim, by, reason, err)
			}
			return
		}
		all := map[string]json.RawMessage{}
		if err := json.Unmarshal([]byte(claims+`,"`+boundsClaim+`":`+claim+`}`), &all); err != nil {
			t.Fatalf("%s: holds, and is no JSON: %v", claim, err)
		}
		var given, taken map[string]any
		if err := json.Unmarshal(all[boundsClaim], &given); err != nil || given == nil {
			t.Fatalf("%s: holds, and is no object: %v", claim, err)
		}
		if err := json.Unmarshal(must(by.Allows.MarshalJSON()), &taken); err != nil || by.Allows.Check() != nil || by.Allows.PerDay != 0 {
			t.Errorf("%s: it may ask for %+v (%v)", claim, by.Allows, err)
		}
		if got, want := string(must(json.Marshal(taken))), string(must(json.Marshal(given))); got != want {
			t.Errorf("%s: it may ask for %s, want %s", claim, got, want)
		}
	})
}
