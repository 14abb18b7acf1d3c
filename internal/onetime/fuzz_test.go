package onetime_test

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
	"testing"
	"time"

	"oncegate/internal/layout"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

func FuzzParseQuery(f *testing.F) {
	good := newWorld(f).mint(f).Query
	f.Add(good, onetimetest.Region)
	f.Add(good, "us-east-1")
	f.Add(strings.ReplaceAll(good, "%2F", "/"), onetimetest.Region)
	f.Add(strings.Replace(good, "3600", "604800", 1), onetimetest.Region)
	f.Add(strings.Replace(good, "3600", "03600", 1), onetimetest.Region)
	f.Add(strings.Replace(good, "07Z", "07.0Z", 1), onetimetest.Region)
	f.Add(strings.Replace(good, "20260304", "00000101", 2), onetimetest.Region)
	f.Add(good+"&", onetimetest.Region)
	f.Add("", "")
	f.Fuzz(func(t *testing.T, query, region string) {
		parsed, err := onetime.ParseQuery(query, region)
		if err != nil {
			if parsed != (onetime.Query{}) {
				t.Errorf("refused, and yet there is %+v", parsed)
			}
			return
		}
		if again, err := onetime.ParseQuery(parsed.String(), region); err != nil || again != parsed {
			t.Errorf("reads %q as %+v\nand its own spelling as %+v (%v)", query, parsed, again, err)
		}
		if parsed.Life < time.Second || parsed.Life > onetime.MaxLife || parsed.Life%time.Second != 0 {
			t.Errorf("accepts a life of %v", parsed.Life)
		}
		if !parsed.Expires().After(parsed.Date) {
			t.Errorf("expires %v, minted %v", parsed.Expires(), parsed.Date)
		}
		if strings.Count(parsed.String(), "X-Amz-Signature=") != 1+strings.Count(region, "X-Amz-Signature=") {
			t.Errorf("accepts several signatures: %q", query)
		}
	})
}

func FuzzUploadKey(f *testing.F) {
	f.Add("/uploads/" + aUUID)
	f.Add("/uploads/" + strings.ToUpper(aUUID))
	f.Add("/uploads/{" + aUUID + "}")
	f.Add("/uploads/urn:uuid:" + aUUID)
	f.Add("/uploads/" + strings.ReplaceAll(aUUID, "-", ""))
	f.Add("//uploads/" + aUUID)
	f.Add("/uploads/a/b-c_d/" + aUUID)
	f.Add("/uploads/a//" + aUUID)
	f.Add("/uploads/" + aUUID + "/" + aUUID)
	f.Add("/uploads/../" + aUUID)
	f.Add("/uploads/2b1d9bd0-5b0c-1b6e-9d7e-0a1b2c3d4e5f")
	f.Add("/uploads/00000000-0000-0000-0000-000000000000")
	f.Add("")
	form := regexp.MustCompile(`\A/uploads/(?:([a-z0-9][a-z0-9_/-]*)/)?[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\z`)
	f.Fuzz(func(t *testing.T, path string) {
		key, err := onetime.UploadKey(path)
		match := form.FindStringSubmatch(path)
		if got, want := err == nil, match != nil && (match[1] == "" || layout.ValidPrefix(match[1])); got != want {
			t.Fatalf("UploadKey(%q): %q, %v; want it taken: %t", path, key, err, want)
		}
		if err == nil && "/"+key != path || err != nil && key != "" {
			t.Errorf("UploadKey(%q) = %q", path, key)
		}
	})
}

func FuzzParseValidEntry(f *testing.F) {
	const good = `{"version":1,"created":"2026-03-04T05:06:07Z","expires":"2026-03-04T06:06:07Z","key":"uploads/` + aUUID + `","limits":{}}`
	f.Add([]byte(good))
	f.Add([]byte(strings.ReplaceAll(good, "Z", "+23:59")))
	f.Add([]byte(strings.ReplaceAll(good, "2026", "0000")))
	f.Add([]byte(strings.ReplaceAll(good, "2026", "9999")))
	f.Add([]byte(strings.Replace(good, "{}", "null", 1)))
	f.Add([]byte(strings.ToUpper(good)))
	f.Add([]byte(strings.Replace(good, `{}`, `{"minBytes":1,"maxBytes":5,"type":"image/*","sha256":"`+sumBase64+`"},"name":"\u00e9\ud83d\ude00","label":"<&>","by":"\ud800"`, 1)))
	f.Add([]byte(strings.Replace(good, "uploads/", "uploads/teams/red/", 1)))
	f.Add([]byte(strings.Replace(good, "{}", `{},"meta":"a=1&b=%20c"`, 1)))
	f.Add([]byte(strings.Replace(good, "{}", `{},"tags":"a=1&b%20c=%C3%A9"`, 1)))
	f.Add([]byte(good + good))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, body []byte) {
		entry, err := onetime.ParseValidEntry(body)
		if err != nil {
			return
		}
		again, err := onetime.ParseValidEntry(entry.Marshal())
		if err != nil {
			t.Fatalf("%s is read, but not %s: %v", body, entry.Marshal(), err)
		}
		same := again.Created.Equal(entry.Created) && again.Expires.Equal(entry.Expires)
		again.Created, again.Expires = entry.Created, entry.Expires
		if !same || again != entry {
			t.Errorf("%s is read as %+v, and its like as %+v", body, entry, again)
		}
	})
}

func FuzzParseExpiredEntry(f *testing.F) {
	f.Add(expiredEntry(onetime.Used).Body)
	f.Add(expiredEntry(onetime.Revoked).Body)
	f.Add([]byte(strings.Replace(string(expiredEntry(onetime.Used).Body), "somebody", `\ud800\u0000`, 1)))
	f.Add([]byte(strings.Replace(string(expiredEntry(onetime.Used).Body), "somebody", "\xff<>&", 1)))
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		entry, err := onetime.ParseExpiredEntry(body)
		if err != nil {
			return
		}
		again, err := onetime.ParseExpiredEntry(entry.Marshal())
		if err != nil {
			t.Fatalf("%s is read, but not %s: %v", body, entry.Marshal(), err)
		}
		same := again.At.Equal(entry.At)
		again.At = entry.At
		if !same || again != entry {
			t.Errorf("%s is read as %+v, and its like as %+v", body, entry, again)
		}
	})
}

// FuzzFingerprint: a fingerprint is that of exact bytes. Nothing is decoded, folded or
// normalised on the way; what a client sent goes through ParseQuery first.
func FuzzFingerprint(f *testing.F) {
	f.Add("/uploads/a", "b=c", "/uploads/a", "b=C")
	f.Add("/uploads/a", "b=%2F", "/uploads/a", "b=%2f")
	f.Add("/uploads/a", "b=/", "/uploads/a", "b=%2F")
	f.Add("/uploads/a", "", "/uploads/a?", "")
	f.Add("/uploads/a", "b?c", "/uploads/a?b", "c")
	f.Add("/a", "x&y", "/a", "y&x")
	f.Add("\xff", "", "\ufffd", "")
	f.Fuzz(func(t *testing.T, path1, query1, path2, query2 string) {
		url1, url2 := path1+"?"+query1, path2+"?"+query2
		id1, id2 := onetime.Fingerprint(path1, query1), onetime.Fingerprint(path2, query2)
		if (id1 == id2) != (url1 == url2) {
			t.Errorf("%q and %q: fingerprints %s and %s", url1, url2, id1, id2)
		}
		sum := sha256.Sum256([]byte(url1))
		if want := hex.EncodeToString(sum[:]); string(id1) != want {
			t.Errorf("fingerprint of %q is %s, want %s", url1, id1, want)
		}
		if _, err := onetime.ParseID(string(id1)); err != nil {
			t.Error(err)
		}
	})
}
