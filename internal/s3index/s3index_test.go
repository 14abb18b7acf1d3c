package s3index_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"oncegate/internal/onetime"
	"oncegate/internal/s3index"
)

const askedLimit = 1234 * time.Millisecond

var id = onetime.Fingerprint("/path", "query")

// stub is a Bucket that gives prepared answers and keeps the requests.
type stub struct {
	answer   s3index.Answer
	err      error
	pages    []s3index.Page // of ListVersions, one per request; the last one again and again
	pageErr  []error        // beside pages
	requests []string
	objects  []s3index.Object
	markers  []s3index.Marker
	limits   []time.Duration
}

func (b *stub) note(limit time.Duration, request string) {
	b.requests = append(b.requests, request)
	b.limits = append(b.limits, limit)
}

func (b *stub) Get(_ context.Context, limit time.Duration, key string) (s3index.Answer, error) {
	b.note(limit, "GET "+key)
	return b.answer, b.err
}

func (b *stub) Head(_ context.Context, limit time.Duration, key string) (s3index.Answer, error) {
	b.note(limit, "HEAD "+key)
	return b.answer, b.err
}

func (b *stub) Put(_ context.Context, limit time.Duration, object s3index.Object) (s3index.Answer, error) {
	b.note(limit, "PUT "+object.Key)
	b.objects = append(b.objects, object)
	return b.answer, b.err
}

func (b *stub) ListVersions(_ context.Context, limit time.Duration, prefix string, from s3index.Marker) (s3index.Page, error) {
	b.note(limit, "LIST "+prefix)
	b.markers = append(b.markers, from)
	if len(b.requests) > 10_000 {
		panic("a list without an end")
	}
	n := min(len(b.requests), len(b.pages)) - 1
	if n < 0 {
		return s3index.Page{Status: b.answer.Status}, b.err
	}
	var err error
	if n < len(b.pageErr) {
		err = b.pageErr[n]
	}
	return b.pages[n], err
}

// ops calls every method of the index, and returns its error.
var ops = map[string]func(*s3index.Index) error{
	"ReadValid": func(x *s3index.Index) error {
		_, _, err := x.ReadValid(context.Background(), askedLimit, id)
		return err
	},
	"WriteValid": func(x *s3index.Index) error {
		_, err := x.WriteValid(context.Background(), askedLimit, id, []byte("body"))
		return err
	},
	"HeadExpired": func(x *s3index.Index) error {
		_, err := x.HeadExpired(context.Background(), askedLimit, id)
		return err
	},
	"Claim": func(x *s3index.Index) error {
		_, err := x.Claim(context.Background(), askedLimit, id, onetime.Used, []byte("body"))
		return err
	},
	"ReadExpired": func(x *s3index.Index) error {
		_, _, err := x.ReadExpired(context.Background(), askedLimit, id)
		return err
	},
	"ListExpired": func(x *s3index.Index) error {
		_, err := x.ListExpired(context.Background(), askedLimit, id)
		return err
	},
	"ReadKey": func(x *s3index.Index) error {
		_, err := x.ReadKey(context.Background(), askedLimit, "abc")
		return err
	},
	"CreateKey": func(x *s3index.Index) error {
		return x.CreateKey(context.Background(), askedLimit, "abc", []byte("body"))
	},
	"ReplaceKey": func(x *s3index.Index) error {
		return x.ReplaceKey(context.Background(), askedLimit, "abc", []byte("body"))
	},
	"ListKeys": func(x *s3index.Index) error {
		_, err := x.ListKeys(context.Background(), askedLimit)
		return err
	},
}

// TestOutcomes: what every status means to every method. What is in neither list
// below is a fault that keeps its status.
func TestOutcomes(t *testing.T) {
	definite := map[string]map[int]error{
		"ReadValid":   {404: onetime.ErrAbsent},
		"HeadExpired": {404: onetime.ErrAbsent},
		"ReadExpired": {404: onetime.ErrAbsent},
		"Claim":       {412: onetime.ErrExists, 409: onetime.ErrConflict},
		"ReadKey":     {404: onetime.ErrAbsent},
		"CreateKey":   {412: onetime.ErrExists, 409: onetime.ErrConflict},
	}
	for op, call := range ops {
		for _, status := range []int{
			0, 100, 200, 201, 202, 204, 206, 301, 302, 304, 307, 400, 401, 403, 404, 405, 408, 409,
			411, 412, 413, 416, 429, 499, 500, 501, 502, 503, 504, 599,
		} {
			err := call(s3index.New(&stub{answer: s3index.Answer{Status: status}}))
			fault, isFault := errors.AsType[*onetime.Fault](err)
			switch want := definite[op][status]; {
			case status == 200:
				if err != nil {
					t.Errorf("%s 200: %v", op, err)
				}
			case want != nil:
				if !errors.Is(err, want) || isFault {
					t.Errorf("%s %d: %v, want %v", op, status, err, want)
				}
			default:
				if !isFault || fault.Op != op || fault.Status != status || fault.Stale {
					t.Errorf("%s %d: %#v, want a fault with op and status", op, status, err)
				}
			}
		}
	}
}

// TestNoAnswer: an error of the bucket is a fault without a status, and a dead
// connection is told from others.
func TestNoAnswer(t *testing.T) {
	reset := errors.New("connection reset")
	for op, call := range ops {
		for _, stale := range []bool{false, true} {
			err := reset
			if stale {
				err = fmt.Errorf("%w: %w", s3index.ErrStale, reset)
			}
			// A status beside an error is of an answer that broke off.
			got := call(s3index.New(&stub{answer: s3index.Answer{Status: 200}, err: err}))
			fault, ok := errors.AsType[*onetime.Fault](got)
			if !ok || fault.Op != op || fault.Status != 0 || fault.Stale != stale || !errors.Is(got, reset) {
				t.Errorf("%s, stale %t: %#v", op, stale, got)
			}
		}
	}
}

// TestRequests: which request each method makes, how often, and with which limit.
func TestRequests(t *testing.T) {
	valid, expired := "signatures/valid/"+string(id), "signatures/expired/"+string(id)
	for op, test := range map[string]struct {
		request string
		object  *s3index.Object
	}{
		"ReadValid":   {"GET " + valid, nil},
		"WriteValid":  {"PUT " + valid, &s3index.Object{Key: valid, Body: []byte("body"), ContentType: "application/json"}},
		"HeadExpired": {"HEAD " + expired, nil},
		"Claim": {"PUT " + expired, &s3index.Object{Key: expired, Body: []byte("body"), ContentType: "application/json",
			Metadata: map[string]string{"oncegate-reason": "used"}, IfAbsent: true}},
		"ReadExpired": {"GET " + expired, nil},
		"ListExpired": {"LIST " + expired, nil},
		"ReadKey":     {"GET keys/abc", nil},
		"CreateKey":   {"PUT keys/abc", &s3index.Object{Key: "keys/abc", Body: []byte("body"), ContentType: "application/json", IfAbsent: true}},
		"ReplaceKey":  {"PUT keys/abc", &s3index.Object{Key: "keys/abc", Body: []byte("body"), ContentType: "application/json"}},
		"ListKeys":    {"LIST keys/", nil},
	} {
		for _, status := range []int{200, 409, 500} { // repeats are not its business
			bucket := &stub{answer: s3index.Answer{Status: status}}
			_ = ops[op](s3index.New(bucket))
			if !slices.Equal(bucket.requests, []string{test.request}) {
				t.Errorf("%s %d: requests %q, want %q", op, status, bucket.requests, test.request)
			}
			if !slices.Equal(bucket.limits, []time.Duration{askedLimit}) {
				t.Errorf("%s: limits %v, want %v", op, bucket.limits, askedLimit)
			}
			if test.object != nil && !reflect.DeepEqual(bucket.objects, []s3index.Object{*test.object}) {
				t.Errorf("%s: puts %+v, want %+v", op, bucket.objects, *test.object)
			}
		}
	}
}

func TestHeadExpired(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer s3index.Answer
		reason onetime.Reason
		err    error
	}{
		{"used", s3index.Answer{Status: 200, Metadata: map[string]string{"oncegate-reason": "used"}}, onetime.Used, nil},
		{"revoked", s3index.Answer{Status: 200, Metadata: map[string]string{"oncegate-reason": "revoked"}}, onetime.Revoked, nil},
		{"another reason", s3index.Answer{Status: 200, Metadata: map[string]string{"oncegate-reason": "Revoked"}}, onetime.Used, nil},
		{"no metadata", s3index.Answer{Status: 200}, onetime.Used, nil},
		{"absent", s3index.Answer{Status: 404}, "", onetime.ErrAbsent},
		{"deleted", s3index.Answer{Status: 404, DeleteMarker: true}, "", onetime.ErrDeleted},
	} {
		reason, err := s3index.New(&stub{answer: test.answer}).HeadExpired(t.Context(), askedLimit, id)
		if reason != test.reason || !errors.Is(err, test.err) {
			t.Errorf("%s: %q, %v; want %q, %v", test.name, reason, err, test.reason, test.err)
		}
	}
	// A delete marker in an answer that is no clear "absent" says nothing.
	_, err := s3index.New(&stub{answer: s3index.Answer{Status: 403, DeleteMarker: true}}).HeadExpired(t.Context(), askedLimit, id)
	if fault, ok := errors.AsType[*onetime.Fault](err); !ok || fault.Status != 403 {
		t.Errorf("403 with a delete marker: %v, want a fault", err)
	}
}

func TestBodiesAndVersions(t *testing.T) {
	x := s3index.New(&stub{answer: s3index.Answer{Status: 200, VersionID: "v7", Body: []byte("stored")}})
	if body, _, err := x.ReadValid(t.Context(), askedLimit, id); string(body) != "stored" || err != nil {
		t.Errorf("ReadValid: %q, %v", body, err)
	}
	if body, version, err := x.ReadExpired(t.Context(), askedLimit, id); string(body) != "stored" || version != "v7" || err != nil {
		t.Errorf("ReadExpired: %q, %q, %v", body, version, err)
	}
	if version, err := x.Claim(t.Context(), askedLimit, id, onetime.Revoked, nil); version != "v7" || err != nil {
		t.Errorf("Claim: %q, %v", version, err)
	}
	// What an error answer carries is no entry.
	x = s3index.New(&stub{answer: s3index.Answer{Status: 500, VersionID: "v7", Body: []byte("<Error/>")}})
	if body, _, err := x.ReadValid(t.Context(), askedLimit, id); body != nil || err == nil {
		t.Errorf("ReadValid 500: %q, %v", body, err)
	}
	if version, err := x.Claim(t.Context(), askedLimit, id, onetime.Used, nil); version != "" || err == nil {
		t.Errorf("Claim 500: %q, %v", version, err)
	}
}

// TestDates: what an answer says of its time is taken in the one form that HTTP has for
// it, or not at all.
func TestDates(t *testing.T) {
	for date, want := range map[string]time.Time{
		"Wed, 04 Mar 2026 05:06:07 GMT":     time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
		"":                                  {},
		"2026-03-04T05:06:07Z":              {},
		"Wed, 04 Mar 2026 05:06:07 CET":     {},
		"Wednesday, 04-Mar-26 05:06:07 GMT": {},
		"Wed, 32 Mar 2026 05:06:07 GMT":     {},
	} {
		x := s3index.New(&stub{answer: s3index.Answer{Status: 200, Date: date}})
		if _, at, err := x.ReadValid(t.Context(), askedLimit, id); !at.Equal(want) || err != nil {
			t.Errorf("ReadValid of %q: %s, %v, want %s", date, at, err, want)
		}
		if at, err := x.WriteValid(t.Context(), askedLimit, id, nil); !at.Equal(want) || err != nil {
			t.Errorf("WriteValid of %q: %s, %v, want %s", date, at, err, want)
		}
	}
}

func TestListExpired(t *testing.T) {
	key := id.ExpiredKey()
	version := func(key, id string) s3index.KeyVersion {
		return s3index.KeyVersion{Key: key, Version: onetime.Version{ID: id}}
	}
	marker := func(id string) s3index.KeyVersion {
		return s3index.KeyVersion{Key: key, Version: onetime.Version{ID: id, DeleteMarker: true}}
	}
	next := func(id string) *s3index.Marker { return &s3index.Marker{Key: key, VersionID: id} }
	reset := errors.New("connection reset")
	endless := func(n int) (pages []s3index.Page) {
		for i := range n {
			pages = append(pages, s3index.Page{Status: 200, Next: next(fmt.Sprint(i))})
		}
		return pages
	}

	for _, test := range []struct {
		name     string
		pages    []s3index.Page
		pageErr  []error
		want     string // version ids, newest first, delete markers with a minus
		status   int    // of the fault, if one is wanted
		fails    bool
		requests int
	}{
		{name: "none", pages: []s3index.Page{{Status: 200}}, requests: 1},
		{name: "order is kept",
			pages: []s3index.Page{{Status: 200, Versions: []s3index.KeyVersion{version(key, "b"), marker("d"), version(key, "c"), version(key, "a")}}},
			want:  "b -d c a", requests: 1},
		{name: "longer keys are not ours",
			pages: []s3index.Page{{Status: 200, Versions: []s3index.KeyVersion{
				version(key, "a"), version(key+"0", "x"), version(key+".bak", "y"), version(key+"/z", "z"), version("", "n")}}},
			want: "a", requests: 1},
		{name: "several pages",
			pages: []s3index.Page{
				{Status: 200, Versions: []s3index.KeyVersion{version(key, "c")}, Next: next("c")},
				{Status: 200, Next: next("d")}, // an empty page is not the last one
				{Status: 200, Versions: []s3index.KeyVersion{version(key, "b"), version(key, "a")}}},
			want: "c b a", requests: 3},
		{name: "ten pages", pages: append(endless(9), s3index.Page{Status: 200, Versions: []s3index.KeyVersion{version(key, "a")}}),
			want: "a", requests: 10},
		{name: "pages without end", pages: endless(20), fails: true, status: 200, requests: 10},
		{name: "the same page again", pages: []s3index.Page{{Status: 200, Next: next("c")}}, fails: true, status: 200, requests: 2},
		{name: "the beginning again", pages: []s3index.Page{{Status: 200, Next: &s3index.Marker{}}}, fails: true, status: 200, requests: 1},
		{name: "second page fails",
			pages: []s3index.Page{
				{Status: 200, Versions: []s3index.KeyVersion{version(key, "c")}, Next: next("c")},
				{Status: 503, Versions: []s3index.KeyVersion{version(key, "x")}}},
			fails: true, status: 503, requests: 2},
		{name: "second page is lost",
			pages: []s3index.Page{
				{Status: 200, Versions: []s3index.KeyVersion{version(key, "c")}, Next: next("c")},
				{}},
			pageErr: []error{nil, reset}, fails: true, status: 0, requests: 2},
		{name: "404 is no empty list", pages: []s3index.Page{{Status: 404}}, fails: true, status: 404, requests: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			bucket := &stub{pages: test.pages, pageErr: test.pageErr}
			versions, err := s3index.New(bucket).ListExpired(t.Context(), askedLimit, id)
			if len(bucket.requests) != test.requests {
				t.Errorf("%d requests, want %d", len(bucket.requests), test.requests)
			}
			for i, from := range bucket.markers {
				want := s3index.Marker{}
				if i > 0 {
					want = *test.pages[min(i, len(test.pages))-1].Next
				}
				if from != want {
					t.Errorf("page %d is asked for from %+v, want %+v", i, from, want)
				}
			}
			if test.fails {
				fault, ok := errors.AsType[*onetime.Fault](err)
				if !ok || fault.Op != "ListExpired" || fault.Status != test.status || versions != nil {
					t.Errorf("%v, %#v; want a fault with status %d", versions, err, test.status)
				}
				return
			}
			var got []string
			for _, v := range versions {
				if v.DeleteMarker {
					v.ID = "-" + v.ID
				}
				got = append(got, v.ID)
			}
			if err != nil || strings.Join(got, " ") != test.want {
				t.Errorf("%v, %v; want %s", got, err, test.want)
			}
		})
	}
}
