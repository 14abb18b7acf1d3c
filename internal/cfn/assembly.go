// Package cfn reads what the CDK synthesizes (cdk.out: a manifest, templates and
// assets) into plain Go values. It needs no CDK. Package check looks at what was read.
//
// The values have CloudFormation's own names:
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-template-resource-type-ref.html.
// Reading is strict: a resource type, a property or an intrinsic function that this
// package does not know is an error that names it. Nothing in a template is ignored
// silently.
package cfn

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// stack is one CloudFormation stack of an assembly.
type stack struct {
	name, region string
	dir          string // of its template
	resources    map[string]resource
	outputs      map[string]any
	parameters   map[string]string // those that have a value
	pins         map[string]Pin
	assets       map[string]string // object key -> path of the file or directory
}

// resource is one resource of a template.
type resource struct {
	Type                string
	Properties          map[string]any
	DeletionPolicy      string
	UpdateReplacePolicy string
	DependsOn           any // an id, or a list of them
}

func (r resource) removal() Removal { return Removal{r.DeletionPolicy, r.UpdateReplacePolicy} }

// readAssembly reads the stacks of these names of the assembly in dir, or every one.
func readAssembly(dir string, names []string) ([]stack, error) {
	var manifest struct {
		Artifacts map[string]struct {
			Type        string
			Environment string
			Properties  struct {
				TemplateFile, File, StackName string
				Parameters                    map[string]string
			}
		}
	}
	if err := readJSON(filepath.Join(dir, "manifest.json"), &manifest); err != nil {
		return nil, fmt.Errorf("read assembly: %w", err)
	}
	var stacks []stack
	for _, id := range slices.Sorted(maps.Keys(manifest.Artifacts)) {
		artifact := manifest.Artifacts[id]
		name := cmp.Or(artifact.Properties.StackName, id) // CDK leaves out a name that is the id
		if artifact.Type != "aws:cloudformation:stack" || len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		// "aws://<account>/<region>"
		s := stack{name: name, region: artifact.Environment[strings.LastIndexByte(artifact.Environment, '/')+1:], dir: dir}
		var template struct {
			Resources map[string]resource
			Outputs   map[string]struct{ Value any }
			pinned
		}
		if err := readJSON(filepath.Join(dir, artifact.Properties.TemplateFile), &template); err != nil {
			return nil, fmt.Errorf("read stack %s: %w", id, err)
		}
		s.resources = template.Resources
		s.parameters = template.values(artifact.Properties.Parameters)
		s.pins = template.pins(s.parameters)
		s.outputs = map[string]any{}
		for name, output := range template.Outputs {
			s.outputs[name] = output.Value
		}
		var err error
		if s.assets, err = readAssets(dir, manifest.Artifacts[id+".assets"].Properties.File); err != nil {
			return nil, fmt.Errorf("read assets of stack %s: %w", id, err)
		}
		stacks = append(stacks, s)
	}
	if len(stacks) == 0 {
		return nil, fmt.Errorf("read assembly: %s holds no stack", dir)
	}
	return stacks, nil
}

func readAssets(dir, file string) (map[string]string, error) {
	var manifest struct {
		Files map[string]struct {
			Source       struct{ Path string }
			Destinations map[string]struct{ ObjectKey string }
		}
	}
	if file != "" {
		if err := readJSON(filepath.Join(dir, file), &manifest); err != nil {
			return nil, err
		}
	}
	assets := map[string]string{}
	for _, f := range manifest.Files {
		for _, d := range f.Destinations {
			assets[d.ObjectKey] = filepath.Join(dir, f.Source.Path)
		}
	}
	return assets, nil
}

// directory returns where the code is that a template names, or "" if that is not below the
// assembly.
func (s stack) directory(c Code) string {
	switch {
	case c.Directory == "":
		return s.assets[c.S3Key]
	case filepath.IsLocal(c.Directory):
		return filepath.Join(s.dir, c.Directory)
	}
	return ""
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// resolve evaluates the intrinsic functions in a template's value. What only AWS knows
// becomes a placeholder: ${LogicalID}, ${LogicalID.Attribute}, ${AWS::AccountId}.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
func (s stack) resolve(value any) (any, error) {
	switch v := value.(type) {
	case map[string]any:
		if len(v) == 1 {
			for name, argument := range v {
				if name == "Ref" || strings.HasPrefix(name, "Fn::") {
					return s.intrinsic(name, argument)
				}
			}
		}
		out := make(map[string]any, len(v))
		for name, item := range v {
			r, err := s.resolve(item)
			if err != nil {
				return nil, err
			}
			out[name] = r
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			r, err := s.resolve(item)
			if err != nil {
				return nil, err
			}
			out[i] = r
		}
		return out, nil
	}
	return value, nil
}

func (s stack) intrinsic(name string, argument any) (string, error) {
	argument, err := s.resolve(argument)
	if err != nil {
		return "", err
	}
	switch name {
	case "Ref":
		if id, ok := argument.(string); ok {
			return s.ref(id), nil
		}
	case "Fn::GetAtt":
		if list, ok := argument.([]any); ok && len(list) == 2 {
			return s.attribute(fmt.Sprint(list[0]), fmt.Sprint(list[1])), nil
		}
	case "Fn::Join":
		if list, ok := argument.([]any); ok && len(list) == 2 {
			if items, ok := list[1].([]any); ok {
				parts := make([]string, len(items))
				for i, item := range items {
					parts[i] = fmt.Sprint(item)
				}
				return strings.Join(parts, fmt.Sprint(list[0])), nil
			}
		}
	case "Fn::Sub":
		if text, ok := argument.(string); ok {
			for _, pseudo := range []string{"AWS::Partition", "AWS::Region", "AWS::URLSuffix", "AWS::StackName"} {
				text = strings.ReplaceAll(text, "${"+pseudo+"}", s.ref(pseudo))
			}
			for name, value := range s.parameters {
				text = strings.ReplaceAll(text, "${"+name+"}", value)
			}
			return text, nil
		}
	}
	return "", fmt.Errorf("stack %s: %s with %v is not understood", s.name, name, argument)
}

func (s stack) ref(id string) string {
	switch id {
	case "AWS::Partition":
		return "aws"
	case "AWS::Region":
		return s.region
	case "AWS::URLSuffix":
		return "amazonaws.com"
	case "AWS::StackName":
		return s.name
	}
	if value, ok := s.parameters[id]; ok {
		return value
	}
	named := map[string]string{"AWS::S3::Bucket": "BucketName", "AWS::Lambda::Function": "FunctionName", "AWS::Logs::LogGroup": "LogGroupName"}
	r := s.resources[id]
	if name, ok := r.Properties["QueueName"].(string); ok && r.Type == "AWS::SQS::Queue" {
		return "https://sqs." + s.region + ".amazonaws.com/${AWS::AccountId}/" + name
	}
	switch name := r.Properties[named[r.Type]].(type) {
	case string:
		return name
	case map[string]any: // a parameter
		if parameter, ok := name["Ref"].(string); ok && s.parameters[parameter] != "" {
			return s.parameters[parameter]
		}
	}
	return "${" + id + "}"
}

func (s stack) attribute(id, name string) string {
	if s.resources[id].Type == "AWS::S3::Bucket" && name == "Arn" {
		return "arn:aws:s3:::" + s.ref(id)
	}
	if q, ok := s.resources[id].Properties["QueueName"].(string); ok && name == "Arn" {
		return "arn:aws:sqs:" + s.region + ":${AWS::AccountId}:" + q
	}
	if q, ok := s.resources[id].Properties["QueueName"].(string); ok && name == "QueueName" {
		return q
	}
	if s.resources[id].Type == "AWS::Logs::LogGroup" && name == "Arn" {
		return "arn:aws:logs:" + s.region + ":${AWS::AccountId}:log-group:" + s.ref(id) + ":*"
	}
	return "${" + id + "." + name + "}"
}

// decode resolves a resource's properties and stores them in properties, a pointer to
// a struct that must have a field for each.
func (s stack) decode(id string, properties any) error {
	resolved, err := s.resolve(s.resources[id].Properties)
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	data, err := json.Marshal(resolved)
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(properties); err != nil {
		return fmt.Errorf("stack %s: %s %s: %w", s.name, s.resources[id].Type, id, err)
	}
	return nil
}
