package onetime_test

import (
	"maps"
	"strconv"
	"strings"
	"testing"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// FuzzDemands: what meets an entry's demands is allowed by the rule. Where nothing but one plain
// type is sent, what is allowed meets them.
func FuzzDemands(f *testing.F) {
	f.Add(int64(0), int64(0), "", "", false, int64(5), "", true, true, true, true, 0, 0, int64(0))
	f.Add(int64(1), int64(9), "image/*,a/b", "näme", true, int64(9), "IMAGE/png; x", true, true, true, true, 1900, 1, int64(9))
	f.Add(int64(1), int64(9), "a/b", "n", true, int64(9), "a/b", false, false, true, true, 2020, 5000, int64(8))
	f.Add(int64(0), int64(9), "a/b", strings.Repeat("ä", 120), false, int64(9), "", false, true, true, true, 1200, 4700, int64(0))
	f.Add(int64(0), int64(9), "a/*", "", false, int64(9), "a/*", true, true, true, true, 0, 0, int64(0))
	f.Add(int64(0), int64(9), "a/*,b/c", "", false, int64(9), "a/b,b/c", true, true, true, true, 0, 0, int64(0))
	f.Add(int64(0), int64(9), "a/*,b/c", "", false, int64(9), "a/b;x,b/c", true, true, true, true, 0, 0, int64(0))
	f.Add(int64(0), int64(0), "", "", false, int64(5), "", false, true, true, false, 0, 0, int64(0))
	f.Fuzz(func(t *testing.T, least, most int64, types, name string, sum bool, length int64, sent string, sends, can, tagged, tags bool, stored, others int, settings int64) {
		entry := onetime.ValidEntry{Version: 1, Created: start, Expires: start.Add(life), Key: "uploads/" + aUUID, Name: name,
			Limits: onetime.Limits{MinBytes: least, MaxBytes: most, Type: types}}
		if sum {
			entry.Limits.SHA256 = strings.Repeat("A", 43) + "="
		}
		if tagged {
			entry.Tags = "project=blue"
		}
		if _, err := onetime.ParseValidEntry(entry.Marshal()); err != nil || length < 0 || length > onetime.MaxBytes || settings < 0 {
			return
		}
		w := newWorld(t)
		gate, _ := w.spender()
		gate.SHA256, gate.Tags, gate.MaxBytes = can, tags, settings
		h := headers{"content-length": {strconv.FormatInt(length, 10)}}
		if sends {
			h["content-type"] = []string{sent}
		}
		if stored > 0 {
			h["content-disposition"] = []string{strings.Repeat("d", stored%3000)}
		}
		if others > 0 {
			h["origin"] = []string{strings.Repeat("o", others%7000)}
		}
		put := onetime.Put{Method: "PUT", Headers: h}
		rule := gate.Allow(entry, length, put)
		terms, ok := gate.Terms(length, put)
		meets := ok && entry.Demands().Meet(terms)
		if meets && rule != nil {
			t.Errorf("%+v\n%v, %+v: the demands are met, and the rule says %v", entry, h, terms, rule)
		}
		if plain := stored <= 0 && others <= 0 && (!sends || onetime.Limits{Type: sent}.Check() == nil && sent != "" && !strings.ContainsAny(sent, ",*")); plain && rule == nil && !meets {
			t.Errorf("%+v\n%v, %+v: the rule allows it, and the demands are not met", entry, h, terms)
		}
	})
}

// TestDemandsRoom: the demands are met up to the last byte that the rule has room for.
func TestDemandsRoom(t *testing.T) {
	gate, _ := newWorld(t).spender()
	added := len("content-type") + len("a/b")
	for name, most := range map[string]int{"cache-control": 2<<10 - added, "origin": 6<<10 - added} {
		entry := onetime.ValidEntry{Version: 1, Created: start, Expires: start.Add(life), Limits: onetime.Limits{Type: "a/b"}}
		for more, want := range []bool{true, false} {
			put := onetime.Put{Method: "PUT", Headers: headers{"content-length": {"5"}, name: {strings.Repeat("x", most-len(name)+more)}}}
			terms, ok := gate.Terms(5, put)
			if err := gate.Allow(entry, 5, put); (err == nil) != want || !ok || entry.Demands().Meet(terms) != want {
				t.Errorf("%s, %d more: the rule says %v, room for %d, want %t", name, more, err, terms.Room, want)
			}
		}
	}
}

// TestDemandsMostly says how often an upload that the rule allows has to go the long way.
func TestDemandsMostly(t *testing.T) {
	w := newWorld(t)
	gate, _ := w.spender()
	types := []string{"", "image/png", "image/*", "image/*,application/pdf", "text/plain"}
	sent := []string{"", "image/png", "application/pdf", "text/plain; charset=utf-8", "Image/PNG", "application/octet-stream", "undefined", "image/png, text/plain"}
	allowed, met := 0, 0
	for _, kind := range types {
		for _, name := range []string{"", "invoice.pdf", strings.Repeat("ä", 120)} {
			for _, given := range sent {
				for _, disposition := range []int{0, 30, 1900} {
					h := headers{"content-length": {"5"}, "origin": {"https://example.com"}}
					if given != "" {
						h["content-type"] = []string{given}
					}
					if disposition > 0 {
						h["content-disposition"] = []string{strings.Repeat("d", disposition)}
					}
					entry := onetime.ValidEntry{Version: 1, Created: start, Expires: start.Add(life), Name: name, Limits: onetime.Limits{Type: kind}}
					put := onetime.Put{Method: "PUT", Headers: h}
					if gate.Allow(entry, 5, put) != nil {
						continue
					}
					allowed++
					terms, ok := gate.Terms(5, put)
					if ok && entry.Demands().Meet(terms) {
						met++
					} else if given != "undefined" && given != "image/png, text/plain" && disposition != 1900 {
						t.Errorf("%q, %q, type %q, disposition of %d bytes: goes the long way", kind, name, given, disposition)
					}
				}
			}
		}
	}
	t.Logf("%d of %d uploads that are allowed are spent at once", met, allowed)
}

// FuzzUploadLimits: whatever limits are stored and whatever headers come, a pass
// keeps to every limit, and what S3 is sent names no type beside the one allowed.
// A gate that looks up and claims in one request decides the same.
func FuzzUploadLimits(f *testing.F) {
	f.Add(int64(0), int64(0), "", "5", "image/png", true)
	f.Add(int64(1), int64(5), "image/png", "5", "image/png;x,text/html", true)
	f.Add(int64(5), int64(5), "image/*", "5", "IMAGE/Png ; q=1", true)
	f.Add(int64(6), int64(5), "image/*", "5", "image/*", true)
	f.Add(int64(0), int64(5), "image/png", "5", "\u0130mage/png", true)
	f.Add(int64(0), int64(5), "image/*", "5", "image/pn\u212a", true)
	f.Add(int64(0), int64(5), "image/png", "5", "\u00a0image/png\u0085", true)
	f.Add(int64(0), int64(1<<40), "*/*", "0005", "", false)
	f.Fuzz(func(t *testing.T, least, most int64, kind, length, sent string, sends bool) {
		w := newWorld(t)
		minter, _ := w.minter()
		minted, err := minter.Mint(t.Context(), onetime.Order{Limits: onetime.Limits{MinBytes: least, MaxBytes: most, Type: kind}}, w.deadline())
		if err != nil {
			return
		}
		put := upload(minted, "r")
		put.Headers = headers{"content-length": {length}}
		if sends {
			put.Headers.(headers)["content-type"] = []string{sent}
		}
		gate, _ := w.gate(onetime.Conditional)
		pass, err := gate.Decide(t.Context(), put, w.deadline())
		if claimed := len(w.claimants(t, minted.ID)) == 1; claimed != (err == nil) {
			t.Fatalf("claimed %t, error %v", claimed, err)
		}
		other := newWorld(t)
		other.store.Put(minted.ID.ValidKey(), onetimetest.Entry{Body: w.stored(t, minted.ID.ValidKey())}, false)
		gate, _ = other.spender()
		if otherPass, otherErr := gate.Decide(t.Context(), put, w.deadline()); reasonOf(t, otherErr) != reasonOf(t, err) || !maps.Equal(otherPass.Headers, pass.Headers) || otherPass.Query != pass.Query {
			t.Errorf("at once %+v, %v, else %+v, %v", otherPass, otherErr, pass, err)
		}
		if claimed := other.claimed(minted.ID) != ""; claimed != (err == nil) {
			t.Errorf("at once claimed %t, error %v", claimed, err)
		}
		if err != nil {
			return
		}
		n, err := strconv.ParseInt(length, 10, 64)
		if err != nil || n < least || most != 0 && n > most || n > onetime.MaxBytes {
			t.Errorf("passes %q bytes, want %d to %d", length, least, most)
		}
		if kind == "" {
			return
		}
		if given, ok := pass.Headers["content-type"]; ok {
			sent = given
		}
		essence, parameters, _ := strings.Cut(sent, ";")
		essence = strings.ToLower(strings.Trim(essence, " \t"))
		if strings.ContainsFunc(sent, func(r rune) bool { return r > '~' || r < ' ' && r != '\t' }) {
			t.Errorf("passes type %q, which is not printable", sent)
		}
		if prefix, wild := strings.CutSuffix(kind, "*"); essence != kind && (!wild || !strings.HasPrefix(essence, prefix)) || strings.ContainsAny(essence, "*, ") || strings.Contains(parameters, ",") {
			t.Errorf("passes type %q, want %q", sent, kind)
		}
	})
}
