// Command prove gathers the evidence for the one-time rule at length, and prints a
// line for each kind: schedules explored, races run, attempts refused, events fuzzed.
//
//	go run ./internal/evidence/prove [-quick] [-seed N] [-run REGEXP] [-fuzztime DURATION]
//
// It runs tests that `make test` runs too, at greater length. With -quick they are as
// short as there. Their output goes to build/prove, a file each. If one fails, prove
// fails and says how to repeat it.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// proof is one kind of evidence: a command, and the environment that makes it long.
type proof struct {
	name    string
	command []string
	long    []string // environment of the long form
	env     []string // environment of both forms
}

// proofs returns all kinds, the shortest first. Together they take about an hour on two
// idle cores, and some minutes with -quick. What is about an index is run with both.
func proofs(node string) []proof {
	test := func(dir, run string) []string {
		return []string{"go", "test", "-count=1", "-v", "-timeout=60m", "-run=" + run, dir}
	}
	return []proof{
		{name: "attempts", command: test("./internal/evidence/attack", "."), env: []string{"ONCEGATE_INDEX=s3"}},
		{name: "attempts-table", command: test("./internal/evidence/attack", "."), env: []string{"ONCEGATE_INDEX=dynamodb"}},
		{name: "schedules", command: test("./internal/onetime/explore", "TestExplore|TestBugs|TestLimits|TestTable|TestOutcomes|TestWander"), long: []string{"ONCEGATE_EXPLORE=full"}},
		{name: "invitations", command: test("./internal/invite/explore", "."), long: []string{"ONCEGATE_EXPLORE=full"}},
		{name: "guests", command: test("./internal/invite", "TestRace"), long: []string{"ONCEGATE_RACE_ROUNDS=1000"}},
		{name: "races", command: test("./internal/evidence/e2e", "TestRaceForOneURL|TestStorm|TestRevokeRacesUpload|TestGuestsRace|TestMultipartRace"),
			long: []string{"ONCEGATE_RACE_ROUNDS=700", "ONCEGATE_STORM_ROUNDS=300", "ONCEGATE_GUEST_ROUNDS=50", "ONCEGATE_GUESTS=200"}},
		{name: "histories", command: test("./internal/evidence/history", "."), long: []string{"ONCEGATE_HISTORIES=100"}},
		{name: "kills", command: test("./internal/evidence/e2e", "TestKills"), long: []string{"ONCEGATE_KILLS=200"}},
		{name: "events", command: []string{node, "--test", "edge/node/events.test.mjs"}, long: []string{"ONCEGATE_EVENTS=1000000"}},
	}
}

func main() {
	quick := flag.Bool("quick", false, "only what make test runs of it")
	seed := flag.Uint64("seed", 0, "where random choices begin; 0: the clock says, but with -quick 1")
	only := flag.String("run", "", "only proofs whose name matches this `regexp`")
	fuzzTime := flag.Duration("fuzztime", 5*time.Second, "how long to run each fuzz target")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *quick, *seed, *only, *fuzzTime)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "prove:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, quick bool, seed uint64, only string, fuzzTime time.Duration) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	switch {
	case seed == 0 && quick:
		seed = 1
	case seed == 0:
		seed = uint64(time.Now().Unix())
	}
	nodes, err := filepath.Glob("node_modules/node22-*/bin/node")
	if err != nil || len(nodes) != 1 {
		return errors.New("there is no Node in node_modules: run `make tools` in the root of the repository")
	}
	p := prover{ctx: ctx, dir: filepath.Join("build", "prove"), seed: seed, quick: quick}
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return err
	}
	began := time.Now()
	for _, proof := range proofs(nodes[0]) {
		if wanted.MatchString(proof.name) {
			err = errors.Join(err, p.prove(proof))
		}
	}
	if wanted.MatchString("fuzz") && !quick {
		err = errors.Join(err, p.fuzz(fuzzTime))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		fmt.Printf("all of it holds; %v, seed %d\n", time.Since(began).Round(time.Second), seed)
	}
	return err
}

type prover struct {
	ctx   context.Context
	dir   string // for the output of the commands
	seed  uint64
	quick bool
}

var said = regexp.MustCompile(`(?m)prove: (.*[1-9].*)$`)

// prove runs one proof and prints its lines.
func (p prover) prove(one proof) error {
	env := append([]string{"ONCEGATE_SEED=" + strconv.FormatUint(p.seed, 10)}, one.env...)
	if !p.quick {
		env = append(env, one.long...)
	}
	log, text, err := p.command(one.name, env, one.command...)
	if err != nil {
		return fmt.Errorf("%s: %w; %s says why. To repeat: %s %s", one.name, err, log, strings.Join(env, " "), strings.Join(one.command, " "))
	}
	lines := said.FindAllSubmatch(text, -1)
	lines = slices.DeleteFunc(lines, func(line [][]byte) bool { return bytes.HasPrefix(line[1], []byte("0 ")) })
	if len(lines) == 0 {
		return fmt.Errorf("%s: it passed without saying how much it did: see %s", one.name, log)
	}
	for _, line := range lines {
		fmt.Printf("%s\n", line[1])
	}
	return nil
}

// command runs a command and keeps its output.
func (p prover) command(name string, env []string, command ...string) (log string, text []byte, err error) {
	log = filepath.Join(p.dir, name+".log")
	c := exec.CommandContext(p.ctx, command[0], command[1:]...)
	c.Env = append(os.Environ(), env...)
	text, err = c.CombinedOutput()
	return log, text, errors.Join(err, os.WriteFile(log, text, 0o644))
}

var (
	target = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)
	execs  = regexp.MustCompile(`execs: (\d+) `)

	// Go's fuzzer can report the end of its own time as a failure, without an input that
	// fails: https://go.dev/issue/75804, fixed in Go 1.27.
	deadline = regexp.MustCompile(`(?m)^--- FAIL: .*\n    context deadline exceeded\nFAIL$`)
)

// fuzz runs every fuzz target for a while.
func (p prover) fuzz(fuzzTime time.Duration) error {
	var files []string
	for _, root := range []string{"edge", "internal"} {
		err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
			if strings.HasSuffix(name, "_test.go") {
				files = append(files, name)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	targets, inputs := 0, uint64(0)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, match := range target.FindAllSubmatch(text, -1) {
			name, dir := string(match[1]), "./"+filepath.ToSlash(filepath.Dir(file))
			n, err := p.fuzzTarget(name, dir, fuzzTime)
			if err != nil {
				return err
			}
			targets++
			inputs += n
		}
	}
	fmt.Printf("%d inputs fuzzed by %d targets\n", inputs, targets)
	return nil
}

// fuzzTarget runs one of them and returns how many inputs it tried.
func (p prover) fuzzTarget(name, dir string, fuzzTime time.Duration) (inputs uint64, err error) {
	var log string
	var out []byte
	for range 3 {
		log, out, err = p.command("fuzz-"+filepath.Base(dir)+"-"+name, nil,
			"go", "test", "-run=^$", "-fuzz=^"+name+"$", "-fuzztime="+fuzzTime.String(), "-fuzzminimizetime=20x", dir)
		if err == nil || !deadline.Match(out) {
			break
		}
	}
	if err != nil {
		return 0, fmt.Errorf("%s in %s: %w: see %s", name, dir, err, log)
	}
	if all := execs.FindAllSubmatch(out, -1); len(all) > 0 {
		inputs, _ = strconv.ParseUint(string(all[len(all)-1][1]), 10, 64) // digits
	}
	return inputs, nil
}
