package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// linked is a package of a program, as go list says it.
type linked struct {
	ImportPath, Dir string
	Standard        bool
	Module          *module
}

type module struct{ Path, Version, Sum, Dir string }

// listLinked lists the packages that programs of the module in dir are made of.
func listLinked(dir string, environment []string, args ...string) (all []linked, err error) {
	said, err := commandIn(environment, "go", append([]string{"-C", dir, "list", "-deps", "-json=ImportPath,Dir,Standard,Module"}, args...)...)
	if err != nil {
		return nil, err
	}
	for d := json.NewDecoder(strings.NewReader(said)); ; {
		var l linked
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
}

// licenceFile is the name of a file that has to go with a program.
var licenceFile = regexp.MustCompile(`^(LICEN[CS]E|COPYING|NOTICE|PATENTS)([.-].*)?$`)

// licences are the texts that a program's packages of others ask to go with it: those of each
// package's folder and the folders above it, up to its module's root, and Go's own.
func licences(environment []string, args ...string) ([]byte, error) {
	packages, err := listLinked(".", environment, args...)
	if err != nil {
		return nil, err
	}
	goroot, err := command("go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	texts := map[string][]byte{} // by what they are of
	if err := addLicences(texts, "Go", strings.TrimSpace(goroot), "."); err != nil {
		return nil, err
	}
	for _, p := range packages {
		if p.Standard || p.Module == nil || p.Module.Version == "" { // ours have no version
			continue
		}
		below, err := filepath.Rel(p.Module.Dir, p.Dir)
		if err != nil {
			return nil, err
		}
		if err := addLicences(texts, p.Module.Path+" "+p.Module.Version, p.Module.Dir, below); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	for _, of := range slices.Sorted(maps.Keys(texts)) {
		fmt.Fprintf(&b, "%s\n%s\n\n%s\n\n", of, strings.Repeat("=", len(of)), bytes.TrimSpace(texts[of]))
	}
	return b.Bytes(), nil
}

// addLicences reads the licences of a folder below a module's root and of the folders
// above it. A module without any is an error.
func addLicences(texts map[string][]byte, of, root, below string) error {
	found := false
	for {
		entries, err := os.ReadDir(filepath.Join(root, below))
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.IsDir() || !licenceFile.MatchString(e.Name()) {
				continue
			}
			found = true
			name := filepath.ToSlash(filepath.Join(below, e.Name()))
			if texts[of+": "+name], err = os.ReadFile(filepath.Join(root, below, e.Name())); err != nil {
				return err
			}
		}
		if below == "." {
			break
		}
		below = filepath.Dir(below)
	}
	if !found {
		return fmt.Errorf("%s has no licence", of)
	}
	return nil
}
