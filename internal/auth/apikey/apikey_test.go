package apikey_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"oncegate/internal/auth/apikey"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

var start = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func newKey(t testing.TB, seed uint64) (string, apikey.ID) {
	t.Helper()
	key, err := apikey.New(onetimetest.NewEntropy(seed))
	if err != nil {
		t.Fatal(err)
	}
	id, err := apikey.Parse(key)
	if err != nil {
		t.Fatalf("a new key cannot be parsed: %v", err)
	}
	return key, id
}

// TestForm pins how keys look: those that are handed out must go on working.
func TestForm(t *testing.T) {
	const key = "ogk_" + "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff" + "c93c3e05"
	// printf %s "$key" | sha256sum
	const want = "30808d9e7a1dcd917a1d55d4293f19d70ec2b50c1d3fc61a666b1f4086434356"
	id, err := apikey.Parse(key)
	if err != nil || id != want {
		t.Errorf("got %s, %v, want %s", id, err, want)
	}
}

func TestParseRefuses(t *testing.T) {
	key, _ := newKey(t, 1)
	other, _ := newKey(t, 2)
	for name, tt := range map[string]struct {
		key  string
		want error
	}{
		"empty":             {"", apikey.ErrForm},
		"prefix alone":      {"ogk_", apikey.ErrForm},
		"cut by one":        {key[:len(key)-1], apikey.ErrForm},
		"one too many":      {key + "0", apikey.ErrForm},
		"upper case":        {strings.ToUpper(key), apikey.ErrForm},
		"upper case digits": {"ogk_" + strings.ToUpper(key[4:]), apikey.ErrForm},
		"another prefix":    {"ogx_" + key[4:], apikey.ErrForm},
		"space in front":    {" " + key[:len(key)-1], apikey.ErrForm},
		"no hex":            {key[:10] + "g" + key[11:], apikey.ErrForm},
		"NUL":               {key[:10] + "\x00" + key[11:], apikey.ErrForm},
		"two digits swapped": {func() string {
			i := 5
			for key[i] == key[i+1] {
				i++
			}
			return key[:i] + key[i+1:i+2] + key[i:i+1] + key[i+2:]
		}(), apikey.ErrChecksum},
		"another's checksum": {key[:68] + other[68:], apikey.ErrChecksum},
		"no checksum":        {key[:68] + "00000000", apikey.ErrChecksum},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := apikey.Parse(tt.key)
			if !errors.Is(err, tt.want) || id != "" {
				t.Errorf("got %q, %v, want %v", id, err, tt.want)
			}
			if err != nil && len(tt.key) > 8 && strings.Contains(err.Error(), tt.key[4:12]) {
				t.Errorf("the error holds a part of the key: %v", err)
			}
		})
	}
}

// TestEveryTypoIsFound: CRC-32 finds every single wrong character.
func TestEveryTypoIsFound(t *testing.T) {
	key, _ := newKey(t, 1)
	for i := 4; i < len(key); i++ {
		for _, c := range "0123456789abcdef" {
			wrong := key[:i] + string(c) + key[i+1:]
			if _, err := apikey.Parse(wrong); wrong != key && !errors.Is(err, apikey.ErrChecksum) {
				t.Fatalf("digit %d: %v", i, err)
			}
		}
	}
}

func TestRecords(t *testing.T) {
	r, err := apikey.NewRecord("ci ✓", start.Add(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(r.Marshal()), `{"version":1,"label":"ci ✓","created":"2026-03-04T05:06:07Z"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	r.Revoked = start.Add(time.Hour)
	again, err := apikey.ParseRecord(r.Marshal())
	if err != nil || !reflect.DeepEqual(again, r) {
		t.Errorf("got %+v, %v", again, err)
	}
	_, r.Owner = newKey(t, 7)
	again, err = apikey.ParseRecord(r.Marshal())
	if err != nil || !reflect.DeepEqual(again, r) || !strings.HasSuffix(string(r.Marshal()), `,"owner":"`+string(r.Owner)+`"}`) {
		t.Errorf("got %+v, %v", again, err)
	}
	r.Allows = onetime.Allowance{Life: time.Hour, MaxBytes: 100, Type: "image/*"}
	again, err = apikey.ParseRecord(r.Marshal())
	if err != nil || !reflect.DeepEqual(again, r) || !strings.HasSuffix(string(r.Marshal()), `,"allows":{"expires":3600,"maxBytes":100,"type":"image/*"}}`) {
		t.Errorf("%s becomes %+v, %v", r.Marshal(), again, err)
	}
	for name, body := range map[string]string{
		"a bound of no kind": `{"version":1,"label":"a","created":"2026-03-04T05:06:07Z","allows":{"perMonth":1}}`,
		"a bound out of all": `{"version":1,"label":"a","created":"2026-03-04T05:06:07Z","allows":{"expires":604801}}`,
		"bounds as text":     `{"version":1,"label":"a","created":"2026-03-04T05:06:07Z","allows":"none"}`,
		"an owner cut short": `{"version":1,"label":"a","created":"2026-03-04T05:06:07Z","owner":"` + string(r.Owner[1:]) + `"}`,
		"empty":              ``,
		"no JSON":            `{`,
		"two values":         `{"version":1,"label":"a","created":"2026-03-04T05:06:07Z"}{}`,
		"another version":    `{"version":2,"label":"a","created":"2026-03-04T05:06:07Z"}`,
		"no version":         `{"label":"a","created":"2026-03-04T05:06:07Z"}`,
		"an unknown field":   `{"version":1,"label":"a","created":"2026-03-04T05:06:07Z","scope":"x"}`,
		"no label":           `{"version":1,"created":"2026-03-04T05:06:07Z"}`,
		"a label of spaces":  `{"version":1,"label":"  ","created":"2026-03-04T05:06:07Z"}`,
		"a line break":       `{"version":1,"label":"a\nb","created":"2026-03-04T05:06:07Z"}`,
		"no created":         `{"version":1,"label":"a"}`,
		"revoked no time":    `{"version":1,"label":"a","created":"2026-03-04T05:06:07Z","revoked":true}`,
		"too large":          `{"version":1,"label":"a","created":"2026-03-04T05:06:07Z"}` + strings.Repeat(" ", 4096),
	} {
		if got, err := apikey.ParseRecord([]byte(body)); err == nil {
			t.Errorf("%s: accepted as %+v", name, got)
		}
	}
	for _, label := range []string{"", " a", "a ", "a\tb", "a\u202eb", "a\xff", "a\u3164b", "\u115f", "a\u2800", "a\u034fb", "a\ufe0f", "a  b", "a\u00a0b", strings.Repeat("a", 65)} {
		if _, err := apikey.NewRecord(label, start); err == nil {
			t.Errorf("label %q is accepted", label)
		}
	}
}

// FuzzParse: what parses has one spelling only, and no error quotes the key.
func FuzzParse(f *testing.F) {
	key, _ := newKey(f, 1)
	for _, seed := range []string{key, "", "ogk_", key[:75], strings.ToUpper(key), "\x00" + key[1:]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := apikey.Parse(s)
		if err != nil {
			if !errors.Is(err, apikey.ErrForm) && !errors.Is(err, apikey.ErrChecksum) {
				t.Errorf("error %v", err)
			}
			return
		}
		if _, err := apikey.ParseID(string(id)); err != nil || len(s) != 76 || s != strings.ToLower(s) {
			t.Errorf("%q is accepted as %q: %v", s, id, err)
		}
	})
}

// FuzzParseRecord: what parses can be written and means the same again.
func FuzzParseRecord(f *testing.F) {
	f.Add([]byte(`{"version":1,"label":"a","created":"2026-03-04T05:06:07Z"}`))
	f.Add([]byte(`{"version":1,"label":"a","created":"2026-03-04T05:06:07Z","revoked":"2026-03-04T05:06:08+01:00"}`))
	f.Add([]byte(`{"version":1,"label":"a","created":"2026-03-04T05:06:07Z","allows":{"expires":60,"minBytes":1,"maxBytes":2,"type":"image/*"}}`))
	f.Add([]byte(`{"VERSION":1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := apikey.ParseRecord(body)
		if err != nil {
			return
		}
		again, err := apikey.ParseRecord(r.Marshal())
		if err != nil || again.Label != r.Label || !again.Created.Equal(r.Created) || !again.Revoked.Equal(r.Revoked) || again.Allows != r.Allows {
			t.Errorf("%q: %+v becomes %+v, %v", body, r, again, err)
		}
	})
}
