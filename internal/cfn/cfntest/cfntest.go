// Package cfntest changes synthesized templates, for tests that break one thing of a
// deployment and want it noticed.
package cfntest

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Object is a JSON object.
type Object = map[string]any

// Template is a CloudFormation template.
type Template Object

// Templates are those of one deployment. Regional is nil unless the functions decide
// in the bucket's Region.
type Templates struct{ Bucket, Edge, Regional Template }

// Changed copies the assembly in dir, has change alter its templates and returns the
// copy. A change that changes nothing fails the test.
func Changed(t testing.TB, dir string, change func(*Templates)) string {
	t.Helper()
	out := t.TempDir()
	if err := os.CopyFS(out, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	templates := Load(t, dir)
	change(&templates)
	if reflect.DeepEqual(templates, Load(t, dir)) {
		t.Fatal("the templates are as they were")
	}
	templates.Write(t, out)
	return out
}

// Load reads the templates of the assembly in dir.
func Load(t testing.TB, dir string) Templates {
	t.Helper()
	var all Templates
	for name, template := range all.files() {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) && template == &all.Regional {
			continue
		}
		if err == nil {
			err = json.Unmarshal(data, template)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// Write puts the templates into dir, with old/new pairs replaced in their text.
func (t *Templates) Write(test testing.TB, dir string, replace ...string) {
	test.Helper()
	for name, template := range t.files() {
		if *template == nil {
			continue
		}
		data, err := json.Marshal(template)
		if err == nil {
			text := strings.NewReplacer(replace...).Replace(string(data))
			err = os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)
		}
		if err != nil {
			test.Fatal(err)
		}
	}
}

func (t *Templates) files() map[string]*Template {
	return map[string]*Template{
		"Bucket.template.json": &t.Bucket, "Edge.template.json": &t.Edge, "Regional.template.json": &t.Regional,
	}
}

// Resource is the one of this type whose logical id begins with prefix. It panics if
// there is none.
func (t Template) Resource(kind, prefix string) Object {
	for id, r := range t["Resources"].(Object) {
		if r := r.(Object); r["Type"] == kind && strings.HasPrefix(id, prefix) {
			return r
		}
	}
	panic("no " + kind + " " + prefix)
}

// Add puts a resource of this type into the template.
func (t Template) Add(id, kind string, properties Object) {
	t["Resources"].(Object)[id] = Object{"Type": kind, "Properties": properties}
}

// Properties are those of the Resource.
func (t Template) Properties(kind, prefix string) Object {
	return t.Resource(kind, prefix)["Properties"].(Object)
}

// Role is the policy document of a role's one policy.
func (t Template) Role(prefix string) Object {
	return t.Properties("AWS::IAM::Role", prefix)["Policies"].([]any)[0].(Object)["PolicyDocument"].(Object)
}

// RolePolicy is the policy document of the role that decides for Mint or Gate.
func (t *Templates) RolePolicy(function string) Object {
	if t.Regional != nil {
		return t.Regional.Role("Regional" + function + "Role")
	}
	return t.Edge.Role(function + "Role")
}

// BucketPolicy is the policy document of the bucket.
func (t *Templates) BucketPolicy() Object {
	return t.Bucket.Properties("AWS::S3::BucketPolicy", "")["PolicyDocument"].(Object)
}

// Distribution is the configuration of the distribution.
func (t *Templates) Distribution() Object {
	return t.Edge.Properties("AWS::CloudFront::Distribution", "")["DistributionConfig"].(Object)
}

// DefaultBehavior is the behavior of uploads.
func (t *Templates) DefaultBehavior() Object {
	return t.Distribution()["DefaultCacheBehavior"].(Object)
}

// Behavior is the behavior of these paths. It panics if there is none.
func (t *Templates) Behavior(pattern string) Object {
	for _, b := range t.Distribution()["CacheBehaviors"].([]any) {
		if b := b.(Object); b["PathPattern"] == pattern {
			return b
		}
	}
	panic("no behavior " + pattern)
}

// Origin is the distribution's one.
func (t *Templates) Origin() Object { return t.Distribution()["Origins"].([]any)[0].(Object) }

// AddRequestPolicy gives the template an origin request policy of its own, on every
// behavior: the whole query, no cookies, and these headers.
func (t *Templates) AddRequestPolicy(headers ...string) {
	const id = "OwnRequestPolicy"
	t.Edge.Add(id, "AWS::CloudFront::OriginRequestPolicy", Object{"OriginRequestPolicyConfig": Object{
		"Name": "own", "CookiesConfig": Object{"CookieBehavior": "none"}, "QueryStringsConfig": Object{"QueryStringBehavior": "all"},
		"HeadersConfig": Object{"HeaderBehavior": "whitelist", "Headers": headers},
	}})
	for _, b := range append(t.Distribution()["CacheBehaviors"].([]any), t.Distribution()["DefaultCacheBehavior"]) {
		b.(Object)["OriginRequestPolicyId"] = Object{"Ref": id}
	}
}

// WithoutPage takes the page for people off, as the setting does.
func (t Template) WithoutPage() {
	ofPage := func(id any) bool { return strings.HasPrefix(id.(string), "Page") }
	resources := t["Resources"].(Object)
	maps.DeleteFunc(resources, func(id string, _ any) bool { return ofPage(id) })
	for _, r := range resources {
		r := r.(Object)
		if list, ok := r["DependsOn"].([]any); ok {
			r["DependsOn"] = slices.DeleteFunc(list, ofPage)
		}
	}
	c := t.Properties("AWS::CloudFront::Distribution", "")["DistributionConfig"].(Object)
	c["CacheBehaviors"] = slices.DeleteFunc(c["CacheBehaviors"].([]any), func(b any) bool {
		return strings.HasPrefix(b.(Object)["PathPattern"].(string), "/upload")
	})
}

// ResponsePolicy is the configuration of the response headers policy.
func (t *Templates) ResponsePolicy() Object {
	return t.Edge.Properties("AWS::CloudFront::ResponseHeadersPolicy", "")["ResponseHeadersPolicyConfig"].(Object)
}

// Statement is the one of this sid in a policy document. It panics if there is none.
func Statement(document Object, sid string) Object {
	for _, s := range document["Statement"].([]any) {
		if s := s.(Object); s["Sid"] == sid {
			return s
		}
	}
	panic("no statement " + sid)
}

// Without removes the statement of this sid from a policy document.
func Without(document Object, sid string) {
	Statement(document, sid)
	document["Statement"] = slices.DeleteFunc(document["Statement"].([]any), func(s any) bool { return s.(Object)["Sid"] == sid })
}

// With adds a statement to a policy document.
func With(document, statement Object) {
	document["Statement"] = append(document["Statement"].([]any), statement)
}
