package config_test

import (
	"strings"
	"testing"

	"oncegate/internal/config"
)

// defaults are what docs/configuration.md promises.
var defaults = config.Deploy{
	Name: "oncegate", Runtime: "edge", RegionalMemory: 256, Memory: 256, Timeout: 5, NodeRuntime: "nodejs22.x", KeepExpiredDays: 30,
	PriceClass: "PriceClass_All", WAFRate: 300, AlarmFailures: 1, AlarmRefusals: 100,
}

func TestParseTakesEveryFieldOfDeploy(t *testing.T) {
	got, err := config.Parse([]byte(`{"bucket": "abc", "writeOnce": true, "name": "prod-2", "existingBucket": true, "kmsKey": "arn:aws:kms:us-east-1:111122223333:key/0a-1b", "runtime": "regional", "regionalMemory": 512, "memory": 256, "timeout": 30,
		"nodeRuntime": "nodejs24.x", "keepExpiredDays": 9, "keepUploadsDays": 365, "domain": "up.example.com",
		"certificateArn": "arn:aws:acm:us-east-1:111122223333:certificate/0a-1b", "priceClass": "PriceClass_100",
		"waf": true, "wafRate": 10, "accessLogs": true, "alarmEmail": "Ops@Example.com", "alarmFailures": 5, "alarmRefusals": 7}`))
	if err != nil {
		t.Fatal(err)
	}
	want := config.Deploy{
		Name: "prod-2", ExistingBucket: true, KMSKey: "arn:aws:kms:us-east-1:111122223333:key/0a-1b", Runtime: config.RuntimeRegional, RegionalMemory: 512, Memory: 256, Timeout: 30, NodeRuntime: config.Node24, KeepExpiredDays: 9, KeepUploadsDays: 365,
		Domain: "up.example.com", CertificateARN: "arn:aws:acm:us-east-1:111122223333:certificate/0a-1b",
		PriceClass: "PriceClass_100", WAF: true, WAFRate: 10, AccessLogs: true, AlarmEmail: "Ops@Example.com", AlarmFailures: 5, AlarmRefusals: 7,
	}
	if got.Deploy != want || !got.WriteOnce {
		t.Errorf("got %+v, write once %v\nwant %+v, true", got.Deploy, got.WriteOnce, want)
	}
}

func TestParseRefusesInDeploy(t *testing.T) {
	const arn = `"certificateArn": "arn:aws:acm:us-east-1:111122223333:certificate/a"`
	for _, tt := range []struct{ field, want string }{
		{`"writeOnce": 1`, "writeOnce is 1: allowed is true or false"},
		{`"name": ""`, "name is"}, {`"name": "1a"`, "name is"}, {`"name": "a-"`, "name is"}, {`"name": "a-regional"`, "or -regional"},
		{`"name": "` + strings.Repeat("a", 41) + `"`, "1 to 40"},
		{`"existingBucket": "yes"`, "existingBucket is \"yes\": allowed is true or false"},
		{`"kmsKey": "aws/s3"`, "kmsKey is set and existingBucket is false"},
		{`"existingBucket": true, "kmsKey": "arn:aws:kms:eu-west-1:111122223333:key/a"`, "allowed is a key in us-east-1"},
		{`"existingBucket": true, "kmsKey": "arn:aws:kms:us-east-1:111122223333:alias/a"`, "kmsKey is"},
		{`"existingBucket": true, "kmsKey": "arn:aws:kms:us-east-1:1:key/a"`, "kmsKey is"},
		{`"existingBucket": true, "kmsKey": "arn:aws:kms:us-east-1:111122223333:key/"`, "kmsKey is"},
		{`"existingBucket": true, "kmsKey": "alias/aws/s3"`, "allowed is aws/s3, or the ARN"},
		{`"memory": 127`, "from 128 to 10240"}, {`"regionalMemory": 64`, "regionalMemory is 64"},
		{`"runtime": "wasm"`, `runtime is "wasm"`}, {`"memory": 128.5`, "memory is 128.5"}, {`"memory": null`, "memory is null"},
		{`"timeout": 0`, "from 1 to 30"}, {`"timeout": 31`, "timeout is 31"},
		{`"nodeRuntime": "nodejs20.x"`, `allowed is "nodejs22.x" or "nodejs24.x"`},
		{`"keepExpiredDays": 8`, "from 9 to 3650"}, {`"keepUploadsDays": -1`, "from 0 to 36500"},
		{`"domain": "up.example.com"`, "domain and certificateArn go together"}, {arn, "domain and certificateArn go together"},
		{`"domain": "localhost", ` + arn, "domain is"}, {`"domain": "Up.example.com", ` + arn, "domain is"},
		{`"domain": "*.example.com", ` + arn, "domain is"},
		{`"certificateArn": "arn:aws:acm:eu-west-1:111122223333:certificate/a"`, "us-east-1"},
		{`"certificateArn": "arn:aws:acm:us-east-1:1:certificate/a"`, "certificateArn is"},
		{`"certificateArn": "111122223333:certificate/a"`, "certificateArn is"},
		{`"priceClass": "100"`, `allowed is "PriceClass_100", "PriceClass_200" or "PriceClass_All"`},
		{`"waf": "true"`, "allowed is true or false"}, {`"wafRate": 9`, "from 10"},
		{`"accessLogs": null`, "accessLogs is null"},
		{`"alarmEmail": "ops"`, "alarmEmail is"}, {`"alarmEmail": "a@b@c.d"`, "alarmEmail is"}, {`"alarmRefusals": 0`, "from 1"}, {`"alarmFailures": 0`, "from 1"},
	} {
		_, err := config.Parse([]byte(`{"bucket": "abc", ` + tt.field + `}`))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.field, err, tt.want)
		}
	}
}
