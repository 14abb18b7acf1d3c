package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSourceChanges: of a file that is not the one that was opened, the last byte is
// never given out.
func TestSourceChanges(t *testing.T) {
	for name, change := range map[string]func(f *os.File) error{
		"grows":    func(f *os.File) error { _, err := f.WriteString("more"); return err },
		"shrinks":  func(f *os.File) error { return f.Truncate(5) },
		"vanishes": func(f *os.File) error { return f.Truncate(0) },
		"is touched": func(f *os.File) error {
			return os.Chtimes(f.Name(), time.Time{}, time.Now().Add(time.Hour))
		},
		"stays": func(*os.File) error { return nil },
	} {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, []byte("0123456789"), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := openSource(path)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		first := make([]byte, 4)
		if _, err := io.ReadFull(s, first); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		if err == nil {
			err = change(f)
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		rest, err := io.ReadAll(s)
		if name == "stays" {
			if err != nil || string(first)+string(rest) != "0123456789" {
				t.Errorf("%s%s, %v", first, rest, err)
			}
			// Once more from the beginning, as for the same PUT again.
			if _, err := s.Seek(0, io.SeekStart); err != nil {
				t.Error(err)
			}
			if sum, err := s.sum(t.Context()); err != nil || sum != "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882" {
				t.Errorf("sum %s, %v", sum, err)
			}
			continue
		}
		if !errors.Is(err, errChanged) || len(first)+len(rest) >= 10 {
			t.Errorf("%s: %d bytes, %v", name, len(first)+len(rest), err)
		}
	}
}

// TestEmptySource: a file without a size is empty, or it is not uploaded.
func TestEmptySource(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err == nil {
		if _, err := openSource("/proc/self/status"); err == nil || !strings.Contains(err.Error(), "has content but no size") {
			t.Errorf("a file of the kernel: %v", err)
		}
	}
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := openSource(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if all, err := io.ReadAll(s); len(all) != 0 || err != nil {
		t.Errorf("empty: %q, %v", all, err)
	}
	if err := os.WriteFile(path, []byte("more"), 0o600); err != nil {
		t.Fatal(err)
	}
	if all, err := io.ReadAll(s); len(all) != 0 || !errors.Is(err, errChanged) {
		t.Errorf("grown: %q, %v", all, err)
	}
}

// TestScreen: what is not visible reaches no terminal, whatever it is part of.
func TestScreen(t *testing.T) {
	var out bytes.Buffer
	s := newScreen(&out)
	for _, p := range []string{
		"plain\tline\n", "\x1b[2J", "\r", "\u009b", "\x9b", "é\u202e", "{\"a\":\"\u2028\\n\"}\n", // whole
		"\xe2\x80", "\xae", "\xf0", "\x9f", "\x99", "\x82", "\ufffd", "\xe2", "x\n", // in pieces
	} {
		if n, err := io.WriteString(s, p); n != len(p) || err != nil {
			t.Errorf("%q: %d, %v", p, n, err)
		}
	}
	const want = "plain\tline\n" + `\u001b[2J\u000d\u009b\ufffdé\u202e{"a":"\u2028\n"}` + "\n" + `\u202e🙂` + "\ufffd" + `\ufffdx` + "\n"
	if out.String() != want {
		t.Errorf("got %q\nwant %q", out.String(), want)
	}
}

func TestBar(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	b := newBar(&out, "a very long name of a photo\x1b.jpg", 4_000_000, func() time.Time { return now })
	var lines []string
	for _, at := range []struct {
		ms   int
		sent int64
	}{
		{0, 100}, {10, 1_000_000}, {500, 1_000_000}, {1000, 2_000_000}, {1500, 500_000}, {12_000, 1_500_000}, {12_100, 1_400_000}, {13_000, 1_000_000}, {13_001, 4_000_000},
	} {
		now = time.Unix(0, 0).Add(time.Duration(at.ms) * time.Millisecond)
		out.Reset()
		b.sent(at.sent)
		if n := len(strings.TrimPrefix(out.String(), "\r")); out.Len() > 0 && n-len("…")+1 != lineWidth {
			t.Errorf("%d wide", n)
		}
		lines = append(lines, strings.TrimSpace(out.String()))
	}
	want := []string{
		`a very long nam… [          ]   0%  0.0 MB of 4.0 MB`,
		``, // too soon
		`a very long nam… [==        ]  25%  1.0 MB of 4.0 MB`,
		`a very long nam… [=====     ]  50%  2.0 MB of 4.0 MB  2.0 MB/s  1s left`,
		`a very long nam… [=         ]  12%  0.5 MB of 4.0 MB  0.3 MB/s  10s left`, // a part is sent again
		`a very long nam… [===       ]  37%  1.5 MB of 4.0 MB  0.1 MB/s  26s left`, // after a pause
		`a very long nam… [===       ]  35%  1.4 MB of 4.0 MB`,
		`a very long nam… [==        ]  25%  1.0 MB of 4.0 MB`,
		`a very long nam… [==========] 100%  4.0 MB of 4.0 MB  2.5 MB/s`,
	}
	if fmt.Sprint(lines) != fmt.Sprint(want) {
		t.Errorf("got\n%s", strings.Join(lines, "\n"))
	}
	out.Reset()
	b.clear()
	if strings.TrimSpace(out.String()) != "" || !strings.HasPrefix(out.String(), "\r") || !strings.HasSuffix(out.String(), "\r") {
		t.Errorf("clears with %q", out.String())
	}
	now = time.Unix(0, 0)
	large := newBar(&out, "large", 50e9, func() time.Time { return now })
	now = now.Add(time.Second)
	large.sent(12_345e6)
	now = now.Add(5 * time.Second)
	out.Reset()
	large.sent(12_945e6)
	if got := strings.TrimSpace(out.String()); got != "large            [==        ]  25%  12.9 GB of 50.0 GB  2157.5 MB/s  17s left" {
		t.Errorf("large: %s", got)
	}
	out.Reset()
	unknown := newBar(&out, "-", 0, func() time.Time { return now })
	unknown.sent(0)
	now = now.Add(time.Second)
	unknown.sent(5e6)
	if got := strings.TrimSpace(out.String()); !strings.HasSuffix(got, "-                5.0 MB  5.0 MB/s") {
		t.Errorf("of unknown size: %s", got)
	}
	if _, ok := terminal(&out); ok {
		t.Error("a buffer is no terminal")
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, ok := terminal(newScreen(f)); ok {
		t.Error("a file is no terminal")
	}
}
