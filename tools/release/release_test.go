package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"oncegate/internal/cfn"
	"oncegate/internal/cfn/check"
	"oncegate/internal/config"
	"oncegate/internal/evidence/testbed"
)

func TestCheckVersion(t *testing.T) {
	for _, good := range []string{"0.1.0", "1.2.3", "10.0.0-rc.1"} {
		if err := checkVersion(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "v1.2.3", "1.2", "1.02.3", "1.2.3+a", "1.2.3-", "1.2.3 ", "../1.2.3", "1.2.3-a/b"} {
		if err := checkVersion(bad); err == nil || !strings.Contains(err.Error(), "such as 1.2.3") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestArchives: the order of the files does not matter, and everything is of the given time,
// of nobody, and of one mode.
func TestArchives(t *testing.T) {
	at := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	files := []file{{name: "b/run", data: []byte("program"), run: true}, {name: "a", data: []byte("text")}}
	for _, pack := range []func([]file, time.Time) ([]byte, error){packTar, packZip} {
		one, err := pack(files, at)
		if err != nil {
			t.Fatal(err)
		}
		other, err := pack([]file{files[1], files[0]}, at)
		if err != nil || !bytes.Equal(one, other) {
			t.Errorf("another order gives another archive: %v", err)
		}
	}
	packed, _ := packTar(files, at)
	plain, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	r := tar.NewReader(plain)
	for _, want := range []struct {
		name string
		mode int64
		text string
	}{{"a", 0o644, "text"}, {"b/run", 0o755, "program"}} {
		h, err := r.Next()
		if err != nil || h.Name != want.name || h.Mode != want.mode || h.Uid != 0 || h.Gid != 0 || h.Uname != "" || !h.ModTime.Equal(at) {
			t.Fatalf("%+v, %v", h, err)
		}
		if text, err := io.ReadAll(r); string(text) != want.text {
			t.Errorf("%s holds %q, %v", h.Name, text, err)
		}
	}
	packed, _ = packZip(files, zipTime)
	z, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		t.Fatal(err)
	}
	if f := z.File[1]; f.Name != "b/run" || f.Mode() != 0o755 || !f.Modified.Equal(zipTime) {
		t.Errorf("%+v %v", f.FileHeader, f.Mode())
	}
}

// plainAssembly is what a release has of an assembly, in a directory, with these settings
// beside the templates.
func plainAssembly(t *testing.T, settings string) string {
	t.Helper()
	files, err := plainTemplates(testbed.Assembly(t, map[string]any{"bucket": "bucket-of-the-test"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files = append(files, file{name: codeDirectory + "/config.json", data: []byte(settings)})
	for _, f := range files {
		to := filepath.Join(dir, f.name)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, f.data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// problems are what oncegate dev would say of the templates with these settings.
func problems(t *testing.T, settings string) (all []string) {
	t.Helper()
	d, err := cfn.Read(plainAssembly(t, settings))
	if err != nil {
		t.Fatal(err)
	}
	conf, err := config.Parse([]byte(settings))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range check.Deployment(d, conf) {
		all = append(all, p.String())
	}
	return all
}

// TestPlainTemplates: they keep every promise, need nothing of the CDK, and do not fit another
// bucket.
func TestPlainTemplates(t *testing.T) {
	if p := problems(t, `{"bucket": "bucket-of-the-test"}`); len(p) > 0 {
		t.Errorf("the templates break %q", p)
	}
	if p := problems(t, `{"bucket": "another-bucket"}`); len(p) == 0 {
		t.Error("the templates fit any bucket")
	}
	dir := plainAssembly(t, `{"bucket": "bucket-of-the-test"}`)
	for _, name := range []string{"Bucket", "Edge"} {
		var template struct {
			Parameters map[string]struct{ Default *string }
			Rules      map[string]any
			Resources  map[string]struct {
				Type       string
				Properties struct{ Code, Description any }
			}
		}
		text, err := os.ReadFile(filepath.Join(dir, name+".template.json"))
		if err == nil {
			err = json.Unmarshal(text, &template)
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "bucket-of-the-test") || strings.Contains(string(text), "Bootstrap") {
			t.Errorf("%s names the bucket, or the bootstrap", name)
		}
		for _, parameter := range []string{bucketParameter, "DeployedBucket"} {
			if p, ok := template.Parameters[parameter]; !ok || p.Default != nil {
				t.Errorf("%s: %s is there %t, with a default %t", name, parameter, ok, p.Default != nil)
			}
		}
		if template.Rules["BucketStays"] == nil {
			t.Errorf("%s: nothing holds the bucket", name)
		}
		functions := 0
		for id, r := range template.Resources {
			switch r.Type {
			case "AWS::Lambda::Function":
				functions++
				if r.Properties.Code != codeDirectory {
					t.Errorf("%s has the code %v", id, r.Properties.Code)
				}
			case "AWS::Lambda::Version":
				if d, _ := r.Properties.Description.(map[string]any); d["Ref"] != revisionParameter {
					t.Errorf("%s has the description %v", id, r.Properties.Description)
				}
			}
		}
		if (functions > 0) != (name == "Edge") {
			t.Errorf("%s has %d functions", name, functions)
		}
	}
}

// TestPlainTemplatesRefuse: what would not be what it says is no release.
func TestPlainTemplatesRefuse(t *testing.T) {
	for name, settings := range map[string]map[string]any{
		"regional functions": {"bucket": "bucket-of-the-test", "runtime": "regional"},
		"acceptance":         {"bucket": "bucket-of-the-test", "acceptance": true},
	} {
		if _, err := plainTemplates(testbed.Assembly(t, settings, nil)); err == nil || !strings.Contains(err.Error(), "the code for the edge alone") {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := plain{bucket: "b-b-b"}
	if _, err := p.name("s3://b-b-b/${x}"); err == nil {
		t.Error("a text with ${ was taken")
	}
}

// other has another value than the default for each setting that one can change alone.
var other = map[string]string{
	"expires": `60`, "maxExpires": `3600`, "maxBytes": `1000`, "minBytes": `0`, "maxCount": `1`, "firstVersion": `"listed"`,
	"region": `"eu-west-1"`, "prefixes": `["invoices"]`, "tags": `["project"]`, "storageClass": `"STANDARD_IA"`, "allowedOrigins": `["https://a.example"]`, "multipart": `false`, "auth": `"api-key"`,
	"sha256": `true`, "writeOnce": `true`, "index": `"dynamodb"`, "acceptance": `true`, "page": `false`,
	"name": `"other"`, "runtime": `"regional"`, "memory": `512`, "timeout": `6`, "nodeRuntime": `"nodejs24.x"`,
	"keepExpiredDays": `40`, "keepUploadsDays": `1`, "priceClass": `"PriceClass_100"`, "waf": `true`, "accessLogs": `true`,
	"alarmEmail": `"ops@example.com"`, "alarmFailures": `2`, "alarmRefusals": `2`,
}

// besides are the settings that mean nothing alone, and existingBucket: the local edge makes
// that bucket as well, and CloudFormation says that it is there already.
var besides = []string{"bucket", "ownerApi", "versioned", "regionalMemory", "domain", "certificateArn", "wafRate", "existingBucket", "kmsKey"}

// TestSettingsThatFit holds docs/releases.md to what the templates fit.
func TestSettingsThatFit(t *testing.T) {
	for _, f := range config.Fields() {
		if _, ok := other[f.Name]; !ok && !slices.Contains(besides, f.Name) {
			t.Errorf("no other value of %s is tried", f.Name)
		}
	}
	var fit []string
	for name, value := range other {
		settings := `{"bucket": "bucket-of-the-test", "` + name + `": ` + value + `}`
		if name == "maxExpires" {
			settings = strings.Replace(settings, "{", `{"expires": 60, `, 1)
		}
		if len(problems(t, settings)) == 0 {
			fit = append(fit, name)
		}
	}
	slices.Sort(fit)
	page, err := os.ReadFile("../../docs/releases.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n### Settings that fit\n\n")
	section, _, _ = strings.Cut(section, "\n\n")
	var documented []string
	for _, m := range regexp.MustCompile("`([a-zA-Z0-9]+)`").FindAllStringSubmatch(section, -1) {
		documented = append(documented, m[1])
	}
	slices.Sort(documented)
	if !slices.Equal(fit, documented) {
		t.Errorf("the templates fit %q, and docs/releases.md says %q", fit, documented)
	}
}
