package edge

import (
	"maps"
	"slices"

	"oncegate/internal/onetime"
)

// Refusals are the reasons that have a row in the table.
func Refusals() []onetime.Reason { return slices.Sorted(maps.Keys(refusals)) }

// ParseEvent and MarshalResult are how events come and results go.
var (
	ParseEvent    = parseEvent
	MarshalResult = Result.marshal
)

// StatusText is the table of status texts.
var StatusText = statusTexts

// Refusal is the answer to this reason.
var Refusal = refusal
