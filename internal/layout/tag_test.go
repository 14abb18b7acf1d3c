package layout_test

import (
	"strings"
	"testing"

	"oncegate/internal/layout"
)

func TestTags(t *testing.T) {
	for _, s := range []string{
		"project", "Project", "cost center", "a", "1", "a+b-c=d.e_f:g/h@i", "Kundennummer-Größe", "顧客", "team:aws:x", "my-oncegate", "once", "aws",
		strings.Repeat("x", 128), strings.Repeat("é", 128), strings.Repeat("𝒳", 64),
	} {
		if !layout.ValidTagKey(s) || !layout.ValidTagValue(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{
		"", " ", " a", "a ", "a\t", "a\n", "a\x00", "a\u00a0b", "a\u2003b", "a&b", "a,b", "a;b", "a?b", "a%b", "a*b", "a\"b", `a\b`, "a<b", "e\u0301", "½", "\u202ea", "\xff", "a\xff", "😀",
	} {
		if layout.ValidTagKey(s) || layout.ValidTagValue(s) {
			t.Errorf("%q is taken", s)
		}
	}
	for _, s := range []string{"aws:x", "AWS:x", "Aws:", "oncegate", "OnceGate", "oncegate-x", strings.Repeat("x", 129), strings.Repeat("𝒳", 65)} {
		if layout.ValidTagKey(s) || !layout.ValidTagValue(s) {
			t.Errorf("%q is taken as a key, or refused as a value", s)
		}
	}
	for s, want := range map[string]bool{strings.Repeat("x", 256): true, strings.Repeat("x", 257): false, strings.Repeat("𝒳", 128): true, strings.Repeat("𝒳", 129): false} {
		if layout.ValidTagValue(s) != want {
			t.Errorf("%d bytes as a value: want %t", len(s), want)
		}
	}
}
