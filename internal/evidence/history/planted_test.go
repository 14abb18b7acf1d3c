package history

import (
	"slices"
	"testing"

	"github.com/anishathalye/porcupine"
)

// told makes a history of requests, each sent after the answer to the one before. Those
// with the same place in time were under way at once.
type told struct {
	at int64
	request
	answer
}

func history(all []told) (ops []porcupine.Operation) {
	for i, one := range all {
		ops = append(ops, operation(i, one.request, 10*one.at, one.answer, 10*one.at+9))
	}
	return withLate(ops)
}

var (
	ok      = answer{said: "ok"}
	used    = answer{said: "used"}
	revoked = answer{said: "revoked"}
	unknown = answer{said: "unknown"}
	doneA   = answer{said: "ok", etag: objectETag("a")}
	doneB   = answer{said: "ok", etag: objectETag("b")}
	begun   = []told{{1, request{do: start}, ok}, {2, request{do: part, content: "a"}, ok}}
)

func after(all ...told) []told { return append(slices.Clone(begun), all...) }

// TestPlanted: the checker refuses histories that break the promise, and takes those that
// only look odd.
func TestPlanted(t *testing.T) {
	for name, all := range map[string][]told{
		"two PUTs":                             {{1, request{do: put, content: "a"}, ok}, {1, request{do: put, content: "b"}, ok}},
		"a PUT after complete":                 after(told{3, request{do: complete}, doneA}, told{4, request{do: put, content: "b"}, ok}),
		"complete after a PUT":                 after(told{3, request{do: put, content: "b"}, ok}, told{4, request{do: complete}, doneA}),
		"complete and a PUT at once":           after(told{3, request{do: put, content: "b"}, ok}, told{3, request{do: complete}, doneA}),
		"complete after it was given up":       after(told{3, request{do: giveUp}, ok}, told{4, request{do: complete}, doneA}),
		"given up after complete":              after(told{3, request{do: complete}, doneA}, told{4, request{do: giveUp}, ok}),
		"complete again answers other things":  after(told{3, request{do: complete}, doneA}, told{4, request{do: complete}, doneB}),
		"complete of what was not sent":        after(told{3, request{do: complete}, doneB}),
		"a part after complete":                after(told{3, request{do: complete}, doneA}, told{4, request{do: part, content: "b"}, ok}),
		"a part that is lost":                  after(told{3, request{do: part, content: "b"}, ok}, told{4, request{do: complete}, doneA}),
		"used, and nobody has":                 after(told{3, request{do: put, content: "b"}, used}),
		"used for who was first":               after(told{3, request{do: complete}, used}, told{4, request{do: put, content: "b"}, ok}),
		"revoked, and nobody did":              after(told{3, request{do: put, content: "b"}, revoked}),
		"good again":                           {{1, request{do: put, content: "a"}, used}, {2, request{do: put, content: "b"}, ok}},
		"acknowledged, and not stored":         {{1, request{do: put, content: "a"}, ok}, {2, request{do: look}, answer{said: "ok"}}},
		"stored, and given up":                 {{1, request{do: giveUp}, ok}, {2, request{do: look}, answer{said: "ok", content: "a"}}},
		"incomplete after it was given up":     after(told{3, request{do: giveUp}, ok}, told{4, request{do: complete}, answer{said: "incomplete"}}),
		"incomplete for who was overtaken":     after(told{3, request{do: complete}, doneA}, told{3, request{do: complete}, answer{said: "incomplete"}}),
		"a part of an upload never started":    {{1, request{do: part, content: "a"}, ok}, {2, request{do: start}, ok}},
		"another's is stored":                  {{1, request{do: put, content: "a"}, ok}, {1, request{do: put, content: "b"}, used}, {2, request{do: look}, answer{said: "ok", content: "b"}}},
		"stored by a PUT that was refused":     {{1, request{do: put, content: "a"}, used}, {1, request{do: put, content: "b"}, unknown}, {2, request{do: look}, answer{said: "ok", content: "a"}}},
		"an unknown PUT cannot spend it twice": {{1, request{do: put, content: "a"}, unknown}, {2, request{do: put, content: "b"}, used}, {3, request{do: giveUp}, ok}},
	} {
		if porcupine.CheckOperations(model, history(all)) {
			t.Errorf("%s: passes", name)
		}
	}
	for name, all := range map[string][]told{
		"one PUT of two":                      {{1, request{do: put, content: "a"}, used}, {1, request{do: put, content: "b"}, ok}, {2, request{do: look}, answer{said: "ok", content: "b"}}},
		"complete again":                      after(told{3, request{do: complete}, doneA}, told{4, request{do: complete}, doneA}),
		"a part at the same time":             after(told{3, request{do: complete}, doneB}, told{3, request{do: part, content: "b"}, ok}),
		"a part that comes too late":          after(told{3, request{do: complete}, doneA}, told{3, request{do: part, content: "b"}, ok}),
		"an unknown PUT that came through":    {{1, request{do: put, content: "a"}, unknown}, {2, request{do: put, content: "b"}, used}, {3, request{do: look}, answer{said: "ok", content: "a"}}},
		"an unknown PUT that stored nothing":  {{1, request{do: put, content: "a"}, unknown}, {2, request{do: put, content: "b"}, used}, {3, request{do: look}, answer{said: "ok"}}},
		"an unknown PUT that never came":      {{1, request{do: put, content: "a"}, unknown}, {2, request{do: put, content: "b"}, ok}},
		"an unknown complete, then complete":  after(told{3, request{do: complete}, unknown}, told{4, request{do: complete}, doneA}),
		"an unknown complete that never came": after(told{3, request{do: complete}, unknown}, told{4, request{do: giveUp}, ok}, told{5, request{do: complete}, revoked}),
		"not started":                         {{1, request{do: complete}, answer{said: "not-started"}}, {2, request{do: start}, ok}, {3, request{do: complete}, answer{said: "incomplete"}}},
	} {
		if !porcupine.CheckOperations(model, history(all)) {
			t.Errorf("%s: is refused", name)
		}
	}
}
