package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// standIn plays CDK's command line with CloudFormation behind it: which state the stack is
// in, and how many tries of a deletion still meet replicas. A stack whose creation failed is
// deleted before it is deployed, which fails as the deletion does.
const standIn = `#!/bin/sh
echo "${ONCEGATE_DETACH:+detached }$*" >>calls
state=$(cat state)
replicas=$(cat replicas)
delete() {
  if [ "$replicas" -gt 0 ]; then
    echo $((replicas - 1)) >replicas
    echo DELETE_FAILED >state
    echo "Lambda was unable to delete it because it is a replicated function." >&2
    exit 1
  fi
  echo none >state
}
case "$state $1" in
*" destroy") delete ;;
"ROLLBACK_FAILED deploy") delete; echo CREATE_COMPLETE >state ;;
"DELETE_FAILED deploy") exit 1 ;;
*" deploy") echo UPDATE_COMPLETE >state ;;
*) exit 2 ;;
esac
`

// TestDestroy runs what make destroy runs, from every state that a stack can be left in.
func TestDestroy(t *testing.T) {
	script, err := filepath.Abs("../tools/destroy.sh")
	if err != nil {
		t.Fatal(err)
	}
	const deploy, destroy = "detached deploy Edge --exclusively --require-approval never", "destroy Edge Regional --force"
	for _, tt := range []struct {
		name, state, replicas string
		options               []string
		want                  []string
		gone                  bool
	}{
		{"a live deployment", "UPDATE_COMPLETE", "2", []string{"--detach"}, []string{deploy, destroy, destroy, destroy}, true},
		{"a rolled back update", "UPDATE_ROLLBACK_COMPLETE", "0", []string{"--detach"}, []string{deploy, destroy}, true},
		{"a first deploy that could not be rolled back", "ROLLBACK_FAILED", "2", []string{"--detach"}, []string{deploy, destroy, destroy}, true},
		{"a destroy that was broken off", "DELETE_FAILED", "1", []string{"--detach"}, []string{deploy, destroy, destroy}, true},
		{"step 2 alone", "ROLLBACK_FAILED", "1", nil, []string{destroy, destroy}, true},
		{"replicas that stay", "ROLLBACK_FAILED", "1000", nil, slices.Repeat([]string{destroy}, 96), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, content := range map[string]string{"state": tt.state, "replicas": tt.replicas, "cdk": standIn, "sleep": "#!/bin/sh\n"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			command := exec.CommandContext(t.Context(), script, append(tt.options, "Edge Regional", "./cdk")...)
			command.Dir = dir
			command.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
			output, err := command.CombinedOutput()
			if (err == nil) != tt.gone {
				t.Errorf("%v, want success: %v\n%s", err, tt.gone, output)
			}
			calls, err := os.ReadFile(filepath.Join(dir, "calls"))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Split(strings.TrimSpace(string(calls)), "\n"); !slices.Equal(got, tt.want) {
				t.Errorf("called\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			if !strings.Contains(string(output), "The bucket, its policy, the table of the index and their stack stay.") {
				t.Errorf("does not say what stays:\n%s", output)
			}
			if state, err := os.ReadFile(filepath.Join(dir, "state")); err != nil || (strings.TrimSpace(string(state)) == "none") != tt.gone {
				t.Errorf("the stack is %s, %v", state, err)
			}
		})
	}
}
