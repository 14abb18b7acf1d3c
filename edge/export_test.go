package edge

import (
	"maps"
	"slices"

	"oncegate/internal/onetime"
)

// Refusals are the reasons that have a row in the table.
func Refusals() []onetime.Reason { return slices.Sorted(maps.Keys(refusals)) }

// Refusal is the answer to this reason.
var Refusal = refusal
