package edge

import (
	"slices"

	"oncegate/internal/lean/strictjson"
	"oncegate/internal/onetime"
)

// The tables, and what is in a row of them.
type Row = row

var (
	Refusals      = byReason(refusals)
	OwnerRefusals = byReason(ownerRefusals)

	KeeperRefusals = byReason(keeperRefusals)
)

// byReason is a table as a map. A reason that it has twice would be answered by the first.
func byReason(t table) map[onetime.Reason]Row {
	rows := map[onetime.Reason]Row{}
	for _, row := range t {
		if _, twice := rows[row.reason]; twice {
			panic("two rows for " + row.reason)
		}
		rows[row.reason] = row
	}
	return rows
}

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
	slices.Sort(all) // a path may be both functions'
	return slices.Compact(all)
}

// SortStrings is the edge's own sort.
var SortStrings = sortStrings

// ParseEvent is how events come.
var ParseEvent = parseEvent

// MarshalResult is how results go.
func MarshalResult(r Result) []byte { return strictjson.Marshal(r.write) }

// StatusText is the text of a status.
var StatusText = statusText

// Refusal is the answer to this reason.
var Refusal = refusal
