// Command mutation removes the rules of the gate and the refusals one at a time, and says
// which test notices. Each mutant is one edit of the source text. It works on a copy of
// the sources:
//
//	go run ./internal/evidence/mutation [-run REGEXP] [-v]
//
// It fails when a mutant survives, when an edit no longer fits the source, when a
// mutant does not compile, or when a test fails without any edit.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// mutant is one rule removed: old, which must be in the file exactly once, becomes new.
type mutant struct {
	file, name, old, new string
	// protocol: the rule is part of the protocol. Exploration must notice that it is
	// missing as well, whatever other tests do.
	protocol bool
}

// suite is a set of tests that may kill a mutant.
type suite struct {
	name, dir string
	args      []string
}

var (
	unit    = suite{"unit", "./internal/onetime", []string{"-short", "-failfast"}}
	long    = suite{"unit, long", "./internal/onetime", []string{"-failfast"}}
	explore = suite{"explore", "./internal/onetime/explore", []string{"-short", "-failfast", "-run", "TestExplore"}}
	deep    = suite{"explore, long", "./internal/onetime/explore", []string{"-failfast", "-run", "TestExplore"}}
	accept  = suite{"acceptance", "./internal/acceptance", []string{"-short", "-failfast"}}
	edges   = suite{"edge", "./edge", []string{"-short", "-failfast"}}

	invites     = suite{"invitations", "./internal/invite", []string{"-short", "-failfast"}}
	inviteWorld = suite{"invitations, explore", "./internal/invite/explore", []string{"-short", "-failfast"}}
	// The other tests of the package start an S3 server, which takes long.
	inviteBucket = suite{"invitations, bucket", "./internal/s3index", []string{"-short", "-failfast", "-run", "TestInvitation(Outcomes|Requests|ETags)|TestListSlots|TestListInvitations"}}
)

// own are the packages whose own tests must notice.
var own = []string{
	"internal/auth/", "internal/lean/text/", "internal/lean/sigv4/", "internal/acceptance/webhook/", "internal/s3index/",
	"internal/s3wire/", "internal/cfn/", "internal/dynamo/", "internal/layout/",
}

// suites are run one after the other until one notices.
func (m mutant) suites() []suite {
	switch {
	case strings.HasPrefix(m.file, "edge/"):
		return []suite{edges}
	case m.file == accepts, m.file == copies, m.file == scans:
		return []suite{accept}
	case strings.HasPrefix(m.file, "internal/invite/"):
		return []suite{invites, inviteWorld}
	case m.file == bucketSlots:
		return []suite{inviteBucket}
	case strings.HasPrefix(m.file, "internal/cfn/check/existing"):
		return []suite{{"check", "./internal/cfn/check", []string{"-short", "-failfast"}}, {"doctor", "./internal/doctor", []string{"-short", "-failfast"}}}
	case slices.ContainsFunc(own, func(dir string) bool { return strings.HasPrefix(m.file, dir) }):
		var all []suite
		dir := path.Dir(m.file)
		for _, dir := range slices.Compact([]string{dir, strings.Replace(dir, "s3wire", "s3index", 1)}) { // whose tests have a real server
			all = append(all, suite{dir, "./" + dir + "/...", []string{"-short", "-failfast"}})
		}
		return all
	}
	return []suite{unit, explore, edges, long, deep}
}

// timeout limits one run of one suite. A mutant that hangs counts as killed.
const timeout = 3 * time.Minute

func main() {
	only := flag.String("run", "", "only mutants whose file or name match this `regexp`")
	verbose := flag.Bool("v", false, "print the first lines of what a test says")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *only, *verbose)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, verbose bool) error {
	wanted, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "oncegate-mutation-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := copySources(root, dir); err != nil {
		return err
	}
	var chosen []mutant
	for _, m := range mutants {
		if _, err := m.apply(dir); err != nil {
			return err
		}
		if wanted.MatchString(m.file + " " + m.name) {
			chosen = append(chosen, m)
		}
	}
	// The copy has no S3 server.
	if os.Getenv("ONCEGATE_VERSITYGW") == "" {
		os.Setenv("ONCEGATE_VERSITYGW", filepath.Join(root, "build", "tools", "versitygw"))
	}
	begun := time.Now()
	if err := unedited(ctx, root, dir, chosen); err != nil {
		return err
	}
	results := make([]result, len(chosen))
	var all sync.WaitGroup
	slots := make(chan struct{}, runtime.NumCPU())
	for i, m := range chosen {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if results[i].err = ctx.Err(); results[i].err == nil {
				results[i] = m.try(ctx, root, dir, i)
				fmt.Print(results[i].line(m, verbose))
			}
		})
	}
	all.Wait()

	if ctx.Err() != nil {
		return ctx.Err()
	}
	killed, survived := 0, 0
	for i, r := range results {
		if r.err != nil {
			err = errors.Join(err, fmt.Errorf("%s, %q: %w", chosen[i].file, chosen[i].name, r.err))
		}
		if r.survived() {
			survived++
		} else {
			killed++
		}
	}
	if err != nil {
		return err
	}
	fmt.Printf("%d mutants, %d killed, %d survived (%v)\n", len(chosen), killed, survived, time.Since(begun).Round(time.Second))
	if survived > 0 {
		return fmt.Errorf("%d rules can be removed and no test notices", survived)
	}
	return nil
}

// unedited runs the suites that are to notice the mutants without any of them.
func unedited(ctx context.Context, root, dir string, chosen []mutant) error {
	done := map[string]bool{long.name: true, deep.name: true} // more of what the short ones do
	for _, m := range chosen {
		if m.script() {
			if done[m.file] {
				continue
			}
			done[m.file] = true
			text, err := os.ReadFile(filepath.Join(dir, m.file))
			if err != nil {
				return err
			}
			if killer, said, err := testNode(ctx, root, dir, m.file, text); err != nil || killer != "" {
				return errors.Join(err, fmt.Errorf("without any edit, the tests of %s: %s\n%s", m.file, killer, said))
			}
			continue
		}
		for _, s := range m.suites() {
			if done[s.name] {
				continue
			}
			done[s.name] = true
			if killer, said, err := s.test(ctx, dir, ""); err != nil || killer != "" {
				return errors.Join(err, fmt.Errorf("without any edit, suite %s: %s\n%s", s.name, killer, said))
			}
		}
	}
	return nil
}

// moduleRoot is the directory of the module that this program belongs to.
func moduleRoot() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// copySources copies the folders of the packages that the suites are built from, the pages
// that tests compare the code with, and the files of the root.
func copySources(root, dir string) error {
	command := exec.Command("go", "list", "-deps", "-test", "-f", "{{with .Module}}{{if .Main}}{{$.Dir}}{{end}}{{end}}", "./edge", "./internal/onetime/...", "./internal/layout", "./internal/acceptance/...", "./internal/auth/...", "./internal/lean/text", "./internal/lean/sigv4",
		"./internal/s3index", "./internal/s3wire", "./internal/dynamo/...", "./internal/invite/...", "./internal/cfn/...", "./internal/doctor")
	command.Dir = root
	out, err := command.Output()
	if err != nil {
		return fmt.Errorf("list what to copy: %w", err)
	}
	folders := append(strings.Fields(string(out)), root, filepath.Join(root, "docs"), filepath.Join(root, "edge", "node"))
	slices.Sort(folders)
	for _, folder := range slices.Compact(folders) {
		err := filepath.WalkDir(folder, func(file string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && file != folder && entry.Name() != "testdata" && !strings.Contains(file[len(folder):], "/testdata/"):
				return filepath.SkipDir
			case !entry.Type().IsRegular():
				return nil
			}
			name, err := filepath.Rel(root, file)
			if err != nil {
				return err
			}
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, name), text, 0o644)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// apply returns the text of the mutant's file, mutated.
func (m mutant) apply(dir string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(dir, m.file))
	if err != nil {
		return nil, err
	}
	if n := bytes.Count(text, []byte(m.old)); n != 1 {
		return nil, fmt.Errorf("%s, %q: the text to edit is there %d times, want once:\n%s", m.file, m.name, n, m.old)
	}
	return bytes.Replace(text, []byte(m.old), []byte(m.new), 1), nil
}

// result is what became of a mutant.
type result struct {
	killer string // "" if no suite notices
	found  string // what exploration found, for a rule of the protocol
	needed bool   // exploration must find it
	said   string
	err    error
}

func (r result) survived() bool { return r.killer == "" || r.needed && r.found == "" }

func (r result) line(m mutant, verbose bool) string {
	s := fmt.Sprintf("%-28s %-58s ", m.file, m.name)
	switch {
	case r.err != nil:
		return s + "ERROR\n"
	case r.killer == "":
		s += "SURVIVED"
	default:
		s += "killed by " + r.killer
	}
	switch {
	case r.found != "":
		s += "; found by " + r.found
	case r.needed:
		s += "; SURVIVED exploration"
	}
	if verbose {
		s += "\n" + r.said
	}
	return s + "\n"
}

// try runs the suites on one mutant. The copy stays as it is: the go command takes the
// mutated file by -overlay.
func (m mutant) try(ctx context.Context, root, dir string, n int) (r result) {
	r.needed = m.protocol
	text, err := m.apply(dir)
	if err != nil {
		r.err = err
		return r
	}
	if m.script() {
		r.killer, r.said, r.err = testNode(ctx, root, dir, m.file, text)
		return r
	}
	mutated := filepath.Join(dir, fmt.Sprintf("mutant%d.txt", n))
	overlay := filepath.Join(dir, fmt.Sprintf("mutant%d.json", n))
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(dir, m.file): mutated}})
	if err == nil {
		err = errors.Join(os.WriteFile(mutated, text, 0o644), os.WriteFile(overlay, replace, 0o644))
	}
	if err != nil {
		r.err = err
		return r
	}
	for _, s := range m.suites() {
		if r.killer, r.said, r.err = s.test(ctx, dir, overlay); r.killer != "" || r.err != nil {
			break
		}
	}
	for _, s := range []suite{explore, deep} {
		if m.protocol && r.err == nil && r.found == "" {
			r.found, r.said, r.err = s.test(ctx, dir, overlay)
		}
	}
	return r
}

var (
	failed  = regexp.MustCompile(`(?m)^ *--- FAIL: (\S+)`)
	crashed = regexp.MustCompile(`(?m)^(panic|fatal error): .*`)
	running = regexp.MustCompile(`(?m)^\s+(Test\S+|Fuzz\S+) \(`)
)

// test runs a suite and returns the name of the test that fails, or "".
func (s suite) test(ctx context.Context, dir, overlay string) (killer, said string, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout+time.Minute)
	defer cancel()
	// As many mutants run as there are cores, so each gets one.
	args := append([]string{"test", "-vet=off", "-p=1", "-timeout", timeout.String(), "-overlay", overlay}, s.args...)
	command := exec.CommandContext(ctx, "go", append(args, s.dir)...)
	command.Dir = dir
	output, err := command.CombinedOutput()
	if err == nil {
		return "", "", nil
	}
	if ctx.Err() != nil {
		return "", "", ctx.Err()
	}
	said = string(output)
	if strings.Contains(said, "[build failed]") || strings.Contains(said, "[setup failed]") {
		return "", "", fmt.Errorf("does not compile:\n%s", said)
	}
	// Of a test and its subtests, the last is the most precise.
	var names []string
	for _, match := range failed.FindAllStringSubmatch(said, -1) {
		if len(names) == 0 || strings.HasPrefix(match[1], names[len(names)-1]+"/") {
			names = append(names, match[1])
		}
	}
	switch {
	case strings.Contains(said, "panic: test timed out"):
		killer = "a timeout"
		if match := running.FindStringSubmatch(said); match != nil {
			killer += " in " + match[1]
		}
	case len(names) > 0:
		killer = names[len(names)-1]
	case crashed.MatchString(said):
		killer = "a crash"
	default:
		return "", "", fmt.Errorf("go test: %w:\n%s", err, said)
	}
	lines := strings.SplitAfterN(said, "\n", 12)
	return s.name + ": " + killer, strings.Join(lines[:len(lines)-1], ""), nil
}
