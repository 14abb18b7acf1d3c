package config_test

import (
	"strings"
	"testing"

	"oncegate/internal/config"
)

func TestAuth(t *testing.T) {
	jwt := func(issuer, audience, jwks string) config.Auth {
		return config.Auth{Kind: "jwt", JWT: config.JWT{Issuer: issuer, Audience: audience, JWKS: jwks}}
	}
	for in, want := range map[string]config.Auth{
		`"none"`:    {Kind: "none"},
		`"api-key"`: {Kind: "api-key"},
		`{"jwt":{"issuer":"https://i.example/","audience":"uploads","jwks":"https://i.example/keys?x=1"}}`: jwt("https://i.example/", "uploads", "https://i.example/keys?x=1"),
		`{"jwt":{"jwks":"http://127.0.0.1:81/k","audience":"a","issuer":"i"}}`:                             jwt("i", "a", "http://127.0.0.1:81/k"),
	} {
		c, err := config.Parse([]byte(`{"bucket": "abc", "auth": ` + in + `}`))
		if err != nil || c.Auth != want {
			t.Errorf("%s: got %+v, %v", in, c.Auth, err)
			continue
		}
		if strings.Contains(string(c.JSON()), "boundsClaim") {
			t.Errorf("%s: printed as %s", in, c.JSON())
		}
		// What is printed can be read again.
		if again, err := config.Parse(c.JSON()); err != nil || again.Auth != want {
			t.Errorf("%s: printed as %s, read as %+v, %v", in, c.JSON(), again.Auth, err)
		}
		if err := c.Deployable(); (err != nil) != c.Auth.JWT.Local() {
			t.Errorf("%s: deployable: %v", in, err)
		}
	}
	const i, a, k = `"issuer":"i"`, `"audience":"a"`, `"jwks":"https://i/k"`
	long := strings.Repeat("x", 128)
	for _, name := range []string{"https://example.com/uploads", "u", "custom:uploads", "subs", `\"`, long} {
		text := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name)
		c, err := config.Parse([]byte(`{"bucket": "abc", "auth": {"jwt":{` + i + `,` + a + `,` + k + `,"boundsClaim":"` + text + `"}}}`))
		if err != nil || c.Auth.JWT.BoundsClaim != name || c.Auth.JWT.JWKS != "https://i/k" {
			t.Errorf("%s: got %+v, %v", name, c.Auth, err)
			continue
		}
		if again, err := config.Parse(c.JSON()); err != nil || again.Auth != c.Auth {
			t.Errorf("%s: printed as %s, read as %+v, %v", name, c.JSON(), again.Auth, err)
		}
	}
	bounds := func(value string) string {
		return `{"jwt":{` + i + `,` + a + `,` + k + `,"boundsClaim":` + value + `}}`
	}
	for in, want := range map[string]string{
		bounds(`""`):                    `boundsClaim is ""`,
		bounds(`null`):                  `boundsClaim is null`,
		bounds(`true`):                  `boundsClaim is true`,
		bounds(`["x"]`):                 `boundsClaim is ["x"]`,
		bounds(`{"expires":1}`):         `boundsClaim is`,
		bounds(`"a b"`):                 `boundsClaim is "a b"`,
		bounds(`"x\n"`):                 `boundsClaim is`,
		bounds(`"\u0443"`):              `boundsClaim is`,
		bounds(`"` + long + `x"`):       `boundsClaim is`,
		bounds(`"sub"`):                 `boundsClaim is "sub"`,
		bounds(`"Aud"`):                 `none of iss, sub, aud, exp, nbf, iat, jti`,
		bounds(`"EXP"`):                 `1 to 128 visible`,
		bounds(`"x","boundsClaim":"y"`): `"boundsClaim" is given twice`,
		bounds(`"x","BoundsClaim":"y"`): `unknown field "BoundsClaim"`,
		`{"jwt":{` + i + `,` + a + `,"boundsClaim":"x"}}`: "jwks is missing",
		`null`: "auth is null", `true`: "allowed is", `["none"]`: "allowed is", `""`: "allowed is", `"None"`: "allowed is", `"jwt"`: "allowed is", `"apikey"`: "allowed is",
		`{}`: "allowed is", `{"jwt":{},"x":1}`: "allowed is", `{"JWT":{` + i + `,` + a + `,` + k + `}}`: "allowed is",
		`{"jwt":{` + i + `,` + a + `,` + k + `},"jwt":{}}`: "allowed is",
		`{"jwt":null}`:                                                "not an object",
		`{"jwt":"x"}`:                                                 "not an object",
		`{"jwt":{}}`:                                                  "issuer is missing",
		`{"jwt":{` + i + `,` + a + `}}`:                               "jwks is missing",
		`{"jwt":{` + a + `,` + k + `}}`:                               "issuer is missing",
		`{"jwt":{` + i + `,` + k + `}}`:                               "audience is missing",
		`{"jwt":{` + i + `,` + i + `,` + k + `}}`:                     `"issuer" is given twice`,
		`{"jwt":{` + i + `,` + a + `,` + k + `,"leeway":1}}`:          `unknown field "leeway"`,
		`{"jwt":{"issuer":"",` + a + `,` + k + `}}`:                   `issuer is ""`,
		`{"jwt":{"issuer":7,` + a + `,` + k + `}}`:                    `issuer is 7`,
		`{"jwt":{"issuer":"a b",` + a + `,` + k + `}}`:                `issuer is "a b"`,
		`{"jwt":{` + i + `,"audience":["a"],` + k + `}}`:              `audience is ["a"]`,
		`{"jwt":{` + i + `,` + a + `,"jwks":"http://i/k"}}`:           `jwks is "http://i/k"`,
		`{"jwt":{` + i + `,` + a + `,"jwks":"HTTPS://i/k"}}`:          `jwks is`,
		`{"jwt":{` + i + `,` + a + `,"jwks":"http://127.0.0.1.x/k"}}`: `jwks is`,
		`{"jwt":{` + i + `,` + a + `,"jwks":"http://127.0.0.1@x/k"}}`: `jwks is`,
		`{"jwt":{` + i + `,` + a + `,"jwks":"http://localhost/k"}}`:   `write http://127.0.0.1`,
		`{"jwt":{` + i + `,` + a + `,"jwks":"https://u:p@i/k"}}`:      `jwks is`,
		`{"jwt":{` + i + `,` + a + `,"jwks":"https:///k"}}`:           `jwks is`,
		`{"jwt":{` + i + `,` + a + `,"jwks":"https://i:/k"}}`:         `jwks is`,
		`{"jwt":{` + i + `,` + a + `,"jwks":"https://i:x/k"}}`:        `jwks is`,
		`{"jwt":{` + i + `,` + a + `,"jwks":"https://i_/k"}}`:         `jwks is`,
		`{"jwt":{` + i + `,` + a + `,"jwks":"https://i/k\\x"}}`:       `jwks is`,
		`{"jwt":{` + i + `,` + a + `,"jwks":"https://i/k#f"}}`:        `jwks is`,
		`{"jwt":{` + i + `,` + a + `,"jwks":"file:///etc/passwd"}}`:   `jwks is`,
		`{"jwt":{` + i + `,` + a + `,"jwks":"https://i/k\r\nx"}}`:     `jwks is`,
	} {
		c, err := config.Parse([]byte(`{"bucket": "abc", "auth": ` + in + `}`))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `"api-key"`) {
			t.Errorf("%s: got %+v, %v, want %q", in, c.Auth, err, want)
		}
	}
}
