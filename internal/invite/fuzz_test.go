package invite_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"oncegate/internal/invite"
	"oncegate/internal/onetime"
	"oncegate/internal/onetime/onetimetest"
)

// FuzzRecord: what is read as a record says the same when it is written again, and is
// within its bounds.
func FuzzRecord(f *testing.F) {
	record := invitation(20)
	record.Version, record.Created, record.By = 1, start, "key:0123456789abcdef0123456789abcdef Acme"
	record.Limits = onetime.Limits{MinBytes: 1, MaxBytes: 2, Type: "image/*"}
	f.Add(record.Marshal())
	record.Revoked = start
	f.Add(record.Marshal())
	f.Add([]byte(strings.Replace(string(record.Marshal()), `"uploads":20`, `"uploads":1e1`, 1)))
	f.Add([]byte(strings.Replace(string(record.Marshal()), `"life":3600`, `"life":9223372036854775807`, 1)))
	f.Add([]byte(strings.Replace(string(record.Marshal()), `"uploads":20`, `"uploads":20,"uploads":30`, 1)))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := invite.ParseRecord(body)
		if err != nil {
			if r != (invite.Record{}) {
				t.Errorf("an error, and yet %+v", r)
			}
			return
		}
		if again, err := invite.ParseRecord(r.Marshal()); err != nil || again != r {
			t.Errorf("%q is %+v, and written again %+v, %v", body, r, again, err)
		}
		if r.Uploads < 1 || r.Uploads > invite.MaxUploads || r.Life < time.Second || r.Life > onetime.MaxLife ||
			r.Expires.Sub(r.Created) > invite.MaxLife || !r.Expires.After(r.Created) || r.Label == "" {
			t.Errorf("%q is %+v", body, r)
		}
	})
}

// FuzzSlot: what is read as a slot says the same when it is written again; a slot that may
// change names a URL and its time.
func FuzzSlot(f *testing.F) {
	url := onetime.Fingerprint("/a", "b")
	for _, slot := range []invite.Slot{
		{Version: 1, State: invite.SlotHeld, URL: url, Created: start, Expires: start.Add(time.Hour)},
		{Version: 1, State: invite.SlotSpent, URL: url}, {Version: 1, State: invite.SlotClosed},
	} {
		f.Add(slot.Marshal())
		f.Add([]byte(strings.Replace(string(slot.Marshal()), `"version":1`, `"version":2`, 1)))
		f.Add([]byte(strings.ToUpper(string(slot.Marshal()))))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := invite.ParseSlot(body)
		if err != nil {
			if s != (invite.Slot{}) {
				t.Errorf("an error, and yet %+v", s)
			}
			return
		}
		if again, err := invite.ParseSlot(s.Marshal()); err != nil || again != s {
			t.Errorf("%q is %+v, and written again %+v, %v", body, s, again, err)
		}
		held := s.State == invite.SlotHeld
		if held != (len(s.Marshal()) > invite.MaxFinalBytes) || held != s.Expires.After(s.Created) || held && len(s.URL) != 64 {
			t.Errorf("%q is %+v", body, s)
		}
	})
}

// FuzzToken: an invitation's token has one spelling, and no error tells anything of it.
func FuzzToken(f *testing.F) {
	token, err := invite.NewToken(onetimetest.NewEntropy(1))
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{token, strings.ToUpper(token), " " + token, token + "\n", token[:75], "ogk_" + token[4:], "ogi_", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := invite.ParseToken(text)
		if err != nil {
			if id != "" || !errors.Is(err, invite.ErrForm) && !errors.Is(err, invite.ErrChecksum) || len(text) > 8 && strings.Contains(err.Error(), text) {
				t.Errorf("%q is %q, %v", text, id, err)
			}
			return
		}
		if again, err := invite.ParseID(string(id)); err != nil || again != id || strings.Contains(text, string(id)) {
			t.Errorf("%q is %q, %v", text, id, err)
		}
		if len(text) != len(token) || !strings.HasPrefix(text, "ogi_") || strings.Trim(text[4:], "0123456789abcdef") != "" {
			t.Errorf("%q is taken for a token", text)
		}
	})
}
