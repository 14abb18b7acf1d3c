// Command oncegate runs oncegate on one machine and looks after a deployment.
//
//	oncegate dev      run CloudFront, Lambda and S3 on this machine
//	oncegate status   say what became of a URL
//	oncegate list     list the URLs that the bucket knows
//	oncegate revoke   take a URL back
//	oncegate enable   make a spent URL good for one more upload
//	oncegate verify   hold a deployment to the README's promises
//	oncegate simulate say which runtime is faster and cheaper where
//	oncegate key      make, list and revoke the keys that may mint
//	oncegate config   print the settings in force
//	oncegate version  print the version
//
// Exit status: 0 done; 1 failed; 2 wrong usage; 3 the URL is not in a state for
// what was asked, and nothing was changed.
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

	"oncegate/internal/onetime"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks; with stop, the second one ends the program at once.
	context.AfterFunc(ctx, stop)
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "oncegate: %v\n", err)
		os.Exit(exitStatus(err))
	}
}

// usageError is an error in what the program was called with.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// usagef is an error in the arguments of a verb.
func usagef(fs *flag.FlagSet, format string, args ...any) error {
	return usageError{fmt.Errorf(format+" (see oncegate help "+fs.Name()+")", args...)}
}

// exitStatus is what the program ends with after err.
func exitStatus(err error) int {
	if err == nil {
		return 0
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return 2
	}
	if _, ok := errors.AsType[*onetime.StateError](err); ok {
		return 3
	}
	return 1
}

// verb is one thing that the program can do.
type verb struct {
	name, summary, help string
	run                 func(ctx context.Context, args []string, stdout, stderr io.Writer) error
}

var verbs = []verb{
	{"dev", "run CloudFront, Lambda and S3 on this machine", devHelp, runDev},
	{"status", "say what became of a URL", statusHelp, runStatus},
	{"list", "list the URLs that the bucket knows", listHelp, runList},
	{"revoke", "take a URL back", revokeHelp, runRevoke},
	{"enable", "make a spent URL good for one more upload", enableHelp, runEnable},
	{"verify", "hold a deployment to the README's promises", verifyHelp, runVerify},
	{"simulate", "say which runtime is faster and cheaper where", simulateHelp, runSimulate},
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
	return verb{}, usageError{fmt.Errorf("unknown verb %q: there are %s, help", name, strings.Join(names, ", "))}
}

// newFlags is a flag set that leaves all talking to its caller.
func newFlags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs
}

// parse reads flags that take nothing after them.
func parse(fs *flag.FlagSet, args []string) error {
	if err := parseFlags(fs, args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return usagef(fs, "unexpected argument %q", fs.Arg(0))
	}
	return nil
}

// parseFlags reads flags up to the first argument that is none.
func parseFlags(fs *flag.FlagSet, args []string) error {
	err := fs.Parse(args)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		err = usagef(fs, "%w", err)
	}
	return err
}
