package main

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// errSpan says how a time is given.
var errSpan = errors.New("want a time such as 90m, 36h or 14d")

// parseSpan reads a time: days as 14d, and what package time reads.
func parseSpan(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, errSpan
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, errSpan
	}
	return d, nil
}

// shownSpan is a time as parseSpan reads it, without zeros at its end.
func shownSpan(d time.Duration) string {
	if day := 24 * time.Hour; d >= day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

// errSize says how a number of bytes is given.
var errSize = errors.New("want bytes such as 500000, 200KB, 2GB or 8MiB")

// sizeUnits are those of parseSize. MB is what people and disks mean by it, MiB what
// memory means.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"KIB", 1 << 10}, {"MIB", 1 << 20}, {"GIB", 1 << 30}, {"TIB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
}

// parseSize reads a number of bytes, with a unit in any case or without one.
func parseSize(s string) (int64, error) {
	number, bytes := s, int64(1)
	for _, unit := range sizeUnits {
		if before, ok := strings.CutSuffix(strings.ToUpper(s), unit.name); ok {
			number, bytes = before, unit.bytes
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/bytes {
		return 0, errSize
	}
	return n * bytes, nil
}

// spanFlag and sizeFlag are flags with such values.
type (
	spanFlag time.Duration
	sizeFlag int64
)

func (f *spanFlag) String() string { return shownSpan(time.Duration(*f)) }

func (f *spanFlag) Set(s string) error {
	d, err := parseSpan(s)
	*f = spanFlag(d)
	return err
}

func (f *sizeFlag) String() string { return strconv.FormatInt(int64(*f), 10) }

func (f *sizeFlag) Set(s string) error {
	n, err := parseSize(s)
	*f = sizeFlag(n)
	return err
}
