package onetime_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"oncegate/internal/onetime"
)

var (
	sum       = slices.Repeat([]byte{0xfb, 0xff, 0x00, 0x3e}, 8) // has + and / in base64
	sumBase64 = base64.StdEncoding.EncodeToString(sum)
	sumHex    = hex.EncodeToString(sum)
)

// order mints to an order and fails the test if that is refused.
func (w *world) order(t testing.TB, order onetime.Order) onetime.Minted {
	t.Helper()
	minter, _ := w.minter()
	minted, err := minter.Mint(t.Context(), order, w.deadline())
	if err != nil {
		t.Fatal(err)
	}
	return minted
}

// TestPrefixesAreOff: without the setting there is no prefix, and the refusal names the setting.
func TestPrefixesAreOff(t *testing.T) {
	minter, _ := newWorld(t).minter()
	refusal, ok := errors.AsType[*onetime.Refusal](minter.Check(onetime.Order{Prefix: "invoices"}))
	if !ok || refusal.Reason != onetime.Options || refusal.Detail != `prefix: not enabled here; set "prefixes" in config.json` {
		t.Errorf("%+v", refusal)
	}
}

// TestOrders holds orders to the bounds: what is out of them writes nothing, and
// Check says the same as Mint.
func TestOrders(t *testing.T) {
	bounds := onetime.Bounds{Life: 15 * time.Minute, MaxLife: time.Hour, MaxBytes: 1000, SHA256: true, Prefixes: []string{"invoices", "teams/*"}}
	type order = onetime.Order
	limits := func(l onetime.Limits) order { return order{Limits: l} }
	for _, test := range []struct {
		name  string
		order order
		want  string // how the detail begins, "" for a URL
	}{
		{"nothing asked", order{}, ""},

		{"a second", order{Life: time.Second}, ""},
		{"longest life", order{Life: time.Hour}, ""},
		{"longest life and a second", order{Life: time.Hour + time.Second}, "expires: want whole seconds from 1 to 3600"},
		{"longest life and a nanosecond", order{Life: time.Hour + 1}, "expires: "},
		{"part of a second", order{Life: 1500 * time.Millisecond}, "expires: "},
		{"less than a second", order{Life: time.Millisecond}, "expires: "},
		{"negative life", order{Life: -time.Second}, "expires: "},
		{"week", order{Life: onetime.MaxLife}, "expires: "},
		{"as long as can be", order{Life: 1<<63 - 1}, "expires: "},

		{"prefix", order{Prefix: "invoices"}, ""},
		{"prefix below another", order{Prefix: "teams/red"}, ""},
		{"prefix that is not allowed", order{Prefix: "teams"}, "prefix: allowed are invoices, teams/*"},
		{"prefix that begins as one", order{Prefix: "invoices-x"}, "prefix: allowed are "},
		{"prefix that leads out", order{Prefix: "teams/.."}, "prefix: want 1 to 64 of a-z"},
		{"prefix with a slash behind", order{Prefix: "teams/red/"}, "prefix: want "},
		{"prefix with two slashes", order{Prefix: "teams//red"}, "prefix: want "},
		{"prefix in upper case", order{Prefix: "Invoices"}, "prefix: want "},
		{"prefix of 65 bytes", order{Prefix: "teams/" + strings.Repeat("x", 59)}, "prefix: want "},

		{"a byte at most", limits(onetime.Limits{MaxBytes: 1}), ""},
		{"as many as the settings have", limits(onetime.Limits{MaxBytes: 1000}), ""},
		{"one more", limits(onetime.Limits{MaxBytes: 1001}), "maxBytes: want 1 to 1000"},
		{"5 GiB", limits(onetime.Limits{MaxBytes: onetime.MaxBytes}), "maxBytes: "},
		{"as many as can be", limits(onetime.Limits{MaxBytes: 1<<63 - 1}), "maxBytes: "},
		{"negative", limits(onetime.Limits{MaxBytes: -1}), "maxBytes: "},

		{"a byte at least", limits(onetime.Limits{MinBytes: 1}), ""},
		{"as many at least as the settings have", limits(onetime.Limits{MinBytes: 1000}), ""},
		{"more at least than the settings have", limits(onetime.Limits{MinBytes: 1001}), "minBytes: want 0 to maxBytes"},
		{"exactly so many", limits(onetime.Limits{MinBytes: 5, MaxBytes: 5}), ""},
		{"least over most", limits(onetime.Limits{MinBytes: 6, MaxBytes: 5}), "minBytes: "},
		{"negative least", limits(onetime.Limits{MinBytes: -1}), "minBytes: "},

		{"type", limits(onetime.Limits{Type: "image/svg+xml"}), ""},
		{"type with every character", limits(onetime.Limits{Type: "a!#$&-^_.+0/9.vnd"}), ""},
		{"wildcard", limits(onetime.Limits{Type: "image/*"}), ""},
		{"any type", limits(onetime.Limits{Type: "*/*"}), "type: want MIME types such as image/jpeg or image/*, with commas between them, at most 255 bytes"},
		{"major wildcard", limits(onetime.Limits{Type: "*/png"}), "type: "},
		{"half a wildcard", limits(onetime.Limits{Type: "image/p*"}), "type: "},
		{"no subtype", limits(onetime.Limits{Type: "image"}), "type: "},
		{"empty subtype", limits(onetime.Limits{Type: "image/"}), "type: "},
		{"empty type", limits(onetime.Limits{Type: "/png"}), "type: "},
		{"three parts", limits(onetime.Limits{Type: "image/png/x"}), "type: "},
		{"parameter", limits(onetime.Limits{Type: "text/plain;charset=utf-8"}), "type: "},
		{"two types", limits(onetime.Limits{Type: "image/png,text/*"}), ""},
		{"two types with a space", limits(onetime.Limits{Type: "image/png, text/*"}), "type: "},
		{"a type and nothing", limits(onetime.Limits{Type: "image/png,"}), "type: "},
		{"nothing and a type", limits(onetime.Limits{Type: ",image/png"}), "type: "},
		{"any type among two", limits(onetime.Limits{Type: "image/png,*/*"}), "type: "},
		{"type in upper case", limits(onetime.Limits{Type: "Image/png"}), "type: "},
		{"type with a space", limits(onetime.Limits{Type: "image/png "}), "type: "},
		{"type with a line end", limits(onetime.Limits{Type: "image/png\r\nx-a: b"}), "type: "},
		{"type not ASCII", limits(onetime.Limits{Type: "image/pñg"}), "type: "},
		{"type of 255 bytes", limits(onetime.Limits{Type: "a/" + strings.Repeat("b", 253)}), ""},
		{"type of 256 bytes", limits(onetime.Limits{Type: "a/" + strings.Repeat("b", 254)}), "type: "},
		{"types of 255 bytes", limits(onetime.Limits{Type: strings.Repeat("a/b,", 63) + "a/b"}), ""},
		{"types of 256 bytes", limits(onetime.Limits{Type: strings.Repeat("a/b,", 63) + "a/bc"}), "type: "},

		{"sha256", limits(onetime.Limits{SHA256: sumBase64}), ""},
		{"sha256 in hex is the caller's to convert", limits(onetime.Limits{SHA256: sumHex}), "sha256: "},
		{"sha256 with a line end", limits(onetime.Limits{SHA256: sumBase64[:20] + "\r\n" + sumBase64[20:]}), "sha256: "},

		{"name", order{Name: "a photo (1).jpeg"}, ""},
		{"name of 255 bytes", order{Name: strings.Repeat("é", 127) + "x"}, ""},
		{"name of 256 bytes", order{Name: strings.Repeat("é", 128)}, "name: want a file name of at most 255 bytes"},
		{"name far too long", order{Name: strings.Repeat("x", 100000)}, "name: "},
		{"Japanese name with its space", order{Name: "写真　1.jpg"}, ""},
		{"screenshot of macOS", order{Name: "Screenshot at 1.00.00\u202fPM.png"}, ""},
		{"combining marks", order{Name: "e\u0301.txt"}, ""},
		{"emoji", order{Name: "😀.png"}, ""},
		{"dot", order{Name: "."}, "name: "},
		{"dot dot", order{Name: ".."}, "name: "},
		{"three dots", order{Name: "..."}, ""},
		{"hidden file", order{Name: ".profile"}, ""},
		{"path", order{Name: "a/b"}, "name: "},
		{"path of Windows", order{Name: `a\b`}, "name: "},
		{"name with NUL", order{Name: "a\x00b"}, "name: "},
		{"name with a line end", order{Name: "a\nb"}, "name: "},
		{"name with a tab", order{Name: "a\tb"}, "name: "},
		{"name with DEL", order{Name: "a\x7fb"}, "name: "},
		{"name with a C1 control", order{Name: "a\u009bb"}, "name: "},
		{"name with an escape sequence", order{Name: "a\x1b[31mb"}, "name: "},
		{"name that is turned around", order{Name: "photo\u202egpj.exe"}, "name: "},
		{"name in an isolate", order{Name: "a\u2066b\u2069"}, "name: "},
		{"name with an invisible character", order{Name: "a\u200bb"}, "name: "},
		{"name with a soft hyphen", order{Name: "a\u00adb"}, "name: "},
		{"name with a byte order mark", order{Name: "\ufeffa"}, "name: "},
		{"name with a line separator", order{Name: "a\u2028b"}, "name: "},
		{"name with a private character", order{Name: "a\ue000b"}, "name: "},
		{"name that is no UTF-8", order{Name: "a\xff"}, "name: "},

		{"label", order{Label: "for Ann / invoice \\ 12"}, ""},
		{"label of 128 bytes", order{Label: strings.Repeat("x", 128)}, ""},
		{"label of 129 bytes", order{Label: strings.Repeat("x", 129)}, "label: want at most 128 bytes"},
		{"label with a line end", order{Label: "a\nb"}, "label: "},
		{"label that is turned around", order{Label: "a\u202eb"}, "label: "},
		{"name with a filler", order{Name: "a\u3164.jpg"}, "name: "},
		{"name with a blank", order{Name: "\u2800"}, "name: "},
		{"name with a selector", order{Name: "a\ufe0f.jpg"}, "name: "},
		{"name with a tag", order{Name: "a\U000e0041"}, "name: "},
		{"label with a filler", order{Label: "a\u115fb"}, "label: "},
		{"label with a joiner", order{Label: "a\u034fb"}, "label: "},
		{"label that is no UTF-8", order{Label: "\xc3\x28"}, "label: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			minter, index := w.minter()
			minter.Bounds = bounds
			checked := minter.Check(test.order)
			if tally := index.Tally(); tally != "" {
				t.Errorf("Check made requests: %s", tally)
			}
			minted, err := minter.Mint(t.Context(), test.order, w.deadline())
			if (err == nil) != (checked == nil) {
				t.Errorf("Check says %v, Mint %v", checked, err)
			}
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				entry, err := onetime.ParseValidEntry(w.stored(t, minted.ID.ValidKey()))
				if err != nil {
					t.Fatal(err)
				}
				if entry.Limits != minted.Order.Limits || entry.Name != test.order.Name || entry.Label != test.order.Label ||
					entry.Limits.MaxBytes < 1 || entry.Limits.MaxBytes > 1000 {
					t.Errorf("entry %+v of order %+v", entry, test.order)
				}
				return
			}
			var refusal *onetime.Refusal
			if !errors.As(err, &refusal) || refusal.Reason != onetime.Options || !strings.HasPrefix(refusal.Detail, test.want) {
				t.Fatalf("error %#v, want a refusal for options that begins with %q", err, test.want)
			}
			if tally := index.Tally(); tally != "" || minted != (onetime.Minted{}) {
				t.Errorf("refused, and yet %q and %+v", tally, minted)
			}
		})
	}
	t.Run("sha256 where it is not enabled", func(t *testing.T) {
		w := newWorld(t)
		minter, _ := w.minter()
		minter.Bounds.SHA256 = false
		if _, err := minter.Mint(t.Context(), limits(onetime.Limits{SHA256: sumBase64}), w.deadline()); reasonOf(t, err) != onetime.Options {
			t.Errorf("error %v, want options", err)
		}
	})
}

// stored is the current body under a key.
func (w *world) stored(t testing.TB, key string) []byte {
	t.Helper()
	entry, ok, _ := w.store.Current(key)
	if !ok {
		t.Fatalf("there is no %s", key)
	}
	return entry.Body
}

// TestLeastBytes: a URL that does not say takes what the settings have, as far as it can,
// and one that may be empty takes any size.
func TestLeastBytes(t *testing.T) {
	for _, test := range []struct {
		least int64 // of the settings
		order onetime.Order
		want  int64
	}{
		{1, onetime.Order{}, 1},
		{1, onetime.Order{Empty: true}, 0},
		{1, onetime.Order{Limits: onetime.Limits{MinBytes: 7}}, 7},
		{0, onetime.Order{}, 0},
		{0, onetime.Order{Limits: onetime.Limits{MinBytes: 7}}, 7},
		{10, onetime.Order{Limits: onetime.Limits{MinBytes: 7}}, 7},
		{10, onetime.Order{Limits: onetime.Limits{MaxBytes: 5}}, 5},
	} {
		w := newWorld(t)
		minter, _ := w.minter()
		minter.Bounds.MinBytes = test.least
		minted, err := minter.Mint(t.Context(), test.order, w.deadline())
		if err != nil || minted.Order.Limits.MinBytes != test.want {
			t.Errorf("settings %d, order %+v: at least %d bytes, %v; want %d", test.least, test.order, minted.Order.Limits.MinBytes, err, test.want)
		}
	}
}

// TestUploadLimits: what breaks a limit is refused before the claim, and the same
// URL still takes what keeps to it.
func TestUploadLimits(t *testing.T) {
	length := func(n int64) headers { return headers{"content-length": {strconv.FormatInt(n, 10)}} }
	kind := func(values ...string) headers { return headers{"content-length": {"5"}, "content-type": values} }
	for _, group := range []struct {
		limits onetime.Limits
		good   []headers
		reason onetime.Reason
		detail string
		bad    []headers
	}{
		{onetime.Limits{MaxBytes: 1000}, []headers{length(0), length(1), length(999), length(1000)},
			onetime.TooLarge, "this URL takes at most 1000 bytes", []headers{length(1001), length(2000), length(onetime.MaxBytes)}},
		{onetime.Limits{MinBytes: 1000}, []headers{length(1000), length(1001), length(onetime.MaxBytes)},
			onetime.TooSmall, "this URL takes at least 1000 bytes", []headers{length(999), length(1)}},
		{onetime.Limits{MinBytes: 1000}, []headers{length(1000)},
			onetime.TooSmall, "this URL takes at least 1000 bytes, and the upload is empty; send the file as the body, and for an empty file ask for a URL with minBytes=0",
			[]headers{length(0)}},
		{onetime.Limits{MinBytes: 1, MaxBytes: 1}, []headers{length(1)},
			onetime.TooLarge, "this URL takes at most 1 byte", []headers{length(2)}},
		{onetime.Limits{MinBytes: 5, MaxBytes: 5}, []headers{length(5)},
			onetime.TooLarge, "this URL takes at most 5 bytes", []headers{length(6)}},
		{onetime.Limits{MinBytes: 5, MaxBytes: 5}, []headers{length(5)},
			onetime.TooSmall, "this URL takes at least 5 bytes", []headers{length(4)}},
		{onetime.Limits{Type: "image/png"},
			[]headers{kind("image/png"), length(5), kind("IMAGE/PNG"), kind(" image/png "), kind("image/png; charset=binary"), kind("image/png ;x"), kind("image/png;")},
			onetime.Type, "this URL takes one content-type, image/png, and another was sent",
			[]headers{
				kind(""), kind("image/jpeg"), kind("image/pngx"), kind("image/pn"), kind("image/*"), kind("*/*"), kind("image"), kind("text/html"),
				kind("image/png", "image/png"), kind("image/png", "text/html"), kind("image/png, text/html"), kind("image/png;x, text/html"),
				kind(`image/png;x="a", text/html`), kind("image /png"), kind("text/html; image/png"),
			}},
		{onetime.Limits{Type: "image/*"}, []headers{kind("image/png")},
			onetime.Type, "send the header content-type with a type that fits image/*; none was sent", []headers{length(5)}},
		{onetime.Limits{Type: "image/*"}, []headers{kind("image/png"), kind("Image/SVG+XML; charset=utf-8")},
			onetime.Type, "this URL takes one content-type, image/*, and another was sent",
			[]headers{
				kind("image/*"), kind("image/"), kind("image"), kind("*/*"), kind("imagex/png"), kind("text/html"), kind("image/png,text/html"),
				kind("image/png;x,text/html"), kind("image/a/b"), kind("image/png", "image/gif"), kind("image/ png"), kind(""),
			}},
		{onetime.Limits{Type: "application/pdf,image/*"}, []headers{kind("application/pdf"), kind("image/png"), kind("Image/PNG; x")},
			onetime.Type, "this URL takes one content-type, application/pdf or image/*, and another was sent",
			[]headers{
				kind("application/pdf,image/*"), kind("application/pdf,image/png"), kind("application/pdfx"), kind("application/*"), kind("image/*"),
				kind("text/html"), kind("application/pdf", "image/png"), kind("image/" + strings.Repeat("x", 250)),
			}},
		{onetime.Limits{Type: "application/pdf,image/png"}, []headers{kind("image/png")},
			onetime.Type, "send the header content-type with a type that fits application/pdf or image/png; none was sent", []headers{length(5)}},
	} {
		for _, good := range group.good {
			w := newWorld(t)
			minted := w.order(t, onetime.Order{Limits: group.limits})
			put := upload(minted, "mine")
			for i, bad := range slices.Concat(group.bad, group.bad) {
				gate, index := w.gate(onetime.Conditional)
				if i >= len(group.bad) {
					gate.Spender = index
				}
				put.Headers = bad
				_, err := gate.Decide(t.Context(), put, w.deadline())
				var refusal *onetime.Refusal
				if !errors.As(err, &refusal) || refusal.Reason != group.reason || refusal.Detail != group.detail {
					t.Errorf("%+v, %v: error %#v, want %s: %s", group.limits, bad, err, group.reason, group.detail)
				}
				if tally := index.Tally(); tally != "ReadValid 1, HeadExpired 1" && tally != "Spend 1" || w.claimed(minted.ID) != "" {
					t.Errorf("%+v, %v: index requests %q, want no claim, and there is %q", group.limits, bad, tally, w.claimed(minted.ID))
				}
			}
			gate, _ := w.gate(onetime.Conditional)
			put.Headers = good
			if _, err := gate.Decide(t.Context(), put, w.deadline()); err != nil {
				t.Errorf("%+v, %v: %v, want a pass", group.limits, good, err)
			}
			if got := w.claimants(t, minted.ID); !slices.Equal(got, []string{"mine"}) {
				t.Errorf("%+v: claimed by %q", group.limits, got)
			}
		}
	}
}

// TestPassHeaders: what the gate adds to an upload in place of the viewer's own.
func TestPassHeaders(t *testing.T) {
	for _, test := range []struct {
		name      string
		order     onetime.Order
		writeOnce bool
		viewer    headers
		want      map[string]string
	}{
		{"nothing", onetime.Order{}, false, nil, map[string]string{}},
		{"write once", onetime.Order{}, true, nil, map[string]string{"if-none-match": "*"}},
		{"sha256", onetime.Order{Limits: onetime.Limits{SHA256: sumBase64}}, true, nil,
			map[string]string{"if-none-match": "*", "x-amz-checksum-sha256": sumBase64}},
		{"the viewer's own checksum counts for nothing", onetime.Order{Limits: onetime.Limits{SHA256: sumBase64}}, false,
			headers{"x-amz-checksum-sha256": {"other"}}, map[string]string{"x-amz-checksum-sha256": sumBase64}},
		{"type not sent", onetime.Order{Limits: onetime.Limits{Type: "image/png"}}, false, nil, map[string]string{"content-type": "image/png"}},
		{"type sent", onetime.Order{Limits: onetime.Limits{Type: "image/png"}}, false, headers{"content-type": {"image/png; x=1"}}, map[string]string{}},
		{"wildcard", onetime.Order{Limits: onetime.Limits{Type: "image/*"}}, false, headers{"content-type": {"image/gif"}}, map[string]string{}},
		{"name", onetime.Order{Name: "a-b_c.d~1"}, false, nil, map[string]string{"content-disposition": "attachment; filename*=UTF-8''a-b_c.d~1"}},
		{"name to be escaped", onetime.Order{Name: `é "%;'*=` + "\u3000(1)"}, false, headers{"content-disposition": {"inline"}},
			map[string]string{"content-disposition": "attachment; filename*=UTF-8''%C3%A9%20%22%25%3B%27%2A%3D%E3%80%80%281%29"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			gate, _ := w.gate(onetime.Conditional)
			gate.WriteOnce = test.writeOnce
			put := upload(w.order(t, test.order), "r")
			maps.Copy(put.Headers.(headers), test.viewer)
			pass, err := gate.Decide(t.Context(), put, w.deadline())
			if err != nil || !maps.Equal(pass.Headers, test.want) {
				t.Errorf("headers %v (%v), want %v", pass.Headers, err, test.want)
			}
		})
	}
}

// TestMetadataWithName: the longest name leaves the viewer what S3 takes besides, to
// the byte, and too much is refused before the claim.
func TestMetadataWithName(t *testing.T) {
	w := newWorld(t)
	name := strings.Repeat("é", 127) + "x"
	minted := w.order(t, onetime.Order{Name: name})
	room := 2048 - len("content-disposition") - len("attachment; filename*=UTF-8''") - 127*len("%C3%A9") - len("x")
	for _, over := range []int{1, 1000, 0} { // the one that passes comes last
		put := upload(minted, "r")
		put.Headers.(headers)["cache-control"] = []string{strings.Repeat("x", room-len("cache-control")+over)}
		gate, index := w.gate(onetime.Conditional)
		_, err := gate.Decide(t.Context(), put, w.deadline())
		want := onetime.Header
		if over == 0 {
			want = ""
		}
		if got := reasonOf(t, err); got != want {
			t.Errorf("%d bytes over: %v, want reason %q", over, err, want)
		}
		if claimed := strings.Contains(index.Tally(), "Claim"); claimed != (over == 0) {
			t.Errorf("%d bytes over: claimed %t", over, claimed)
		}
	}
}

// TestSHA256SwitchedOff: a URL that was minted when checksums were forwarded is not
// spent where they no longer are.
func TestSHA256SwitchedOff(t *testing.T) {
	w := newWorld(t)
	minted := w.order(t, onetime.Order{Limits: onetime.Limits{SHA256: sumBase64}})
	for _, on := range []bool{false, true} {
		gate, index := w.gate(onetime.Conditional)
		gate.SHA256 = on
		_, err := gate.Decide(t.Context(), upload(minted, "r"), w.deadline())
		if on != (err == nil) || !on && reasonOf(t, err) != onetime.IndexUnavailable {
			t.Errorf("forwarded %t: %v", on, err)
		}
		if claimed := strings.Contains(index.Tally(), "Claim"); claimed != on {
			t.Errorf("forwarded %t: index requests %s", on, index.Tally())
		}
	}
}

func TestParseSHA256(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"base64", sumBase64, sumBase64},
		{"hex", sumHex, sumBase64},
		{"hex in upper case", strings.ToUpper(sumHex), sumBase64},
		{"plus that became a space", strings.ReplaceAll(sumBase64, "+", " "), sumBase64},
		{"empty", "", ""},
		{"hex one digit short", sumHex[1:], ""},
		{"hex one digit long", sumHex + "0", ""},
		{"hex of 31 bytes", sumHex[2:], ""},
		{"hex of 33 bytes", sumHex + "00", ""},
		{"no hex", "g" + sumHex[1:], ""},
		{"hex with 0x", "0x" + sumHex, ""},
		{"base64 of 31 bytes", base64.StdEncoding.EncodeToString(sum[1:]), ""},
		{"base64 of 33 bytes", base64.StdEncoding.EncodeToString(append(sum[:32:32], 0)), ""},
		{"base64 without padding", strings.TrimRight(sumBase64, "="), ""},
		{"base64 for URLs", base64.URLEncoding.EncodeToString(sum), ""},
		{"base64 with bits to spare", sumBase64[:42] + "/=", ""},
		{"base64 with a line end in it", sumBase64[:4] + "\n" + sumBase64[4:], ""},
		{"base64 with a line end behind", sumBase64 + "\r\n", ""},
		{"huge", strings.Repeat("A", 1<<20), ""},
	} {
		got, err := onetime.ParseSHA256(test.text)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s: %q, %v; want %q", test.name, got, err, test.want)
		}
		if err != nil && (!strings.HasPrefix(err.Error(), "sha256: want ") || strings.Contains(err.Error(), test.text) && len(test.text) > 0) {
			t.Errorf("%s: error %q", test.name, err)
		}
	}
}

// TestEntryWithOptions: everything that can be asked for survives the index, and an
// entry from before there was anything to ask for is a plain one.
func TestEntryWithOptions(t *testing.T) {
	w := newWorld(t)
	order := onetime.Order{
		Life:   2 * time.Second,
		Limits: onetime.Limits{MinBytes: 1, MaxBytes: onetime.MaxBytes, Type: "image/*", SHA256: sumBase64},
		Name:   `<é>&"😀`, Label: `la/\bel 写`, By: "key of Ann",
	}
	minted := w.order(t, order)
	body := w.stored(t, minted.ID.ValidKey())
	entry, err := onetime.ParseValidEntry(body)
	if err != nil {
		t.Fatal(err)
	}
	want := onetime.ValidEntry{
		Version: 1, Created: start, Expires: start.Add(2 * time.Second), Key: minted.Key,
		Limits: order.Limits, Name: order.Name, Label: order.Label, By: order.By,
	}
	if entry != want || string(entry.Marshal()) != string(body) {
		t.Errorf("entry %s\nis read as %+v", body, entry)
	}

	old := `{"version":1,"created":"2026-03-04T05:06:07Z","expires":"2026-03-04T06:06:07Z","key":"` + minted.Key + `","limits":{}}`
	entry, err = onetime.ParseValidEntry([]byte(old))
	want = onetime.ValidEntry{Version: 1, Created: start, Expires: start.Add(time.Hour), Key: minted.Key}
	if err != nil || entry != want || string(entry.Marshal()) != old {
		t.Errorf("%s is read as %+v (%v) and written as %s", old, entry, err, entry.Marshal())
	}
}
