//go:build !js

package sigv4_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"oncegate/internal/lean/sigv4"
)

// Credentials that end up in a format or in a log, alone or within another value, show
// no secret.
func TestCredentialsHideTheirSecrets(t *testing.T) {
	type role struct {
		ARN string
		sigv4.Credentials
	}
	c := sigv4.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "hush-secret", SessionToken: "hush-token"}
	var out bytes.Buffer
	text, asJSON := slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))
	for _, v := range []any{c, &c, role{"arn", c}, []sigv4.Credentials{c}, map[string]sigv4.Credentials{"k": c}, struct{ C sigv4.Credentials }{c}} {
		fmt.Fprintf(&out, "%v %+v %#v %s %q\n", v, v, v, v, v)
		text.Info("x", "v", v)
		asJSON.Info("x", "v", v)
		if err := json.NewEncoder(&out).Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(out.String(), "hush") {
		t.Errorf("a secret is in %s", &out)
	}
	if !strings.Contains(out.String(), "AKIDEXAMPLE") {
		t.Errorf("nothing says whose they are: %s", &out)
	}
}
