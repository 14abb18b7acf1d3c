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
		ops = append(ops, operations(i, one.request, 10*one.at, one.answer, 10*one.at+9)...)
	}
	return ops
}

var (
	ok      = answer{said: "ok"}
	used    = answer{said: "used"}
	revoked = answer{said: "revoked"}
	unknown = answer{said: "unknown"}
	doneA   = answer{said: "ok", etag: objectETag("a")}
	doneB   = answer{said: "ok", etag: objectETag("b")}
	begun   = []told{{1, request{start, ""}, ok}, {2, request{part, "a"}, ok}}
)

func after(all ...told) []told { return append(slices.Clone(begun), all...) }

// TestPlanted: the checker refuses histories that break the promise, and takes those that
// only look odd.
func TestPlanted(t *testing.T) {
	for name, all := range map[string][]told{
		"two PUTs":                             {{1, request{put, "a"}, ok}, {1, request{put, "b"}, ok}},
		"a PUT after complete":                 after(told{3, request{complete, ""}, doneA}, told{4, request{put, "b"}, ok}),
		"complete after a PUT":                 after(told{3, request{put, "b"}, ok}, told{4, request{complete, ""}, doneA}),
		"complete and a PUT at once":           after(told{3, request{put, "b"}, ok}, told{3, request{complete, ""}, doneA}),
		"complete after it was given up":       after(told{3, request{giveUp, ""}, ok}, told{4, request{complete, ""}, doneA}),
		"given up after complete":              after(told{3, request{complete, ""}, doneA}, told{4, request{giveUp, ""}, ok}),
		"complete again answers other things":  after(told{3, request{complete, ""}, doneA}, told{4, request{complete, ""}, doneB}),
		"complete of what was not sent":        after(told{3, request{complete, ""}, doneB}),
		"a part after complete":                after(told{3, request{complete, ""}, doneA}, told{4, request{part, "b"}, ok}),
		"a part that is lost":                  after(told{3, request{part, "b"}, ok}, told{4, request{complete, ""}, doneA}),
		"used, and nobody has":                 after(told{3, request{put, "b"}, used}),
		"used for who was first":               after(told{3, request{complete, ""}, used}, told{4, request{put, "b"}, ok}),
		"revoked, and nobody did":              after(told{3, request{put, "b"}, revoked}),
		"good again":                           {{1, request{put, "a"}, used}, {2, request{put, "b"}, ok}},
		"acknowledged, and not stored":         {{1, request{put, "a"}, ok}, {2, request{look, ""}, answer{said: "ok"}}},
		"stored, and given up":                 {{1, request{giveUp, ""}, ok}, {2, request{look, ""}, answer{said: "ok", content: "a"}}},
		"incomplete after it was given up":     after(told{3, request{giveUp, ""}, ok}, told{4, request{complete, ""}, answer{said: "incomplete"}}),
		"incomplete for who was overtaken":     after(told{3, request{complete, ""}, doneA}, told{3, request{complete, ""}, answer{said: "incomplete"}}),
		"a part of an upload never started":    {{1, request{part, "a"}, ok}, {2, request{start, ""}, ok}},
		"another's is stored":                  {{1, request{put, "a"}, ok}, {1, request{put, "b"}, used}, {2, request{look, ""}, answer{said: "ok", content: "b"}}},
		"stored by a PUT that was refused":     {{1, request{put, "a"}, used}, {1, request{put, "b"}, unknown}, {2, request{look, ""}, answer{said: "ok", content: "a"}}},
		"an unknown PUT cannot spend it twice": {{1, request{put, "a"}, unknown}, {2, request{put, "b"}, used}, {3, request{giveUp, ""}, ok}},
	} {
		if porcupine.CheckOperations(model, history(all)) {
			t.Errorf("%s: passes", name)
		}
	}
	for name, all := range map[string][]told{
		"one PUT of two":                      {{1, request{put, "a"}, used}, {1, request{put, "b"}, ok}, {2, request{look, ""}, answer{said: "ok", content: "b"}}},
		"complete again":                      after(told{3, request{complete, ""}, doneA}, told{4, request{complete, ""}, doneA}),
		"a part at the same time":             after(told{3, request{complete, ""}, doneB}, told{3, request{part, "b"}, ok}),
		"a part that comes too late":          after(told{3, request{complete, ""}, doneA}, told{3, request{part, "b"}, ok}),
		"an unknown PUT that came through":    {{1, request{put, "a"}, unknown}, {2, request{put, "b"}, used}, {3, request{look, ""}, answer{said: "ok", content: "a"}}},
		"an unknown PUT that stored nothing":  {{1, request{put, "a"}, unknown}, {2, request{put, "b"}, used}, {3, request{look, ""}, answer{said: "ok"}}},
		"an unknown PUT that never came":      {{1, request{put, "a"}, unknown}, {2, request{put, "b"}, ok}},
		"an unknown complete, then complete":  after(told{3, request{complete, ""}, unknown}, told{4, request{complete, ""}, doneA}),
		"an unknown complete that never came": after(told{3, request{complete, ""}, unknown}, told{4, request{giveUp, ""}, ok}, told{5, request{complete, ""}, revoked}),
		"not started":                         {{1, request{complete, ""}, answer{said: "not-started"}}, {2, request{start, ""}, ok}, {3, request{complete, ""}, answer{said: "incomplete"}}},
	} {
		if !porcupine.CheckOperations(model, history(all)) {
			t.Errorf("%s: is refused", name)
		}
	}
}
