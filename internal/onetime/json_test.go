package onetime_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// FuzzEntryJSON holds the entries' own writing and reading of JSON to encoding/json,
// which goes by the tags of their fields.
func FuzzEntryJSON(f *testing.F) {
	f.Add(int64(1772600767), int64(900), aUUID, int64(1), int64(9), "image/png", "", "naïve \"name\".png", "label", "by", "request")
	f.Add(int64(0), int64(-1), "", int64(0), int64(0), "", "", "", "", "", "")
	f.Add(int64(1772600767), int64(60), aUUID, int64(0), int64(5<<30), "image/*", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "<&>\u2028", "\\", "é", "\x00")
	f.Fuzz(func(t *testing.T, created, life int64, name string, least, most int64, kind, sum, file, label, by, request string) {
		const year = 365 * 24 * 3600
		at := time.Unix(created%(200*year), 0).UTC()
		valid := onetime.ValidEntry{
			Version: 1, Created: at, Expires: at.Add(time.Duration(life%(8*24*3600)) * time.Second), Key: "uploads/" + name,
			Limits: onetime.Limits{MinBytes: least, MaxBytes: most, Type: kind, SHA256: sum}, Name: file, Label: label, By: by,
		}
		theirs, err := json.Marshal(valid)
		if err != nil {
			t.Fatal(err)
		}
		var ours, back onetime.ValidEntry
		if json.Unmarshal(valid.Marshal(), &ours) != nil || json.Unmarshal(theirs, &back) != nil || ours != back {
			t.Fatalf("written as %s, want %s", valid.Marshal(), theirs)
		}
		one, oneErr := onetime.ParseValidEntry(valid.Marshal())
		two, twoErr := onetime.ParseValidEntry(theirs)
		if one != two || (oneErr == nil) != (twoErr == nil) || oneErr == nil && one != back {
			t.Errorf("%s is read as %+v, %v; %s as %+v, %v", valid.Marshal(), one, oneErr, theirs, two, twoErr)
		}

		expired := onetime.ExpiredEntry{Version: 1, Reason: onetime.Used, At: at, Nonce: "00112233445566778899aabbccddeeff", Request: request}
		var spent, want onetime.ExpiredEntry
		if theirs, err = json.Marshal(expired); err != nil || json.Unmarshal(theirs, &want) != nil || json.Unmarshal(expired.Marshal(), &spent) != nil || spent != want {
			t.Fatalf("written as %s, want %s, %v", expired.Marshal(), theirs, err)
		}
		for _, body := range [][]byte{expired.Marshal(), theirs} {
			if got, err := onetime.ParseExpiredEntry(body); err != nil || got != want {
				t.Errorf("%s is read as %+v, %v", body, got, err)
			}
		}
	})
}

// TestUUIDs: what mint makes is a UUIDv4 to a library for UUIDs, and UploadKey takes of
// the library's, in all their spellings, what the library calls a UUIDv4 in lower case.
func TestUUIDs(t *testing.T) {
	entropy := onetimetest.NewEntropy(1)
	variants := map[byte]bool{}
	for range 200 {
		name, err := onetime.NewUUID(entropy)
		if err != nil {
			t.Fatal(err)
		}
		id, err := uuid.Parse(name)
		if err != nil || id.Version() != 4 || id.Variant() != uuid.RFC4122 || id.String() != name {
			t.Fatalf("%s is no UUIDv4: %v", name, err)
		}
		variants[name[19]] = true
		if key, err := onetime.UploadKey("/uploads/" + name); err != nil || key != "uploads/"+name {
			t.Errorf("%s is refused: %v", name, err)
		}
	}
	if len(variants) != 4 {
		t.Errorf("after the variant's two bits there are %v", variants)
	}
}

// FuzzUploadKeyUUID holds UploadKey to the library for UUIDs.
func FuzzUploadKeyUUID(f *testing.F) {
	for _, s := range []string{aUUID, strings.ToUpper(aUUID[:8]) + aUUID[8:], "{" + aUUID + "}", "urn:uuid:" + aUUID, "00000000-0000-4000-c000-000000000000", "00000000-0000-1000-8000-000000000000", "", "0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		id, err := uuid.Parse(name)
		want := err == nil && id.String() == name && id.Version() == 4 && id.Variant() == uuid.RFC4122
		if _, err := onetime.UploadKey("/uploads/" + name); (err == nil) != want {
			t.Errorf("%q: %v, want success: %t", name, err, want)
		}
	})
}
