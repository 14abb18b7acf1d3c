//go:build !js

package tree

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// standIn is a program that says something and ends with a status.
type standIn struct {
	says   string
	status string
}

func (s standIn) write(t *testing.T, path string) {
	t.Helper()
	text := "#!/bin/sh\ncat <<'END'\n" + s.says + "\nEND\nexit " + s.status + "\n"
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

// What the tools say, as they were seen to, but for the names.
var (
	vulnsNone        = standIn{"=== Symbol Results ===\n\nNo vulnerabilities found.", "0"}
	vulnsFound       = standIn{"=== Symbol Results ===\n\nVulnerability #1: GO-2099-0001\n    dial tcp: no such host, in net. fetching vulnerabilities: never\n  More info: https://pkg.go.dev/vuln/GO-2099-0001", "3"}
	vulnsUnreachable = standIn{"govulncheck: fetching vulnerabilities: Get \"https://vuln.example/index/modules.json.gz\": dial tcp: lookup vuln.example: no such host", "1"}
	vulnsBroken      = standIn{"govulncheck: loading packages: dial tcp is what the code is about", "1"}

	auditNone        = standIn{"found 0 vulnerabilities", "0"}
	auditModerate    = standIn{"# npm audit report\n\na  <2\nSeverity: moderate\n\n1 moderate severity vulnerability", "0"}
	auditFound       = standIn{"# npm audit report\n\na  <2\nSeverity: high\na network request: ECONNREFUSED; audit endpoint returned an error\n\n1 high severity vulnerability", "1"}
	auditUnreachable = standIn{"npm warn audit request to http://registry.example failed, reason: connect ECONNREFUSED\n\nnpm error audit endpoint returned an error", "1"}
	auditRefused     = standIn{"npm warn audit 405 Method Not Allowed - POST https://registry.example\nnpm error audit endpoint returned an error", "1"}
	auditBroken      = standIn{"npm error code EUSAGE\nnpm error a network is not what is missing", "1"}
	auditSilent      = standIn{"", "0"}
)

// lintTree is a small tree with tools/lint.sh, .ci/run and stand-ins for every tool.
func lintTree(t *testing.T, vulns, audit, auditBelow standIn) (dir string, env []string) {
	t.Helper()
	if testing.Short() {
		t.Skip("it starts dozens of programs")
	}
	dir = t.TempDir()
	bin := filepath.Join(dir, "bin")
	for _, folder := range []string{"tools", ".ci", "below", "infra", "edge/wasm", "build/tools", "bin"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, script := range []string{"tools/lint.sh", ".ci/run"} {
		text, err := os.ReadFile(filepath.Join(root, script))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, script), text, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"a.go": "", "go.mod": "", "package-lock.json": "", "below/package-lock.json": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	quiet := standIn{"", "0"}
	for _, name := range []string{"bin/go", "bin/gofmt", "build/tools/staticcheck"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	quiet.write(t, filepath.Join(dir, ".ci/install"))
	vulns.write(t, filepath.Join(dir, "build/tools/govulncheck"))
	audit.write(t, filepath.Join(dir, "npm-here"))
	auditBelow.write(t, filepath.Join(dir, "below/npm-here"))
	if err := os.WriteFile(filepath.Join(bin, "npm"), []byte("#!/bin/sh\nexec ./npm-here\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "GO=")
	for _, args := range [][]string{{"init", "-q", "--template="}, {"add", "."}} {
		git := exec.Command("git", args...)
		git.Dir, git.Env = dir, env
		if out, err := git.CombinedOutput(); err != nil {
			t.Fatalf("git: %v %s", err, out)
		}
	}
	return dir, env
}

// script runs a script of the tree and returns the lines that it said.
func script(t *testing.T, dir string, env []string, name string) (lines []string, failed bool) {
	t.Helper()
	cmd := exec.Command(name)
	cmd.Path, cmd.Dir, cmd.Env = filepath.Join(dir, name), dir, env
	out, err := cmd.CombinedOutput()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n"), err != nil
}

func warnings(lines []string) (all []string) {
	for _, line := range lines {
		if strings.HasPrefix(line, "warning: ") {
			all = append(all, line)
		}
	}
	return all
}

const (
	noVulns = "warning: govulncheck did not run: its database of known vulnerabilities could not be read"
	noAudit = "warning: npm audit did not run in "
	noGive  = ": the registry did not give its advisories"
)

// TestLintWarns: where a tool cannot look up what is known, lint goes on and says so in its
// last lines, once for each tool. Where the tool has found something, or is broken, lint
// fails.
func TestLintWarns(t *testing.T) {
	for _, tt := range []struct {
		name               string
		vulns, here, below standIn
		fails              bool
		want               []string
	}{
		{"nothing known", vulnsNone, auditNone, auditNone, false, nil},
		{"nothing serious known", vulnsNone, auditModerate, auditNone, false, nil},
		{"no network", vulnsUnreachable, auditUnreachable, auditUnreachable, false, []string{noVulns, noAudit + "below ." + noGive}},
		{"no database for Go", vulnsUnreachable, auditNone, auditNone, false, []string{noVulns}},
		{"a registry that holds back", vulnsNone, auditRefused, auditRefused, false, []string{noAudit + "below ." + noGive}},
		{"a registry that holds back once", vulnsNone, auditNone, auditRefused, false, []string{noAudit + "below" + noGive}},
		{"a known hole in Go code", vulnsFound, auditNone, auditNone, true, nil},
		{"a known hole in a package", vulnsNone, auditFound, auditNone, true, nil},
		{"a known hole in a package below", vulnsNone, auditNone, auditFound, true, nil},
		{"a hole found, and nothing known of the rest", vulnsUnreachable, auditFound, auditRefused, true, []string{noVulns, noAudit + "below" + noGive}},
		{"govulncheck is broken", vulnsBroken, auditNone, auditNone, true, nil},
		{"npm is broken", vulnsNone, auditBroken, auditNone, true, nil},
		{"npm says nothing", vulnsNone, auditSilent, auditNone, true, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, env := lintTree(t, tt.vulns, tt.here, tt.below)
			lines, failed := script(t, dir, env, "tools/lint.sh")
			last := lines[len(lines)-min(len(lines), len(tt.want)):]
			if got := warnings(lines); failed != tt.fails || !slices.Equal(got, tt.want) || len(tt.want) > 0 && !slices.Equal(last, tt.want) {
				t.Errorf("failed %v, want %v; warnings %q, want %q as the last lines of\n%s", failed, tt.fails, got, tt.want, strings.Join(lines, "\n"))
			}
			for _, tool := range []standIn{tt.vulns, tt.here, tt.below} {
				if tool.status != "0" && !strings.Contains(strings.Join(lines, "\n"), tool.says) {
					t.Errorf("what a tool said is not shown: %q", tool.says)
				}
			}
		})
	}
}

// TestCIWarns: the tests say much after lint, so CI says its warnings again in the end,
// whether the tests pass or not.
func TestCIWarns(t *testing.T) {
	for _, tt := range []struct {
		name  string
		vulns standIn
		tests string // exit status
		fails bool
		want  []string
	}{
		{"all is well", vulnsNone, "0", false, nil},
		{"something did not run", vulnsUnreachable, "0", false, []string{noVulns, noVulns}},
		{"and the tests fail", vulnsUnreachable, "1", true, []string{noVulns, noVulns}},
		{"lint fails", vulnsFound, "0", true, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, env := lintTree(t, tt.vulns, auditNone, auditNone)
			makes := "#!/bin/sh\nif [ $1 = lint ]; then exec tools/lint.sh; fi\necho ok much\nexit " + tt.tests + "\n"
			if err := os.WriteFile(filepath.Join(dir, "bin/make"), []byte(makes), 0o700); err != nil {
				t.Fatal(err)
			}
			lines, failed := script(t, dir, env, ".ci/run")
			if got := warnings(lines); failed != tt.fails || !slices.Equal(got, tt.want) || len(tt.want) > 0 && lines[len(lines)-1] != tt.want[0] {
				t.Errorf("failed %v, want %v; warnings %q, want %q, one of them last, in\n%s", failed, tt.fails, got, tt.want, strings.Join(lines, "\n"))
			}
			if tested := slices.Contains(lines, "ok much"); tested != (tt.name != "lint fails") {
				t.Errorf("the tests ran: %v", tested)
			}
		})
	}
}
