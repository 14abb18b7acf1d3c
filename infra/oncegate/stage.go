package oncegate

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"oncegate/infra/stack"
	"oncegate/internal/config"
)

// stage copies what was built into a directory of its own and packs the settings beside it, as
// make build does, so that one build serves any number of gates. CDK takes its own copy when
// the functions are made; then remove takes this one away.
func stage(build string, conf config.Config) (o stack.Options, remove func(), err error) {
	dir, err := os.MkdirTemp("", "oncegate")
	if err != nil {
		return stack.Options{}, nil, fmt.Errorf("pack the functions: %w", err)
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	o = stack.Options{
		Artifact: filepath.Join(dir, "edge"), Stub: filepath.Join(dir, "stub"),
		Regional: filepath.Join(dir, "regional"), Accept: filepath.Join(dir, "accept"),
	}
	wanted := []string{"edge"}
	if conf.Deploy.Runtime == config.RuntimeRegional {
		wanted = []string{"stub", "regional"}
	}
	if conf.Acceptance.On {
		wanted = append(wanted, "accept")
	}
	for _, name := range wanted {
		to := filepath.Join(dir, name)
		if err := pack(filepath.Join(build, name), to, conf); err != nil {
			return stack.Options{}, nil, fmt.Errorf("%w: run make build regional accept in the clone of oncegate, and name its directory build", err)
		}
	}
	asked, err := json.Marshal(conf.Stub())
	if err == nil && conf.Deploy.Runtime == config.RuntimeRegional {
		err = os.WriteFile(filepath.Join(o.Stub, "settings.json"), asked, 0o644)
	}
	if err != nil {
		return stack.Options{}, nil, fmt.Errorf("pack the functions: %w", err)
	}
	return o, func() { os.RemoveAll(dir) }, nil
}

// pack copies the files of from, which has no directories, and writes the settings.
func pack(from, to string, conf config.Config) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return fmt.Errorf("built files: %w", err)
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(filepath.Join(from, entry.Name()))
		if err != nil {
			return err
		}
		// The modes are part of the zip, and so of what makes a version of a function new.
		if err := os.WriteFile(filepath.Join(to, entry.Name()), data, info.Mode().Perm()); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(to, "config.json"), conf.JSON(), 0o644)
}
