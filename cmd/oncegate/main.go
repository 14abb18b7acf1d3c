// Command oncegate runs oncegate on one machine and looks after a deployment.
//
//	oncegate dev      run CloudFront, Lambda and S3 on this machine
//	oncegate verify   hold a deployment to the README's promises
//	oncegate key      make, list and revoke the keys that may mint
//	oncegate config   print the settings in force
//	oncegate version  print the version
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks; with stop, the second one ends the program at once.
	context.AfterFunc(ctx, stop)
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "oncegate: %v\n", err)
		os.Exit(1)
	}
}

// verb is one thing that the program can do.
type verb struct {
	name, summary, help string
	run                 func(ctx context.Context, args []string, stdout, stderr io.Writer) error
}

var verbs = []verb{
	{"dev", "run CloudFront, Lambda and S3 on this machine", devHelp, runDev},
	{"verify", "hold a deployment to the README's promises", verifyHelp, runVerify},
	{"key", "make, list and revoke the keys that may mint", keyHelp, runKey},
	{"config", "print the settings in force", configHelp, runConfig},
	{"version", "print the version", versionHelp, runVersion},
}

// run does what args say. What was asked for goes to stdout, the rest to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return runHelp(nil, stdout)
	}
	name, args := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		return runHelp(args, stdout)
	}
	v, err := find(name)
	if err != nil {
		return err
	}
	err = v.run(ctx, args, stdout, stderr)
	if errors.Is(err, flag.ErrHelp) {
		_, err = io.WriteString(stdout, v.help)
	}
	return err
}

func runHelp(args []string, stdout io.Writer) error {
	if len(args) > 0 {
		v, err := find(args[0])
		if err != nil {
			return err
		}
		_, err = io.WriteString(stdout, v.help)
		return err
	}
	var b strings.Builder
	b.WriteString("oncegate hands out upload URLs that work once.\n\n")
	for _, v := range verbs {
		fmt.Fprintf(&b, "    oncegate %-9s %s\n", v.name, v.summary)
	}
	b.WriteString("    oncegate help VERB says more\n\nExample: oncegate dev --port 8081\n")
	_, err := io.WriteString(stdout, b.String())
	return err
}

func find(name string) (verb, error) {
	var names []string
	for _, v := range verbs {
		if v.name == name {
			return v, nil
		}
		names = append(names, v.name)
	}
	return verb{}, fmt.Errorf("unknown verb %q: there are %s, help", name, strings.Join(names, ", "))
}

// newFlags is a flag set that leaves all talking to its caller.
func newFlags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs
}

// parse reads flags that take nothing after them.
func parse(fs *flag.FlagSet, args []string) error {
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return fmt.Errorf("%w (see oncegate help %s)", err, fs.Name())
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q (see oncegate help %s)", fs.Arg(0), fs.Name())
	}
	return nil
}
