package setup_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"oncegate/edge"
	"oncegate/edge/setup"
	"oncegate/internal/config"
	"oncegate/internal/dynamo"
	"oncegate/internal/invite"
	"oncegate/internal/invite/invitetest"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// noKeys has the record of no key.
type noKeys struct{}

func (noKeys) ReadKey(context.Context, time.Duration, string) ([]byte, error) {
	return nil, onetime.ErrAbsent
}

// tokens stands for what checks tokens.
type tokens struct{ config.JWT }

func (tokens) Challenge(onetime.Reason) string { return "Bearer" }
func (tokens) Authorize(context.Context, onetime.Headers, time.Time) (onetime.Credential, error) {
	return onetime.Credential{}, errors.New("not asked in this test")
}

// TestNewAuthorizer: each setting has its own, and keys that come by http are for the
// local edge alone.
func TestNewAuthorizer(t *testing.T) {
	https, http := config.JWT{JWKS: "https://issuer.example/keys"}, config.JWT{JWKS: "http://127.0.0.1:9/keys"}
	for _, test := range []struct {
		name   string
		auth   config.Auth
		local  bool
		scheme string // of the challenge, "" for nobody is asked
		fails  bool
	}{
		{"anybody", config.Auth{Kind: config.AuthNone}, false, "", false},
		{"keys", config.Auth{Kind: config.AuthAPIKey}, false, "ApiKey", false},
		{"tokens", config.Auth{Kind: config.AuthJWT, JWT: https}, false, "Bearer", false},
		{"tokens by http", config.Auth{Kind: config.AuthJWT, JWT: http}, false, "", true},
		{"tokens by http on the local edge", config.Auth{Kind: config.AuthJWT, JWT: http}, true, "Bearer", false},
		{"something else", config.Auth{Kind: "password"}, true, "", true},
		{"nothing", config.Auth{}, true, "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := setup.NewAuthorizer(test.auth, noKeys{}, onetimetest.NewEntropy(1), test.local, func(conf config.JWT) edge.Authorizer {
				return tokens{conf}
			})
			if (err != nil) != test.fails {
				t.Fatalf("error %v, want one: %v", err, test.fails)
			}
			scheme := ""
			if got != nil {
				scheme, _, _ = strings.Cut(got.Challenge(onetime.CredentialMissing), " ")
			}
			if scheme != test.scheme {
				t.Errorf("asks for %q, want %q", scheme, test.scheme)
			}
		})
	}
}

// TestNewHasMultipartWhereTheSettingsSay: by default a URL can be used in parts, and what
// decides over them is the gate that decides over PUTs.
func TestNewHasMultipartWhereTheSettingsSay(t *testing.T) {
	for setting, want := range map[string]bool{"": true, `, "multipart": true`: true, `, "multipart": false`: false} {
		conf, err := config.Parse([]byte(`{"bucket": "a-bucket"` + setting + `}`))
		if err != nil {
			t.Fatal(err)
		}
		index := struct {
			*onetimetest.Ledger
			onetime.UploadIndex // not asked
		}{Ledger: &onetimetest.Ledger{Index: onetimetest.Index{Store: onetimetest.NewStore(t)}}}
		functions := setup.New(conf, index, nil, onetimetest.Presigner{}, onetimetest.NewEntropy(1), "https", nil)
		if got := functions.Multipart != nil; got != want {
			t.Errorf("%q: multipart %v, want %v", setting, got, want)
		} else if got && functions.Multipart.Gate != functions.Gate {
			t.Errorf("%q: another gate decides over parts", setting)
		}
	}
}

// TestNewHasInvitations: tokens of invitations are known whatever the settings, and are
// held to the bounds of URLs. Whoever may mint makes invitations only with the owner API.
func TestNewHasInvitations(t *testing.T) {
	for settings, want := range map[string]bool{``: false, `, "auth": "api-key"`: false, `, "auth": "api-key", "ownerApi": true, "keepExpiredDays": 60`: true} {
		conf, err := config.Parse([]byte(`{"bucket": "a-bucket"` + settings + `}`))
		if err != nil {
			t.Fatal(err)
		}
		index := struct {
			*onetimetest.Ledger
			onetime.UploadIndex // not asked
		}{Ledger: &onetimetest.Ledger{Index: onetimetest.Index{Store: onetimetest.NewStore(t)}}}
		functions := setup.New(conf, index, &invitetest.Store{}, onetimetest.Presigner{}, onetimetest.NewEntropy(1), "https", nil)
		if functions.Invitations == nil || functions.Invitations.URLs != functions.Minter || functions.Invitations.Keep != conf.Deploy.KeepsEntries() {
			t.Errorf("%q: %+v", settings, functions.Invitations)
		}
		if got := functions.Keeper; (got != nil) != want || got != nil && got.Keep != 59*24*time.Hour {
			t.Errorf("%q: a keeper %+v, want one: %v", settings, got, want)
		}
	}
}

// TestTimesFit: what the bucket keeps outlives what it is kept for.
func TestTimesFit(t *testing.T) {
	const day = 24 * time.Hour
	if config.KeepInvitationsDays*day <= invite.MaxLife {
		t.Errorf("slots go after %d days, an invitation lives for %s", config.KeepInvitationsDays, invite.MaxLife)
	}
	for days, want := range map[int]time.Duration{9: 8 * day, 30: 29 * day, 91: invite.MaxLife} {
		if got := (config.Deploy{KeepExpiredDays: days}).KeepsEntries(); got != want || got <= onetime.MaxLife {
			t.Errorf("with keepExpiredDays %d entries are there for %s, want %s", days, got, want)
		}
	}
}

// bucket is a store whose index is in the bucket.
type bucket struct {
	setup.Index
	noKeys
	invite.Ledger
}

func (bucket) FindObject(context.Context, time.Duration, string) (int64, string, error) {
	return 7, "of the bucket", nil
}

// table is no table: it fails.
type table struct{ dynamo.Table }

func (table) Get(context.Context, time.Duration, dynamo.Key, ...string) (dynamo.Answer, error) {
	return dynamo.Answer{}, errors.New("asked the table")
}

// TestStoreOf: the table is opened and asked where the settings say so, and there alone. Only
// then is there something that spends at once. Objects are in the bucket either way.
func TestStoreOf(t *testing.T) {
	for settings, inTable := range map[string]bool{``: false, `, "index": "s3"`: false, `, "index": "dynamodb"`: true, `, "index": "dynamodb", "versioned": false`: true} {
		conf, err := config.Parse([]byte(`{"bucket": "a-bucket"` + settings + `}`))
		if err != nil {
			t.Fatal(err)
		}
		index := struct {
			*onetimetest.Ledger
			onetime.UploadIndex // not asked
		}{Ledger: &onetimetest.Ledger{Index: onetimetest.Index{Store: onetimetest.NewStore(t)}}}
		opened := 0
		store, err := setup.StoreOf(conf, bucket{Index: index}, func() (dynamo.Table, error) {
			opened++
			return table{}, nil
		})
		if err != nil || opened > 0 != inTable {
			t.Errorf("%q: %v, the table was opened %d times", settings, err, opened)
		}
		functions := setup.New(conf, store, store, onetimetest.Presigner{}, onetimetest.NewEntropy(1), "https", nil)
		if got := functions.Gate.Spender != nil; got != inTable {
			t.Errorf("%q: spends at once: %v", settings, got)
		}
		_, _, err = store.ReadValid(t.Context(), time.Second, onetime.Fingerprint("/x", "y"))
		if asked := err != nil && strings.Contains(err.Error(), "asked the table"); asked != inTable {
			t.Errorf("%q: reading a URL: %v", settings, err)
		}
		if _, etag, _ := store.FindObject(t.Context(), time.Second, "uploads/x"); etag != "of the bucket" {
			t.Errorf("%q: the object was not looked for in the bucket", settings)
		}
	}
	conf, broken := config.Config{Index: config.IndexDynamoDB}, errors.New("no endpoint")
	if _, err := setup.StoreOf(conf, bucket{}, func() (dynamo.Table, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("a table that cannot be opened: %v", err)
	}
}
