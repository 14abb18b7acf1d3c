package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"oncegate/internal/evidence/testbed"
)

// TestDevTable is what a newcomer does with the index in a table, with versions and without,
// and with either runtime: the README's lines, and the operator's verbs. What was spent stays
// spent over a restart.
func TestDevTable(t *testing.T) {
	t.Chdir(root)
	for name, settings := range map[string]map[string]any{
		"versioned":   {},
		"unversioned": {"versioned": false},
		"regional":    {"runtime": "regional"},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name == "versioned" {
				t.Skip("the other two have all of it")
			}
			settings["bucket"], settings["index"] = "bucket-of-the-test", "dynamodb"
			text, err := json.Marshal(settings)
			if err != nil {
				t.Fatal(err)
			}
			conf := settingsFile(t, string(text))
			template, data := testbed.Assembly(t, settings, nil), filepath.Join(t.TempDir(), "dev")
			var spent, revoked string // paths and queries
			for round := range 2 {
				ctx, cancel := context.WithCancel(t.Context())
				stdout, ended := newSyncBuffer(), make(chan error, 1)
				go func() {
					ended <- run(ctx, []string{"dev", "--template", template, "--data", data, "--port", "0", "--s3-port", "0"}, stdout, newSyncBuffer())
				}()
				stdout.waitFor(t, "Ctrl-C stops everything.\n", ended)
				stdout.waitFor(t, "The index is the table bucket-of-the-test-index, kept in "+filepath.Join(data, "dynamodb"), ended)
				env := readEnv(t, envPath(data))
				clearAWS(t)
				for name, value := range env {
					t.Setenv(name, value)
				}
				if env["ONCEGATE_INDEX"] != "dynamodb" || env["AWS_ENDPOINT_URL_DYNAMODB"] == "" {
					t.Errorf("env is %v", env)
				}
				if round == 0 {
					spent, revoked = useTable(t, env["ONCEGATE_URL"], conf)
				} else {
					for _, url := range []string{spent, revoked} {
						request(t, "PUT", env["ONCEGATE_URL"]+url, 403)
					}
					says(t, "revoked", "status", env["ONCEGATE_URL"]+revoked)
				}
				cancel()
				if err := <-ended; err != nil {
					t.Errorf("stopped with %v", err)
				}
				if _, err := http.Get(env["AWS_ENDPOINT_URL_DYNAMODB"]); err == nil {
					t.Error("the table still answers")
				}
			}
		})
	}
}

// says runs a verb, and fails the test unless it prints text.
func says(t *testing.T, text string, args ...string) string {
	t.Helper()
	var out, notes strings.Builder
	err := run(t.Context(), args, &out, &notes)
	if err != nil || !strings.Contains(out.String(), text) {
		t.Fatalf("%s: %v, want %q in\n%s\n%s", args[0], err, text, &out, &notes)
	}
	return out.String()
}

// useTable mints, spends and revokes with all verbs that an operator has.
func useTable(t *testing.T, base, conf string) (spent, revoked string) {
	t.Helper()
	mint := func() string { return request(t, "GET", base+"/url?label=order-17", 200) }
	used, kept := mint(), mint()
	request(t, "PUT", used, 200)
	request(t, "PUT", used, 403)
	says(t, "used", "status", used)
	if out := says(t, "order-17", "list", "--label", "order-17"); strings.Count(out, "order-17") != 2 {
		t.Errorf("list prints\n%s", out)
	}
	says(t, "revoked", "revoke", kept)
	request(t, "PUT", kept, 403)
	says(t, "revoked", "status", kept)
	says(t, "enabled", "enable", kept)
	request(t, "PUT", kept, 200)
	again := mint()
	says(t, "revoked", "revoke", again)

	says(t, "ogk_", "key", "create", "--label", "app")
	says(t, "app", "key", "list")
	says(t, "is revoked", "key", "revoke", "app")
	says(t, "ogk_", "key", "create", "--label", "kiosk", "--max-bytes", "20MB", "--type", "Image/*", "--max-expires", "15m", "--per-day", "500")
	says(t, "maxBytes 20000000, type image/*, expires 15m, perDay 500", "key", "list")
	says(t, "ogk_", "key", "create", "--owner-of", "kiosk", "--label", "heir")
	if line := says(t, "heir", "key", "list"); strings.Count(line, "expires 15m") != 2 {
		t.Errorf("a key that takes over has other bounds:\n%s", line)
	}

	_, token, _ := strings.Cut(strings.TrimSpace(says(t, "#ogi_", "invite", "--config", conf, "--label", "Acme", "--uploads", "1", base)), "#")
	guest := guestURL(t, base, token)
	request(t, "PUT", guest, 200)
	says(t, "1 of 1 spent", "invite", "show", "Acme")
	says(t, "let through before: 1 of 1", "invite", "revoke", "Acme")

	report := says(t, "\nok      spent-once ", "verify", "--config", conf, "--large-bytes", "1000", base)
	for _, line := range []string{"registered", "race-once", "fails-closed", "revoked", "unspent-index", "versioning", "slots"} {
		if !strings.Contains(report, "\nok      "+line+" ") {
			t.Errorf("verify: %s is not ok in\n%s", line, report)
		}
	}
	return strings.TrimPrefix(used, base), strings.TrimPrefix(again, base)
}

// guestURL is minted with the token of an invitation.
func guestURL(t *testing.T, base, token string) string {
	t.Helper()
	req, err := http.NewRequest("GET", base+"/url", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("mint with a token: %d %s, %v", res.StatusCode, body, err)
	}
	return string(body)
}
