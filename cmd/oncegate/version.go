package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

const versionHelp = `oncegate version

Prints the version of this program and of the Go that compiled it.

Example: oncegate version
`

func runVersion(_ context.Context, args []string, stdout, _ io.Writer) error {
	if err := parse(newFlags("version"), args); err != nil {
		return err
	}
	version := "(devel)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	_, err := fmt.Fprintf(stdout, "oncegate %s, %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
