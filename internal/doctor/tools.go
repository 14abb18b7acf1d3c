package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

var versionNumber = regexp.MustCompile(`(\d+)\.(\d+)(\.\d+)*`)

// tool: whether a program is there, in this version or a newer one.
func (r *run) tool(ctx context.Context, major, minor int, name string, args ...string) Line {
	if r.o.Tool == nil {
		return found(Skipped, "programs were not asked for")
	}
	wanted := fmt.Sprintf("%s %d.%d or newer", name, major, minor)
	out, err := r.o.Tool(ctx, name, args...)
	if err != nil {
		return found(Fail, "there is no %s: %v", name, err).do("install %s", wanted)
	}
	is := versionNumber.FindStringSubmatch(out)
	if is == nil {
		return found(Unclear, "%s does not say its version", name).do("%s is needed", wanted)
	}
	m, _ := strconv.Atoi(is[1])
	n, _ := strconv.Atoi(is[2])
	if m < major || m == major && n < minor {
		return found(Fail, "%s %s", name, is[0]).do("install %s", wanted)
	}
	return found(OK, "%s %s", name, is[0])
}

func (r *run) goVersion(ctx context.Context) Line   { return r.tool(ctx, 1, 26, "go", "version") }
func (r *run) nodeVersion(ctx context.Context) Line { return r.tool(ctx, 20, 0, "node", "--version") }
func (r *run) npmVersion(ctx context.Context) Line  { return r.tool(ctx, 9, 0, "npm", "--version") }

// cdkVersion: whether the CDK's command line is the one that package.json pins.
func (r *run) cdkVersion(context.Context) Line {
	var pinned struct{ Dependencies, DevDependencies map[string]string }
	var installed struct{ Version string }
	switch err := readFile(filepath.Join(r.o.Dir, "package.json"), &pinned); {
	case errors.Is(err, fs.ErrNotExist):
		return found(Skipped, "this is not the repository's folder")
	case err != nil:
		return found(Unclear, "package.json: %v", err)
	}
	want := pinned.Dependencies["aws-cdk"] + pinned.DevDependencies["aws-cdk"]
	if want == "" {
		return found(Skipped, "package.json here pins no CDK")
	}
	switch err := readFile(filepath.Join(r.o.Dir, "node_modules", "aws-cdk", "package.json"), &installed); {
	case err != nil:
		return found(Fail, "the CDK's command line is not installed").do("make build")
	case installed.Version != want:
		return found(Fail, "cdk %s, and package.json pins %s", installed.Version, want).do("make build")
	}
	return found(OK, "cdk %s", want)
}

func readFile(path string, out any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, out)
}
