package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"runtime"
)

const versionHelp = `oncegate version

Prints the version of this program, the commit that it was made from with the time of
that commit, and the Go that compiled it. A program that is no release says (devel).

Example: oncegate version
`

// What a release says of itself. The linker writes them (tools/release); the program that
// make build or the go command makes has none.
var releaseVersion, releaseCommit, releaseDate string

func runVersion(_ context.Context, args []string, stdout, _ io.Writer) error {
	if err := parse(newFlags("version"), args); err != nil {
		return err
	}
	commit := ""
	if releaseCommit != "" {
		commit = fmt.Sprintf("commit %s of %s, ", releaseCommit, releaseDate)
	}
	_, err := fmt.Fprintf(stdout, "oncegate %s, %s%s %s/%s\n", cmp.Or(releaseVersion, "(devel)"), commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
