package check_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oncegate/internal/cfn"
	"oncegate/internal/cfn/check"
)

// TestCheckRegional breaks the regional runtime in one place at a time.
func TestCheckRegional(t *testing.T) {
	function := func(t *templates, name string) object {
		return t.Regional.Properties("AWS::Lambda::Function", "Regional"+name)
	}
	for _, tt := range []damaged{
		{"another memory", "regional", func(t *templates) { function(t, "Gate")["MemorySize"] = 128 }, "regional: oncegate-regional-gate has 128 MB"},
		{"another timeout", "regional", func(t *templates) { function(t, "Mint")["Timeout"] = 3 }, "regional: oncegate-regional-mint has 256 MB, 3 s; the settings say"},
		{"another handler", "regional", func(t *templates) { function(t, "Mint")["Handler"] = "main" }, "regional: oncegate-regional-mint is main for"},
		{"mint's job for the gate", "regional", func(t *templates) {
			function(t, "Gate")["Environment"] = object{"Variables": object{"ONCEGATE_FUNCTION": "mint"}}
		}, "regional: oncegate-regional-gate has environment"},
		{"text logs", "regional", func(t *templates) { function(t, "Gate")["LoggingConfig"].(object)["LogFormat"] = "Text" },
			"regional: oncegate-regional-gate does not log JSON"},
		{"for two machines", "regional", func(t *templates) { function(t, "Gate")["Architectures"] = []any{"arm64", "x86_64"} },
			"regional: oncegate-regional-gate is bootstrap for [arm64 x86_64]"},
		{"lines in another group", "regional", func(t *templates) {
			function(t, "Gate")["LoggingConfig"].(object)["LogGroup"] = "other"
		}, "regional: oncegate-regional-gate does not log JSON to /aws/lambda/oncegate-regional-gate, but JSON to other"},
		{"trusted by nobody", "regional", func(t *templates) {
			t.Regional.Properties("AWS::IAM::Role", "RegionalGateRole")["AssumeRolePolicyDocument"] = object{"Statement": []any{}}
		}, "regional: role of oncegate-regional-gate lacks trust"},
		{"a name that no stub asks", "regional", func(t *templates) { function(t, "Gate")["FunctionName"] = "other" },
			"regional: there is a function other"},
		{"no such function", "regional", func(t *templates) { function(t, "Gate")["FunctionName"] = "other" },
			"regional: there is no function oncegate-regional-gate"},
		{"trusted by the edge", "regional", func(t *templates) {
			trust := t.Regional.Properties("AWS::IAM::Role", "RegionalGateRole")["AssumeRolePolicyDocument"].(object)
			trust["Statement"].([]any)[0].(object)["Principal"] = object{"Service": "edgelambda.amazonaws.com"}
		}, "regional: role of oncegate-regional-gate trusts too much"},
		{"the gate may not claim", "regional", func(t *templates) {
			document := t.RolePolicy("Gate")
			document["Statement"] = document["Statement"].([]any)[:1]
		}, "regional: oncegate-regional-gate lacks: Allow s3:PutObject on arn:aws:s3:::plain-uploads/signatures/expired/*"},
		{"the mint may do everything", "regional", func(t *templates) { t.RolePolicy("Mint")["Statement"].([]any)[0].(object)["Action"] = "s3:*" },
			"regional: oncegate-regional-mint has what it does not need: Allow s3:*"},
		{"the stub may write", "regional", func(t *templates) {
			t.Edge.Role("GateRole")["Statement"].([]any)[0].(object)["Action"] = "s3:PutObject"
		}, "permissions: oncegate-gate has what it does not need: Allow s3:PutObject"},
		{"the stub may ask anybody", "regional", func(t *templates) {
			t.Edge.Role("GateRole")["Statement"].([]any)[0].(object)["Resource"] = "*"
		}, "permissions: oncegate-gate has what it does not need: Allow lambda:InvokeFunction on *"},
	} {
		t.Run(tt.name, tt.isNamed)
	}
}

// TestCheckRegionalCode breaks what is packed with the functions.
func TestCheckRegionalCode(t *testing.T) {
	for name, tt := range map[string]struct{ file, text, want string }{
		"a stub that asks another": {
			"settings.json", `{"region": "us-east-1", "functions": {"mint": "oncegate-regional-mint", "gate": "oncegate-regional-mint"}}`,
			"regional: stub oncegate-gate asks {us-east-1",
		},
		"a stub that asks nobody": {"settings.json", "", "regional: stub oncegate-gate: open "},
		"no bootstrap":            {"bootstrap", "", "regional: oncegate-regional-gate: stat "},
		"other settings":          {"config.json", `{"bucket": "plain-uploads"}`, "regional: oncegate-regional-gate was packed with other settings"},
		"other settings at the edge": {
			"config.json", `{"bucket": "plain-uploads"}`, "functions: oncegate-gate was packed with other settings",
		},
		"no settings at the edge": {"config.json", "", "functions: oncegate-gate: "},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(filepath.Join(fixtures, "regional"))); err != nil {
				t.Fatal(err)
			}
			overwrite(t, dir, tt.file, tt.text)
			d, err := cfn.Read(dir)
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, p := range check.Deployment(d, settings(t, "regional")) {
				found = found || strings.HasPrefix(p.String(), tt.want)
			}
			if !found {
				t.Errorf("nothing begins with %q in %v", tt.want, check.Deployment(d, settings(t, "regional")))
			}
		})
	}
}

// overwrite replaces this file in every asset that has it. An empty text removes it.
func overwrite(t *testing.T, dir, name, text string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "asset.*", name))
	if err != nil || len(found) == 0 {
		t.Fatalf("%s: %v, %v", name, found, err)
	}
	for _, file := range found {
		if err = os.Remove(file); err == nil && text != "" {
			err = os.WriteFile(file, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
