package client_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"oncegate/internal/client"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// partsDeployment is a deployment of one URL in memory, for what only a script can do.
type partsDeployment struct {
	mu      sync.Mutex
	parts   map[int][]byte
	object  []byte
	spentBy string // "put" or "complete"
	slow    int    // answers of complete that are 202
	most    int    // maxBytes, if not 5 GiB
	numbers int    // maxParts, if not 1000
	crc     string // S3's checksum, if not the right one; "none" for none
	opaque  string // ETags that are no MD5s: "md5", they look like some; "text", they do not
	seen    []string
	types   []string
	// fault is asked before the nth request of its kind: "drop" applies nothing and gives no
	// answer, "lose" applies it and gives no answer, "503" answers so and applies nothing.
	fault func(kind string, n int) string
}

func (d *partsDeployment) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	op := ""
	for _, name := range []string{"uploads", "parts", "complete", "partNumber"} {
		if query.Has(name) {
			op = name
		}
	}
	kind := r.Method + " " + op
	if op == "partNumber" {
		kind = "PUT " + query.Get(op)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client stopped
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen = append(d.seen, kind)
	fault := ""
	if d.fault != nil {
		fault = d.fault(kind, d.count(kind))
	}
	switch fault {
	case "drop":
		panic(http.ErrAbortHandler)
	case "503":
		w.Header().Set("Retry-After", "7")
		refuse(w, 503, "index-unavailable")
		return
	}
	if fault == "lose" {
		d.handle(discard{http.Header{}}, r, op, body)
		panic(http.ErrAbortHandler)
	}
	d.handle(w, r, op, body)
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

func refuse(w http.ResponseWriter, status int, reason string) {
	w.Header().Set("X-Oncegate-Reason", reason)
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"message":"Refused: %s."}`, reason)
}

func (d *partsDeployment) count(kind string) (n int) {
	for _, k := range d.seen {
		if k == kind {
			n++
		}
	}
	return n
}

// etag is the one that S3 gives the content of a part.
func (d *partsDeployment) etag(content []byte) string {
	switch d.opaque {
	case "md5":
		return fmt.Sprintf("%x", md5.Sum(append([]byte("encrypted "), content...)))
	case "text":
		sum := md5.Sum(content)
		return "E-" + base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return fmt.Sprintf("%x", md5.Sum(content))
}

func (d *partsDeployment) handle(w http.ResponseWriter, r *http.Request, op string, body []byte) {
	numbers := slices.Sorted(maps.Keys(d.parts))
	switch {
	case d.spentBy == "put" || d.spentBy != "" && (op == "uploads" || op == "partNumber"):
		refuse(w, 403, "used")
	case op == "uploads":
		d.types = append(d.types, r.Header.Get("Content-Type"))
		fmt.Fprintf(w, `{"partBytes":8388608,"maxParts":%d,"maxBytes":%d}`, cmp.Or(d.numbers, 1000), cmp.Or(d.most, 5<<30))
	case op == "partNumber":
		sum := md5.Sum(body)
		if r.Header.Get("Content-Md5") != base64.StdEncoding.EncodeToString(sum[:]) {
			w.WriteHeader(400)
			io.WriteString(w, "<Code>BadDigest</Code>")
			return
		}
		n, _ := strconv.Atoi(r.URL.Query().Get(op))
		d.parts[n] = body
		w.Header().Set("ETag", `"`+d.etag(body)+`"`)
	case op == "parts":
		after, _ := strconv.Atoi(r.URL.Query().Get("after"))
		page := map[string]any{}
		list := []map[string]any{}
		for _, n := range numbers {
			if n <= after {
				continue
			}
			if len(list) == 2 {
				page["next"] = list[1]["number"]
				break
			}
			list = append(list, map[string]any{"number": n, "size": len(d.parts[n]), "etag": d.etag(d.parts[n])})
		}
		page["parts"] = list
		json.NewEncoder(w).Encode(page)
	case op == "complete":
		var all []byte
		var stored []onetime.StoredPart
		for i, n := range numbers {
			all = append(all, d.parts[n]...)
			stored = append(stored, onetime.StoredPart{Number: 1 + i, ETag: d.etag(d.parts[n])})
		}
		etag, err := onetime.ObjectETag(stored)
		if err != nil || r.URL.Query().Get("etag") != etag {
			refuse(w, 409, "incomplete")
			return
		}
		if d.opaque != "" {
			etag = fmt.Sprintf("%032d-%d", 0, len(numbers))
		}
		d.spentBy = "complete"
		if d.slow > 0 {
			d.slow--
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(202)
			io.WriteString(w, `{"stored":false}`)
			return
		}
		d.object = all
		crc := d.crc
		if crc == "" {
			crc = onetimetest.CRC64NVME(all)
		}
		fmt.Fprintf(w, `{"stored":true,"size":%d,"etag":"%s"`, len(all), etag)
		if crc != "none" {
			fmt.Fprintf(w, `,"crc64nvme":"%s"`, crc)
		}
		io.WriteString(w, "}")
	}
}

// large is a file of four parts of 5 MiB, the last one shorter.
var large = func() []byte {
	b := make([]byte, 15<<20+7)
	for i := range b {
		b[i] = byte(i >> 8 * 31)
	}
	return b
}()

const partSize = 5 << 20

func TestPutParts(t *testing.T) {
	first := func(kind, fault string) func(string, int) string {
		return func(k string, n int) string {
			if k == kind && n == 1 {
				return fault
			}
			return ""
		}
	}
	three := map[int][]byte{1: large[:partSize], 2: large[partSize : 2*partSize], 3: large[2*partSize : 3*partSize]}
	whole := maps.Clone(three)
	whole[4] = large[3*partSize:]
	other := bytes.Repeat([]byte("x"), partSize)
	for _, tt := range []struct {
		name   string
		d      *partsDeployment
		want   map[string]int // requests of a kind
		reason string         // of the error, or a part of its text
		fate   client.Fate
		waits  time.Duration // the least that some wait has to have
		bytes  int64         // of a part, if not partSize
	}{
		{name: "plain", d: &partsDeployment{}, want: map[string]int{"POST uploads": 1, "PUT 1": 1, "PUT 4": 1, "POST complete": 1}},
		{name: "part dropped", d: &partsDeployment{fault: first("PUT 2", "drop")}, want: map[string]int{"PUT 1": 1, "PUT 2": 2}},
		{name: "answer of a part lost", d: &partsDeployment{fault: first("PUT 2", "lose")}, want: map[string]int{"PUT 2": 2}},
		{name: "part refused in passing", d: &partsDeployment{fault: first("PUT 3", "503")}, want: map[string]int{"PUT 3": 2}, waits: 7 * time.Second},
		{name: "start dropped", d: &partsDeployment{fault: first("POST uploads", "drop")}, want: map[string]int{"POST uploads": 2}},
		{name: "answer of start lost", d: &partsDeployment{fault: first("POST uploads", "lose")}, want: map[string]int{"POST uploads": 2}},
		{name: "list dropped", d: &partsDeployment{fault: first("GET parts", "drop")}, want: map[string]int{"GET parts": 2}},
		{name: "complete dropped", d: &partsDeployment{fault: first("POST complete", "drop")}, want: map[string]int{"POST complete": 2}},
		{name: "answer of complete lost", d: &partsDeployment{fault: first("POST complete", "lose")}, want: map[string]int{"POST complete": 2}},
		{name: "202", d: &partsDeployment{slow: 2}, want: map[string]int{"POST complete": 3}, waits: 3 * time.Second},
		{name: "goes on, over two pages", d: &partsDeployment{parts: maps.Clone(three)}, want: map[string]int{"GET parts": 2, "PUT 1": 0, "PUT 3": 0, "PUT 4": 1}},
		{name: "goes on without the first part", d: &partsDeployment{parts: map[int][]byte{3: three[3], 4: whole[4]}}, bytes: 8 << 20, want: map[string]int{"PUT 2": 1, "PUT 3": 0, "PUT 4": 0}},
		{name: "another part is there", d: &partsDeployment{parts: map[int][]byte{1: large[:partSize], 2: other}}, want: map[string]int{"PUT 1": 0, "PUT 2": 1}},
		{name: "complete before", d: &partsDeployment{parts: maps.Clone(whole), spentBy: "complete"}, want: map[string]int{"PUT 1": 0, "PUT 4": 0, "POST complete": 1}},
		{name: "complete before, of another file", d: &partsDeployment{parts: map[int][]byte{1: other, 2: large[:9]}, spentBy: "complete"}, reason: "used", fate: client.Useless},
		{name: "used by a PUT", d: &partsDeployment{spentBy: "put"}, reason: "used", fate: client.Useless, want: map[string]int{"PUT 1": 0, "POST complete": 0}},
		{name: "a part too many", d: &partsDeployment{parts: map[int][]byte{5: other}}, reason: "incomplete", fate: client.Good, want: map[string]int{"POST complete": 3}},
		{name: "no checksum", d: &partsDeployment{crc: "none"}},
		{name: "another checksum", d: &partsDeployment{crc: onetimetest.CRC64NVME(large[1:])}, reason: "other bytes are stored", fate: client.Unknown},
		{name: "KMS", d: &partsDeployment{opaque: "md5"}, want: map[string]int{"PUT 1": 1, "PUT 4": 1, "POST complete": 1}},
		{name: "KMS, of another form", d: &partsDeployment{opaque: "text"}, want: map[string]int{"PUT 1": 1, "PUT 4": 1, "POST complete": 1}},
		{name: "KMS, no checksum", d: &partsDeployment{opaque: "md5", crc: "none"}},
		{name: "KMS, another checksum", d: &partsDeployment{opaque: "md5", crc: onetimetest.CRC64NVME(large[1:])}, reason: "other bytes are stored", fate: client.Unknown},
		{name: "KMS, goes on: nobody knows what is there", d: &partsDeployment{opaque: "md5", parts: maps.Clone(three)}, want: map[string]int{"PUT 1": 1, "PUT 4": 1, "POST complete": 1}},
		{name: "KMS, answer of complete lost", d: &partsDeployment{opaque: "md5", fault: first("POST complete", "lose")}, want: map[string]int{"POST complete": 2}},
		{name: "too large for the URL", d: &partsDeployment{most: len(large) - 1}, reason: "at most 15728646 bytes", fate: client.Good, want: map[string]int{"PUT 1": 0, "POST complete": 0}},
		{name: "as large as the URL takes", d: &partsDeployment{most: len(large)}},
		{name: "no answer to a part", d: &partsDeployment{fault: func(k string, _ int) string { return map[string]string{"PUT 1": "drop"}[k] }}, reason: "no answer", fate: client.Good, want: map[string]int{"PUT 1": 8, "POST complete": 0}},
		{name: "no answer to complete", d: &partsDeployment{fault: func(k string, _ int) string { return map[string]string{"POST complete": "lose"}[k] }}, reason: "no answer", fate: client.Unknown, want: map[string]int{"POST complete": 8}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := tt.d
			if d.parts == nil {
				d.parts = map[int][]byte{}
			}
			s, _ := server(t, d.ServeHTTP)
			s.Config.ErrorLog = nil
			var mu sync.Mutex
			var longest time.Duration
			var told int64
			stored, err := client.PutParts(t.Context(), client.Parts{
				URL: minted(t, s.URL), Body: bytes.NewReader(large), Size: int64(len(large)), PartBytes: cmp.Or(tt.bytes, partSize),
				Header: map[string]string{"Content-Type": "image/png"},
				Sent:   func(n int64) { told = n },
				Sleep: func(_ context.Context, d time.Duration) error {
					mu.Lock()
					defer mu.Unlock()
					longest = max(longest, d)
					return nil
				},
			})
			d.mu.Lock()
			defer d.mu.Unlock()
			for kind, n := range tt.want {
				if got := d.count(kind); got != n {
					t.Errorf("%d times %s, want %d: %v", got, kind, n, d.seen)
				}
			}
			if longest < tt.waits {
				t.Errorf("waited %s at most, want %s", longest, tt.waits)
			}
			if tt.reason != "" {
				if err == nil || !strings.Contains(err.Error(), tt.reason) || client.FateOf(err) != tt.fate || strings.Contains(err.Error(), secret) {
					t.Errorf("got %v, URL %s, want %s, %s", err, client.FateOf(err), tt.reason, tt.fate)
				}
				return
			}
			if err != nil || !bytes.Equal(d.object, large) || stored.Size != int64(len(large)) || !strings.HasSuffix(stored.ETag, "-4") || told != stored.Size || (stored.CRC64NVME == "") != (d.crc == "none") ||
				(stored.Unverified == "") != (d.opaque == "" || d.crc == "") {
				t.Errorf("%+v, %v; %d bytes stored, told of %d", stored, err, len(d.object), told)
			}
			if slices.ContainsFunc(d.types, func(s string) bool { return s != "image/png" }) {
				t.Errorf("types %q", d.types)
			}
		})
	}
}

// TestPutPartsOfChangedFile: a file that is another before complete is not completed.
func TestPutPartsOfChangedFile(t *testing.T) {
	d := &partsDeployment{parts: map[int][]byte{}}
	s, _ := server(t, d.ServeHTTP)
	changed := errors.New("the file changed")
	_, err := client.PutParts(t.Context(), client.Parts{
		URL: minted(t, s.URL), Body: bytes.NewReader(large), Size: int64(len(large)), Unchanged: func() error { return changed },
	})
	if !errors.Is(err, changed) || client.FateOf(err) != client.Good || d.count("POST complete") != 0 {
		t.Errorf("%v, URL %s, %v", err, client.FateOf(err), d.seen)
	}
	_, err = client.PutParts(t.Context(), client.Parts{URL: minted(t, s.URL), Body: bytes.NewReader(large[:9]), Size: int64(len(large))})
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) || client.FateOf(err) != client.Good || d.count("POST complete") != 0 {
		t.Errorf("cut short: %v, URL %s", err, client.FateOf(err))
	}
}

// TestPutPartsInterrupted: the upload stops, and a second call goes on.
func TestPutPartsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	d := &partsDeployment{parts: map[int][]byte{}, fault: func(kind string, _ int) string {
		if kind == "PUT 2" && ctx.Err() == nil {
			cancel()
			return "drop"
		}
		return ""
	}}
	s, _ := server(t, d.ServeHTTP)
	p := client.Parts{URL: minted(t, s.URL), Body: bytes.NewReader(large), Size: int64(len(large)), PartBytes: partSize, Parallel: 1}
	if _, err := client.PutParts(ctx, p); !errors.Is(err, context.Canceled) || client.FateOf(err) != client.Good {
		t.Fatalf("%v, URL %s", err, client.FateOf(err))
	}
	if _, err := client.PutParts(t.Context(), p); err != nil || !bytes.Equal(d.object, large) || d.count("PUT 1") != 1 {
		t.Errorf("%v; %v", err, d.seen)
	}
}
