package config_test

import (
	"strings"
	"testing"

	"oncegate/internal/config"
)

func TestAcceptance(t *testing.T) {
	hook := config.Webhook{URL: "https://h.example/in?x=1", Secret: "/oncegate/webhook"}
	for in, want := range map[string]config.Acceptance{
		`false`: {}, `true`: {On: true, RemoveAfterDays: 8}, `{}`: {On: true, RemoveAfterDays: 8},
		`{"removeAfterDays": 3650}`: {On: true, RemoveAfterDays: 3650},
		`{"scan": "guardduty"}`:     {On: true, RemoveAfterDays: 8, Scan: config.ScanGuardDuty},
		`{"webhook":{"url":"https://h.example/in?x=1","secret":"/oncegate/webhook"},"scan":"guardduty"}`: {On: true, RemoveAfterDays: 8, Scan: config.ScanGuardDuty, Webhook: hook},
		`{"webhook":{"url":"https://h.example/in?x=1","secret":"/oncegate/webhook"}}`:                    {On: true, RemoveAfterDays: 8, Webhook: hook},
		`{"webhook":{"url":"http://127.0.0.1:81/k","secret":"/s"}}`:                                      {On: true, RemoveAfterDays: 8, Webhook: config.Webhook{URL: "http://127.0.0.1:81/k", Secret: "/s"}},
	} {
		c, err := config.Parse([]byte(`{"bucket": "abc", "acceptance": ` + in + `}`))
		if err != nil || c.Acceptance != want {
			t.Errorf("%s: got %+v, %v", in, c.Acceptance, err)
			continue
		}
		if again, err := config.Parse(c.JSON()); err != nil || again.Acceptance != want {
			t.Errorf("%s: printed as %s, read as %+v, %v", in, c.JSON(), again.Acceptance, err)
		}
		if err := c.Deployable(); (err != nil) != c.Acceptance.Webhook.Local() {
			t.Errorf("%s: deployable: %v", in, err)
		}
	}
	for in, want := range map[string]string{
		`null`: "is null", `"yes"`: `is "yes"`, `1`: "is 1", `[]`: "is []",
		`{"days":8}`: `unknown field "days"`,
		`{"removeAfterDays":8,"removeAfterDays":9}`:    `"removeAfterDays" is given twice`,
		`{"removeAfterDays":7}`:                        "removeAfterDays is 7",
		`{"removeAfterDays":3651}`:                     "removeAfterDays is 3651",
		`{"removeAfterDays":"8"}`:                      `removeAfterDays is "8"`,
		`{"removeAfterDays":null}`:                     "removeAfterDays is null",
		`{"scan":true}`:                                "scan is true",
		`{"scan":""}`:                                  `scan is ""`,
		`{"scan":null}`:                                "scan is null",
		`{"scan":"GuardDuty"}`:                         `scan is "GuardDuty"`,
		`{"scan":"guardduty","scan":"guardduty"}`:      `"scan" is given twice`,
		`{"webhook":null}`:                             "webhook: it is not an object",
		`{"webhook":{}}`:                               "webhook: url is missing",
		`{"webhook":{"url":"https://h"}}`:              "webhook: secret is missing",
		`{"webhook":{"url":"http://h","secret":"/s"}}`: "url is",
		`{"webhook":{"url":"http://localhost:81/in","secret":"/s"}}`: "for this machine write http://127.0.0.1",
		`{"webhook":{"url":"https://h","secret":"s"}}`:               `secret is "s"`,
		`{"webhook":{"url":"https://h","secret":"/a b"}}`:            "secret is",
		`{"webhook":{"url":"https://h","secret":"/aws/x"}}`:          "secret is",
		`{"webhook":{"url":"https://h","secret":"/s","key":"x"}}`:    `unknown field "key"`,
	} {
		c, err := config.Parse([]byte(`{"bucket": "abc", "acceptance": ` + in + `}`))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "acceptance is") {
			t.Errorf("%s: got %+v, %v, want %q", in, c.Acceptance, err, want)
		}
	}
}
