package history

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"math"

	"github.com/anishathalye/porcupine"
)

// Requests with a URL, and a look into the bucket.
const (
	start    = "start"
	part     = "part" // number 1, with a content
	list     = "list"
	complete = "complete"
	put      = "put" // with a content
	giveUp   = "give up"
	look     = "look" // at the object
)

// request is one of them. late says of a part that it may have been let through before the URL
// was spent, and have come to S3 after it.
type request struct {
	do, content string
	late        bool
}

// answer is what came back: "ok", "accepted" (202), the reason of a refusal, or "unknown",
// if the request may have been carried out, may yet be, and may never be.
type answer struct {
	said string
	// etag is of the object that complete names, or of the part that list names.
	etag string
	// content is what look has found; "" is no object.
	content string
}

// life is what there is to know of one URL.
type life struct {
	started bool
	part    string // content
	// spent is by what the URL was spent: put, complete, giveUp or nothing.
	spent string
	// content is what the object is made of, and certain that it is stored.
	content string
	certain bool
}

// model is the life of one URL, one request after the other.
var model = porcupine.Model{
	Init: func() any { return life{} },
	Step: func(state, input, output any) (bool, any) { return state.(life).step(input.(request), output.(answer)) },
	DescribeOperation: func(input, output any) string {
		return fmt.Sprintf("%v -> %v", input, output)
	},
}

// step says whether a URL with such a life may answer so, and what its life is then. An
// unknown answer is right in every life: the request takes effect if it can. It may do so
// after all others, which is as if it never did.
func (l life) step(r request, a answer) (bool, life) {
	unknown := a.said == "unknown"
	if r.do == put && l.spent == giveUp && a.said == "used" {
		return true, l // overtaken at its claim, a PUT does not look who was first
	}
	if r.late && l.spent != "" && a.said == "ok" {
		return true, l // S3 has taken it, and nothing is made of it
	}
	if refused, ok := l.refusal(r.do); ok && !unknown {
		return a.said == refused, l
	} else if ok {
		return true, l
	}
	switch r.do {
	case start:
		l.started = true
		return unknown || a.said == "ok", l
	case part:
		if !l.started {
			return unknown || a.said == "not-started", l
		}
		l.part = r.content
		return unknown || a.said == "ok", l
	case list:
		if !l.started {
			return unknown || a.said == "not-started", l
		}
		return unknown || a.said == "ok" && a.etag == etagOf(l.part), l
	case complete:
		return l.complete(a)
	case put:
		l.spent, l.content, l.certain = put, r.content, a.said == "ok"
		return unknown || a.said == "ok", l
	case giveUp:
		l.spent = giveUp
		return unknown || a.said == "ok", l
	case look:
		return a.content == l.content && l.spent != giveUp || a.content == "" && !l.certain, l
	}
	return false, l
}

// refusal is what a spent URL answers, if it is spent and the request cannot be about what
// spent it.
func (l life) refusal(do string) (string, bool) {
	again := l.spent == do || l.spent == complete && do == list
	switch {
	case l.spent == "" || do == look || again && do != put:
		return "", false
	case l.spent == giveUp:
		return "revoked", true
	}
	return "used", true
}

func (l life) complete(a answer) (bool, life) {
	unknown := a.said == "unknown"
	if l.spent == "" {
		switch {
		case !l.started:
			return unknown || a.said == "not-started", l
		case l.part == "":
			return unknown || a.said == "incomplete", l
		}
		l.spent, l.content = complete, l.part
	}
	l.certain = l.certain || a.said == "ok"
	return unknown || a.said == "accepted" || a.said == "ok" && a.etag == objectETag(l.content), l
}

// etagOf is S3's ETag of a part.
func etagOf(content string) string {
	if content == "" {
		return ""
	}
	sum := md5.Sum([]byte(content))
	return hex.EncodeToString(sum[:])
}

// objectETag is S3's ETag of an object of one part.
func objectETag(content string) string {
	inner := md5.Sum([]byte(content))
	sum := md5.Sum(inner[:])
	return hex.EncodeToString(sum[:]) + "-1"
}

// operation is a request with its answer, sent and answered at these moments.
func operation(client int, r request, sent int64, a answer, answered int64) porcupine.Operation {
	if a.said == "unknown" {
		answered = math.MaxInt64
	}
	return porcupine.Operation{ClientId: client, Input: r, Call: sent, Output: a, Return: answered}
}

// spends reports whether the answer says that the URL is spent.
func (a answer) spends(do string) bool {
	did := (do == complete || do == put || do == giveUp) && (a.said == "ok" || a.said == "accepted")
	return did || a.said == "used" || a.said == "revoked"
}

// withLate marks the parts that were sent before anybody was told that the URL is spent.
func withLate(all []porcupine.Operation) []porcupine.Operation {
	told := int64(math.MaxInt64)
	for _, op := range all {
		if op.Output.(answer).spends(op.Input.(request).do) {
			told = min(told, op.Return)
		}
	}
	for i, op := range all {
		r := op.Input.(request)
		r.late = r.do == part && op.Call < told
		all[i].Input = r
	}
	return all
}
