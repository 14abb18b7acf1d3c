// Command release makes the files of a release: the command line for six systems, the zip
// of the edge functions, templates that are deployed without the CDK, a bill of materials
// and checksums. From one commit it makes the same bytes, wherever it runs.
//
// make release runs it at the root of the repository, after everything that it packs is
// built. It fetches nothing that the build has not.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	version := flag.String("version", "", "what the release is called, such as 1.2.3")
	out := flag.String("out", "dist", "the directory to make")
	flag.Parse()
	if err := run(*version, *out); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// release is what its files have in common.
type release struct {
	version string
	commit  string
	time    time.Time // of the commit
	out     string
}

func run(version, out string) error {
	if err := checkVersion(version); err != nil {
		return err
	}
	r := release{version: version, out: out}
	if err := r.readCommit(); err != nil {
		return err
	}
	if err := os.Mkdir(out, 0o755); err != nil {
		return fmt.Errorf("the directory of the release must be new: %w", err)
	}
	for _, make := range []func() error{r.edge, r.templates, r.programs, r.materials, r.sums} {
		if err := make(); err != nil {
			return err
		}
	}
	return nil
}

// semantic is a version by https://semver.org/, without build metadata.
var semantic = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)

func checkVersion(version string) error {
	if !semantic.MatchString(version) {
		return fmt.Errorf("the version is %q: allowed is one such as 1.2.3 or 1.2.3-rc.1 (make release VERSION=1.2.3)", version)
	}
	return nil
}

// readCommit reads which commit is checked out. It refuses a tree that differs from it:
// nobody else could make such a release.
func (r *release) readCommit() error {
	changed, err := command("git", "status", "--porcelain")
	if err != nil {
		return err
	}
	if changed != "" {
		return fmt.Errorf("the tree is not what was committed:\n%s", changed)
	}
	said, err := command("git", "show", "--no-patch", "--format=%H %ct", "HEAD")
	if err != nil {
		return err
	}
	commit, seconds, _ := strings.Cut(strings.TrimSpace(said), " ")
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return fmt.Errorf("time of the commit: %w", err)
	}
	r.commit, r.time = commit, time.Unix(n, 0).UTC()
	return nil
}

// path is where a file of the release goes.
func (r release) path(name string) string { return filepath.Join(r.out, name) }

// name is what a file of the release is called: oncegate_1.2.3_linux_amd64.tar.gz.
func (r release) name(rest string) string { return "oncegate_" + r.version + "_" + rest }

// sums writes SHA256SUMS, as sha256sum -c reads it.
func (r release) sums() error {
	files, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var lines []string
	for _, f := range files {
		data, err := os.ReadFile(r.path(f.Name()))
		if err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		lines = append(lines, hex.EncodeToString(sum[:])+"  "+f.Name()+"\n")
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[sha256.Size*2:], b[sha256.Size*2:]) })
	return os.WriteFile(r.path("SHA256SUMS"), []byte(strings.Join(lines, "")), 0o644)
}

// command runs a program and returns what it prints. environment has name=value pairs.
func command(name string, args ...string) (string, error) { return commandIn(nil, name, args...) }

func commandIn(environment []string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), environment...)
	out, err := cmd.Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(string(failed.Stderr)))
	}
	return string(out), err
}
