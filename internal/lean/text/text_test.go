package text_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"oncegate/internal/lean/text"
)

// unseen are characters that a reader does not see, or that change what he sees around
// them.
var unseen = []rune{
	0, '\t', '\n', '\r', 0x1b, 0x7f, 0x80, 0x85, 0x9b, 0xad, // controls, soft hyphen
	0x34f, 0x61c, 0x115f, 0x1160, 0x17b4, 0x17b5, 0x180b, 0x180e, 0x180f, // joiners, fillers, Mongolian selectors
	0x200b, 0x200d, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202e, 0x2060, 0x2066, 0x2069, 0x206f, // zero width, line ends, direction
	0x2800, 0x3164, 0xfe00, 0xfe0f, 0xfeff, 0xffa0, 0x1d159, // blanks, selectors
	0x378, 0xe000, 0xfffe, 0xe0001, 0xe0020, 0xe0100, 0xe01ef, 0x10fffd, // unassigned, private, tags
}

func TestVisible(t *testing.T) {
	for _, r := range unseen {
		if s := "a" + string(r) + "b"; text.Visible(s) || text.Name(s) {
			t.Errorf("%U passes", r)
		}
	}
	for _, s := range []string{"a\xffb", "\xed\xa0\x80", "\xc2"} {
		if text.Visible(s) {
			t.Errorf("%q is not UTF-8 and passes", s)
		}
	}
	for _, s := range []string{"", "photo.jpg", "Прага 2", "北京.png", "नमस्ते", "e\u0301te\u0301", "🙂", "Screenshot\u202fPM", "a\u00a0b", "½ €", "\ufffd"} {
		if !text.Visible(s) {
			t.Errorf("%q does not pass", s)
		}
	}
}

func TestName(t *testing.T) {
	for _, s := range []string{"alice", "photo app, staging", "Žofie", "auth0|5f7c8ec7c33c6c004bbafe82"} {
		if !text.Name(s) {
			t.Errorf("%q is no name", s)
		}
	}
	for _, s := range []string{"", " ", " alice", "alice ", "al  ice", "al\u00a0ice", "al\u3000ice", "al\u2009ice"} {
		if text.Name(s) {
			t.Errorf("%q is a name", s)
		}
	}
}

// TestEscape: what is escaped is visible, and JSON reads it back.
func TestEscape(t *testing.T) {
	for _, r := range unseen {
		s := "<" + string(r) + ">"
		shown := text.Escape(s)
		var back string
		if err := json.Unmarshal([]byte(`"`+shown+`"`), &back); err != nil || back != s || !text.Visible(shown) {
			t.Errorf("%U: %s, read as %q, %v", r, shown, back, err)
		}
	}
	for s, want := range map[string]string{
		"":                       "",
		"a photo":                "a photo",
		"\x1b[31mred\n":          `\u001b[31mred\u000a`,
		"\u009b1m\u202egpj.exe":  `\u009b1m\u202egpj.exe`,
		"\U000e0041":             `\udb40\udc41`,
		"a\xff\x9b":              `a\ufffd\ufffd`,
		`C:\temp "x"`:            `C:\temp "x"`,
		strings.Repeat("ü", 100): strings.Repeat("ü", 100),
	} {
		if got := text.Escape(s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}

func FuzzEscape(f *testing.F) {
	for _, r := range unseen {
		f.Add("x" + string(r))
	}
	f.Add("\x9b\xff")
	f.Fuzz(func(t *testing.T, s string) {
		shown := text.Escape(s)
		if !text.Visible(shown) || text.Escape(shown) != shown || text.Visible(s) && shown != s {
			t.Errorf("%q becomes %q", s, shown)
		}
		if !utf8.ValidString(s) || strings.ContainsAny(s, `\"`) {
			return
		}
		if back, err := strconv.Unquote(`"` + shown + `"`); err == nil && back != s {
			t.Errorf("%q becomes %s, read as %q", s, shown, back)
		}
	})
}
