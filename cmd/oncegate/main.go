// Command oncegate runs oncegate on one machine and looks after a deployment.
//
// Verbs for whoever uploads, with a deployment's URL:
//
//	oncegate url      ask a deployment for URLs
//	oncegate put      upload files
//	oncegate scenario try what happens to a client's uploads
//	oncegate verify   check every promise of a deployment
//
// For its operator, with AWS credentials for the bucket:
//
//	oncegate status   show what became of a URL
//	oncegate list     list the URLs that the bucket knows
//	oncegate revoke   take a URL back
//	oncegate enable   make a spent URL good for one more upload
//	oncegate invite   make links for people, and look after them
//	oncegate key      make, list and revoke the keys that may mint
//	oncegate migrate  move URLs and keys to another index
//	oncegate replay   send failed messages of acceptance again
//
// Before a deploy, with AWS credentials for the account:
//
//	oncegate doctor   look at what a deploy will run into
//
// Without credentials:
//
//	oncegate explain  say what a URL is and what has changed it
//	oncegate dev      run CloudFront, Lambda and S3 on this machine
//	oncegate config   print the settings in force
//	oncegate simulate compare the two runtimes for your viewers
//	oncegate version  print the version
//
// Exit status: 0 done; 1 failed; 2 wrong usage; 3 the URL is not in a state for
// what was asked, and nothing was changed; 4 verify could not tell.
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

	"oncegate/internal/client"
	"oncegate/internal/lean/nearest"
	"oncegate/internal/onetime"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal cancels ctx. After stop, the second one ends the program at once.
	context.AfterFunc(ctx, stop)
	stdout, stderr := newScreen(os.Stdout), newScreen(os.Stderr)
	if err := run(ctx, os.Args[1:], stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "oncegate: %v\n", err)
		if h, ok := errors.AsType[*hintError](err); ok {
			fmt.Fprintf(stderr, "oncegate: hint: %s\n", h.hint)
		}
		os.Exit(exitStatus(err))
	}
}

// usageError is an error in the arguments.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// hintError is an error and a hint on what to do, which is printed on its own line.
type hintError struct {
	error
	hint string
}

func (e *hintError) Unwrap() error { return e.error }

// usagef returns an error in the arguments of a verb.
func usagef(fs *flag.FlagSet, format string, args ...any) error {
	return usageError{fmt.Errorf(format+" (see oncegate help "+fs.Name()+")", args...)}
}

// exitStatus returns the program's exit status for err.
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
	if errors.Is(err, errUnclear) {
		return 4
	}
	return 1
}

// verb is one command of the program.
type verb struct {
	name, summary, help string
	group               *group
	run                 func(ctx context.Context, args []string, stdout, stderr io.Writer) error
}

// group is a set of verbs that need the same credentials.
type group struct{ title string }

var (
	uploader = &group{"Uploading, with a deployment's URL (and a key or token, where its settings ask for one):"}
	operator = &group{"Looking after a deployment, with AWS credentials for its bucket:"}
	deployer = &group{"Before a deploy, with AWS credentials for the account:"}
	alone    = &group{"On this machine, without credentials:"}
	groups   = []*group{uploader, operator, deployer, alone}
)

var verbs = []verb{
	{"url", "ask a deployment for one-time upload URLs", urlHelp, uploader, runURL},
	{"put", "upload files", putHelp, uploader, runPut},
	{"scenario", "try what happens to a client's uploads", scenarioHelp, uploader, runScenario},
	{"verify", "check every promise of a deployment", verifyHelp, uploader, runVerify},
	{"status", "show what became of a URL", statusHelp, operator, runStatus},
	{"list", "list the URLs that the bucket knows", listHelp, operator, runList},
	{"revoke", "take a URL back", revokeHelp, operator, runRevoke},
	{"enable", "make a spent URL good for one more upload", enableHelp, operator, runEnable},
	{"invite", "make links for people, and look after them", inviteHelp, operator, runInvite},
	{"key", "make, list and revoke the keys that may mint", keyHelp, operator, runKey},
	{"migrate", "move URLs and keys to another index", migrateHelp, operator, runMigrate},
	{"replay", "send failed messages of acceptance again", replayHelp, operator, runReplay},
	{"doctor", "look at what a deploy will run into", doctorHelp, deployer, runDoctor},
	{"explain", "say what a URL is and what has changed it", explainHelp, alone, runExplain},
	{"dev", "run CloudFront, Lambda and S3 on this machine", devHelp, alone, runDev},
	{"config", "print the settings in force", configHelp, alone, runConfig},
	{"simulate", "compare the two runtimes for your viewers", simulateHelp, alone, runSimulate},
	{"version", "print the version", versionHelp, alone, runVersion},
}

// run runs the verb in args. Results go to stdout, everything else to stderr.
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
	err = renewed(ctx, v.run(ctx, args, stdout, stderr))
	if _, ok := errors.AsType[helpError](err); ok {
		_, err = io.WriteString(stdout, v.help)
	}
	return err
}

func runHelp(args []string, stdout io.Writer) error {
	if len(args) > 0 && strings.HasPrefix(args[0], "-") {
		return helpAs(args[0], args[1:], stdout)
	}
	if len(args) > 0 {
		v, err := find(args[0])
		if err != nil {
			return err
		}
		_, err = io.WriteString(stdout, v.help)
		return err
	}
	_, err := io.WriteString(stdout, overview())
	return err
}

// overview lists the verbs.
func overview() string {
	var b strings.Builder
	b.WriteString("oncegate hands out upload URLs that work once.\n")
	for _, g := range groups {
		fmt.Fprintf(&b, "\n%s\n\n", g.title)
		for _, v := range verbs {
			if v.group == g {
				fmt.Fprintf(&b, "    oncegate %-9s %s\n", v.name, v.summary)
			}
		}
	}
	b.WriteString(`
oncegate help VERB says more, with an example. First steps: oncegate dev, then in a
second terminal: . build/dev/env; oncegate put photo.jpg

oncegate help --man prints all of it as a man page, and oncegate help --completion SHELL
what bash, fish or zsh completes words by.

Exit status: 0 done; 1 failed; 2 wrong usage; 3 the URL is not in a state for what
was asked, and nothing was changed; 4 verify could not tell.
`)
	return b.String()
}

func find(name string) (verb, error) {
	names := []string{"help"}
	for _, v := range verbs {
		if v.name == name {
			return v, nil
		}
		names = append(names, v.name)
	}
	meant := nearest.Name(name, names)
	if meant != "" {
		meant = ", did you mean " + meant
	}
	return verb{}, usageError{fmt.Errorf("unknown verb %q%s: there are %s", name, meant, strings.Join(names, ", "))}
}
