package edge

import (
	"maps"
	"slices"

	"oncegate/internal/lean/strictjson"
	"oncegate/internal/onetime"
)

// Refusals are the reasons that have a row in the table.
func Refusals() []onetime.Reason { return slices.Sorted(maps.Keys(refusals)) }

// ParseEvent is how events come.
var ParseEvent = parseEvent

// MarshalResult is how results go.
func MarshalResult(r Result) []byte { return strictjson.Marshal(r.write) }

// StatusText is the table of status texts.
var StatusText = statusTexts

// Refusal is the answer to this reason.
var Refusal = refusal
