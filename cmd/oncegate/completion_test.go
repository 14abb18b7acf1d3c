package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// have skips where a shell is not installed.
func have(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skip(err)
	}
}

// completionFile is the script of a shell, in a file.
func completionFile(t *testing.T, shell string) string {
	t.Helper()
	text, err := runVerb(t, "help", "--completion", shell)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "completion")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestBashCompletes asks bash itself: each verb with all of its flags, and files after a flag
// with a value.
func TestBashCompletes(t *testing.T) {
	have(t, "bash")
	script := completionFile(t, "bash")
	complete := func(words ...string) []string {
		t.Helper()
		out, err := exec.Command("bash", append([]string{"-c", `. "$0"; COMP_WORDS=(oncegate "$@"); COMP_CWORD=$#; _oncegate; printf '%s\n' "${COMPREPLY[@]}"`, script}, words...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return slices.Sorted(slices.Values(strings.Fields(string(out))))
	}
	if got, want := complete(""), slices.Sorted(slices.Values(verbNames())); !slices.Equal(got, want) {
		t.Errorf("first come %v, want %v", got, want)
	}
	for _, v := range verbs {
		var want []string
		for _, name := range flagsOf(t, v) {
			want = append(want, "--"+name)
		}
		if got := complete(v.name, "-"); !slices.Equal(got, want) {
			t.Errorf("%s takes %v, want %v", v.name, got, want)
		}
	}
	if got := complete("help", "si"); !slices.Equal(got, []string{"simulate"}) {
		t.Errorf("help si is completed to %v", got)
	}
	for _, words := range [][]string{{"put", "--url", "-"}, {"put", "photo"}, {"nothing", "-"}} {
		if got := complete(words...); len(got) != 0 {
			t.Errorf("%v is completed to %v, want nothing but files", words, got)
		}
	}
	if got := complete("put", "--json", "--sh"); !slices.Equal(got, []string{"--sha256"}) {
		t.Errorf("after a flag without a value come %v", got)
	}
}

// TestFishCompletes asks fish itself.
func TestFishCompletes(t *testing.T) {
	have(t, "fish")
	script := completionFile(t, "fish")
	complete := func(line string) (words []string) {
		t.Helper()
		out, err := exec.Command("fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", script, line).Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			words = append(words, strings.Fields(line)[0])
		}
		return slices.Sorted(slices.Values(words))
	}
	if got, want := complete("oncegate "), slices.Sorted(slices.Values(verbNames())); !slices.Equal(got, want) {
		t.Errorf("first come %v, want %v", got, want)
	}
	for _, v := range verbs {
		var want []string
		for _, name := range flagsOf(t, v) {
			want = append(want, "--"+name)
		}
		if got := complete("oncegate " + v.name + " --"); !slices.Equal(got, want) {
			t.Errorf("%s takes %v, want %v", v.name, got, want)
		}
	}
}

// TestZshReads has zsh read its script, and looks for the flags in it.
func TestZshReads(t *testing.T) {
	script := completionFile(t, "zsh")
	text, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range verbs {
		_, section, found := strings.Cut(string(text), "\n"+v.name+")\n")
		section, _, _ = strings.Cut(section, ";;")
		if !found || !strings.Contains(string(text), "'"+v.name+":") {
			t.Errorf("there is no %s", v.name)
		}
		for _, name := range flagsOf(t, v) {
			if !strings.Contains(section, "'*--"+name+"'") && !strings.Contains(section, "'*--"+name+"=:") {
				t.Errorf("%s has no --%s", v.name, name)
			}
		}
	}
	have(t, "zsh")
	if out, err := exec.Command("zsh", "-n", script).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestManPage: groff makes of it what help prints, word for word, without a warning.
func TestManPage(t *testing.T) {
	text, err := runVerb(t, "help", "--man")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range verbs {
		if !strings.Contains(text, "\n.SH ONCEGATE "+strings.ToUpper(v.name)+"\n") {
			t.Errorf("there is no section of %s", v.name)
		}
	}
	have(t, "groff")
	cmd := exec.Command("groff", "-man", "-Tascii", "-P-c", "-ww", "-rLL=200n")
	cmd.Stdin = strings.NewReader(text)
	var warnings strings.Builder
	cmd.Stderr = &warnings
	out, err := cmd.Output()
	if err != nil || warnings.Len() > 0 {
		t.Fatalf("%v: %s", err, &warnings)
	}
	shown := strings.Join(strings.Fields(string(out)), " ")
	for _, v := range verbs {
		if !strings.Contains(shown, strings.Join(strings.Fields(v.help), " ")) {
			t.Errorf("the help of %s is shown in another way", v.name)
		}
	}
}

func TestHelpInOtherFormsRefuses(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"help", "--completion", "csh"}, `--completion is "csh": allowed are bash, fish and zsh`},
		{[]string{"help", "--completion"}, "want oncegate help --completion bash"},
		{[]string{"help", "--man", "put"}, `unexpected argument "put"`},
		{[]string{"help", "--html"}, "unknown flag --html: there are --completion, --man"},
	} {
		if _, err := runVerb(t, tt.args...); err == nil || !strings.Contains(err.Error(), tt.want) || exitStatus(err) != 2 {
			t.Errorf("%v: %v, want %q", tt.args, err, tt.want)
		}
	}
}
