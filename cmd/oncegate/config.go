package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"oncegate/edge"
	"oncegate/internal/config"
)

const configHelp = `oncegate config [--config config.json]

Checks the settings and prints them with the defaults filled in. A field that is
unknown, given twice, of the wrong type or out of range is an error.

    --config PATH  another settings file (config.json)
    --stub         print what the edge needs to know of it with "runtime": "regional"

Example: oncegate config --config staging.json
`

func runConfig(_ context.Context, args []string, stdout, _ io.Writer) error {
	fs := newFlags("config")
	path := fs.String("config", "config.json", "")
	stub := fs.Bool("stub", false, "")
	if err := parse(fs, args); err != nil {
		return err
	}
	c, err := config.Load(*path)
	if err != nil {
		return err
	}
	if *stub {
		return writeJSON(stdout, map[string]any{"region": c.Region, "functions": map[string]string{
			edge.MintFunction: c.Deploy.RegionalName(edge.MintFunction), edge.GateFunction: c.Deploy.RegionalName(edge.GateFunction),
		}})
	}
	var b strings.Builder
	for _, f := range []struct {
		name  string
		value any
	}{
		{"bucket", c.Bucket},
		{"region", c.Region},
		{"expires", int(c.Expires / time.Second)},
		{"firstVersion", c.FirstVersion},
		{"allowedOrigins", c.AllowedOrigins},
		{"writeOnce", c.WriteOnce},
		{"maxExpires", int(c.MaxExpires / time.Second)},
		{"maxBytes", c.MaxBytes},
		{"maxCount", c.MaxCount},
		{"sha256", c.SHA256},
		{"auth", c.Auth},
		{"ownerApi", c.OwnerAPI},
		{"acceptance", c.Acceptance},
		{"name", c.Deploy.Name},
		{"runtime", c.Deploy.Runtime},
		{"regionalMemory", c.Deploy.RegionalMemory},
		{"memory", c.Deploy.Memory},
		{"timeout", c.Deploy.Timeout},
		{"nodeRuntime", c.Deploy.NodeRuntime},
		{"keepExpiredDays", c.Deploy.KeepExpiredDays},
		{"keepUploadsDays", c.Deploy.KeepUploadsDays},
		{"domain", c.Deploy.Domain},
		{"certificateArn", c.Deploy.CertificateARN},
		{"priceClass", c.Deploy.PriceClass},
		{"waf", c.Deploy.WAF},
		{"wafRate", c.Deploy.WAFRate},
		{"accessLogs", c.Deploy.AccessLogs},
		{"alarmEmail", c.Deploy.AlarmEmail},
		{"alarmRefusals", c.Deploy.AlarmRefusals},
	} {
		if f.value == "" {
			continue // not set, and nothing that could be written in its place
		}
		value, err := json.Marshal(f.value)
		if err != nil {
			return err
		}
		if b.Len() > 0 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, "  %q: %s", f.name, value)
	}
	_, err = fmt.Fprintf(stdout, "{\n%s\n}\n", b.String())
	return err
}
