package onetime_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"oncegate/internal/lean/strictjson"
	"oncegate/internal/onetime"
)

// TestNarrow: an allowance fills in what an order leaves open, lets through what is stricter,
// and gives nothing that the deployment does not.
func TestNarrow(t *testing.T) {
	bounds := onetime.Bounds{Life: time.Hour, MaxLife: 24 * time.Hour, MaxBytes: 1000, MinBytes: 1}
	kiosk := onetime.Allowance{Life: time.Minute, MinBytes: 5, MaxBytes: 100, Type: "image/*"}
	for name, tt := range map[string]struct {
		allows onetime.Allowance
		order  onetime.Order
		want   string // the option that is refused
		life   time.Duration
		limits onetime.Limits
	}{
		"no allowance":     {onetime.Allowance{}, onetime.Order{}, "", time.Hour, onetime.Limits{MinBytes: 1, MaxBytes: 1000}},
		"nothing asked":    {kiosk, onetime.Order{}, "", time.Minute, onetime.Limits{MinBytes: 5, MaxBytes: 100, Type: "image/*"}},
		"stricter":         {kiosk, onetime.Order{Life: time.Second, Limits: onetime.Limits{MinBytes: 6, MaxBytes: 7, Type: "image/png"}}, "", time.Second, onetime.Limits{MinBytes: 6, MaxBytes: 7, Type: "image/png"}},
		"as much":          {kiosk, onetime.Order{Life: time.Minute, Limits: onetime.Limits{MinBytes: 5, MaxBytes: 100, Type: "image/*"}}, "", time.Minute, onetime.Limits{MinBytes: 5, MaxBytes: 100, Type: "image/*"}},
		"longer":           {kiosk, onetime.Order{Life: time.Minute + time.Second}, "expires", 0, onetime.Limits{}},
		"larger":           {kiosk, onetime.Order{Limits: onetime.Limits{MaxBytes: 101}}, "maxBytes", 0, onetime.Limits{}},
		"smaller":          {kiosk, onetime.Order{Limits: onetime.Limits{MinBytes: 4}}, "minBytes", 0, onetime.Limits{}},
		"another type":     {kiosk, onetime.Order{Limits: onetime.Limits{Type: "image/png,text/plain"}}, "type", 0, onetime.Limits{}},
		"any type":         {kiosk, onetime.Order{Limits: onetime.Limits{Type: "*/*"}}, "type", 0, onetime.Limits{}},
		"a wider one":      {onetime.Allowance{Life: 48 * time.Hour, MaxBytes: 2000}, onetime.Order{}, "", time.Hour, onetime.Limits{MinBytes: 1, MaxBytes: 1000}},
		"a wider one used": {onetime.Allowance{Life: 48 * time.Hour, MaxBytes: 2000}, onetime.Order{Life: 25 * time.Hour}, "expires", 0, onetime.Limits{}},
	} {
		order, narrow, err := tt.allows.Narrow(tt.order, bounds, "this key")
		if err == nil {
			order, err = (&onetime.Minter{Bounds: narrow}).Grant(order)
		}
		refusal, refused := errors.AsType[*onetime.Refusal](err)
		switch {
		case tt.want != "":
			if !refused || refusal.Reason != onetime.Options || !strings.HasPrefix(refusal.Detail, tt.want+": ") {
				t.Errorf("%s: got %v, want a refusal of %s", name, err, tt.want)
			}
		case err != nil || order.Life != tt.life || order.Limits != tt.limits:
			t.Errorf("%s: granted %s with %+v, %v; want %s with %+v", name, order.Life, order.Limits, err, tt.life, tt.limits)
		}
	}
}

// TestNarrowPrefix: objects lie under the prefix of the minter, and below it where the
// deployment lets them.
func TestNarrowPrefix(t *testing.T) {
	bounds := onetime.Bounds{Life: time.Hour, MaxLife: time.Hour, MaxBytes: 1000, Prefixes: []string{"kiosk", "kiosk/*", "other"}}
	kiosk := onetime.Allowance{Prefix: "kiosk"}
	for _, tt := range []struct {
		allows              onetime.Allowance
		asked, want, detail string
	}{
		{onetime.Allowance{}, "", "", ""},
		{onetime.Allowance{}, "other", "other", ""},
		{kiosk, "", "kiosk", ""},
		{kiosk, "kiosk", "kiosk", ""},
		{kiosk, "kiosk/12", "kiosk/12", ""},
		{kiosk, "other", "", "prefix: this key has kiosk, and what is below it"},
		{kiosk, "kiosk2", "", "prefix: this key has kiosk, and what is below it"},
		{kiosk, "kiosk/../other", "", "prefix: want "},
		{onetime.Allowance{Prefix: "elsewhere"}, "", "", "prefix: allowed are "},
	} {
		order, narrow, err := tt.allows.Narrow(onetime.Order{Prefix: tt.asked}, bounds, "this key")
		if err == nil {
			order, err = (&onetime.Minter{Bounds: narrow}).Grant(order)
		}
		refusal, refused := errors.AsType[*onetime.Refusal](err)
		if refused != (tt.detail != "") || refused && !strings.HasPrefix(refusal.Detail, tt.detail) || !refused && order.Prefix != tt.want {
			t.Errorf("%q of %q: %q, %v; want %q, %q", tt.asked, tt.allows.Prefix, order.Prefix, err, tt.want, tt.detail)
		}
	}
}

// TestAllowanceIsKept: what is written is read again, and what is out of bounds does not pass.
func TestAllowanceIsKept(t *testing.T) {
	for _, a := range []onetime.Allowance{{}, {Life: onetime.MaxLife, MinBytes: 1, MaxBytes: 2, Type: "image/*", Prefix: "a/b"}, {MaxBytes: 1}} {
		body, err := a.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		document, err := strictjson.Parse(string(body))
		if err != nil {
			t.Fatal(err)
		}
		fields := strictjson.Of(document)
		if got := onetime.ReadAllowance(fields); got != a || fields.Done() != nil || got.Check() != nil {
			t.Errorf("%s is read as %+v: %v, %v", body, got, fields.Done(), got.Check())
		}
	}
	for _, body := range []string{`{"expires":604801}`, `{"expires":9223372036854775807}`, `{"expires":-1}`, `{"maxBytes":-1}`, `{"minBytes":2,"maxBytes":1}`, `{"type":"x"}`, `{"prefix":"../a"}`} {
		document, err := strictjson.Parse(body)
		if err != nil {
			t.Fatal(err)
		}
		if got := onetime.ReadAllowance(strictjson.Of(document)); got.Check() == nil {
			t.Errorf("%s passes as %+v", body, got)
		}
	}
}
