package config

import (
	"errors"
	"fmt"
	"strings"

	"oncegate/internal/lean/strictjson"
)

// Acceptance says whether the first version of every upload is copied to
// accepted/, and what follows. The zero value is off.
type Acceptance struct {
	On bool
	// RemoveAfterDays is how long the accepted version stays under uploads/ as
	// well: longer than a URL can live, so that enable still finds it.
	RemoveAfterDays int
	// Webhook is told of every acceptance; none when its URL is empty.
	Webhook Webhook
}

// Webhook is where acceptances are posted to. Secret names the SSM parameter that
// holds the key of the signatures; the key itself is never in the settings, which
// are packed beside the edge code.
type Webhook struct {
	URL    string
	Secret string
}

// Local tells that the webhook is on this machine, by plain http.
func (w Webhook) Local() bool { return strings.HasPrefix(w.URL, "http://") }

const acceptanceRule = `allowed are false, true and {"removeAfterDays": 8 to 3650, "webhook": {"url": "https://…", "secret": "/parameter/name"}}, each field optional`

// MarshalJSON writes Acceptance as config.json has it.
func (a Acceptance) MarshalJSON() ([]byte, error) {
	if !a.On {
		return []byte("false"), nil
	}
	return strictjson.Marshal(func(w *strictjson.Writer) {
		w.Int("removeAfterDays", int64(a.RemoveAfterDays))
		if a.Webhook.URL != "" {
			w.Object("webhook", func(w *strictjson.Writer) {
				w.String("url", a.Webhook.URL)
				w.String("secret", a.Webhook.Secret)
			})
		}
	}), nil
}

func setAcceptance(c *Config, raw strictjson.Value) error {
	on := Acceptance{On: true, RemoveAfterDays: KeepValidDays}
	if yes, ok := raw.Bool(); ok {
		c.Acceptance = Acceptance{}
		if yes {
			c.Acceptance = on
		}
		return nil
	}
	if raw.Kind != strictjson.Object || len(twice(raw)) > 0 {
		return fmt.Errorf("is %s: %s", shown(raw), acceptanceRule)
	}
	for _, f := range raw.Members {
		var err error
		switch f.Name {
		case "removeAfterDays":
			n, ok := f.Int()
			if !ok || n < int64(KeepValidDays) || n > 3650 {
				err = fmt.Errorf("is %s", shown(f.Value))
			}
			on.RemoveAfterDays = int(n)
		case "webhook":
			on.Webhook, err = parseWebhook(f.Value)
		default:
			err = errors.New("is unknown")
		}
		if err != nil {
			return fmt.Errorf("is %s: %s %w: %s", shown(raw), f.Name, err, acceptanceRule)
		}
	}
	c.Acceptance = on
	return nil
}

func parseWebhook(raw strictjson.Value) (w Webhook, err error) {
	if raw.Kind != strictjson.Object || len(twice(raw)) > 0 {
		return w, fmt.Errorf("is %s", shown(raw))
	}
	for _, f := range raw.Members {
		s, ok := f.Text()
		switch f.Name {
		case "url":
			w.URL, ok = s, ok && validKeysURL(s)
		case "secret":
			w.Secret, ok = s, ok && validParameter(s)
		default:
			return w, fmt.Errorf("has unknown field %q", f.Name)
		}
		if !ok {
			return w, fmt.Errorf("%s is %s", f.Name, shown(f.Value))
		}
	}
	if w.URL == "" || w.Secret == "" {
		return w, errors.New("wants url and secret")
	}
	return w, nil
}

// validParameter accepts full names of SSM parameters:
// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html
func validParameter(s string) bool {
	if len(s) < 2 || len(s) > 512 || s[0] != '/' || strings.HasSuffix(s, "/") || strings.Contains(s, "//") || strings.Count(s, "/") > 15 {
		return false
	}
	first := strings.ToLower(strings.Split(s, "/")[1])
	return !strings.HasPrefix(first, "aws") && !strings.HasPrefix(first, "ssm") && only(s, func(c byte) bool {
		return lower(c) || digit(c) || c >= 'A' && c <= 'Z' || strings.IndexByte("/_.-", c) >= 0
	})
}
