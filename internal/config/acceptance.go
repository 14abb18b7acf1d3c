package config

import (
	"fmt"
	"strings"

	"oncegate/internal/lean/strictjson"
)

// Acceptance is whether the first version of every upload is copied to accepted/, and
// what follows. The zero value is off.
type Acceptance struct {
	On bool
	// RemoveAfterDays is how long the accepted version stays under uploads/. It is
	// longer than a URL can live, so that enable still finds the upload.
	RemoveAfterDays int
	// Scan is who must find nothing in an upload before it is accepted: ScanGuardDuty, or
	// nobody.
	Scan string
	// Webhook gets every acceptance. Without a URL there is none.
	Webhook Webhook
}

// ScanGuardDuty is Amazon GuardDuty's Malware Protection for S3.
const ScanGuardDuty = "guardduty"

// Webhook is where acceptances are posted. Secret is the name of the SSM parameter
// with the secret of the signatures. The secret itself is never in the settings, which are
// packed beside the edge code.
type Webhook struct {
	URL    string
	Secret string
}

// Local reports whether the webhook is on this machine, by plain http.
func (w Webhook) Local() bool { return strings.HasPrefix(w.URL, "http://") }

const maxRemoveAfterDays = 3650

// acceptanceKind is the setting acceptance.
type acceptanceKind struct{}

func (acceptanceKind) read(c *Config, value strictjson.Value) (string, bool) {
	c.Acceptance = Acceptance{}
	if on, ok := value.Bool(); ok && !on {
		return "", true
	} else if !ok && value.Kind != strictjson.Object {
		return "", false
	}
	c.Acceptance = Acceptance{On: true, RemoveAfterDays: KeepValidDays}
	if name, ok := value.Twice(); ok {
		return fmt.Sprintf("%q is given twice: ", name), false
	}
	for _, f := range value.Members {
		switch f.Name {
		case "removeAfterDays":
			n, ok := f.Int()
			if !ok || n < int64(KeepValidDays) || n > maxRemoveAfterDays {
				return "removeAfterDays is " + shown(f.Value) + ": ", false
			}
			c.Acceptance.RemoveAfterDays = int(n)
		case "scan":
			scan, ok := f.Text()
			if !ok || scan != ScanGuardDuty {
				return "scan is " + shown(f.Value) + ": ", false
			}
			c.Acceptance.Scan = scan
		case "webhook":
			why, ok := readMembers(f.Value, []member{
				{"url", validURL, &c.Acceptance.Webhook.URL},
				{"secret", validParameter, &c.Acceptance.Webhook.Secret},
			})
			if !ok {
				return "webhook: " + why, false
			}
		default:
			return fmt.Sprintf("unknown field %q: ", f.Name), false
		}
	}
	return "", true
}

func (acceptanceKind) print(c Config) []byte {
	a := c.Acceptance
	if !a.On {
		return []byte("false")
	}
	return strictjson.Marshal(func(w *strictjson.Writer) {
		w.Int("removeAfterDays", int64(a.RemoveAfterDays))
		if a.Scan != "" {
			w.String("scan", a.Scan)
		}
		if a.Webhook.URL != "" {
			w.Object("webhook", func(w *strictjson.Writer) {
				w.String("url", a.Webhook.URL)
				w.String("secret", a.Webhook.Secret)
			})
		}
	})
}

func (acceptanceKind) allowed() string {
	return fmt.Sprintf(`false, true or {"removeAfterDays": %d to %d, "scan": "%s", "webhook": {"url": "https://…", "secret": "/parameter/name"}}, each field optional`,
		KeepValidDays, maxRemoveAfterDays, ScanGuardDuty)
}
