package edge_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"oncegate/edge"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

var (
	sum       = slices.Repeat([]byte{0xfb, 0xff, 0x00, 0x3e}, 8) // has + and / in base64
	sumBase64 = base64.StdEncoding.EncodeToString(sum)
	sumHex    = hex.EncodeToString(sum)
)

// byQuery asks mint with a GET.
func byQuery(t testing.TB, query string) edge.Event {
	t.Helper()
	event := load(t, "get-url.json")
	event.Records[0].CF.Request.Querystring = query
	return event
}

// byBody asks mint with a POST, the body as CloudFront includes it.
func byBody(t testing.TB, body string) edge.Event {
	t.Helper()
	event := load(t, "get-url.json")
	request := &event.Records[0].CF.Request
	request.Method = "POST"
	request.Headers["content-type"] = []edge.Header{{Value: "application/json"}}
	request.Body = &edge.Body{Action: "read-only", Encoding: "base64", Data: base64.StdEncoding.EncodeToString([]byte(body))}
	return event
}

func acceptJSON(event edge.Event) edge.Event {
	event.Records[0].CF.Request.Headers["accept"] = []edge.Header{{Value: "application/json"}}
	return event
}

// entries are the valid entries in the store.
func (w *world) entries(t testing.TB) (all []onetime.ValidEntry) {
	t.Helper()
	for _, key := range w.store.Keys() {
		current, _, _ := w.store.Current(key)
		entry, err := onetime.ParseValidEntry(current.Body)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, entry)
	}
	return all
}

// TestOptions asks for each option within, at, just over and far over its bounds,
// once by query and once by body. What is refused writes nothing and says which
// option it is, without a word of what was sent.
func TestOptions(t *testing.T) {
	entry := func(change func(*onetime.ValidEntry)) *onetime.ValidEntry {
		e := &onetime.ValidEntry{Version: 1, Created: start, Expires: start.Add(15 * time.Minute), Limits: onetime.Limits{MinBytes: 1, MaxBytes: 1000}}
		change(e)
		return e
	}
	expires := func(d time.Duration) *onetime.ValidEntry {
		return entry(func(e *onetime.ValidEntry) { e.Expires = start.Add(d) })
	}
	limits := func(l onetime.Limits) *onetime.ValidEntry {
		return entry(func(e *onetime.ValidEntry) {
			if l.MaxBytes == 0 {
				l.MaxBytes = 1000
			}
			if l.MinBytes == 0 {
				l.MinBytes = 1
			}
			e.Limits = l
		})
	}
	name := func(s string) *onetime.ValidEntry { return entry(func(e *onetime.ValidEntry) { e.Name = s }) }
	prefixed := func(s string) *onetime.ValidEntry { return entry(func(e *onetime.ValidEntry) { e.Key = s }) }
	meta := func(s onetime.Meta) *onetime.ValidEntry { return entry(func(e *onetime.ValidEntry) { e.Meta = s }) }
	tags := func(s onetime.Tags) *onetime.ValidEntry { return entry(func(e *onetime.ValidEntry) { e.Tags = s }) }
	label := func(s string) *onetime.ValidEntry { return entry(func(e *onetime.ValidEntry) { e.Label = s }) }
	const (
		expiresRule  = "expires: want whole seconds from 1 to 3600"
		maxBytesRule = "maxBytes: want 1 to 1000"
		minBytesRule = "minBytes: want 0 to maxBytes"
		typeRule     = "type: want "
		nameRule     = "name: want "
		labelRule    = "label: want "
		metaRule     = "meta: want "
		tagsRule     = "tags: want "
		prefixRule   = "prefix: want "
		sha256Rule   = "sha256: want "
		countRule    = "count: want 1 to 4"
	)
	long := strings.Repeat("x", 3000)
	type row struct {
		option, value string
		want          *onetime.ValidEntry
		refused       string // how the detail begins
	}
	rows := []row{
		{"expires", "1", expires(time.Second), ""},
		{"expires", "900", expires(900 * time.Second), ""},
		{"expires", "3600", expires(time.Hour), ""},
		{"maxBytes", "1", limits(onetime.Limits{MaxBytes: 1}), ""},
		{"maxBytes", "1000", limits(onetime.Limits{MaxBytes: 1000}), ""},
		{"minBytes", "0", entry(func(e *onetime.ValidEntry) { e.Limits.MinBytes = 0 }), ""},
		{"minBytes", "1000", limits(onetime.Limits{MinBytes: 1000}), ""},
		{"type", "image/png", limits(onetime.Limits{Type: "image/png"}), ""},
		{"type", "Image/SVG+XML", limits(onetime.Limits{Type: "image/svg+xml"}), ""},
		{"type", "image/*", limits(onetime.Limits{Type: "image/*"}), ""},
		{"sha256", sumHex, limits(onetime.Limits{SHA256: sumBase64}), ""},
		{"sha256", strings.ToUpper(sumHex), limits(onetime.Limits{SHA256: sumBase64}), ""},
		{"sha256", sumBase64, limits(onetime.Limits{SHA256: sumBase64}), ""},
		{"sha256", strings.ReplaceAll(sumBase64, "+", " "), limits(onetime.Limits{SHA256: sumBase64}), ""},
		{"name", "a photo & more=1;.jpg", name("a photo & more=1;.jpg"), ""},
		{"name", "写真　😀.png", name("写真　😀.png"), ""},
		{"name", strings.Repeat("é", 127) + "x", name(strings.Repeat("é", 127) + "x"), ""},
		{"name", "5", name("5"), ""},
		{"label", `"for" <Ann> \ 1/2`, label(`"for" <Ann> \ 1/2`), ""},
		{"label", strings.Repeat("x", 128), label(strings.Repeat("x", 128)), ""},
		{"prefix", "invoices", prefixed("invoices"), ""},
		{"prefix", "teams/red/5", prefixed("teams/red/5"), ""},
		{"meta", "order=17&customer=acme", meta("customer=acme&order=17"), ""},
		{"meta", "order=a+b%26", meta("order=a%20b%26"), ""},
		{"tags", "project=blue&customer=M%C3%BCller", tags("customer=M%C3%BCller&project=blue"), ""},
		{"tags", "project=a+b", tags("project=a%20b"), ""},
		{"count", "1", entry(func(*onetime.ValidEntry) {}), ""},

		{"expires", "3601", nil, expiresRule},
		{"maxBytes", "1001", nil, maxBytesRule},
		{"maxBytes", "5368709120", nil, maxBytesRule},
		{"minBytes", "1001", nil, minBytesRule},
		{"count", "5", nil, countRule},
		{"type", "*/*", nil, typeRule}, {"type", "image", nil, typeRule}, {"type", "image/", nil, typeRule}, {"type", "image/png;q=1", nil, typeRule},
		{"type", "\u0130mage/png", nil, typeRule}, {"type", "image/pn\u212a", nil, typeRule}, {"type", "\u00a0image/png", nil, typeRule}, {"type", "image/png\u0085", nil, typeRule},
		{"type", "image/png, text/html", nil, typeRule}, {"type", "image/png\r\nx: y", nil, typeRule}, {"type", long, nil, typeRule},
		{"sha256", sumHex[1:], nil, sha256Rule}, {"sha256", sumHex + "0", nil, sha256Rule}, {"sha256", sumBase64 + "\n", nil, sha256Rule},
		{"sha256", "sha256-" + sumBase64, nil, sha256Rule}, {"sha256", long, nil, sha256Rule},
		{"name", strings.Repeat("é", 128), nil, nameRule}, {"name", "../secret", nil, nameRule}, {"name", `c:\secret`, nil, nameRule},
		{"name", "secret\x00", nil, nameRule}, {"name", "secret\u202egpj.exe", nil, nameRule}, {"name", "..", nil, nameRule}, {"name", long, nil, nameRule},
		{"prefix", "secret", nil, "prefix: allowed are invoices, teams/*"}, {"prefix", "teams/../secret", nil, prefixRule}, {"prefix", "invoices/", nil, prefixRule}, {"prefix", long, nil, prefixRule},
		{"meta", "secret", nil, metaRule}, {"meta", "secret=a\r\nx-amz-acl: public-read", nil, metaRule}, {"meta", "oncegate-version=secret", nil, metaRule}, {"meta", "a=" + long, nil, metaRule},
		{"tags", "secret", nil, tagsRule}, {"tags", "project=a\r\nx-amz-acl: public-read", nil, tagsRule}, {"tags", "oncegate=secret", nil, tagsRule}, {"tags", "project=" + long, nil, tagsRule},
		{"tags", "secret=1", nil, "tags: allowed are project, customer"},
		{"label", strings.Repeat("x", 129), nil, labelRule}, {"label", "secret\nsecret", nil, labelRule}, {"label", long, nil, labelRule},
		{"colour", "red", nil, "there is an unknown option"}, {"Expires", "5", nil, "there is an unknown option"},
		{"maxbytes", "5", nil, "there is an unknown option"}, {"", "5", nil, "there is an unknown option"}, {"<script>", "5", nil, "there is an unknown option"},
	}
	for option, rule := range map[string]string{
		"expires": expiresRule, "maxBytes": maxBytesRule, "minBytes": minBytesRule, "count": countRule,
		"type": typeRule, "sha256": sha256Rule, "name": nameRule, "label": labelRule, "prefix": prefixRule, "meta": metaRule, "tags": tagsRule,
	} {
		rows = append(rows, row{option, "", nil, rule})
		if option == "name" || option == "label" || option == "prefix" {
			continue // every other text will do
		}
		// The last ones are 2³³, the least that is over 34 bits; 2⁶³ and 2⁶⁴+1; and
		// 5 + 2⁵⁵, which as seconds in nanoseconds would be 5 again.
		for _, value := range []string{
			"-1", "-0", "+5", "05", "0005", "5.0", "5.", ".5", "5e1", "0x5", "5 ", " 5", "5_0", "٥", "five", "NaN", "null", "true", "\x00", "5\x00",
			"8589934592", "9223372036854775808", "18446744073709551617", "36028797018963973", long,
		} {
			rows = append(rows, row{option, value, nil, rule})
		}
		if option != "minBytes" {
			rows = append(rows, row{option, "0", nil, rule})
		}
	}

	for _, r := range rows {
		shown := r.value
		if len(shown) > 40 {
			shown = fmt.Sprintf("%s… (%d bytes)", shown[:20], len(shown))
		}
		body, err := json.Marshal(map[string]string{r.option: r.value})
		if err != nil {
			t.Fatal(err)
		}
		for how, event := range map[string]edge.Event{
			"query": byQuery(t, url.QueryEscape(r.option)+"="+url.QueryEscape(r.value)),
			"body":  byBody(t, string(body)),
		} {
			t.Run(fmt.Sprintf("%s %s=%q", how, r.option, shown), func(t *testing.T) {
				w := newWorld(t)
				w.Minter.Bounds = onetime.Bounds{Life: 15 * time.Minute, MaxLife: time.Hour, MaxBytes: 1000, MinBytes: 1, SHA256: true, Prefixes: []string{"invoices", "teams/*"}, Tags: []string{"project", "customer"}}
				w.MaxCount = 4
				response := w.run(t, edge.MintFunction, event).Response
				if r.want == nil {
					refused(t, w, response, r.refused)
					if len(r.value) > len("image/") && (strings.Contains(response.Body, r.value) || strings.Contains(response.Body, "secret")) {
						t.Errorf("the answer repeats what was sent: %s", response.Body)
					}
					return
				}
				all := w.entries(t)
				if response.Status != "200" || len(all) != 1 {
					t.Fatalf("answer %+v, %d entries", response, len(all))
				}
				want := *r.want
				if folder := path.Join("uploads", want.Key); path.Dir(all[0].Key) != folder {
					t.Errorf("key %s, want it in %s", all[0].Key, folder)
				}
				want.Key = all[0].Key
				if all[0] != want {
					t.Errorf("entry %+v\nwant  %+v", all[0], want)
				}
			})
		}
	}
}

// refused wants a refusal of options whose detail begins so, and nothing written.
func refused(t *testing.T, w *world, response *edge.Response, detail string) {
	t.Helper()
	if got := value(t, response, "x-oncegate-reason"); response.Status != "400" || got != "options" || !strings.HasPrefix(response.Body, "Bad Request: "+detail) {
		t.Errorf("answer %s %s %q, want 400 options and %q", response.Status, got, response.Body, detail)
	}
	if tally := w.index.Tally(); tally != "" {
		t.Errorf("index requests: %s", tally)
	}
}

// TestOptionsTogether: options are checked against one another.
func TestOptionsTogether(t *testing.T) {
	for query, want := range map[string]string{
		"":                      "",
		"&":                     "",
		"minBytes=5&maxBytes=5": "",
		"maxBytes=5&minBytes=5": "",
		"minBytes=6&maxBytes=5": "minBytes: want 0 to maxBytes",
		"expires=5&minBytes=1&maxBytes=9&type=a/b&sha256=" + sumHex + "&name=n&label=l&count=2": "",

		"expires=5&expires=5":      "an option is given twice",
		"count=2&count=3":          "an option is given twice",
		"expires=5&%65xpires=5":    "an option is given twice",
		"name=a&label=b&name=c":    "an option is given twice",
		"expires=5;count=2":        "the query cannot be read",
		"expires=%zz":              "the query cannot be read",
		"expires=%":                "the query cannot be read",
		"expires":                  "expires: want ",
		"expires=":                 "expires: want ",
		"=":                        "there is an unknown option",
		"?expires=5":               "there is an unknown option",
		"expires=5&X-Amz-Date=1":   "there is an unknown option",
		"type=*/*&expires=0":       "expires: want ", // the same answer every time
		"type=&colour=red&count=0": "there is an unknown option",
	} {
		for range 5 { // maps are walked in another order each time
			w := newWorld(t)
			response := w.run(t, edge.MintFunction, byQuery(t, query)).Response
			if want != "" {
				refused(t, w, response, want)
			} else if response.Status != "200" {
				t.Errorf("%s: answer %+v", query, response)
			}
		}
	}
}

// TestBodies: what POST takes for a JSON object of options.
func TestBodies(t *testing.T) {
	const (
		wrong = "POST wants one JSON object of options, with content-type application/json"
		twice = "an option is given twice"
		types = "the values of options are strings and numbers"
	)
	for body, want := range map[string]string{
		`{}`:                           "",
		" {\r\n} \t":                   "",
		`{"expires":5}`:                "",
		`{"expires":"5"}`:              "",
		`{"name":"caf\u00e9"}`:         "",
		`{"\u0065xpires":5}`:           "",
		`{"expires":5,"maxBytes":"5"}`: "",

		``:                               wrong,
		` `:                              wrong,
		`null`:                           wrong,
		`5`:                              wrong,
		`"{}"`:                           wrong,
		`[]`:                             wrong,
		`[{"expires":5}]`:                wrong,
		`{"expires":5`:                   wrong,
		`{"expires":}`:                   wrong,
		`{"expires"}`:                    wrong,
		`{expires:5}`:                    wrong,
		`{'expires':5}`:                  wrong,
		`{"expires":5,}`:                 wrong,
		`{"expires":05}`:                 wrong,
		`{}{}`:                           wrong,
		`{}}`:                            wrong,
		`{}]`:                            wrong,
		`{} x`:                           wrong,
		`{},`:                            wrong,
		"\ufeff{}":                       wrong,
		"{\"name\":\"\xff\"}":            wrong,
		"{\"name\":\"a\nb\"}":            wrong,
		"expires=5":                      wrong,
		`{"expires":5,"expires":5}`:      twice,
		`{"expires":5,"\u0065xpires":5}`: twice,
		`{"expires":null}`:               types,
		`{"expires":true}`:               types,
		`{"expires":[5]}`:                types,
		`{"expires":{"a":5}}`:            types,
		`{"expires":5.0}`:                "expires: want ",
		`{"expires":5e0}`:                "expires: want ",
		`{"expires":-0}`:                 "expires: want ",
		`{"expires":1e999999999}`:        "expires: want ",
		`{"count":0}`:                    "count: want 1 to 10",
		`{"__proto__":"x"}`:              "there is an unknown option",
		`{"name":"a\ud800"}`:             wrong,
		strings.Repeat(`{"a":`, 9000):    wrong,
		strings.Repeat(`[`, 40000):       wrong,
	} {
		w := newWorld(t)
		response := w.run(t, edge.MintFunction, byBody(t, body)).Response
		if want != "" {
			refused(t, w, response, want)
		} else if response.Status != "200" || len(w.entries(t)) != 1 {
			t.Errorf("%s: answer %+v", body, response)
		}
	}

	for name, spoil := range map[string]func(*edge.Request){
		"no body":              func(r *edge.Request) { r.Body = nil },
		"body cut off":         func(r *edge.Request) { r.Body.InputTruncated = true },
		"no base64":            func(r *edge.Request) { r.Body.Data = "{}" },
		"no content-type":      func(r *edge.Request) { delete(r.Headers, "content-type") },
		"form":                 func(r *edge.Request) { r.Headers["content-type"][0].Value = "application/x-www-form-urlencoded" },
		"text":                 func(r *edge.Request) { r.Headers["content-type"][0].Value = "text/plain; application/json" },
		"another kind of JSON": func(r *edge.Request) { r.Headers["content-type"][0].Value = "application/json-patch+json" },
		"two content-types":    func(r *edge.Request) { r.Headers["content-type"] = slices.Repeat(r.Headers["content-type"], 2) },
		"content-types in one": func(r *edge.Request) { r.Headers["content-type"][0].Value = "application/json, text/plain" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			event := byBody(t, `{}`)
			spoil(&event.Records[0].CF.Request)
			refused(t, w, w.run(t, edge.MintFunction, event).Response, wrong)
		})
	}
	t.Run("query beside the body", func(t *testing.T) {
		w := newWorld(t)
		event := byBody(t, `{}`)
		event.Records[0].CF.Request.Querystring = "expires=5"
		refused(t, w, w.run(t, edge.MintFunction, event).Response, "POST takes its options in the body")
	})
	t.Run("content-type with a parameter, body as text", func(t *testing.T) {
		w := newWorld(t)
		event := byBody(t, "")
		event.Records[0].CF.Request.Headers["content-type"][0].Value = "Application/JSON; charset=utf-8"
		event.Records[0].CF.Request.Body = &edge.Body{Action: "read-only", Encoding: "text", Data: `{"name":"é"}`}
		if response := w.run(t, edge.MintFunction, event).Response; response.Status != "200" || w.entries(t)[0].Name != "é" {
			t.Errorf("answer %+v", response)
		}
	})
	t.Run("a GET's body counts for nothing", func(t *testing.T) {
		w := newWorld(t)
		event := byBody(t, `{"colour":"red"}`)
		event.Records[0].CF.Request.Method = "GET"
		if response := w.run(t, edge.MintFunction, event).Response; response.Status != "200" {
			t.Errorf("answer %+v", response)
		}
	})
}

// TestCount: several URLs are one answer, and a fault of one is an answer without any.
func TestCount(t *testing.T) {
	for _, n := range []int{1, 2, 10} {
		w := newWorld(t)
		response := w.run(t, edge.MintFunction, byQuery(t, "count="+strconv.Itoa(n))).Response
		lines := strings.Split(response.Body, "\n")
		if response.Status != "200" || len(lines) != n || len(w.entries(t)) != n {
			t.Fatalf("count=%d: answer %+v with %d entries", n, response, len(w.entries(t)))
		}
		seen := map[string]bool{}
		for _, line := range lines {
			seen[line] = true
			path, query, _ := strings.Cut(strings.TrimPrefix(line, "https://d111111abcdef8.cloudfront.net"), "?")
			if w.run(t, edge.GateFunction, upload(t, path, query)).Forward == nil {
				t.Errorf("%s is no good", line)
			}
		}
		if len(seen) != n {
			t.Errorf("count=%d: %d different URLs", n, len(seen))
		}
	}
	for nth := 1; nth <= 10; nth++ {
		for _, event := range []edge.Event{byQuery(t, "count=10"), acceptJSON(byQuery(t, "count=10"))} {
			w := newWorld(t)
			w.index.Intercept = func(call onetimetest.Call) *onetimetest.Fault {
				if call.N == nth {
					return &onetimetest.Fault{Status: 403}
				}
				return nil
			}
			response := w.run(t, edge.MintFunction, event).Response
			if response.Status != "503" || strings.Contains(response.Body, "/uploads/") {
				t.Errorf("fault of write %d: answer %+v", nth, response)
			}
		}
	}
}

// TestNothingIsEchoed puts a marker into everything that can be phrased freely, in
// ways that are refused, and looks for it in every answer.
func TestNothingIsEchoed(t *testing.T) {
	const marker = "mArKeR7391"
	options := slices.Sorted(maps.Keys(map[string]bool{
		"expires": true, "maxBytes": true, "minBytes": true, "type": true, "sha256": true, "name": true, "label": true, "count": true, marker: true,
	}))
	for _, option := range options {
		for _, value := range []string{marker, marker + "/", "/" + marker, marker + "\x00", "5" + marker, "<" + marker + ">", "\u202e" + marker, strings.Repeat(marker, 50)} {
			if option == "label" && !strings.Contains(value, "\x00") && len(value) < 100 && !strings.Contains(value, "\u202e") {
				continue // allowed, and in the answer for good reason
			}
			if option == "name" && !strings.ContainsAny(value, "/\x00\u202e") && len(value) < 200 {
				continue
			}
			body, _ := json.Marshal(map[string]string{option: value})
			for _, event := range []edge.Event{
				byQuery(t, url.QueryEscape(option)+"="+url.QueryEscape(value)),
				byQuery(t, option+"="+marker+"%zz"),
				byQuery(t, url.QueryEscape(option)+"="+marker+"&"+url.QueryEscape(option)+"="+marker),
				byBody(t, string(body)),
				byBody(t, string(body)+marker),
				byBody(t, marker),
			} {
				for _, event := range []edge.Event{event, acceptJSON(event)} {
					w := newWorld(t)
					response := w.run(t, edge.MintFunction, event).Response
					if response.Status != "400" {
						t.Errorf("%s=%q: %+v, want 400", option, value, response)
					}
					if text := strings.ToLower(fmt.Sprint(response)); strings.Contains(text, strings.ToLower(marker)) {
						t.Errorf("%s=%q: %s", option, value, text)
					}
					if strings.Contains(strings.ToLower(w.log.String()), strings.ToLower(marker)) {
						t.Errorf("%s=%q is logged: %s", option, value, w.log.String())
					}
				}
			}
		}
	}
}
