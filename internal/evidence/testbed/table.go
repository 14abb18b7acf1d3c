package testbed

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"oncegate/internal/cfn/cfntest"
	"oncegate/internal/config"
)

// InTable keeps the index in a DynamoDB table.
func InTable(s *Setup) { s.Settings["index"] = config.IndexDynamoDB }

// Unversioned keeps the index in a table, and no versions of uploads.
func Unversioned(s *Setup) {
	InTable(s)
	s.Settings["versioned"] = false
}

// inTable makes templates whose index is in the bucket those of one in a table. What the
// table needs comes from two kept deployments that have one.
func inTable(test testing.TB, t *Templates, conf config.Config, fixtures string) {
	test.Helper()
	load := func(name string, names ...string) Templates {
		from := cfntest.Load(test, filepath.Join(fixtures, name))
		renamed := strings.NewReplacer(append(names, name+"-uploads", conf.Bucket)...)
		for _, template := range []*Template{&from.Bucket, &from.Edge, &from.Regional} {
			text, err := json.Marshal(template)
			if err == nil {
				err = json.Unmarshal([]byte(renamed.Replace(string(text))), template)
			}
			if err != nil {
				test.Fatal(err)
			}
		}
		return from
	}
	atEdge := load("unversioned", "dynamodb:us-east-1", "dynamodb:"+conf.Region)
	accepting := load("table", "eu-central-1", conf.Region)

	resources := t.Bucket["Resources"].(Object)
	for id, r := range atEdge.Bucket["Resources"].(Object) {
		if strings.HasPrefix(id, "Table") || strings.HasPrefix(id, "Alarms") && resources[id] == nil {
			resources[id] = r
		}
	}
	var others []any
	for id, r := range resources {
		if r.(Object)["Type"] != "AWS::DynamoDB::Table" {
			others = append(others, id)
		}
	}
	t.Bucket.Resource("AWS::DynamoDB::Table", "")["DependsOn"] = others
	if !conf.Versioned {
		delete(t.Bucket.Properties("AWS::S3::Bucket", "Bucket"), "VersioningConfiguration")
	}
	t.Edge["Outputs"].(Object)["TableName"] = atEdge.Edge["Outputs"].(Object)["TableName"]

	mint := slices.Clone(atEdge.RolePolicy("Mint")["Statement"].([]any))
	if conf.Acceptance.On {
		mint = append(mint, cfntest.Statement(accepting.RolePolicy("Mint"), "WriteUploadEntries"))
		for _, job := range []string{"Accept", "Webhook"} {
			if job == "Accept" || conf.Acceptance.Webhook.URL != "" {
				*statement(t.Bucket.Role(job+"Role"), "ReadUploadEntries") = any(cfntest.Statement(accepting.Bucket.Role(job+"Role"), "ReadUploadEntries"))
			}
		}
	}
	owner := cfntest.Statement(atEdge.RolePolicy("Mint"), "ReadURLs")
	if !conf.OwnerAPI {
		owner = cfntest.Statement(accepting.RolePolicy("Mint"), "ReadURLs")
	}
	mint = slices.DeleteFunc(mint, func(s any) bool {
		switch s.(Object)["Sid"] {
		case "ReadKeys", "CountURLs":
			return conf.Auth.Kind != config.AuthAPIKey
		case "ReadUploads", "TellAbsentUploads":
			return !conf.OwnerAPI
		}
		return s.(Object)["Sid"] == "ReadURLs" || s.(Object)["Sid"] == "Logs"
	})
	for role, statements := range map[string][]any{
		"Mint": append(mint, owner),
		"Gate": slices.DeleteFunc(slices.Clone(atEdge.RolePolicy("Gate")["Statement"].([]any)), func(s any) bool { return s.(Object)["Sid"] == "Logs" }),
	} {
		document := t.RolePolicy(role)
		document["Statement"] = append(statements, cfntest.Statement(document, "Logs"))
	}
}

// statement is where the one of this sid is in a policy document.
func statement(document Object, sid string) *any {
	list := document["Statement"].([]any)
	i := slices.IndexFunc(list, func(s any) bool { return s.(Object)["Sid"] == sid })
	return &list[i]
}
