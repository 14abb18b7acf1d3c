package onetime_test

import (
	"testing"

	"oncegate/internal/onetime"
)

// TestTypesWithin: whatever has one of the first types has one of the second.
func TestTypesWithin(t *testing.T) {
	for _, test := range []struct {
		types, others string
		want          bool
	}{
		{"image/png", "image/png", true}, {"image/png", "image/*", true}, {"image/*", "image/*", true}, {"image/png,text/plain", "text/*,image/png", true},
		{"image/*", "image/png", false}, {"image/png", "image/pn", false}, {"image/png,text/plain", "image/*", false}, {"text/plain,image/png", "image/*", false},
	} {
		if got := onetime.TypesWithin(test.types, test.others); got != test.want {
			t.Errorf("%s within %s: %v", test.types, test.others, got)
		}
	}
}
