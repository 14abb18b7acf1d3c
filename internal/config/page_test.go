package config_test

import (
	"reflect"
	"strings"
	"testing"

	"oncegate/internal/config"
)

func TestPage(t *testing.T) {
	logo := `<svg xmlns=\"http://www.w3.org/2000/svg\"><path d=\"M0 0h9\"/></svg>`
	for in, want := range map[string]config.Page{
		`true`: {On: true}, `false`: {}, `{}`: {On: true},
		`{"title": "Rechnungen <Mai>", "accent": "#0a7B55", "contact": "post@example.com"}`: {On: true, Title: "Rechnungen <Mai>", Accent: "#0a7B55", Contact: "post@example.com"},
		`{"logo": "` + logo + `"}`:                                {On: true, Logo: strings.ReplaceAll(logo, `\`, ``)},
		`{"privacyUrl": "https://example.com/p?a=1"}`:             {On: true, PrivacyURL: "https://example.com/p?a=1"},
		`{"embedBy": ["https://a.example"]}`:                      {On: true, EmbedBy: []string{"https://a.example"}},
		`{"embedBy": [], "title": "x"}`:                           {On: true, Title: "x"},
		`{"embedBy": ["http://127.0.0.1:81"]}`:                    {On: true, EmbedBy: []string{"http://127.0.0.1:81"}},
		`{"title": "` + strings.Repeat("x", 120) + `"}`:           {On: true, Title: strings.Repeat("x", 120)},
		`{"contact": "` + strings.Repeat("ä", 100) + `"}`:         {On: true, Contact: strings.Repeat("ä", 100)},
		`{"logo": "<svg>` + strings.Repeat("x", 1) + `</svg>\n"}`: {On: true, Logo: "<svg>x</svg>\n"},
	} {
		c, err := config.Parse([]byte(`{"bucket": "abc", "page": ` + in + `}`))
		if err != nil || !reflect.DeepEqual(c.Page, want) {
			t.Errorf("%s: got %+v, %v", in, c.Page, err)
			continue
		}
		if again, err := config.Parse(c.JSON()); err != nil || !reflect.DeepEqual(again.Page, want) {
			t.Errorf("%s: printed as %s, read as %+v, %v", in, c.JSON(), again.Page, err)
		}
	}
	for in, want := range map[string]string{
		`null`: "is null", `"yes"`: `is "yes"`, `1`: "is 1", `[]`: "is []",
		`{"colour":"#000000"}`:                                      `unknown field "colour"`,
		`{"title":"a","title":"b"}`:                                 `"title" is given twice`,
		`{"title":""}`:                                              "title is",
		`{"title":"a\nb"}`:                                          "title is",
		`{"title":1}`:                                               "title is 1",
		`{"accent":"red"}`:                                          `accent is "red"`,
		`{"accent":"#12345"}`:                                       "accent is",
		`{"accent":"#12345g"}`:                                      "accent is",
		`{"accent":"#12345@"}`:                                      "accent is",
		`{"privacyUrl":"http://a.b"}`:                               "privacyUrl is",
		`{"privacyUrl":"http://127.0.0.1/"}`:                        "privacyUrl is",
		`{"privacyUrl":"javascript:alert(1)"}`:                      "privacyUrl is",
		`{"embedBy":"https://a.example"}`:                           "embedBy: ",
		`{"embedBy":["*"]}`:                                         `embedBy: it has "*"`,
		`{"embedBy":["https://a.example; script-src *"]}`:           "embedBy: it has",
		`{"embedBy":["http://a.example"]}`:                          "embedBy: it has",
		`{"embedBy":["http://127.0.0.1.example:80"]}`:               "embedBy: it has",
		`{"logo":"<img src=x>"}`:                                    "logo is",
		`{"logo":"<svg><script>1</script></svg>"}`:                  "logo is",
		`{"logo":"<svg><SCRIPT href='x'/></svg>"}`:                  "logo is",
		`{"logo":"<svg><foreignObject/></svg>"}`:                    "logo is",
		`{"logo":"<svg>` + strings.Repeat("x", 12<<10) + `</svg>"}`: "logo is",
		`{"title": "` + strings.Repeat("x", 121) + `"}`:             "title is",
		`{"contact": "` + strings.Repeat("x", 201) + `"}`:           "contact is",
	} {
		c, err := config.Parse([]byte(`{"bucket": "abc", "page": ` + in + `}`))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "page is") {
			t.Errorf("%s: got %+v, %v, want %q", in, c.Page, err, want)
		}
	}
}
