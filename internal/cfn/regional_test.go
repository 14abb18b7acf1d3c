package cfn_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oncegate/internal/cfn"
	"oncegate/internal/config"
)

// TestCheckRegional breaks the regional runtime in one place at a time.
func TestCheckRegional(t *testing.T) {
	for name, c := range map[string]struct {
		template string
		change   func(resources object, dir string)
		want     string
	}{
		"another memory":  {"Regional", func(r object, _ string) { propertiesOf(r, "AWS::Lambda::Function", "RegionalGate")["MemorySize"] = 128 }, "has 128 MB"},
		"another timeout": {"Regional", func(r object, _ string) { propertiesOf(r, "AWS::Lambda::Function", "RegionalMint")["Timeout"] = 3 }, "3 s; the settings say"},
		"another handler": {"Regional", func(r object, _ string) { propertiesOf(r, "AWS::Lambda::Function", "RegionalMint")["Handler"] = "main" }, "want bootstrap"},
		"mint's job for the gate": {"Regional", func(r object, _ string) {
			propertiesOf(r, "AWS::Lambda::Function", "RegionalGate")["Environment"] = object{"Variables": object{"ONCEGATE_FUNCTION": "mint"}}
		}, "has environment"},
		"text logs": {"Regional", func(r object, _ string) {
			propertiesOf(r, "AWS::Lambda::Function", "RegionalGate")["LoggingConfig"].(object)["LogFormat"] = "Text"
		}, "does not log JSON"},
		"a name that no stub asks": {"Regional", func(r object, _ string) {
			propertiesOf(r, "AWS::Lambda::Function", "RegionalGate")["FunctionName"] = "other"
		}, "there is a function other"},
		"no such function": {"Regional", func(r object, _ string) {
			propertiesOf(r, "AWS::Lambda::Function", "RegionalGate")["FunctionName"] = "other"
		}, "there is no function oncegate-regional-gate"},
		"trusted by the edge": {"Regional", func(r object, _ string) {
			statementOf(r, "RegionalGateRole", "AssumeRolePolicyDocument", 0)["Principal"] = object{"Service": "edgelambda.amazonaws.com"}
		}, "trusts too much"},
		"the gate may not claim": {"Regional", func(r object, _ string) {
			policyOf(r, "RegionalGateRole")["Statement"] = policyOf(r, "RegionalGateRole")["Statement"].([]any)[:1]
		},
			"lacks: Allow s3:PutObject on arn:aws:s3:::plain-uploads/signatures/expired/*"},
		"the mint may everything": {"Regional", func(r object, _ string) {
			policyOf(r, "RegionalMintRole")["Statement"].([]any)[0].(object)["Action"] = "s3:*"
		}, "has what it does not need: Allow s3:*"},
		"the stub may write": {"Edge", func(r object, _ string) {
			policyOf(r, "GateRole")["Statement"].([]any)[0].(object)["Action"] = "s3:PutObject"
		}, "has what it does not need: Allow s3:PutObject"},
		"the stub may ask anybody": {"Edge", func(r object, _ string) {
			policyOf(r, "GateRole")["Statement"].([]any)[0].(object)["Resource"] = "*"
		}, "has what it does not need: Allow lambda:InvokeFunction on *"},
		"a stub that asks another": {"Edge", func(_ object, dir string) {
			write(dir, "settings.json", `{"region": "us-east-1", "functions": {"mint": "oncegate-regional-mint", "gate": "oncegate-regional-mint"}}`)
		}, "asks {us-east-1"},
		"no bootstrap":   {"Regional", func(_ object, dir string) { write(dir, "bootstrap", "") }, "bootstrap"},
		"other settings": {"Regional", func(_ object, dir string) { write(dir, "config.json", `{"bucket": "plain-uploads"}`) }, "packed with other settings"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS("testdata/regional")); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, c.template+".template.json")
			var template object
			data, err := os.ReadFile(file)
			if err == nil {
				err = json.Unmarshal(data, &template)
			}
			if err != nil {
				t.Fatal(err)
			}
			c.change(template["Resources"].(object), dir)
			if data, err = json.Marshal(template); err == nil {
				err = os.WriteFile(file, data, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			d, err := cfn.Read(dir)
			if err != nil {
				t.Fatal(err)
			}
			conf, err := config.Parse([]byte(`{"bucket": "plain-uploads", "runtime": "regional"}`))
			if err != nil {
				t.Fatal(err)
			}
			if problems := fmt.Sprint(d.Check(conf)); !strings.Contains(problems, c.want) {
				t.Errorf("%s\ndoes not say %s", problems, c.want)
			}
		})
	}
}

// properties are those of the resource of this kind whose id begins with prefix.
func propertiesOf(resources object, kind, prefix string) object {
	for id, r := range resources {
		if r := r.(object); r["Type"] == kind && strings.HasPrefix(id, prefix) {
			return r["Properties"].(object)
		}
	}
	panic("no " + kind + " " + prefix)
}

func policyOf(resources object, role string) object {
	return propertiesOf(resources, "AWS::IAM::Role", role)["Policies"].([]any)[0].(object)["PolicyDocument"].(object)
}

func statementOf(resources object, role, document string, i int) object {
	return propertiesOf(resources, "AWS::IAM::Role", role)[document].(object)["Statement"].([]any)[i].(object)
}

// write replaces this file of the asset that has it; an empty text removes it.
func write(dir, name, text string) {
	found, _ := filepath.Glob(filepath.Join(dir, "asset.*", name))
	for _, file := range found {
		if text == "" {
			os.Remove(file)
		} else if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			panic(err)
		}
	}
	if len(found) == 0 {
		panic("no " + name)
	}
}
