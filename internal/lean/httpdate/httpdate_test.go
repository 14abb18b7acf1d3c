package httpdate_test

import (
	"net/http"
	"testing"
	"time"

	"oncegate/internal/lean/httpdate"
)

// FuzzDate holds Parse to package time. That takes more: names in any case, and
// fractions of seconds.
func FuzzDate(f *testing.F) {
	for _, s := range []string{
		"Wed, 04 Mar 2026 05:06:07 GMT", "Thu, 29 Feb 2024 23:59:59 GMT", "Wed, 29 Feb 2023 00:00:00 GMT", "Sun, 31 Dec 9999 23:59:59 GMT",
		"Wed, 04 Mar 2026 24:00:00 GMT", "Wed, 04 Mar 2026 05:60:07 GMT", "Wed, 04 Mar 2026 05:06:60 GMT", "Wed, 00 Mar 2026 05:06:07 GMT",
		"Wed, 32 Mar 2026 05:06:07 GMT", "wed, 04 mar 2026 05:06:07 GMT", "Xyz, 04 Mar 2026 05:06:07 GMT", "Wed, 04 Xyz 2026 05:06:07 GMT",
		"Wed, 04 Mar 2026 05:06:07 UTC", "Wed, 04 Mar 2026 05:06:07.5 GMT", "Wed, 4 Mar 2026 05:06:07 GMT", "Wed,  4 Mar 2026 05:06:07 GMT",
		"Wed; 04 Mar 2026 05:06:07 GMT", "Wed, 04-Mar-2026 05:06:07 GMT", "Wed, 04 Mar 2026 05.06.07 GMT", "edW, 04 Mar 2026 05:06:07 GMT", "Wed, 04 Mar 2O26 05:06:07 GMT",
		"Wednesday, 04-Mar-26 05:06:07 GMT", "2026-03-04T05:06:07Z", "",
	} {
		f.Add(s, int64(1772600767))
	}
	f.Fuzz(func(t *testing.T, s string, seconds int64) {
		got, err := httpdate.Parse(s)
		want, wantErr := time.Parse(http.TimeFormat, s)
		switch again := want.Format(http.TimeFormat); {
		case wantErr == nil && len(s) == len(again) && s[3:] == again[3:] && s[:3] == weekday(s):
			if err != nil || !got.Equal(want) {
				t.Errorf("%q is %v, %v, want %v", s, got, err, want)
			}
		case err == nil:
			t.Errorf("%q is %v, want an error", s, got)
		}
		at := time.Unix(seconds%(1<<37), 0).UTC()
		if at.Year() < 0 || at.Year() > 9999 {
			return
		}
		if got, err := httpdate.Parse(at.Format(http.TimeFormat)); err != nil || !got.Equal(at) {
			t.Errorf("%v is read as %v, %v", at, got, err)
		}
	})
}

// weekday is the day with which a date begins, in the one case that HTTP has, or "".
func weekday(date string) string {
	for day := time.Sunday; day <= time.Saturday; day++ {
		if name := day.String()[:3]; date[:3] == name {
			return name
		}
	}
	return ""
}
