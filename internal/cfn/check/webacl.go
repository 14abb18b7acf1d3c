package check

import (
	"fmt"
	"strings"

	"oncegate/internal/cfn"
	"oncegate/internal/config"
)

func checkWebACL(d *cfn.Deployment, conf config.Config, broken func(string, ...any)) {
	if d.Shared {
		return
	}
	if !conf.Deploy.WAF {
		if d.WebACL != nil || d.Distribution.WebACLId != "" {
			broken("there is one, which the settings do not ask for")
		}
		return
	}
	if d.WebACL == nil || d.Distribution.WebACLId != "${"+d.WebACL.ID+".Arn}" {
		broken("the distribution has none, and the settings ask for one")
		return
	}
	if _, ok := d.WebACL.DefaultAction["Allow"]; !ok || d.WebACL.Scope != "CLOUDFRONT" {
		broken("scope %s, default action %v; want CLOUDFRONT, Allow", d.WebACL.Scope, d.WebACL.DefaultAction)
	}
	rates := map[string]bool{}
	for _, r := range d.WebACL.Rules {
		for kind, statement := range r.Statement {
			s, _ := statement.(map[string]any)
			match := fmt.Sprint(s["ScopeDownStatement"])
			if !strings.Contains(match, "PositionalConstraint:STARTS_WITH SearchString:/url ") {
				broken("rule %s is not limited to /url: AWS's rules block every upload", r.Name)
			} else if !strings.Contains(match, "SearchString:/s3/multipart ") {
				broken("rule %s leaves out /s3/multipart, where Uppy asks for URLs", r.Name)
			} else if !strings.Contains(match, "SearchString:/invitation ") {
				broken("rule %s leaves out /invitation, where tokens can be tried", r.Name)
			}
			if kind != "RateBasedStatement" {
				continue
			}
			if fmt.Sprint(s["Limit"]) == fmt.Sprint(conf.Deploy.WAFRate) {
				rates[fmt.Sprint(s["AggregateKeyType"])+fmt.Sprint(s["CustomKeys"])] = true
			}
			if action := fmt.Sprint(r.Action); !strings.Contains(action, "ResponseCode:429") || !strings.Contains(action, "Name:retry-after") {
				broken("rule %s does not answer 429 with retry-after", r.Name)
			}
		}
	}
	if !rates["IP<nil>"] {
		broken("no rate rule of %d requests on /url for each address", conf.Deploy.WAFRate)
	}
	delete(rates, "IP<nil>")
	const byKey = "CUSTOM_KEYS[map[Header:map[Name:x-api-key TextTransformations:[map[Priority:0 Type:NONE]]]]]"
	if keys := conf.Auth.Kind == config.AuthAPIKey; keys != rates[byKey] {
		broken("a rate rule of %d requests on /url for each API key: %v, the settings say %v", conf.Deploy.WAFRate, rates[byKey], keys)
	}
}
