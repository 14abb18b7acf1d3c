// Command infra is the CDK app: it turns config.json and build/edge into the
// CloudFormation templates of one deployment. cdk.json tells the CDK command line
// to run it. Environment variables are switches for the whole app:
//
//	CONFIG            the settings file, config.json when unset
//	CDK_OUTDIR        where the templates go, cdk.out when unset
//	ONCEGATE_LOCAL=1  templates for the local edge: the placeholder bucket is allowed
//	ONCEGATE_DETACH=1 a distribution without its functions, the first step of a destroy
package main

import (
	"cmp"
	"fmt"
	"os"

	"github.com/aws/jsii-runtime-go"

	"oncegate/infra/stack"
)

func main() {
	defer jsii.Close()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "oncegate:", err)
		os.Exit(1)
	}
}

func run() error {
	o := stack.Options{
		Config:   cmp.Or(os.Getenv("CONFIG"), "config.json"),
		Artifact: "build/edge",
		Stub:     "build/stub",
		Regional: "build/regional",
		Accept:   "build/accept",
		Out:      cmp.Or(os.Getenv("CDK_OUTDIR"), "cdk.out"),
		Local:    os.Getenv("ONCEGATE_LOCAL") == "1",
		Detach:   os.Getenv("ONCEGATE_DETACH") == "1",
	}
	if o.Local {
		o.Regional, o.Accept = "build/local/regional", "build/local/accept"
	}
	return stack.Synth(o)
}
