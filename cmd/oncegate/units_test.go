package main

import (
	"testing"
	"time"
)

func TestParseSpan(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"14d": 14 * 24 * time.Hour, "1d": 24 * time.Hour, "36h": 36 * time.Hour, "90m": 90 * time.Minute, "1h30m": 90 * time.Minute, "0s": 0, "10s": 10 * time.Second,
	} {
		if got, err := parseSpan(s); err != nil || got != want {
			t.Errorf("%s is %s, %v, want %s", s, got, err, want)
		}
		if got, err := parseSpan(shownSpan(want)); err != nil || got != want {
			t.Errorf("%s is shown as %s", want, shownSpan(want))
		}
	}
	for _, s := range []string{"", "d", "14", "-1d", "-5m", "1.5d", "14 d", "1d12h", "99999999d", "two weeks"} {
		if got, err := parseSpan(s); err == nil {
			t.Errorf("%q is taken for %s", s, got)
		}
	}
}

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "500000": 500000, "200KB": 200e3, "2GB": 2e9, "2gb": 2e9, "8MiB": 8 << 20, "1TiB": 1 << 40, "5TB": 5e12, "1KIB": 1024,
	} {
		if got, err := parseSize(s); err != nil || got != want {
			t.Errorf("%s is %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "GB", "-1", "1.5GB", "2 GB", "2G", "9999999999GB", "0x10", "1e9"} {
		if got, err := parseSize(s); err == nil {
			t.Errorf("%q is taken for %d", s, got)
		}
	}
}
