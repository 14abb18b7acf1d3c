package cfn

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// Later is a resource that CloudFormation may make later than another one of its stack.
type Later struct {
	ID, Type string
	Needs    bool // it cannot be made earlier, because it refers to the other one
}

// after returns all that may be made later than the resource: what the resource does not
// need.
func (s stack) after(id string) []Later {
	var later []Later
	needed := s.needed(id)
	for _, other := range slices.Sorted(maps.Keys(s.resources)) {
		if other != id && !needed[other] {
			later = append(later, Later{ID: other, Type: s.resources[other].Type, Needs: s.needed(other)[id]})
		}
	}
	return later
}

// needed returns the ids of all that must be there before the resource, by a reference or
// by DependsOn.
func (s stack) needed(id string) map[string]bool {
	found := map[string]bool{}
	var add func(id string)
	add = func(id string) {
		r := s.resources[id]
		for _, next := range references(map[string]any{"DependsOn": r.DependsOn, "Properties": r.Properties}) {
			if _, ok := s.resources[next]; ok && !found[next] {
				found[next] = true
				add(next)
			}
		}
	}
	add(id)
	return found
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
