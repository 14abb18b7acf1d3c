package check

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"oncegate/internal/cfn"
	"oncegate/internal/config"
)

// checkRegional: the regional functions are those that the stubs at the edge ask.
func checkRegional(d *cfn.Deployment, conf config.Config, broken func(string, ...any)) {
	want := map[string]string{} // function name -> mint or gate
	if conf.Deploy.Runtime == config.RuntimeRegional {
		stub := conf.Stub()
		for function, name := range stub.Functions {
			want[name] = function
		}
		for _, name := range slices.Sorted(maps.Keys(d.Functions)) {
			var packed config.Stub
			data, err := os.ReadFile(filepath.Join(d.Functions[name].Directory, "settings.json"))
			if err == nil {
				err = json.Unmarshal(data, &packed)
			}
			if err != nil {
				broken("stub %s: %v", name, err)
			} else if !reflect.DeepEqual(packed, stub) {
				broken("stub %s asks %v, want %v", name, packed, stub)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.Regional)) {
		if jobNamed(conf, name) {
			continue // checkAcceptance looks at it
		}
		function, known := want[name]
		delete(want, name)
		if !known {
			broken("there is a function %s, which the settings do not ask for", name)
			continue
		}
		checkProgram(d.Regional[name], conf, map[string]string{"ONCEGATE_FUNCTION": function}, decisionPermissions(function, conf), broken)
		if f := d.Regional[name]; f.MemorySize != conf.Deploy.RegionalMemory || f.Timeout != conf.Deploy.Timeout {
			broken("%s has %d MB, %d s; the settings say %d MB, %d s", name, f.MemorySize, f.Timeout, conf.Deploy.RegionalMemory, conf.Deploy.Timeout)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		broken("there is no function %s for the stub to ask", name)
	}
}

// checkProgram checks what holds for every Go program on Lambda.
func checkProgram(f *cfn.Function, conf config.Config, environment map[string]string, permissions []string, broken func(string, ...any)) {
	name := f.FunctionName
	if f.Region != conf.Region || f.Handler != "bootstrap" || len(f.Architectures) != 1 {
		broken("%s is %s for %v in %s, want bootstrap for one architecture in %s", name, f.Handler, f.Architectures, f.Region, conf.Region)
	}
	if !maps.Equal(f.Environment.Variables, environment) {
		broken("%s has environment %v, want %v", name, f.Environment.Variables, environment)
	}
	group := "/aws/lambda/" + name
	if f.LoggingConfig.LogFormat != "JSON" || f.LoggingConfig.LogGroup != group {
		broken("%s does not log JSON to %s, but %s to %s", name, group, f.LoggingConfig.LogFormat, f.LoggingConfig.LogGroup)
	}
	logs := "arn:aws:logs:" + conf.Region + ":${AWS::AccountId}:log-group:" + group + ":*"
	compare(append([]string{"Allow logs:CreateLogStream on " + logs, "Allow logs:PutLogEvents on " + logs}, permissions...), f.Role.Permissions(),
		func(line string) { broken("%s lacks: %s", name, line) },
		func(line string) { broken("%s has what it does not need: %s", name, line) })
	compare([]string{"Allow sts:AssumeRole for Service lambda.amazonaws.com"}, f.Role.AssumeRolePolicyDocument.Lines(),
		func(line string) { broken("role of %s lacks trust: %s", name, line) },
		func(line string) { broken("role of %s trusts too much: %s", name, line) })
	packed, err := config.Load(filepath.Join(f.Directory, "config.json"))
	if err == nil {
		_, err = os.Stat(filepath.Join(f.Directory, "bootstrap"))
	}
	if err != nil {
		broken("%s: %v", name, err)
	} else if !reflect.DeepEqual(packed, conf) {
		broken("%s was packed with other settings", name)
	}
}
