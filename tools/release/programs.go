package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// system is one for which the command line is made.
type system struct{ os, arch string }

var systems = []system{
	{"darwin", "amd64"}, {"darwin", "arm64"},
	{"linux", "amd64"}, {"linux", "arm64"},
	{"windows", "amd64"}, {"windows", "arm64"},
}

func (s system) String() string { return s.os + "_" + s.arch }

// environment has the go command work for the system.
func (s system) environment() []string {
	return []string{"GOOS=" + s.os, "GOARCH=" + s.arch, "CGO_ENABLED=0"}
}

// program is the command line's file name there.
func (s system) program() string {
	if s.os == "windows" {
		return "oncegate.exe"
	}
	return "oncegate"
}

// archive is the name of the release's file for the system.
func (r release) archive(s system) string {
	if s.os == "windows" {
		return r.name(s.String() + ".zip")
	}
	return r.name(s.String() + ".tar.gz")
}

// build compiles the command line. Nothing of this machine goes into it: no paths
// (-trimpath), no id of the build, and no state of a clone, whose tags may differ (-buildvcs).
func (r release) build(environment []string, to string) error {
	flags := fmt.Sprintf("-s -w -buildid= -X main.releaseVersion=%s -X main.releaseCommit=%s -X main.releaseDate=%s",
		r.version, r.commit, r.time.Format(time.RFC3339))
	_, err := commandIn(environment, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags="+flags, "-o", to, "./cmd/oncegate")
	return err
}

// programs makes an archive for each system: the program, what shells complete it by, its
// man page, and the licences of all that is in it.
func (r release) programs() error {
	scratch, err := os.MkdirTemp("", "oncegate-release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	common, err := r.manuals(filepath.Join(scratch, "here"))
	if err != nil {
		return err
	}
	for _, s := range systems {
		fmt.Println("compiling", s)
		to := filepath.Join(scratch, s.String(), s.program())
		if err := r.build(s.environment(), to); err != nil {
			return err
		}
		data, err := os.ReadFile(to)
		if err != nil {
			return err
		}
		licences, err := licences(s.environment(), "./cmd/oncegate")
		if err != nil {
			return err
		}
		files := append(common, file{name: s.program(), data: data, run: true}, file{name: "LICENSES-OF-OTHERS.txt", data: licences})
		if err := pack(r.path(r.archive(s)), under(r.name(s.String()), files), r.time); err != nil {
			return err
		}
	}
	return nil
}

// manuals are what a program prints about itself, and the licence. A program of this machine
// prints them.
func (r release) manuals(here string) ([]file, error) {
	if err := r.build([]string{"CGO_ENABLED=0", "GOOS=", "GOARCH="}, here); err != nil {
		return nil, err
	}
	licence, err := os.ReadFile("LICENSE")
	if err != nil {
		return nil, err
	}
	files := []file{{name: "LICENSE", data: licence}}
	for _, f := range []struct {
		name string
		args []string
	}{
		{"man/oncegate.1", []string{"help", "--man"}},
		{"completion/oncegate.bash", []string{"help", "--completion", "bash"}},
		{"completion/oncegate.fish", []string{"help", "--completion", "fish"}},
		{"completion/_oncegate", []string{"help", "--completion", "zsh"}},
	} {
		text, err := command(here, f.args...)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name: f.name, data: []byte(text)})
	}
	return files, nil
}
