package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"oncegate/internal/cfn"
	"oncegate/internal/cfn/check"
	"oncegate/internal/config"
)

// TestCommandLineSynthesizesOffline goes the way that users go: the CDK command line of
// package-lock.json, cdk.json, this program as a process, the real artifact. It is
// offline, because every proxy is a closed port.
func TestCommandLineSynthesizesOffline(t *testing.T) {
	cdk, err := filepath.Abs("../node_modules/aws-cdk/bin/cdk")
	if err != nil {
		t.Fatal(err)
	}
	for _, need := range []string{cdk, "../build/edge/oncegate.wasm"} {
		if _, err := os.Stat(need); err != nil {
			t.Fatalf("run npm ci and make build first: %v", err)
		}
	}
	node := "node"
	arch := map[string]string{"amd64": "x64"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	if pinned, err := filepath.Abs("../node_modules/node22-" + runtime.GOOS + "-" + arch + "/bin/node"); err == nil {
		if _, err := os.Stat(pinned); err == nil {
			node = pinned
		}
	}
	out := filepath.Join(t.TempDir(), "cdk.out")
	command := exec.CommandContext(t.Context(), node, cdk, "synth", "--quiet", "--strict", "--no-notices", "--output", out)
	command.Dir = ".."
	command.Env = append(os.Environ(), "JSII_NODE="+node, "ONCEGATE_LOCAL=1", "CONFIG=config.json", "CDK_DISABLE_CLI_TELEMETRY=true",
		"GOPROXY=off", "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null",
		"HTTP_PROXY=http://127.0.0.1:9", "HTTPS_PROXY=http://127.0.0.1:9")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("cdk synth: %v\n%s", err, output)
	}
	deployment, err := cfn.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	settings, err := config.Load("../config.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range check.Deployment(deployment, settings) {
		t.Error(problem)
	}
}
