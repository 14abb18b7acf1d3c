package cfn_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// object is a JSON object of a template.
type object = map[string]any

// TestNoResourceWaitsForItself: CloudFormation refuses a template whose resources
// depend on each other in a circle. Bucket and queue would if the queue's policy named
// the bucket by reference.
func TestNoResourceWaitsForItself(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.template.json")
	if err != nil || len(files) < 8 {
		t.Fatalf("templates %v, %v", files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var template struct{ Resources map[string]object }
		if err := json.Unmarshal(data, &template); err != nil {
			t.Fatal(err)
		}
		if circle := findCircle(template.Resources); circle != nil {
			t.Errorf("%s: %v", file, circle)
		}
	}
	looped := map[string]object{
		"A": {"Properties": object{"x": object{"Fn::GetAtt": []any{"B", "Arn"}}}},
		"B": {"Properties": object{"x": object{"Fn::Sub": "${C.Arn} ${AWS::Region}"}}},
		"C": {"DependsOn": []any{"D"}}, "D": {"Properties": object{"x": object{"Ref": "A"}}},
	}
	if circle := findCircle(looped); len(circle) != 5 {
		t.Errorf("the circle of the test is %v", circle)
	}
}

// findCircle returns resources each of which depends on the next one, the first being
// also the last, or nil if there is no circle.
func findCircle(resources map[string]object) (circle []string) {
	done := map[string]bool{}
	var visit func(id string, path []string) []string
	visit = func(id string, path []string) []string {
		if i := slices.Index(path, id); i >= 0 {
			return append(slices.Clone(path[i:]), id)
		}
		if done[id] {
			return nil
		}
		for _, next := range references(resources[id]) {
			if _, ok := resources[next]; ok {
				if found := visit(next, append(path, id)); found != nil {
					return found
				}
			}
		}
		done[id] = true
		return nil
	}
	for id := range resources {
		if found := visit(id, nil); found != nil {
			return found
		}
	}
	return nil
}

var subbed = regexp.MustCompile(`\$\{([A-Za-z0-9]+)[.}]`)

// references returns the names that a value of a template refers to. There may be
// others among them.
func references(v any) (ids []string) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			ids = append(ids, references(item)...)
		}
	case map[string]any:
		for name, item := range v {
			switch list, _ := item.([]any); {
			case name == "Ref", name == "DependsOn" && list == nil:
				ids = append(ids, fmt.Sprint(item))
			case name == "DependsOn":
				for _, id := range list {
					ids = append(ids, fmt.Sprint(id))
				}
			case name == "Fn::GetAtt" && len(list) == 2:
				ids = append(ids, fmt.Sprint(list[0]))
			case name == "Fn::Sub":
				for _, m := range subbed.FindAllStringSubmatch(fmt.Sprint(item), -1) {
					ids = append(ids, m[1])
				}
			default:
				ids = append(ids, references(item)...)
			}
		}
	}
	return ids
}
