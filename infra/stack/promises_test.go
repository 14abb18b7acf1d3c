package stack_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"oncegate/edge"
	"oncegate/infra/stack"
	"oncegate/internal/auth/apikey"
	"oncegate/internal/cfn"
	"oncegate/internal/cfn/check"
	"oncegate/internal/config"
	"oncegate/internal/onetime"
)

// template returns a template as CDK wrote it. Package cfn does not read all of it.
func template(t *testing.T, v variant, stack string) map[string]map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(v.out, stack+".template.json"))
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct{ Resources map[string]map[string]any }
	if err := json.Unmarshal(data, &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed.Resources
}

// ofType returns the properties of all resources of a type, each as one line of JSON.
func ofType(t *testing.T, v variant, stack, kind string) []string {
	t.Helper()
	var all []string
	for _, r := range template(t, v, stack) {
		if r["Type"] == kind {
			line, err := json.Marshal(r["Properties"])
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, string(line))
		}
	}
	slices.Sort(all)
	return all
}

func TestMonitoring(t *testing.T) {
	for _, v := range []variant{plain, full} {
		one := func(t *testing.T, kind string) string {
			t.Helper()
			all := ofType(t, v, "Edge", kind)
			if len(all) != 1 {
				t.Fatalf("%d of %s, want one", len(all), kind)
			}
			return all[0]
		}
		t.Run(v.name+": additional metrics are on", func(t *testing.T) {
			says(t, one(t, "AWS::CloudFront::MonitoringSubscription"), `"RealtimeMetricsSubscriptionStatus":"Enabled"`)
		})
		t.Run(v.name+": what viewers are answered raises an alarm", func(t *testing.T) {
			// Package check holds every alarm of every stack to the settings.
			alarms := ofType(t, v, "Edge", "AWS::CloudWatch::Alarm")
			if len(alarms) != 2 {
				t.Fatalf("%d alarms, want 2", len(alarms))
			}
			for metric, answers := range map[string]int{"5xxErrorRate": v.conf.Deploy.AlarmFailures, "403ErrorRate": v.conf.Deploy.AlarmRefusals} {
				found := slices.IndexFunc(alarms, func(a string) bool { return strings.Contains(a, `"MetricName":"`+metric+`"`) })
				if found < 0 {
					t.Errorf("no alarm on %s", metric)
					continue
				}
				says(t, alarms[found], `"AlarmActions":[{"Ref":"Alarms`, `"Value":"Global"`, `"Namespace":"AWS/CloudFront"`,
					`"TreatMissingData":"notBreaching"`, fmt.Sprintf(`"Threshold":%d.5,`, answers-1), "requests * rate / 100")
			}
		})
		t.Run(v.name+": CloudWatch may publish to the topic, nobody without TLS", func(t *testing.T) {
			policy := one(t, "AWS::SNS::TopicPolicy")
			says(t, policy, `"Principal":{"Service":"cloudwatch.amazonaws.com"}`, `"aws:SourceAccount":{"Ref":"AWS::AccountId"}`, `"aws:SecureTransport":"false"`)
		})
		t.Run(v.name+": alarms are mailed when an address is given", func(t *testing.T) {
			mails := ofType(t, v, "Edge", "AWS::SNS::Subscription")
			if want := v.conf.Deploy.AlarmEmail; want == "" {
				if len(mails) != 0 {
					t.Errorf("subscribed: %v", mails)
				}
			} else {
				says(t, one(t, "AWS::SNS::Subscription"), `"Endpoint":"`+want+`"`, `"Protocol":"email"`)
			}
		})
		t.Run(v.name+": logs are kept for a month, and refusals counted by reason", func(t *testing.T) {
			names := []string{"gate", "mint"}
			if v.conf.Page.On {
				names = append(names, "page")
			}
			for i, name := range names {
				says(t, ofType(t, v, "Edge", "AWS::Logs::LogGroup")[i],
					`"LogGroupName":"/aws/lambda/us-east-1.`+v.conf.Deploy.Name+"-"+name+`"`, `"RetentionInDays":30`)
				if name == "page" {
					continue
				}
				says(t, ofType(t, v, "Edge", "AWS::Logs::MetricFilter")[i],
					`{ $.message = \"refused\" }`, `{"Key":"reason","Value":"$.reason"}`, `"MetricNamespace":"oncegate/`+v.conf.Deploy.Name+`"`)
			}
		})
		t.Run(v.name+": the dashboard shows every signal", func(t *testing.T) {
			board := one(t, "AWS::CloudWatch::Dashboard")
			says(t, board, `"DashboardName":"`+v.conf.Deploy.Name+`"`)
			for _, signal := range []string{
				"Requests", "4xxErrorRate", "5xxErrorRate", "403ErrorRate", "502ErrorRate", "503ErrorRate", "504ErrorRate", "/aws/cloudfront/LambdaEdge/", "LambdaExecutionError", "LambdaValidationError",
				"LambdaLimitExceededErrors", "Duration", "Throttles", "4xxErrors", "5xxErrors", "Refused",
				"us-east-1." + v.conf.Deploy.Name + "-gate", "us-east-1." + v.conf.Deploy.Name + "-mint", "ap-southeast-2", "sa-east-1", v.conf.Bucket,
			} {
				says(t, board, signal)
			}
			says(t, ofType(t, v, "Bucket", "AWS::S3::Bucket")[0], `"MetricsConfigurations":[{"Id":"oncegate"}]`)
		})
		t.Run(v.name+": the outputs are what a first upload needs", func(t *testing.T) {
			base := "${Distribution830FAC52.DomainName}"
			if v.conf.Deploy.Domain != "" {
				base = v.conf.Deploy.Domain
			}
			credential := map[string]string{plain.name: "", full.name: `-H "x-api-key: $ONCEGATE_KEY" `}[v.name]
			want := map[string]string{
				"URL": "https://" + base + "/url", "BucketName": v.conf.Bucket, "DistributionDomain": "${Distribution830FAC52.DomainName}",
				"DashboardURL": "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#dashboards/dashboard/" + v.conf.Deploy.Name,
				"Curl":         `curl -i -T photo.jpg "$(curl -sf ` + credential + `https://` + base + `/url)"`,
			}
			for name, value := range read(t, v).Outputs {
				if want[name] != value {
					t.Errorf("output %s is %q, want %q", name, value, want[name])
				}
				delete(want, name)
			}
			if len(want) != 0 {
				t.Errorf("missing: %v", want)
			}
		})
	}
}

// TestRateRules: each rate rule answers 429 and says when to come back.
func TestRateRules(t *testing.T) {
	acl := ofType(t, full, "Edge", "AWS::WAFv2::WebACL")[0]
	const answer = `"Action":{"Block":{"CustomResponse":{"CustomResponseBodyKey":"rate","ResponseCode":429,"ResponseHeaders":[` +
		`{"Name":"cache-control","Value":"no-store"},{"Name":"retry-after","Value":"300"}]}}}`
	if n := strings.Count(acl, answer); n != 2 {
		t.Errorf("%d rules answer 429 so, want one for addresses and one for API keys: %s", n, acl)
	}
	says(t, acl, `"AggregateKeyType":"IP"`, `"AggregateKeyType":"CUSTOM_KEYS","CustomKeys":[{"Header":{"Name":"x-api-key","TextTransformations":[{"Priority":0,"Type":"NONE"}]}}]`)
}

// The published versions and the logs outlive what a stack may delete.
func TestWhatIsKept(t *testing.T) {
	for id, r := range template(t, full, "Edge") {
		if (r["Type"] == "AWS::Lambda::Version" || r["Type"] == "AWS::S3::Bucket") && r["DeletionPolicy"] != "RetainExceptOnCreate" {
			t.Errorf("%s %s has deletion policy %v, want RetainExceptOnCreate", r["Type"], id, r["DeletionPolicy"])
		}
	}
}

func TestAccessLogsAreWarnedAbout(t *testing.T) {
	for _, v := range []variant{plain, full} {
		data, err := os.ReadFile(filepath.Join(v.out, "Edge.metadata.json"))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(data), "the logs hold URLs that are not spent yet"); got != v.conf.Deploy.AccessLogs {
			t.Errorf("%s: warned %v, access logs %v", v.name, got, v.conf.Deploy.AccessLogs)
		}
	}
}

func says(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in %.400s", part, text)
		}
	}
}

// TestCORSIsTheFunctionsOwn: CloudFront adds the same CORS headers to S3's answers as the
// functions put on theirs.
func TestCORSIsTheFunctionsOwn(t *testing.T) {
	functions := &edge.Functions{AllowedOrigins: full.conf.AllowedOrigins, Owner: &onetime.Owner{}, Auth: &apikey.Authorizer{}}
	origin := full.conf.AllowedOrigins[0]
	var methods []string
	answer := map[string]string{}
	for _, c := range [][2]string{{edge.MintFunction, "/url"}, {edge.MintFunction, "/url/x"}, {edge.GateFunction, "/uploads/x"}} {
		name := c[0]
		var event edge.Event
		event.Records = make([]edge.Record, 1)
		event.Records[0].CF.Config.EventType = edge.EventViewerRequest
		event.Records[0].CF.Request.URI = c[1]
		event.Records[0].CF.Request.Method = http.MethodOptions
		event.Records[0].CF.Request.Headers = edge.Headers{"origin": {{Value: origin}}}
		for header, values := range functions.Decide(context.Background(), name, event, time.Now().Add(time.Second)).Response.Headers {
			answer[header] = values[0].Value
		}
		methods = append(methods, strings.Split(answer["access-control-allow-methods"], ", ")...)
	}
	d := read(t, full)
	cors := d.ResponseHeadersPolicies[d.Distribution.DefaultCacheBehavior.ResponseHeadersPolicyId].CorsConfig
	slices.Sort(methods)
	methods = slices.Compact(methods)
	for _, c := range []struct {
		what, function string
		policy         []string
	}{
		{"expose-headers", answer["access-control-expose-headers"], cors.AccessControlExposeHeaders.Items},
		{"allow-methods", strings.Join(methods, ", "), cors.AccessControlAllowMethods.Items},
		{"allow-credentials", answer["access-control-allow-credentials"], []string{fmt.Sprint(cors.AccessControlAllowCredentials)}},
		{"max-age", answer["access-control-max-age"], []string{fmt.Sprint(cors.AccessControlMaxAgeSec)}},
	} {
		if got := strings.Join(c.policy, ", "); got != c.function {
			t.Errorf("%s: the policy has %q, the functions %q", c.what, got, c.function)
		}
	}
}

func TestSynthRefuses(t *testing.T) {
	write := func(t *testing.T, settings string) string {
		path := filepath.Join(t.TempDir(), "config.json")
		must(os.WriteFile(path, []byte(settings), 0o644))
		return path
	}
	t.Run("the placeholder bucket, naming the field", func(t *testing.T) {
		settings := write(t, `{"bucket": "`+config.PlaceholderBucket+`"}`)
		err := stack.Synth(stack.Options{Config: settings, Artifact: artifact(t.TempDir(), settings), Out: t.TempDir()})
		if !errors.Is(err, config.ErrPlaceholder) || !strings.Contains(err.Error(), `set "bucket" in config.json`) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("an artifact with other settings", func(t *testing.T) {
		settings := write(t, `{"bucket": "abc"}`)
		err := stack.Synth(stack.Options{Config: settings, Artifact: artifact(t.TempDir(), "testdata/plain.json"), Out: t.TempDir()})
		if err == nil || !strings.Contains(err.Error(), "was built with other settings") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no artifact", func(t *testing.T) {
		err := stack.Synth(stack.Options{Config: "testdata/plain.json", Artifact: t.TempDir(), Out: t.TempDir()})
		if err == nil || !strings.Contains(err.Error(), "run make build") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a partition without Lambda@Edge", func(t *testing.T) {
		settings := write(t, `{"bucket": "abc", "region": "us-gov-west-1"}`)
		err := stack.Synth(stack.Options{Config: settings, Artifact: artifact(t.TempDir(), settings), Out: t.TempDir()})
		if err == nil || !strings.Contains(err.Error(), `region is "us-gov-west-1"`) {
			t.Errorf("got %v", err)
		}
	})
}

// Detached, nothing runs at the edge and everything else is as before.
func TestDetachTakesTheFunctionsOff(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out")
	must(stack.Synth(stack.Options{
		Config: "testdata/plain.json", Artifact: artifact(filepath.Join(dir, "artifact"), "testdata/plain.json"), Out: out, Detach: true,
	}))
	d, err := cfn.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	problems := check.Deployment(d, plain.conf)
	if len(problems) != 8 {
		t.Errorf("%d problems, want one for each behavior: %v", len(problems), problems)
	}
	for _, p := range problems {
		if p.Promise != "associations" {
			t.Error(p)
		}
	}
}
