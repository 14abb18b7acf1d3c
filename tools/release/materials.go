package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Where a component of the bill of materials is.
const (
	inProgram = "command line"
	inEdge    = "edge functions"
	inBuild   = "build"
)

// component is one entry of a bill of materials in CycloneDX:
// https://cyclonedx.org/docs/1.6/json/#components
type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	Scope      string     `json:"scope,omitempty"`
	Hashes     []hash     `json:"hashes,omitempty"`
	PURL       string     `json:"purl"`
	Properties []property `json:"properties,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// bill collects components by their package URL.
type bill map[string]*component

// add says that a component is somewhere. What is only in the build is not shipped.
func (b bill) add(where, purl, name, version string, hashes []hash, more ...property) {
	c := b[purl]
	if c == nil {
		c = &component{Type: "library", Ref: purl, Name: name, Version: version, Hashes: hashes, PURL: purl, Properties: more}
		b[purl] = c
	}
	in := property{"oncegate:in", where}
	if !slices.Contains(c.Properties, in) {
		c.Properties = append(c.Properties, in)
	}
	c.Scope = "required"
	if !slices.ContainsFunc(c.Properties, func(p property) bool { return p.Name == in.Name && p.Value != inBuild }) {
		c.Scope = "excluded"
	}
}

// addModule adds a Go module. sum is what go.sum says of it.
func (b bill) addModule(where, name, version, sum string) {
	var more []property
	if sum != "" {
		more = append(more, property{"oncegate:go.sum", sum})
	}
	b.add(where, "pkg:golang/"+name+"@"+version, name, version, nil, more...)
}

// materials writes the bill of materials: what the programs say that is in them, what the go
// command says that the edge functions and the CDK app are made of, and what npm brings for
// the build.
func (r release) materials() error {
	b := bill{}
	for _, s := range systems {
		info, err := r.buildInfo(s)
		if err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
		for _, m := range info.Deps {
			b.addModule(inProgram, m.Path, m.Version, m.Sum)
		}
	}
	edge, err := listLinked(".", []string{"GOOS=js", "GOARCH=wasm"}, "-tags", "edge,jwt", "./edge/wasm")
	if err != nil {
		return err
	}
	infra, err := listLinked("infra", nil, ".")
	if err != nil {
		return err
	}
	b.addLinked(inEdge, edge)
	b.addLinked(inBuild, infra)
	for _, where := range []string{inProgram, inEdge, inBuild} {
		b.addModule(where, "std", strings.TrimPrefix(runtime.Version(), "go"), "")
	}
	if err := b.addLock("package-lock.json"); err != nil {
		return err
	}
	return r.writeBill(b)
}

func (r release) writeBill(b bill) error {
	all := []*component{}
	for _, purl := range slices.Sorted(maps.Keys(b)) {
		all = append(all, b[purl])
	}
	self := "pkg:generic/oncegate@" + r.version
	text, err := json.MarshalIndent(object{
		"$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
		"metadata": object{
			"timestamp": r.time.Format(time.RFC3339),
			"component": component{
				Type: "application", Ref: self, Name: "oncegate", Version: r.version, PURL: self,
				Properties: []property{{"oncegate:commit", r.commit}},
			},
		},
		"components": all,
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(r.path(r.name("materials.cdx.json")), append(text, '\n'), 0o644)
}

// addLinked adds the modules whose packages a program is made of.
func (b bill) addLinked(where string, packages []linked) {
	for _, p := range packages {
		if !p.Standard && p.Module != nil && p.Module.Version != "" && p.Module.Path != "oncegate" {
			b.addModule(where, p.Module.Path, p.Module.Version, p.Module.Sum)
		}
	}
}

// addLock adds what a package-lock.json pins.
func (b bill) addLock(name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var lock struct {
		Packages map[string]struct{ Name, Version, Integrity string }
	}
	if err := json.Unmarshal(data, &lock); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for place, p := range lock.Packages {
		if place == "" {
			continue // this project
		}
		if p.Name == "" { // it has one only where it differs from its place
			p.Name = place[strings.LastIndex(place, "node_modules/")+len("node_modules/"):]
		}
		digest, isSHA512 := strings.CutPrefix(p.Integrity, "sha512-")
		sum, err := base64.StdEncoding.DecodeString(digest)
		if err != nil || !isSHA512 || p.Name == "" || p.Version == "" {
			return fmt.Errorf("%s: %s has no name, version or SHA-512", name, place)
		}
		// In a package URL the @ of a scope is escaped: https://github.com/package-url/purl-spec
		purl := "pkg:npm/" + strings.Replace(p.Name, "@", "%40", 1) + "@" + p.Version
		b.add(inBuild, purl, p.Name, p.Version, []hash{{"SHA-512", hex.EncodeToString(sum)}})
	}
	return nil
}

// buildInfo is what the program in an archive of the release says of itself.
func (r release) buildInfo(s system) (*buildinfo.BuildInfo, error) {
	name := path.Join(r.name(s.String()), s.program())
	data, err := unpack(r.path(r.archive(s)), name)
	if err != nil {
		return nil, err
	}
	return buildinfo.Read(bytes.NewReader(data))
}

// unpack reads one file of an archive.
func unpack(archive, name string) ([]byte, error) {
	if filepath.Ext(archive) == ".zip" {
		z, err := zip.OpenReader(archive)
		if err != nil {
			return nil, err
		}
		defer z.Close()
		f, err := z.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return io.ReadAll(f)
	}
	f, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	zipped, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	for r := tar.NewReader(zipped); ; {
		header, err := r.Next()
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", archive, name, err)
		}
		if header.Name == name {
			return io.ReadAll(r)
		}
	}
}
