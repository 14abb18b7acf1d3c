package cfn

import (
	"encoding/json"
	"os"
	"path/filepath"
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
