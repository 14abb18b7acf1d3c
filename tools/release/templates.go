package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"oncegate/internal/cfn"
)

// What make build and the CDK app have made.
const (
	edgeDirectory = "build/edge"
	synthesized   = "build/cdk.out"
)

// zipTime is the time of everything in the zip of the edge functions, the first that a zip
// knows: the same code is the same zip in every release. The CDK takes the same one.
var zipTime = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// edge makes the zip of the edge functions, with the settings of config.json.
func (r release) edge() error {
	files, err := readFiles(edgeDirectory)
	if err != nil {
		return err
	}
	return pack(r.path(r.name("edge.zip")), files, zipTime)
}

// templates makes an archive of templates that the AWS CLI deploys by itself, with the code
// of the functions beside them.
func (r release) templates() error {
	files, err := plainTemplates(synthesized)
	if err != nil {
		return err
	}
	code, err := readFiles(edgeDirectory)
	if err != nil {
		return err
	}
	others, err := licences([]string{"GOOS=js", "GOARCH=wasm"}, "-tags", "edge,jwt", "./edge/wasm")
	if err != nil {
		return err
	}
	files = append(files, under(codeDirectory, code)...)
	files = append(files, file{name: "README.md", data: readme}, file{name: "LICENSES-OF-OTHERS.txt", data: others})
	return pack(r.path(r.name("templates.tar.gz")), under(r.name("templates"), files), r.time)
}

//go:embed templates.md
var readme []byte

// object is a JSON object.
type object = map[string]any

// Parameters of the templates.
const (
	bucketParameter   = "BucketName"
	revisionParameter = "Revision"
)

// codeDirectory is where the functions' code is, beside the templates.
const codeDirectory = "edge"

// plainTemplates are the templates of an assembly of the CDK without what only the CDK can
// deploy, and a manifest by which oncegate dev plays them. The bucket's name is a parameter.
func plainTemplates(assembly string) ([]file, error) {
	deployment, err := cfn.Read(assembly)
	if err != nil {
		return nil, err
	}
	manifest, err := readObject(filepath.Join(assembly, "manifest.json"))
	if err != nil {
		return nil, err
	}
	p := plain{bucket: deployment.Bucket.BucketName, artifacts: object{}}
	artifacts, _ := manifest["artifacts"].(object)
	for _, id := range slices.Sorted(maps.Keys(artifacts)) {
		artifact, _ := artifacts[id].(object)
		if artifact["type"] == "aws:cloudformation:stack" {
			if err := p.stack(assembly, id, artifact); err != nil {
				return nil, fmt.Errorf("stack %s: %w", id, err)
			}
		}
	}
	// Fields: https://docs.aws.amazon.com/cdk/api/v2/docs/@aws-cdk_cloud-assembly-schema.AwsCloudFormationStackProperties.html
	return p.files, p.write("manifest.json", object{"version": manifest["version"], "artifacts": p.artifacts})
}

// plain collects what is made of an assembly.
type plain struct {
	bucket    string
	artifacts object
	files     []file
}

func (p *plain) write(name string, value object) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	err := e.Encode(value)
	p.files = append(p.files, file{name: name, data: b.Bytes()})
	return err
}

// stack makes the template of one stack, and what the manifest says of it.
func (p *plain) stack(assembly, id string, artifact object) error {
	properties, _ := artifact["properties"].(object)
	name, _ := properties["templateFile"].(string)
	template, err := readObject(filepath.Join(assembly, name))
	if err != nil {
		return err
	}
	if err := p.change(template); err != nil {
		return err
	}
	p.artifacts[id] = object{
		"type": artifact["type"], "environment": artifact["environment"],
		"properties": object{
			"templateFile": name, "stackName": properties["stackName"],
			"parameters": object{bucketParameter: p.bucket, "DeployedBucket": p.bucket},
		},
	}
	return p.write(name, template)
}

// change makes of a template one that needs no CDK.
func (p *plain) change(template object) error {
	parameters, ok1 := template["Parameters"].(object)
	rules, ok2 := template["Rules"].(object)
	resources, ok3 := template["Resources"].(object)
	if !ok1 || !ok2 || !ok3 {
		return errors.New("the template has not the parts that the CDK app gives it")
	}
	// What the CDK's own bucket for assets must be.
	delete(parameters, "BootstrapVersion")
	delete(rules, "CheckBootstrapVersion")
	template["Description"] = "oncegate: one-time upload URLs for S3"
	for id, r := range resources {
		resource, ok := r.(object)
		if !ok {
			return fmt.Errorf("resource %s is no object", id)
		}
		delete(resource, "Metadata") // the CDK's notes to itself
		properties, _ := resource["Properties"].(object)
		switch resource["Type"] {
		case "AWS::Lambda::Function":
			if runtime, _ := properties["Runtime"].(string); !strings.HasPrefix(runtime, "nodejs") {
				return fmt.Errorf("function %s runs on %q: a release has the code for the edge alone", id, runtime)
			}
			properties["Code"] = codeDirectory
		case "AWS::Lambda::Version":
			// A version with another description is another version:
			// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-version.html
			properties["Description"] = object{"Ref": revisionParameter}
			parameters[revisionParameter] = object{
				"Type": "String", "Default": "1", "MaxLength": 256,
				"Description": "Of edge/config.json. Only with another value, such as 2, a deploy takes changed settings to the edge.",
			}
		}
	}
	for part, value := range template {
		if part == "Parameters" {
			continue
		}
		named, err := p.name(value)
		if err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
		template[part] = named
	}
	parameters[bucketParameter] = object{
		"Type": "String", "AllowedPattern": "[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
		"Description":           "The bucket of the uploads, which the stack Bucket makes. The same as in edge/config.json.",
		"ConstraintDescription": "3 to 63 lower-case letters, digits and hyphens.",
	}
	// The first deploy says the name twice. Every later one keeps this parameter by itself, and
	// the rule compares.
	first, ok := parameters["DeployedBucket"].(object)
	if !ok {
		return errors.New("there is no parameter DeployedBucket")
	}
	delete(first, "Default")
	first["Description"] = "For the first deploy the same name again. Later leave it as it is."
	left, err := json.Marshal(template)
	if err == nil && (bytes.Contains(left, []byte(p.bucket)) || bytes.Contains(left, []byte("cdk"))) {
		err = errors.New("something of the CDK, or the name of the bucket, is left")
	}
	return err
}

// name puts the parameter in the place of the bucket's name.
func (p *plain) name(value any) (any, error) {
	var err error
	switch v := value.(type) {
	case string:
		switch {
		case v == p.bucket:
			return object{"Ref": bucketParameter}, nil
		case !strings.Contains(v, p.bucket):
			return v, nil
		case strings.Contains(v, "${"):
			return nil, fmt.Errorf("%q would be read as something to fill in", v)
		}
		return object{"Fn::Sub": p.fill(v)}, nil
	case object:
		if text, ok := v["Fn::Sub"].(string); ok && len(v) == 1 {
			return object{"Fn::Sub": p.fill(text)}, nil
		}
		for name, item := range v {
			if v[name], err = p.name(item); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	case []any:
		for i, item := range v {
			if v[i], err = p.name(item); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}

func (p *plain) fill(text string) string {
	return strings.ReplaceAll(text, p.bucket, "${"+bucketParameter+"}")
}

// readObject reads JSON, with numbers as they are written.
func readObject(name string) (object, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var o object
	if err := d.Decode(&o); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return o, nil
}
