package config

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"oncegate/internal/lean/strictjson"
)

// Page is the page for people at /upload, and what the owner has it say. Its texts are
// put into HTML by edge/node/page.mjs, which escapes them.
type Page struct {
	On bool
	// Title is the heading, instead of the page's own in the reader's language.
	Title string
	// Accent is the colour of what can be done, as #rrggbb.
	Accent string
	// Logo is an SVG, shown as an image.
	Logo string
	// Contact is whom to ask: an address, an https URL, or words.
	Contact string
	// PrivacyURL is where the owner says what happens to uploads.
	PrivacyURL string
	// EmbedBy are the origins whose pages may have the page in a frame.
	EmbedBy []string
}

// Bounds of the page's texts, in bytes. The HTML must stay far below the 40 KB of an
// answer, and base64 makes 4 bytes of 3.
const (
	maxTitle   = 120
	maxContact = 200
	maxLogo    = 12 << 10
)

// pageKind is the setting page.
type pageKind struct{}

func (pageKind) read(c *Config, value strictjson.Value) (string, bool) {
	c.Page = Page{}
	if on, ok := value.Bool(); ok {
		c.Page.On = on
		return "", true
	} else if value.Kind != strictjson.Object {
		return "", false
	}
	c.Page.On = true
	if name, ok := value.Twice(); ok {
		return fmt.Sprintf("%q is given twice: ", name), false
	}
	texts := []member{
		{"title", func(s string) bool { return oneLine(s, maxTitle) }, &c.Page.Title},
		{"accent", validColor, &c.Page.Accent},
		{"logo", validLogo, &c.Page.Logo},
		{"contact", func(s string) bool { return oneLine(s, maxContact) }, &c.Page.Contact},
		{"privacyUrl", func(s string) bool { return validURL(s) && strings.HasPrefix(s, "https://") }, &c.Page.PrivacyURL},
	}
	for _, f := range value.Members {
		if f.Name == "embedBy" {
			if why, ok := embedders(&c.Page, f.Value); !ok {
				return "embedBy: " + why, false
			}
			continue
		}
		if !isMember(f.Name, texts) {
			return fmt.Sprintf("unknown field %q: ", f.Name), false
		}
		for _, m := range texts {
			if m.name != f.Name {
				continue
			}
			s, ok := f.Text()
			if !ok || !m.valid(s) {
				return f.Name + " is " + shown(f.Value) + ": ", false
			}
			*m.to = s
		}
	}
	return "", true
}

// embedders reads origins that go into a Content-Security-Policy, where "*" and "null"
// have meanings of their own.
func embedders(p *Page, list strictjson.Value) (string, bool) {
	if list.Kind != strictjson.Array || len(list.Members) > 10 {
		return "", false
	}
	for _, item := range list.Members {
		s, ok := item.Text()
		if !ok || !validOrigin(s) || !strings.HasPrefix(s, "https://") && !strings.HasPrefix(s, "http://127.0.0.1:") {
			return "it has " + shown(item.Value) + ": ", false
		}
		p.EmbedBy = append(p.EmbedBy, s)
	}
	return "", true
}

func (pageKind) print(c Config) []byte {
	p := c.Page
	if !p.On {
		return []byte("false")
	}
	b := strictjson.Marshal(func(w *strictjson.Writer) {
		w.StringIf("title", p.Title)
		w.StringIf("accent", p.Accent)
		w.StringIf("logo", p.Logo)
		w.StringIf("contact", p.Contact)
		w.StringIf("privacyUrl", p.PrivacyURL)
		if len(p.EmbedBy) > 0 {
			w.Strings("embedBy", p.EmbedBy)
		}
	})
	if string(b) == "{}" {
		return []byte("true")
	}
	return b
}

func (pageKind) allowed() string {
	return fmt.Sprintf(`true, false or {"title": up to %d bytes, "accent": "#rrggbb", "logo": "<svg…</svg>" up to %d bytes without script, "contact": up to %d bytes, `+
		`"privacyUrl": "https://…", "embedBy": up to 10 origins with https}, each field optional`, maxTitle, maxLogo, maxContact)
}

func oneLine(s string, most int) bool {
	return s != "" && len(s) <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func validColor(s string) bool {
	return len(s) == 7 && s[0] == '#' && only(s[1:], func(c byte) bool { return digit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' })
}

// validLogo refuses what would not be shown anyway: in an image no script runs and nothing
// is loaded.
func validLogo(s string) bool {
	if len(s) > maxLogo || !utf8.ValidString(s) || !strings.HasPrefix(s, "<svg") || !strings.HasSuffix(strings.TrimSpace(s), "</svg>") {
		return false
	}
	text := strings.ToLower(s)
	for _, no := range []string{"<script", "<foreignobject", "<!entity", "javascript:"} {
		if strings.Contains(text, no) {
			return false
		}
	}
	return true
}
