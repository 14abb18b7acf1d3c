// Command oncegate runs oncegate on one machine and looks after a deployment.
//
//	oncegate dev      run CloudFront, Lambda and S3 on this machine
//	oncegate url      ask a deployment for URLs
//	oncegate put      upload files
//	oncegate status   say what became of a URL
//	oncegate list     list the URLs that the bucket knows
//	oncegate revoke   take a URL back
//	oncegate enable   make a spent URL good for one more upload
//	oncegate replay   hand out again what acceptance has given up
//	oncegate verify   hold a deployment to the README's promises
//	oncegate scenario try what happens to a client's uploads
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
	"slices"
	"strings"
	"syscall"

	"oncegate/internal/client"
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
	if r, ok := errors.AsType[*client.Refusal](err); ok && r.Fate() == client.Useless {
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
	{"url", "ask a deployment for one-time upload URLs", urlHelp, runURL},
	{"put", "upload files", putHelp, runPut},
	{"status", "say what became of a URL", statusHelp, runStatus},
	{"list", "list the URLs that the bucket knows", listHelp, runList},
	{"revoke", "take a URL back", revokeHelp, runRevoke},
	{"enable", "make a spent URL good for one more upload", enableHelp, runEnable},
	{"replay", "hand out again what acceptance has given up", replayHelp, runReplay},
	{"verify", "hold a deployment to the README's promises", verifyHelp, runVerify},
	{"scenario", "try what happens to a client's uploads", scenarioHelp, runScenario},
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
	b.WriteString(`    oncegate help VERB says more

Exit status: 0 done; 1 failed; 2 wrong usage; 3 the URL is not in a state for what
was asked, and nothing was changed.

Example: oncegate dev --port 8081
`)
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
	words, err := parseWords(fs, args)
	if err == nil && len(words) > 0 {
		err = usagef(fs, "unexpected argument %q", words[0])
	}
	return err
}

// parseWords reads flags and returns what is none, which may stand before, among and
// behind them. After -- nothing is a flag.
func parseWords(fs *flag.FlagSet, args []string) (words []string, err error) {
	var rest []string
	if i := slices.Index(args, "--"); i >= 0 {
		args, rest = args[:i], args[i+1:]
	}
	for {
		switch err := fs.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			return nil, err
		case err != nil:
			return nil, usagef(fs, "%w", err)
		case fs.NArg() == 0:
			return append(words, rest...), nil
		}
		words, args = append(words, fs.Arg(0)), fs.Args()[1:]
	}
}
