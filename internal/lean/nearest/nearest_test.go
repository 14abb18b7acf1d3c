package nearest_test

import (
	"testing"

	"oncegate/internal/lean/nearest"
)

func TestName(t *testing.T) {
	names := []string{"bucket", "expires", "maxExpires", "max-bytes", "allowedOrigins", "waf", "wafRate"}
	for word, want := range map[string]string{
		"bucket":   "bucket",
		"buckt":    "bucket",
		"bukcet":   "bucket",
		"expire":   "expires",
		"Expires":  "expires",
		"maxBytes": "max-bytes",
		"MAX_BYTE": "max-bytes",
		"origins":  "allowedOrigins",
		"wff":      "waf",
		"wafrat":   "wafRate",
		"colour":   "",
		"a":        "",
		"":         "",
		"age":      "",
	} {
		if got := nearest.Name(word, names); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}
