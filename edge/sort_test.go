package edge_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"oncegate/edge"
)

func TestSortStrings(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 300 {
		got := make([]string, n*n/20)
		for i := range got {
			got[i] = strconv.Itoa(r.IntN(3 * len(got)))
		}
		want := slices.Sorted(slices.Values(got))
		if edge.SortStrings(got); !slices.Equal(got, want) {
			t.Fatalf("%d strings: not sorted", len(got))
		}
	}
}
