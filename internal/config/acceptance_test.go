package config_test

import (
	"encoding/json"
	"strings"
	"testing"

	"oncegate/internal/config"
)

func TestAcceptance(t *testing.T) {
	hook := config.Webhook{URL: "https://h.example/in?x=1", Secret: "/oncegate/webhook"}
	for in, want := range map[string]config.Acceptance{
		`false`: {}, `true`: {On: true, RemoveAfterDays: 8}, `{}`: {On: true, RemoveAfterDays: 8},
		`{"removeAfterDays": 3650}`: {On: true, RemoveAfterDays: 3650},
		`{"webhook":{"url":"https://h.example/in?x=1","secret":"/oncegate/webhook"}}`: {On: true, RemoveAfterDays: 8, Webhook: hook},
		`{"webhook":{"url":"http://127.0.0.1:81/k","secret":"/s"}}`:                   {On: true, RemoveAfterDays: 8, Webhook: config.Webhook{URL: "http://127.0.0.1:81/k", Secret: "/s"}},
	} {
		c, err := config.Parse([]byte(`{"bucket": "abc", "acceptance": ` + in + `}`))
		if err != nil || c.Acceptance != want {
			t.Errorf("%s: got %+v, %v", in, c.Acceptance, err)
			continue
		}
		text, err := json.Marshal(c.Acceptance)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := config.Parse([]byte(`{"bucket": "abc", "acceptance": ` + string(text) + `}`)); err != nil || again.Acceptance != want {
			t.Errorf("%s: printed as %s, read as %+v, %v", in, text, again.Acceptance, err)
		}
		if err := c.Deployable(); (err != nil) != c.Acceptance.Webhook.Local() {
			t.Errorf("%s: deployable: %v", in, err)
		}
	}
	for in, want := range map[string]string{
		`null`: "is null", `"yes"`: `is "yes"`, `1`: "is 1", `[]`: "is []",
		`{"days":8}`: "days is unknown",
		`{"removeAfterDays":8,"removeAfterDays":9}`:               "allowed are",
		`{"removeAfterDays":7}`:                                   "removeAfterDays is 7",
		`{"removeAfterDays":3651}`:                                "removeAfterDays is 3651",
		`{"removeAfterDays":"8"}`:                                 `removeAfterDays is "8"`,
		`{"removeAfterDays":null}`:                                "removeAfterDays is null",
		`{"webhook":null}`:                                        "webhook is null",
		`{"webhook":{}}`:                                          "webhook wants url and secret",
		`{"webhook":{"url":"https://h"}}`:                         "webhook wants url and secret",
		`{"webhook":{"url":"http://h","secret":"/s"}}`:            "url is",
		`{"webhook":{"url":"https://h","secret":"s"}}`:            `secret is "s"`,
		`{"webhook":{"url":"https://h","secret":"/a b"}}`:         "secret is",
		`{"webhook":{"url":"https://h","secret":"/aws/x"}}`:       "secret is",
		`{"webhook":{"url":"https://h","secret":"/s","key":"x"}}`: `unknown field "key"`,
	} {
		c, err := config.Parse([]byte(`{"bucket": "abc", "acceptance": ` + in + `}`))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "acceptance is") {
			t.Errorf("%s: got %+v, %v, want %q", in, c.Acceptance, err, want)
		}
	}
}
