package edge

import (
	"oncegate/internal/lean/strictjson"
)

// The tables, and what is in a row of them.
type Row = row

var (
	Refusals      = refusals
	OwnerRefusals = ownerRefusals
)

func RowStatus(r Row) int      { return r.status }
func RowSentence(r Row) string { return r.sentence }

// OptionNames are the options of the mint.
func OptionNames() (names []string) {
	for _, option := range options {
		names = append(names, option.name)
	}
	return names
}

// Operations are the paths and methods of the table of routes, preflights included.
func Operations() (all []string) {
	for _, route := range routes {
		path := route.path
		if path == anyPath {
			path = "/uploads/{id}"
		}
		all = append(all, path+" "+methodOptions)
		for _, method := range route.methods {
			all = append(all, path+" "+method.name)
		}
	}
	return all
}

// SortStrings is the edge's own sort.
var SortStrings = sortStrings

// ParseEvent is how events come.
var ParseEvent = parseEvent

// MarshalResult is how results go.
func MarshalResult(r Result) []byte { return strictjson.Marshal(r.write) }

// StatusText is the table of status texts.
var StatusText = statusTexts

// Refusal is the answer to this reason.
var Refusal = refusal
